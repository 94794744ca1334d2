// Errors among ordered classes: how far off, which class is answered, and how they follow from words that training did not show.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "minbert/data/answers.h"

namespace minbert {

/// Errors whose predicted class is 1, 2, and 3 or more away from gold (the paper's Table 5).
std::array<std::int64_t, 3> errors_off_by(std::span<const Answer> answers);

/// Errors by the class that was predicted.
std::vector<std::int64_t> errors_by_predicted(std::span<const Answer> answers, int classes);

/// The class in the middle of an odd number of them, either of the two of an even number.
bool is_middle_class(int label, int classes);

/// Rows with the same number of words that train shows at most so often.
struct WordBin {
  std::int64_t rows = 0, errors = 0;
  std::int64_t middle = 0;  ///< errors that answer a middle class
};
inline constexpr std::size_t kWordBins = 4;   ///< 0, 1, 2, and 3 or more such words
inline constexpr std::int64_t kRareWord = 3;  ///< "three or fewer times" (section 7.1)

/// Bins by the number of different words in the text that train shows `most` times or less: 0 for unseen words, kRareWord for rare and
/// unseen ones.
std::array<WordBin, kWordBins> errors_by_words(std::span<const Answer> answers, int classes, const WordCounts& counts, std::int64_t most);

}  // namespace minbert
