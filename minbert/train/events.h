// What a run tells while it goes on; cli draws it, the run folder writes it down.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace minbert {

/// One optimizer step (a line of metrics.jsonl).
struct StepEvent {
  std::string stage, task;
  std::int64_t step = 0;  ///< optimizer steps from 1 over the whole run
  int epoch = 0;          ///< from 1
  double loss = 0, lr = 0, grad_norm = 0;
  std::int64_t tokens = 0;
  double tokens_per_s = 0, wall_s = 0;  ///< wall_s: seconds of training so far over the run, resumes included
  std::int64_t stage_step = 0, stage_steps = 0;  ///< of the stage: done, planned
  bool log = false;                              ///< a step that log_every picks
};

/// Scores of one split before the first epoch (0) or after one.
struct EvalEvent {
  std::string stage, split;
  int epoch = 0;
  std::map<std::string, double> scores = {}, loss = {};  ///< by task; of mlm by source of texts: accuracy on hidden tokens
  std::map<std::string, double> perplexity = {};         ///< of mlm
  double mean = 0;     ///< of the scores; of mlm without probes
  bool best = false;  ///< the stage's best so far
};

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
