// TrainView: shows a run's events as a progress line, log lines and rows of scores.
#pragma once

#include <map>
#include <string>

#include "minbert/base/clock.h"
#include "minbert/cli/console.h"
#include "minbert/train/events.h"

namespace minbert {

class TrainView final : public TrainEvents {
 public:
  explicit TrainView(Console& console) : console_(console) {}

  void step(const StepEvent& event) override;
  void eval(const EvalEvent& event) override;
  void pass(const PassEvent& event) override;
  void message(MessageLevel level, std::string_view text) override;

 private:
  bool is_due(double pause_s);
  std::string step_text(const StepEvent& event) const;
  double seconds_left(const StepEvent& event) const;

  Console& console_;
  std::map<std::string, double> losses_;  // by task, averaged over about the last 20 steps
  std::string stage_;
  std::int64_t first_step_ = 0;  // first step of the stage in this process
  double first_wall_s_ = 0;      // time at its end
  Stopwatch watch_;
  double shown_s_ = 0;  // when the last line was printed or drawn
};

}  // namespace minbert
