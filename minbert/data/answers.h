// Answers: reads a run's eval/ tables: predictions for the labelled rows of a split, and word counts of train.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "minbert/data/dataset.h"

namespace minbert {

/// A labelled row of eval/SPLIT/TASK.predictions.tsv. gold and predicted are numbers, class indices, or label_sets.
struct Answer {
  std::string id, text, text_pair;
  double gold = 0, predicted = 0;
  double confidence = std::numeric_limits<double>::quiet_NaN();  ///< probability of the prediction; NaN for numbers

  bool is_error() const { return gold != predicted; }
};

/// `classes` names the labels in order and is empty for numbers; `sets`: a cell is a JSON list of them. A missing file gives no answers.
/// Throws Error(kData) at a broken row.
std::vector<Answer> read_answers(const std::filesystem::path& path, std::span<const std::string> classes, bool sets = false);

/// How often each word occurs in train (eval/words/TASK.tsv).
class WordCounts {
 public:
  /// A missing file gives no counts. Throws Error(kData) at a broken row.
  static WordCounts read(const std::filesystem::path& path);

  bool empty() const { return counts_.empty(); }
  void set(std::string word, std::int64_t count) { counts_[std::move(word)] = count; }
  /// 0 for a word that train lacks.
  std::int64_t of(const std::string& word) const {
    const auto found = counts_.find(word);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  std::unordered_map<std::string, std::int64_t> counts_;
};

/// Writes what WordCounts reads: the words of the train rows (data/text.h, without punctuation), the most frequent first. Creates the
/// file's folder if need be.
void write_word_counts(const std::filesystem::path& file, const Rows& train);

}  // namespace minbert
