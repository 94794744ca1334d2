// Errors among ordered classes: how far off they are, which class was predicted, and whether rare words go with them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "minbert/data/answers.h"

namespace minbert {

/// How many errors are 1, 2, and 3 or more classes away from gold (the paper's Table 5).
std::array<std::int64_t, 3> errors_off_by(std::span<const Answer> answers);

/// How many errors predict each class.
std::vector<std::int64_t> errors_by_predicted(std::span<const Answer> answers, int classes);

/// Whether `label` is the middle class, or one of the two middle ones if `classes` is even.
bool is_middle_class(int label, int classes);

/// The rows that have the same number of rare words.
struct WordBin {
  std::int64_t rows = 0, errors = 0;
  std::int64_t middle = 0;  ///< errors that predict a middle class
};
inline constexpr std::size_t kWordBins = 4;   ///< 0, 1, 2, and 3 or more such words
inline constexpr std::int64_t kRareWord = 3;  ///< "three or fewer times" (section 7.1)

/// Bins rows by how many different words of their text occur at most `most` times in train. `most` is 0 for unseen words only, kRareWord
/// for rare and unseen words.
std::array<WordBin, kWordBins> errors_by_words(std::span<const Answer> answers, int classes, const WordCounts& counts, std::int64_t most);

}  // namespace minbert
