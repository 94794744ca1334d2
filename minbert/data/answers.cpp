// Reads predictions and word counts.
#include "minbert/data/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "minbert/base/files.h"
#include "minbert/data/eval_table.h"
#include "minbert/data/labels.h"
#include "minbert/data/text.h"

namespace minbert {

std::vector<Answer> read_answers(const std::filesystem::path& path, std::span<const std::string> classes, bool sets) {
  std::vector<Answer> answers;
  if (!std::filesystem::exists(path)) return answers;
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

WordCounts WordCounts::read(const std::filesystem::path& path) {
  WordCounts counts;
  if (!std::filesystem::exists(path)) return counts;
  const EvalTable table(path, "tsv");
  const std::size_t word = table.column("word"), count = table.column("count");
  for (std::size_t row = 0; row < table.rows(); ++row) counts.set(table.text(row, word), table.count(row, count));
  return counts;
}

void write_word_counts(const std::filesystem::path& file, const Rows& train) {
  std::unordered_map<std::string, std::int64_t> counts;
  for (const Row& row : train.rows)
    for (const std::string* text : {&row.text, &row.text_pair})
      for (std::string& token : split_tokens(*text))
        if (is_word(token)) ++counts[std::move(token)];
  std::vector<std::pair<std::int64_t, std::string>> words;
  for (const auto& [word, count] : counts) words.emplace_back(-count, word);
  std::ranges::sort(words);
  std::string text = "word\tcount\n";
  for (const auto& [count, word] : words) text += fmt::format("{}\t{}\n", word, -count);
  make_directories(file.parent_path());
  write_file(file, text);
}

}  // namespace minbert
