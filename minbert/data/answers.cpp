// Reads predictions and word counts.
#include "minbert/data/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "minbert/data/eval_table.h"
#include "minbert/data/labels.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

}  // namespace

std::vector<Answer> read_answers(const fs::path& path, std::span<const std::string> classes, bool sets) {
  std::vector<Answer> answers;
  if (!fs::exists(path)) return answers;
  const EvalTable table(path, "tsv");
  const std::size_t id = table.column("id"), text = table.column("text"), gold = table.column("gold"), predicted = table.column("pred"),
                    score = table.column("score");
  const std::optional<std::size_t> pair = table.find_column("text_pair");
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const auto value = [&](std::size_t column) {
      if (classes.empty()) return table.number(row, column);
      const std::string cell = table.text(row, column);
      const auto index = [&](const std::string& name) {
        const auto found = std::ranges::find(classes, name);
        if (found == classes.end()) table.fail(row, fmt::format("no class \"{}\"", name));
        return static_cast<int>(found - classes.begin());
      };
      if (!sets) return static_cast<double>(index(cell));
      std::vector<int> members;
      for (const std::string& name : split_labels(cell, "")) members.push_back(index(name));
      return label_set(members);
    };
    if (table.text(row, gold).empty()) continue;
    Answer& answer = answers.emplace_back();
    answer.id = table.text(row, id);
    answer.text = table.text(row, text);
    if (pair) answer.text_pair = table.text(row, *pair);
    answer.gold = value(gold);
    answer.predicted = value(predicted);
    if (!table.text(row, score).empty()) answer.confidence = table.number(row, score);
  }
  return answers;
}

WordCounts WordCounts::read(const fs::path& path) {
  WordCounts counts;
  if (!fs::exists(path)) return counts;
  const EvalTable table(path, "tsv");
  const std::size_t word = table.column("word"), count = table.column("count");
  for (std::size_t row = 0; row < table.rows(); ++row) counts.set(table.text(row, word), table.count(row, count));
  return counts;
}

}  // namespace minbert
