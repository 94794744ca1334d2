// Decides which texts of a contrastive stage belong together.
#include "minbert/train/contrastive_texts.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "minbert/base/nearest.h"
#include "minbert/data/text.h"

namespace minbert {
namespace {

/// The least label of a pair whose texts belong together, and the largest.
std::pair<double, double> positive_labels(const TaskSpec& task, const StageSpec& stage) {
  const auto fail = [&](const char* key, const std::string& message, std::string hint = {}) {
    throw Error(ErrorTag::kUsage, fmt::format("stage {}, contrastive.{}", stage.name, key), message, std::move(hint));
  };
  if (task.is_regression()) {
    if (task.data.takes_any_number()) fail("texts", fmt::format("{} has no label_range, whose top fifth is positive", task.name));
    const auto [low, high] = task.data.label_range;
    return {low + 0.8 * (high - low), high};
  }
  const std::string positive = stage.contrastive->positive.empty() ? "1" : stage.contrastive->positive;
  const std::vector<std::string> names = task.labels.class_names();
  const auto at = std::ranges::find(names, positive);
  if (at == names.end())
    fail("positive", fmt::format("expected a label of {}, one of {}, got \"{}\"", task.name, fmt::join(names, ", "), positive),
         suggest(positive, names));
  const auto label = static_cast<double>(at - names.begin());
  return {label, label};
}

/// Groups of rows, of which two are one group where they share a text.
std::vector<std::int32_t> groups_by_text(std::span<const Row> rows, bool pairs) {
  std::vector<std::int32_t> parents(rows.size());
  std::iota(parents.begin(), parents.end(), 0);
  const auto root = [&](std::int32_t row) {
    while (parents[static_cast<std::size_t>(row)] != row) {
      std::int32_t& parent = parents[static_cast<std::size_t>(row)];
      row = parent = parents[static_cast<std::size_t>(parent)];
    }
    return row;
  };
  std::map<std::string_view, std::int32_t> first_with;
  const auto join = [&](std::string_view text, std::int32_t row) {
    const auto [first, is_new] = first_with.emplace(text, row);
    if (!is_new) parents[static_cast<std::size_t>(root(row))] = root(first->second);
  };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    join(rows[i].text, static_cast<std::int32_t>(i));
    if (pairs) join(rows[i].text_pair, static_cast<std::int32_t>(i));
  }
  std::vector<std::int32_t> groups;
  for (std::size_t i = 0; i < rows.size(); ++i) groups.push_back(root(static_cast<std::int32_t>(i)));
  return groups;
}

}  // namespace

ContrastiveTexts read_contrastive_texts(const Tokenizer& tokenizer, const NamedTexts& texts, const StageSpec& stage,
                                        std::int64_t max_length) {
  const bool by_label = texts.task != nullptr && stage.contrastive->labels;
  const bool has_pairs = texts.task != nullptr && texts.task->is_pair(), pairs = by_label && has_pairs;
  if (by_label && !pairs && texts.task->answers() != Answers::kClasses)
    throw Error(ErrorTag::kUsage, fmt::format("stage {}, contrastive.texts", stage.name),
                fmt::format("expected classes that say which texts belong together, got {}, which is {}", texts.name,
                            option_name(texts.task->type)),
                "labels = false compares each text with itself");
  std::vector<Row> rows;
  const auto [least, largest] = pairs ? positive_labels(*texts.task, stage) : std::pair(0.0, 0.0);
  for (const Row& row : texts.rows) {
    if (pairs && !(row.label >= least && row.label <= largest)) continue;
    if (!strip(row.text).empty()) rows.push_back(row);
    if (has_pairs && !pairs && !strip(row.text_pair).empty()) rows.emplace_back(row).text = row.text_pair;
  }
  ContrastiveTexts out{.name = texts.name, .rows = {}, .groups = {}};
  TaskSpec reading;
  reading.type = pairs ? TaskType::kPairClassify : TaskType::kClassify;
  out.rows = tokenize_rows(tokenizer, reading, rows, max_length);
  if (by_label && !pairs)
    for (const Row& row : rows) out.groups.push_back(static_cast<std::int32_t>(row.label));
  else
    out.groups = groups_by_text(rows, pairs);
  if (std::ranges::all_of(out.groups, [&](std::int32_t group) { return group == out.groups.front(); }))
    throw Error(ErrorTag::kData, fmt::format("stage {}, {}", stage.name, texts.name),
                fmt::format("expected texts that do not all belong together, got {} {}", rows.size(), pairs ? "positive pairs" : "texts"));
  return out;
}

}  // namespace minbert
