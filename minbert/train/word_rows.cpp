// Keeps sets of rows as runs.
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
  add_moments(step_runs_);
}

void WordRows::next_step() {
  touched_.clear();
  all_touched_ = false;
}

void WordRows::add_moments(std::span<const RowRun> runs) {
  bool grown = false;
  for (const RowRun& run : runs) {
    for (std::int64_t row = run.begin; row < run.end; ++row) {
      grown = grown || !has_moments_[static_cast<std::size_t>(row)];
      has_moments_[static_cast<std::size_t>(row)] = true;
    }
  }
  if (!grown) return;
  moment_runs_.clear();
  for (std::int64_t row = 0; row < rows(); ++row) {
    if (!has_moments_[static_cast<std::size_t>(row)]) continue;
    if (!moment_runs_.empty() && moment_runs_.back().end == row)
      ++moment_runs_.back().end;
    else
      moment_runs_.push_back({row, row + 1});
  }
}

}  // namespace minbert
