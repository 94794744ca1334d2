// The golden table of scores that make_golden.py writes with scikit-learn, SciPy and statsmodels.
#pragma once

#include "minbert/base/json.h"

namespace minbert {

inline const Json& golden() {
  static const Json table = read_json(MINBERT_SOURCE_DIR "/tests/stats/golden.json", ErrorTag::kData);
  return table;
}

/// Tolerance against the golden scores: sums in another order differ by a few units in the last place.
inline constexpr double kGoldenTolerance = 1e-12;

}  // namespace minbert
