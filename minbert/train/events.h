// What a run tells while it goes on; cli draws it, the run folder writes it down.
#pragma once

#include <cstdint>
#include <string_view>

#include "minbert/data/run_records.h"

namespace minbert {

/// One optimizer step, and where its stage stands after it.
struct StepEvent : StepRecord {
  std::int64_t stage_step = 0, stage_steps = 0;  ///< of the stage: done, planned
  bool log = false;                              ///< a step that log_every picks
};

using EvalEvent = EvalRecord;

/// A pass over many rows without a step: an evaluation, or vectors of a frozen encoder.
struct PassEvent {
  std::string_view what;  ///< "dev sst"
  std::int64_t rows = 0, of = 0;
};

enum class MessageLevel { kDetail, kInfo, kWarning };

/// Receives a run's events, all on the thread that trains.
class TrainEvents {
 public:
  virtual ~TrainEvents() = default;
  virtual void step(const StepEvent&) {}
  virtual void eval(const EvalEvent&) {}
  virtual void pass(const PassEvent&) {}
  virtual void message(MessageLevel, std::string_view) {}
};

}  // namespace minbert
