// Answers: a model's predictions for the labelled rows of a split, and the words that training showed it, as eval/ holds them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace minbert {

/// A row of eval/SPLIT/TASK.predictions.tsv that has a label. Classes are their indices.
struct Answer {
  std::string id, text, text_pair;
  double gold = 0, predicted = 0;
  double confidence = std::numeric_limits<double>::quiet_NaN();  ///< probability of the prediction; NaN for numbers

  bool is_error() const { return gold != predicted; }
};

/// `classes`: the labels' names in order; empty for numbers. No file: no answers. Throws Error(kData) for a broken row, naming its line.
std::vector<Answer> read_answers(const std::filesystem::path& path, std::span<const std::string> classes);

/// How often each word stands in train (eval/words/TASK.tsv).
class WordCounts {
 public:
  /// No file: empty. Throws Error(kData) for a broken row.
  static WordCounts read(const std::filesystem::path& path);

  bool empty() const { return counts_.empty(); }
  void set(std::string word, std::int64_t count) { counts_[std::move(word)] = count; }
  /// 0 for a word that never stood there.
  std::int64_t of(const std::string& word) const {
    const auto found = counts_.find(word);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  std::unordered_map<std::string, std::int64_t> counts_;
};

}  // namespace minbert
