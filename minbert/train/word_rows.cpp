// Keeps the touched rows as runs, and the steps that each row has made.
#include "minbert/train/word_rows.h"

#include <algorithm>

namespace minbert {

void WordRows::touch(std::span<const std::int32_t> ids) {
  if (rows() > 0) touched_.insert(touched_.end(), ids.begin(), ids.end());
}

void WordRows::close_step() {
  step_runs_.clear();
  if (all_touched_ && rows() > 0) {
    step_runs_.push_back({0, rows()});
  } else {
    std::sort(touched_.begin(), touched_.end());
    for (const std::int64_t row : touched_) {
      if (step_runs_.empty() || step_runs_.back().end < row)
        step_runs_.push_back({row, row + 1});
      else
        step_runs_.back().end = row + 1;
    }
  }
}

void WordRows::next_step(std::int64_t steps) {
  for (const RowRun& run : step_runs_) std::fill(made_.begin() + run.begin, made_.begin() + run.end, steps);
  touched_.clear();
  all_touched_ = false;
}

void WordRows::take(std::int64_t row, std::int64_t steps) {
  std::int64_t& made = made_[static_cast<std::size_t>(row)];
  if (made == kNeverMoved || made == steps) return;
  behind_.push_back({row, made});
  made = steps;
}

void WordRows::set_made(std::int64_t steps) {
  for (std::int64_t& made : made_)
    if (made != kNeverMoved) made = steps;
}

std::span<const WordRows::Behind> WordRows::take_behind(std::span<const std::int32_t> ids, std::int64_t steps) {
  behind_.clear();
  if (rows() > 0)
    for (const std::int64_t row : ids) take(row, steps);
  return behind_;
}

std::span<const WordRows::Behind> WordRows::take_all_behind(std::int64_t steps) {
  behind_.clear();
  for (std::int64_t row = 0; row < rows(); ++row) take(row, steps);
  return behind_;
}

}  // namespace minbert
