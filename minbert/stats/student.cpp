// Student's t distribution by its finite sums, and the paired t test.
#include "minbert/stats/student.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "minbert/base/check.h"
#include "minbert/stats/spread.h"

namespace minbert {

/// Abramowitz and Stegun 26.7.3 and 26.7.4, with the angle whose tangent is t / sqrt(degrees).
double student_within(double t, int degrees) {
  MINBERT_CHECK(degrees >= 1 && t >= 0, "t {} with {} degrees", t, degrees);
  const double angle = std::atan2(t, std::sqrt(degrees)), sine = std::sin(angle), cosine = std::cos(angle);
  const bool odd = degrees % 2 == 1;
  double term = odd ? cosine : 1, sum = degrees == 1 ? 0 : term;
  for (int k = odd ? 3 : 2; k < degrees; k += 2) {
    term *= cosine * cosine * (k - 1) / k;
    sum += term;
  }
  return odd ? 2 / std::numbers::pi * (angle + sine * sum) : sine * sum;
}

double student_quantile(double confidence, int degrees) {
  MINBERT_CHECK(confidence > 0 && confidence < 1, "confidence {}", confidence);
  double low = 0, high = 1;
  while (student_within(high, degrees) < confidence) high *= 2;
  for (int halving = 0; halving < 100; ++halving) {
    const double middle = (low + high) / 2;
    (student_within(middle, degrees) < confidence ? low : high) = middle;
  }
  return high;
}

PairedSeeds compare_seeds(std::span<const double> a, std::span<const double> b, double confidence) {
  MINBERT_CHECK(a.size() == b.size() && a.size() >= 2, "{} and {} seeds", a.size(), b.size());
  std::vector<double> differences;
  for (std::size_t i = 0; i < a.size(); ++i) differences.push_back(b[i] - a[i]);
  const Spread summary = spread(differences);
  const int degrees = static_cast<int>(a.size()) - 1;
  const double error = summary.deviation / std::sqrt(static_cast<double>(a.size())), reach = student_quantile(confidence, degrees) * error;
  PairedSeeds result;
  result.a = spread(a).mean;
  result.b = spread(b).mean;
  result.difference = {summary.mean, summary.mean - reach, summary.mean + reach};
  result.deviation = summary.deviation;
  result.p_value = error > 0 ? 1 - student_within(std::abs(summary.mean) / error, degrees) : summary.mean == 0 ? 1 : 0;
  return result;
}

}  // namespace minbert
