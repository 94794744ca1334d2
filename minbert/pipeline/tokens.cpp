// Tokenises rows and cuts packed batches from them.
#include "minbert/pipeline/tokens.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "minbert/base/parallel.h"

namespace minbert {
namespace {

/// Appends the windows behind the first of a sequence [CLS] prompt body [SEP] that is too long, evenly spaced over the body.
void append_windows(RowWindows& out, const std::vector<std::int32_t>& ids, std::uint32_t row, std::int64_t max_length,
                    std::int64_t prompt_tokens) {
  const std::int64_t prompt = std::max<std::int64_t>(prompt_tokens, 1), width = max_length - prompt - 1;
  const std::int64_t body = std::ssize(ids) - prompt - 1;
  if (width < 1) return;  // a prompt as long as max_length leaves no room
  const std::int64_t step = std::max<std::int64_t>(1, width - width / 4), more = (body - width + step - 1) / step;
  for (std::int64_t i = 1; i <= more; ++i) {
    const auto begin = ids.begin() + prompt + i * (body - width) / more;
    Encoding window;
    window.ids.assign(ids.begin(), ids.begin() + prompt);
    window.ids.insert(window.ids.end(), begin, begin + width);
    window.ids.push_back(ids.back());
    window.type_ids.assign(window.ids.size(), 0);
    append_sequence(out.rows, window);
    out.rows.labels.push_back(std::nan(""));
    out.of.push_back(row);
  }
}

/// Adds what else is read of a row: a pair's other order, or the windows behind the first one of a text that was cut.
void append_more(RowWindows& out, const Tokenizer& tokenizer, const TaskSpec& task, std::string_view text, std::string_view text_pair,
                 std::int64_t row, bool was_cut, std::int64_t max_length, std::int64_t prompt_tokens, CutSide side = CutSide::kEnd) {
  if (task.symmetric) {
    append_sequence(out.rows, tokenizer.encode_pair(text_pair, text, max_length, false, side));
    out.rows.labels.push_back(std::nan(""));
    out.of.push_back(static_cast<std::uint32_t>(row));
  }
  if (was_cut && task.windows != Windows::kNone)
    append_windows(out, tokenizer.encode(text).ids, static_cast<std::uint32_t>(row), max_length, prompt_tokens);
}

}  // namespace

TokenizedRows tokenize_rows(const Tokenizer& tokenizer, const TaskSpec& task, std::span<const Row> rows, std::int64_t max_length,
                            std::int64_t prompt_tokens) {
  TokenizedRows out;
  out.per_row = task.is_separate() ? 2 : 1;
  const auto count = static_cast<std::size_t>(out.per_row) * rows.size();
  std::vector<Encoding> encodings(count);
  parallel_for(std::ssize(rows), 16, [&](std::int64_t begin, std::int64_t end) {
    for (auto r = static_cast<std::size_t>(begin); r < static_cast<std::size_t>(end); ++r) {
      if (task.is_separate()) {
        encodings[2 * r] = tokenizer.encode(rows[r].text, max_length);
        encodings[2 * r + 1] = tokenizer.encode(rows[r].text_pair, max_length);
      } else {
        encodings[r] = task.is_pair() ? tokenizer.encode_pair(rows[r].text, rows[r].text_pair, max_length)
                                      : tokenizer.encode(rows[r].text, max_length);
      }
    }
  });

  out.offsets.reserve(count + 1);
  out.first_segments.reserve(count);
  for (const Encoding& encoding : encodings) append_sequence(out, encoding);
  out.labels.reserve(rows.size());
  const auto per_row = static_cast<std::size_t>(out.per_row);
  auto windows = std::make_shared<RowWindows>();
  for (std::size_t r = 0; r < rows.size(); ++r) {
    out.labels.push_back(rows[r].label);
    const bool was_cut = encodings[r * per_row].cut + encodings[(r + 1) * per_row - 1].cut > 0;
    if (was_cut) ++out.truncated;
    append_more(*windows, tokenizer, task, rows[r].text, rows[r].text_pair, static_cast<std::int64_t>(r), was_cut, max_length,
                prompt_tokens);
  }
  if (!windows->of.empty()) out.windows = std::move(windows);
  return out;
}

std::int64_t append_text(TokenizedRows& out, const Tokenizer& tokenizer, const TaskSpec& task, std::string_view text,
                         std::string_view text_pair, std::int64_t max_length, CutSide side) {
  std::int64_t cut = 0;
  const auto add = [&](const Encoding& encoding) {
    append_sequence(out, encoding);
    cut += encoding.cut;
  };
  const std::string first = preprocess_text(task.data, text), second = task.is_pair() ? preprocess_text(task.data, text_pair) : "";
  if (task.windows != Windows::kNone) side = CutSide::kEnd;
  if (task.is_separate()) {
    add(tokenizer.encode(first, max_length, false, side));
    add(tokenizer.encode(second, max_length, false, side));
  } else {
    add(task.is_pair() ? tokenizer.encode_pair(first, second, max_length, false, side) : tokenizer.encode(first, max_length, false, side));
  }
  out.per_row = task.is_separate() ? 2 : 1;
  out.labels.push_back(std::nan(""));
  const bool is_windowed = cut > 0 && task.windows != Windows::kNone;
  if (!task.symmetric && !is_windowed) return cut;
  if (!out.windows) out.windows = std::make_shared<RowWindows>();
  MINBERT_CHECK(out.windows.use_count() == 1, "windows of rows that were copied");
  append_more(*out.windows, tokenizer, task, first, second, out.rows() - 1, cut > 0, max_length, 1, side);
  return is_windowed ? 0 : cut;
}

void append_sequence(TokenizedRows& out, const Encoding& encoding) {
  out.ids.insert(out.ids.end(), encoding.ids.begin(), encoding.ids.end());
  out.offsets.push_back(std::ssize(out.ids));
  const auto second = std::find(encoding.type_ids.begin(), encoding.type_ids.end(), 1);
  out.first_segments.push_back(static_cast<std::int32_t>(second - encoding.type_ids.begin()));
}

void append_sequence(TokenizedRows& out, const TokenizedRows& from, std::int64_t sequence) {
  const auto s = static_cast<std::size_t>(sequence);
  const auto begin = from.ids.begin() + from.offsets[s];
  out.ids.insert(out.ids.end(), begin, begin + from.length(sequence));
  out.offsets.push_back(std::ssize(out.ids));
  out.first_segments.push_back(from.first_segments[s]);
}

void append_row(TokenizedRows& out, const TokenizedRows& from, std::int64_t row) {
  MINBERT_CHECK(out.per_row == from.per_row, "rows of {} and of {} sequences", out.per_row, from.per_row);
  for (std::int64_t s = row * from.per_row; s < (row + 1) * from.per_row; ++s) append_sequence(out, from, s);
  out.labels.push_back(from.labels[static_cast<std::size_t>(row)]);
}

TokenizedRows copy_rows(const TokenizedRows& rows, std::span<const std::uint32_t> which) {
  TokenizedRows out;
  out.per_row = rows.per_row;
  for (const std::uint32_t row : which) append_row(out, rows, row);
  return out;
}

std::vector<std::vector<std::uint32_t>> batches_by_length(const TokenizedRows& rows, BatchShare share) {
  const auto tokens_of = [&](std::uint32_t row) { return rows.row_tokens(row); };
  constexpr std::int64_t kBatchTokens = 512;  // enough for products to run at full speed, few enough for activations to stay in the caches
  std::vector<std::uint32_t> order(static_cast<std::size_t>(rows.rows()));
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return tokens_of(a) > tokens_of(b); });
  std::vector<std::vector<std::uint32_t>> batches;
  std::int64_t tokens = 0;
  for (const std::uint32_t row : order) {
    if (batches.empty() || tokens + tokens_of(row) > kBatchTokens) {
      batches.emplace_back();
      tokens = 0;
    }
    batches.back().push_back(row);
    tokens += tokens_of(row);
  }
  if (share.count == 1) return batches;
  std::vector<std::vector<std::uint32_t>> part;
  for (std::size_t i = share.index; i < batches.size(); i += share.count) part.push_back(std::move(batches[i]));
  return part;
}

void Batch::append(const TokenizedRows& rows, std::int64_t sequence, RowId id) {
  const auto s = static_cast<std::size_t>(sequence);
  const auto begin = rows.ids.begin() + rows.offsets[s];
  const std::int64_t length = rows.length(sequence);
  ids_.insert(ids_.end(), begin, begin + length);
  for (std::int32_t position = 0; position < length; ++position) {
    id.position = static_cast<std::uint16_t>(position);
    rows_.push_back(id);
    positions_.push_back(position);
    type_ids_.push_back(position < rows.first_segments[s] ? 0 : 1);
  }
  offsets_.push_back(static_cast<std::int32_t>(ids_.size()));
}

void Batch::fill(const TokenizedRows& rows, std::span<const std::uint32_t> which, std::uint32_t first_row, int passes) {
  for (auto* values : {&ids_, &type_ids_, &positions_, &offsets_}) values->clear();
  rows_.clear();
  offsets_.push_back(0);
  for (std::int64_t text = 0; text < rows.per_row; ++text)
    for (int pass = 0; pass < passes; ++pass)
      for (std::size_t i = 0; i < which.size(); ++i)
        append(rows, which[i] * rows.per_row + text,
               {.row = first_row + static_cast<std::uint32_t>(i), .pass = static_cast<std::uint8_t>(text + 2 * pass)});
}

void BatchTargets::fill(const TaskSpec& task, const TokenizedRows& rows, std::span<const std::uint32_t> which, const SoftLabels& soft) {
  labels_.clear();
  values_.clear();
  weights_.clear();
  range_ = task.is_regression() ? task.data.label_range[1] - task.data.label_range[0] : 1;
  const Loss loss = task.trained_by();
  const auto [low, high] = task.data.label_range;
  const auto scaled = [low = low, high = high](double x) { return (x - low) / (high - low); };
  const bool plain = task.class_factors.empty() && task.label_smoothing == 0;
  const auto factor = [&](std::size_t k) { return task.class_factors.empty() ? 1.0 : task.class_factors[k]; };
  const std::size_t width = soft.values.size() / static_cast<std::size_t>(rows.rows());
  for (const std::uint32_t row : which) {
    const bool labelled = rows.labels[row] == rows.labels[row];
    MINBERT_CHECK(labelled || !soft.values.empty(), "row {} of {} has no label", row, task.name);
    const double label = labelled ? rows.labels[row] : 0, share = labelled ? soft.share : 1;
    const auto taught = std::span(soft.values).subspan(row * width, width);
    const auto taught_at = [&](std::size_t k) { return taught.empty() ? 0.0 : taught[k]; };
    if (task.is_regression()) {
      const double mixed = (1 - share) * label + share * taught_at(0);
      values_.push_back(static_cast<float>(loss == Loss::kBce ? std::clamp(scaled(mixed), 0.0, 1.0) : mixed));
    } else if (loss == Loss::kCrossEntropy) {
      add_classes(task, static_cast<int>(label), taught, share);
    } else if (task.is_multi_label()) {
      for (std::size_t k = 0; k < static_cast<std::size_t>(task.labels.count); ++k)
        add_term(task, (static_cast<std::uint64_t>(label) >> k & 1) != 0, 1, factor(k), taught_at(k), share);
    } else {
      add_term(task, label == 1, factor(0), factor(1), taught_at(1), share);
    }
  }
  if (plain) weights_.clear();
}

void BatchTargets::add_classes(const TaskSpec& task, int label, std::span<const double> taught, double share) {
  if (task.class_factors.empty() && task.label_smoothing == 0 && task.ordinal == 0 && taught.empty()) return labels_.push_back(label);
  const double spread = task.label_smoothing / task.labels.count;
  const auto nearness = [&](int k) { return std::exp(-task.ordinal * std::abs(k - label)); };
  // Torch's factor of a smoothed target is that of each class; a row that `ordinal` shares out keeps the factor of its label, or the
  // target's largest part might be that of a heavy neighbour.
  const auto factor = [&](int k) {
    return task.class_factors.empty() ? 1.0 : task.class_factors[static_cast<std::size_t>(task.ordinal > 0 ? label : k)];
  };
  double all = 0;
  for (int k = 0; k < task.labels.count; ++k) all += nearness(k);
  for (int k = 0; k < task.labels.count; ++k) {
    const auto at = static_cast<std::size_t>(k);
    const double own = task.ordinal > 0 ? nearness(k) / all : spread + (k == label ? 1 - task.label_smoothing : 0);
    const double mixed = taught.empty() ? own : (1 - share) * own + share * taught[at];
    values_.push_back(static_cast<float>(mixed * factor(k)));
  }
}

/// A term of BCE. Both of its parts, -log sigmoid(x) and -log(1 - sigmoid(x)), have a weight: the term's weight is their sum, and its
/// target the first one's share.
void BatchTargets::add_term(const TaskSpec& task, bool positive, double negative_factor, double positive_factor, double taught,
                            double share) {
  const double half = task.label_smoothing / 2, kept = 1 - task.label_smoothing;
  const auto mixed = [&](double own, double theirs) { return (1 - share) * own + share * theirs; };
  const double yes = positive_factor * mixed(half + (positive ? kept : 0), taught),
               no = negative_factor * mixed(half + (positive ? 0 : kept), 1 - taught);
  values_.push_back(static_cast<float>(yes / (yes + no)));
  weights_.push_back(static_cast<float>(yes + no));
}

double unweighted_terms(const TaskSpec& task, std::size_t rows) {
  return static_cast<double>(rows) * (task.is_multi_label() ? task.labels.count : 1);
}

double loss_terms(const TaskSpec& task, const TokenizedRows& rows, std::span<const std::uint32_t> which) {
  if (task.trained_by() != Loss::kCrossEntropy || task.class_factors.empty()) return unweighted_terms(task, which.size());
  double sum = 0;
  for (const std::uint32_t row : which) sum += task.class_factors[static_cast<std::size_t>(rows.labels[row])];
  return sum;
}

}  // namespace minbert
