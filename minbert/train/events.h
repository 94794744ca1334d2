// Events of a run while it goes on: cli shows them, the run folder writes them down.
#pragma once

#include <cstdint>
#include <string_view>

#include "minbert/data/run_records.h"

namespace minbert {

/// One optimizer step, and where its stage stands after it.
struct StepEvent : StepRecord {
  std::int64_t stage_step = 0, stage_steps = 0;  ///< of the stage: done, planned
  bool log = false;                              ///< log_every wants a line about this step
  double scores_s = 0;                           ///< seconds that the stage's scores are still to take, each as long as the last
};

using EvalEvent = EvalRecord;

/// Progress of a pass over many rows that trains nothing: an evaluation, or caching the vectors of a frozen encoder.
struct PassEvent {
  std::string_view what;  ///< "dev sst"
  std::int64_t rows = 0, of = 0;
};

enum class MessageLevel { kDetail, kInfo, kWarning };

/// Receives a run's events, all of them on the thread that trains.
class TrainEvents {
 public:
  virtual ~TrainEvents() = default;
  virtual void step(const StepEvent&) {}
  virtual void eval(const EvalEvent&) {}
  virtual void pass(const PassEvent&) {}
  virtual void message(MessageLevel, std::string_view) {}
};

}  // namespace minbert
