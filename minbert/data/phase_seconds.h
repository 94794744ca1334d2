// PhaseSeconds: the wall-clock time of a run by what it was spent on, as its status.json has it, for all who write or read that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/json.h"

namespace minbert {

/// Reading data and weights; encoding the texts that a frozen encoder caches; optimizer steps; scoring; writing models and checkpoints.
enum class Phase : std::uint8_t { kRead, kEncode, kSteps, kScores, kWrite };
inline constexpr std::array<std::string_view, 5> kPhaseNames = {"read", "encode", "steps", "scores", "write"};

struct PhaseSeconds {
  std::array<double, kPhaseNames.size()> by_phase = {};

  double& operator[](Phase phase) { return by_phase[static_cast<std::size_t>(phase)]; }
  double operator[](Phase phase) const { return by_phase[static_cast<std::size_t>(phase)]; }
  double total() const;
  PhaseSeconds& operator+=(const PhaseSeconds& more);
};

/// Columns of tables for a run's wall-clock time: read_seconds, encode_seconds ..., and wall_seconds, their sum.
std::vector<std::string> wall_columns();
/// The values of these columns; each is absent if `seconds` is.
std::vector<std::optional<double>> wall_cells(const std::optional<PhaseSeconds>& seconds);

/// {"wall_seconds": total, "phase_seconds": {phase: seconds}}, to the microsecond. RunStatus reads them.
Json wall_json(const PhaseSeconds& seconds);

}  // namespace minbert
