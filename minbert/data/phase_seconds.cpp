// Sums the phases, and writes them as JSON.
#include "minbert/data/phase_seconds.h"

#include <cmath>
#include <numeric>

namespace minbert {
namespace {

double to_microseconds(double seconds) { return std::round(seconds * 1e6) / 1e6; }

}  // namespace

double PhaseSeconds::total() const { return std::accumulate(by_phase.begin(), by_phase.end(), 0.0); }

PhaseSeconds& PhaseSeconds::operator+=(const PhaseSeconds& more) {
  for (std::size_t i = 0; i < by_phase.size(); ++i) by_phase[i] += more.by_phase[i];
  return *this;
}

std::vector<std::string> wall_columns() {
  std::vector<std::string> columns;
  for (const std::string_view phase : kPhaseNames) columns.push_back(std::string(phase) + "_seconds");
  columns.emplace_back("wall_seconds");
  return columns;
}

std::vector<std::optional<double>> wall_cells(const std::optional<PhaseSeconds>& seconds) {
  std::vector<std::optional<double>> cells(kPhaseNames.size() + 1);
  for (std::size_t i = 0; seconds && i < kPhaseNames.size(); ++i) cells[i] = to_microseconds(seconds->by_phase[i]);
  if (seconds) cells.back() = to_microseconds(seconds->total());
  return cells;
}

Json wall_json(const PhaseSeconds& seconds) {
  Json phases = Json::object();
  for (std::size_t i = 0; i < kPhaseNames.size(); ++i) phases[std::string(kPhaseNames[i])] = to_microseconds(seconds.by_phase[i]);
  return {{"wall_seconds", to_microseconds(seconds.total())}, {"phase_seconds", phases}};
}

}  // namespace minbert
