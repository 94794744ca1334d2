// PhaseClock: measures on which phases a process spends its time.
#pragma once

#include <utility>

#include "minbert/base/clock.h"
#include "minbert/data/phase_seconds.h"

namespace minbert {

/// Runs from its construction, always for one phase: at first for kRead, inside a PhaseScope for that scope's.
class PhaseClock {
 public:
  /// From here on time counts for `phase`. Returns the phase before.
  Phase enter(Phase phase) {
    seconds_[phase_] += watch_.lap();
    return std::exchange(phase_, phase);
  }
  /// The time of this process so far.
  PhaseSeconds seconds() {
    enter(phase_);
    return seconds_;
  }

 private:
  Stopwatch watch_;
  Phase phase_ = Phase::kRead;
  PhaseSeconds seconds_;
};

/// Counts the time of its own life for one phase; the phase before goes on after it.
class PhaseScope {
 public:
  PhaseScope(PhaseClock& clock, Phase phase) : clock_(clock), before_(clock.enter(phase)) {}
  ~PhaseScope() { clock_.enter(before_); }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  PhaseClock& clock_;
  Phase before_;
};

}  // namespace minbert
