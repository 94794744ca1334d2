// Early stopping: the median rule and the rungs of successive halving.
#include "minbert/study/early_stop.h"

#include <fmt/format.h>

#include <algorithm>

#include "minbert/base/round_up.h"

namespace minbert {
namespace {

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

bool is_rung(const SearchSection& search, std::int64_t evaluation) {
  std::int64_t rung = search.min_evals;
  while (rung < evaluation) rung *= search.eta;
  return rung == evaluation;
}

}  // namespace

std::optional<std::string> reason_to_stop(const SearchSection& search, std::span<const TrialCurve> others, const TrialCurve& own) {
  const std::int64_t evaluation = std::ssize(own);
  if (search.stop == StopRule::kNone || own.empty() || evaluation < search.min_evals) return std::nullopt;
  std::vector<double> reached;
  for (const TrialCurve& curve : others)
    if (std::ssize(curve) >= evaluation) reached.push_back(curve[own.size() - 1]);
  const double score = own.back();
  if (search.stop == StopRule::kMedian) {
    if (std::ssize(reached) < search.warmup_trials) return std::nullopt;
    const double middle = median(reached);
    if (score >= middle) return std::nullopt;
    return fmt::format("{:.4f} is below the median {:.4f} of {} trials at evaluation {}", score, middle, reached.size(), evaluation);
  }
  if (!is_rung(search, evaluation)) return std::nullopt;
  const std::int64_t here = std::ssize(reached) + 1;
  const std::int64_t kept = divide_up(here, search.eta);
  const std::int64_t rank = 1 + std::ranges::count_if(reached, [&](double other) { return other > score; });
  if (rank <= kept) return std::nullopt;
  return fmt::format("{:.4f} is number {} of {} at evaluation {}, where {} go on", score, rank, here, evaluation, kept);
}

}  // namespace minbert
