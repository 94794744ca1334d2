// Errors among ordered classes: counts.
#include "minbert/report/class_errors.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "minbert/data/text.h"

namespace minbert {

std::array<std::int64_t, 3> errors_off_by(std::span<const Answer> answers) {
  std::array<std::int64_t, 3> counts{};
  for (const Answer& answer : answers)
    if (answer.is_error()) ++counts[static_cast<std::size_t>(std::min(std::abs(answer.predicted - answer.gold), 3.0)) - 1];
  return counts;
}

std::vector<std::int64_t> errors_by_predicted(std::span<const Answer> answers, int classes) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(classes));
  for (const Answer& answer : answers)
    if (answer.is_error()) ++counts[static_cast<std::size_t>(answer.predicted)];
  return counts;
}

bool is_middle_class(int label, int classes) { return std::abs(2 * label - (classes - 1)) <= 1; }

std::array<WordBin, kWordBins> errors_by_words(std::span<const Answer> answers, int classes, const WordCounts& counts, std::int64_t most) {
  std::array<WordBin, kWordBins> bins{};
  for (const Answer& answer : answers) {
    std::set<std::string> few;
    for (std::string& token : split_tokens(answer.text + " " + answer.text_pair))
      if (is_word(token) && counts.of(token) <= most) few.insert(std::move(token));
    WordBin& bin = bins[std::min(few.size(), kWordBins - 1)];
    ++bin.rows;
    if (!answer.is_error()) continue;
    ++bin.errors;
    bin.middle += is_middle_class(static_cast<int>(answer.predicted), classes);
  }
  return bins;
}

}  // namespace minbert
