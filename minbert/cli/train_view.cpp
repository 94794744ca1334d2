// Draws or prints one line for each event.
#include "minbert/cli/train_view.h"

#include <fmt/format.h>

namespace minbert {
namespace {

constexpr double kRedraw_s = 0.1;

}  // namespace

/// Until the stage's end, scores included; -1 before two steps are seen.
double TrainView::seconds_left(const StepEvent& event) const {
  const auto seen = event.stage_step - first_step_;
  if (seen <= 0) return -1;
  const double steps_left = static_cast<double>(event.stage_steps - event.stage_step);
  return (event.wall_s - first_wall_s_) / static_cast<double>(seen) * steps_left + event.scores_s;
}

std::string TrainView::step_text(const StepEvent& event) const {
  std::string losses;
  for (const auto& [task, loss] : losses_) losses += fmt::format(" {} {:.4f}", task, loss);
  const double left = seconds_left(event);
  // A narrow terminal cuts the end off, which is what people look for last.
  return fmt::format("stage {} epoch {}  step {}/{}{}  loss{}  {:.0f} tokens/s  lr {:.2e}", event.stage, event.epoch, event.stage_step,
                     event.stage_steps, left < 0 ? "" : "  " + format_duration(left) + " left", losses, event.tokens_per_s, event.lr);
}

void TrainView::step(const StepEvent& event) {
  constexpr double kMemory = 0.95;
  if (event.stage != stage_) {
    stage_ = event.stage;
    losses_.clear();
    first_step_ = event.stage_step;
    first_wall_s_ = event.wall_s;
  }
  const auto [loss, is_new] = losses_.emplace(event.task, event.loss);
  if (!is_new) loss->second = kMemory * loss->second + (1 - kMemory) * event.loss;
  if (console_.is_terminal()) {
    if (is_due(kRedraw_s)) console_.progress(step_text(event));
  } else if (event.log) {
    console_.info(step_text(event));
    shown_s_ = watch_.seconds();
  }
}

void TrainView::pass(const PassEvent& event) {
  constexpr double kPatience_s = 15;  // without a terminal, print a line only after this long a silence
  const std::string text = fmt::format("{}  {} of {} rows", event.what, event.rows, event.of);
  if (console_.is_terminal()) {
    if (is_due(kRedraw_s)) console_.progress(text);
  } else if (is_due(kPatience_s)) {
    console_.info(text);
  }
}

/// True if the last line is at least `pause_s` old; the caller then shows a new one.
bool TrainView::is_due(double pause_s) {
  const double now = watch_.seconds();
  if (now - shown_s_ < pause_s) return false;
  shown_s_ = now;
  return true;
}

void TrainView::eval(const EvalEvent& event) {
  std::string scores;
  for (const auto& [task, score] : event.scores) scores += fmt::format("  {} {:.4f}", task, score);
  if (!event.perplexity.empty()) {  // masked-LM training: the loss says more than the score
    scores.clear();
    for (const auto& [texts, loss] : event.loss)
      scores += fmt::format("  {} loss {:.4f} accuracy {:.4f}", texts, loss, event.scores.at(texts));
  }
  const bool shows_mean = event.scores.size() > 1 && event.perplexity.empty();
  std::string row = fmt::format("stage {} epoch {}  {:<5}{}", event.stage, event.epoch, event.split, scores);
  if (shows_mean) row += fmt::format("  mean {:.4f}", event.mean);
  console_.info(event.best ? row + "  kept" : row, event.best);
  shown_s_ = watch_.seconds();
}

void TrainView::message(MessageLevel level, std::string_view text) {
  switch (level) {
    case MessageLevel::kDetail: return console_.detail(text);
    case MessageLevel::kInfo: return console_.info(text);
    case MessageLevel::kWarning: return console_.warning(text);
  }
}

}  // namespace minbert
