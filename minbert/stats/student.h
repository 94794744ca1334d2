// Student's t: intervals of a mean over a few values, such as the differences of two systems over seeds.
#pragma once

#include <span>

#include "minbert/stats/bootstrap.h"

namespace minbert {

/// P(|T| <= t) of Student's t distribution, for t >= 0 and at least one degree of freedom.
double student_within(double t, int degrees);
/// The t with student_within(t, degrees) = confidence, for a confidence in (0, 1).
double student_quantile(double confidence, int degrees);

/// System b minus system a, each trained with the same seeds.
struct PairedSeeds : PairedDifference {  ///< of mean scores, with a t interval and the p-value of a paired t test
  double deviation = 0;                  ///< sample standard deviation (n - 1) of b - a
};

/// a[i] and b[i] are the scores with seed i; at least two seeds. If all differences are the same number, the interval is that number.
PairedSeeds compare_seeds(std::span<const double> a, std::span<const double> b, double confidence = BootstrapOptions{}.confidence);

}  // namespace minbert
