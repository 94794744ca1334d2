// Golden scores, which make_golden.py computes with scikit-learn, SciPy and statsmodels.
#pragma once

#include "minbert/base/json.h"

namespace minbert {

inline const Json& golden() {
  static const Json table = read_json(MINBERT_SOURCE_DIR "/tests/stats/golden.json", ErrorTag::kData);
  return table;
}

/// Tolerance for golden scores: sums in another order differ by a few units in the last place.
inline constexpr double kGoldenTolerance = 1e-12;

}  // namespace minbert
