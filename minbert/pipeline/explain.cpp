// Integrated gradients over the hand-written backward pass.
#include "minbert/pipeline/explain.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "minbert/base/json.h"
#include "minbert/pipeline/prediction_format.h"

namespace minbert {
namespace {

/// A Target is the number that attributions explain: the log-odds of a class, or a predicted number.
class Target {
 public:
  Target(const TaskSpec& task, const Prediction& prediction) : task_(task) {
    if (task.is_regression()) return;
    class_ = static_cast<std::size_t>(std::ranges::max_element(prediction.probs) - prediction.probs.begin());
  }

  std::string label() const { return task_.is_regression() ? "" : task_.labels.class_name(static_cast<int>(class_)); }

  double value(std::span<const float> logits) const {
    if (task_.is_regression()) return decode(task_, logits, 1).front().value;
    if (is_one_term(logits)) return sign() * at(logits, term());
    return at(logits, class_) - log_sum_of_others(logits);
  }

  /// Overwrites `gradient` with the derivative of value() by the logits.
  void gradient(std::span<float> gradient, std::span<const float> logits) const {
    std::ranges::fill(gradient, 0.0f);
    if (task_.is_regression()) {
      const auto [low, high] = task_.data.label_range;
      const double p = 1 / (1 + std::exp(-static_cast<double>(logits[0])));
      gradient[0] = task_.trained_by() == Loss::kBce ? static_cast<float>((high - low) * p * (1 - p)) : 1.0f;
    } else if (is_one_term(logits)) {
      gradient[term()] = static_cast<float>(sign() / task_.temperature);
    } else {
      const double total = log_sum_of_others(logits);
      for (std::size_t k = 0; k < logits.size(); ++k)
        gradient[k] = static_cast<float>((k == class_ ? 1 : -std::exp(at(logits, k) - total)) / task_.temperature);
    }
  }

 private:
  /// A logit as decode() reads it.
  double at(std::span<const float> logits, std::size_t k) const { return static_cast<double>(logits[k]) / task_.temperature; }
  /// Whether one logit alone decides: that of a label, or the only one of two classes.
  bool is_one_term(std::span<const float> logits) const { return task_.is_multi_label() || logits.size() == 1; }
  std::size_t term() const { return task_.is_multi_label() ? class_ : 0; }
  double sign() const { return !task_.is_multi_label() && class_ == 0 ? -1 : 1; }

  double log_sum_of_others(std::span<const float> logits) const {
    double top = -INFINITY, sum = 0;
    for (std::size_t k = 0; k < logits.size(); ++k)
      if (k != class_) top = std::max(top, at(logits, k));
    for (std::size_t k = 0; k < logits.size(); ++k)
      if (k != class_) sum += std::exp(at(logits, k) - top);
    return top + std::log(sum);
  }

  const TaskSpec& task_;
  std::size_t class_ = 0;
};

/// Forward and backward passes of one row whose words are replaced by vectors between the baseline's and its own.
class Way {
 public:
  Way(MultitaskModel& model, std::size_t head, const TokenizedRows& rows, std::uint32_t row, const Tokenizer& tokenizer)
      : model_(model),
        backend_(model.backend()),
        head_(head),
        rows_(rows),
        row_(row),
        gradients_(backend_, model.params(), [](const ParamInfo& info) { return info.name.starts_with("embeddings.LayerNorm."); }),
        arena_(backend_),
        width_(static_cast<std::size_t>(model.params().config().hidden_size)),
        length_(static_cast<std::size_t>(rows.row_tokens(row))),
        first_length_(static_cast<std::size_t>(rows.length(row * rows.per_row))) {
    fill(1);
    const bool has_pad = tokenizer.pad_id() < tokenizer.usable_ids();
    const std::int32_t blank = has_pad ? tokenizer.pad_id() : tokenizer.unk_id();
    for (const std::int32_t id : batch_.tokens().ids) {
      const bool is_mark = id == tokenizer.cls_id() || id == tokenizer.sep_id();
      append_word(input_, id);
      append_word(baseline_, is_mark ? id : blank);
    }
  }

  std::size_t length() const { return length_; }
  std::size_t width() const { return width_; }
  /// (length, width): what the words of the row add to their baseline.
  double difference(std::size_t i) const { return static_cast<double>(input_[i]) - static_cast<double>(baseline_[i]); }
  /// The row's tokens, those of its second text last.
  TokenBatch tokens() {
    fill(1);
    return batch_.tokens();
  }

  /// Logits (shares, K) at these shares of the way from baseline to input.
  std::vector<float> logits(std::span<const double> shares) {
    arena_.reset();
    fill(shares.size());
    TokenBatch batch = batch_.tokens();
    std::vector<float> between(batch.ids.size() * width_);
    for (std::size_t t = 0; t < batch.ids.size(); ++t)
      for (std::size_t c = 0; c < width_; ++c) {
        const std::size_t i = place(batch.rows[t]) * width_ + c;
        between[t * width_ + c] = static_cast<float>(static_cast<double>(baseline_[i]) + shares[batch.rows[t].row] * difference(i));
      }
    numbers_.resize(batch.ids.size());
    std::iota(numbers_.begin(), numbers_.end(), 0);
    batch.ids = numbers_;
    batch.vectors = arena_.allocate(DType::kF32, {std::ssize(numbers_), static_cast<std::int64_t>(width_)});
    batch.dvectors = dvectors_ = arena_.allocate(DType::kF32, batch.vectors.shape());
    backend_.copy_to_device(batch.vectors, between.data());
    logits_ = model_.forward(arena_, &activations_, head_, batch, {});
    return backend_.to_host(logits_);
  }

  /// Adds to sums (length, width) the gradients of the last logits() by the words' vectors, from those by the logits.
  void add_gradients(std::span<double> sums, std::span<const float> dlogits) {
    const Tensor d = arena_.allocate(logits_.dtype(), logits_.shape());
    backend_.copy_to_device(d, dlogits.data());
    backend_.zero(dvectors_);
    model_.backward(arena_, gradients_, d, activations_);
    const std::vector<float> values = backend_.to_host(dvectors_);
    const auto ids = batch_.tokens().rows;
    for (std::size_t t = 0; t < ids.size(); ++t)
      for (std::size_t c = 0; c < width_; ++c) sums[place(ids[t]) * width_ + c] += static_cast<double>(values[t * width_ + c]);
  }

 private:
  /// Makes a batch of so many copies of the row: a token's RowId::row is the number of its copy.
  void fill(std::size_t copies) {
    const std::vector<std::uint32_t> which(copies, row_);
    batch_.fill(rows_, which, 0);
  }

  /// A token's place in the row.
  std::size_t place(const RowId& id) const { return (id.pass == 0 ? 0 : first_length_) + id.position; }

  void append_word(std::vector<float>& vectors, std::int32_t id) {
    const std::vector<float> word = backend_.to_host(model_.params().value("embeddings.word_embeddings.weight").slice_rows(id, id + 1));
    vectors.insert(vectors.end(), word.begin(), word.end());
  }

  MultitaskModel& model_;
  Backend& backend_;
  std::size_t head_;
  const TokenizedRows& rows_;
  std::uint32_t row_;
  Gradients gradients_;  // of small parameters below all layers, so that backward reaches the embeddings
  Arena arena_;
  std::size_t width_, length_, first_length_;
  Batch batch_;
  std::vector<std::int32_t> numbers_;    // 0, 1, 2 ...
  std::vector<float> input_, baseline_;  // (length, width)
  TaskActivations activations_;
  Tensor logits_, dvectors_;
};

}  // namespace

Prediction explain_row(MultitaskModel& model, std::size_t head, const TaskSpec& task, const Tokenizer& tokenizer, const TokenizedRows& rows,
                       std::uint32_t row, const Prediction* answer, int steps, const std::function<void()>& go_on) {
  constexpr std::size_t kBatchTokens = 2048;  // bounds the activations that backward needs
  Way way(model, head, rows, row, tokenizer);
  const std::vector<float> ends = way.logits(std::array{0.0, 1.0});
  const std::size_t K = ends.size() / 2;
  const auto row_of = [K](auto& logits, std::size_t i) { return std::span(logits).subspan(i * K, K); };
  Prediction prediction = answer != nullptr ? *answer : decode(task, row_of(ends, 1), 1).front();
  const Target target(task, prediction);
  Explanation out{.label = target.label()};
  out.baseline = target.value(row_of(ends, 0));
  out.value = target.value(row_of(ends, 1));

  std::vector<double> sums(way.length() * way.width()), shares;
  const std::size_t most = std::max<std::size_t>(1, kBatchTokens / way.length());
  for (int step = 0; step < steps; ++step) {
    shares.push_back((step + 0.5) / steps);
    if (shares.size() < most && step + 1 < steps) continue;
    if (go_on) go_on();
    const std::vector<float> logits = way.logits(shares);
    std::vector<float> dlogits(logits.size());
    for (std::size_t i = 0; i < shares.size(); ++i) target.gradient(row_of(dlogits, i), row_of(logits, i));
    way.add_gradients(sums, dlogits);
    shares.clear();
  }

  const TokenBatch tokens = way.tokens();
  for (std::size_t t = 0; t < way.length(); ++t) {
    TokenAttribution& token = out.tokens.emplace_back();
    token.token = tokenizer.token(tokens.ids[t]);
    token.sequence = tokens.type_ids[t] == 1 || tokens.rows[t].pass == 1 ? 1 : 0;
    for (std::size_t i = t * way.width(); i < (t + 1) * way.width(); ++i) token.attribution += sums[i] / steps * way.difference(i);
  }
  prediction.explanation = std::make_shared<Explanation>(std::move(out));
  return prediction;
}

std::string explanation_json(const Explanation& explanation) {
  std::vector<std::string> tokens;
  for (const TokenAttribution& token : explanation.tokens)
    tokens.push_back(fmt::format("{{\"token\":{},\"sequence\":{},\"attribution\":{}}}", dump_json(token.token), token.sequence,
                                 number_text(token.attribution)));
  const std::string label = explanation.label.empty() ? "" : fmt::format("\"label\":{},", dump_json(explanation.label));
  return fmt::format("{{{}\"value\":{},\"baseline\":{},\"tokens\":[{}]}}", label, number_text(explanation.value),
                     number_text(explanation.baseline), fmt::join(tokens, ","));
}

}  // namespace minbert
