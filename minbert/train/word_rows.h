// WordRows: the rows of the word embeddings that a step changes. Skipping the others matters: the table is most of a small model.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace minbert {

/// Rows [begin, end).
struct RowRun {
  std::int64_t begin = 0, end = 0;
};

class WordRows {
 public:
  /// For a table of this many rows. With 0 touch() does nothing.
  explicit WordRows(std::int64_t rows) : has_moments_(static_cast<std::size_t>(rows)) {}

  /// Marks rows that the step's gradient may be in: the token ids of a micro-batch, in any order, maybe repeated.
  void touch(std::span<const std::int32_t> ids);
  /// Marks all rows, because a head tied to the word embeddings was used.
  void touch_all() { all_touched_ = true; }

  /// Closes a step: step_runs() and for_moving_runs() describe it until the next close_step().
  void close_step();
  /// Forgets the touched rows.
  void next_step();

  /// Rows with a gradient in the closed step.
  std::span<const RowRun> step_runs() const { return step_runs_; }
  /// Marks rows whose moments are not zero, after a checkpoint was loaded.
  void add_moments(std::span<const RowRun> runs);

  /// Calls fn(run, has_gradient) for all rows that an update without weight decay can change, in ascending order.
  template <class Fn>
  void for_moving_runs(const Fn& fn) const;

 private:
  std::int64_t rows() const { return static_cast<std::int64_t>(has_moments_.size()); }

  // Rows touched since next_step(): ids as they came, or all rows.
  std::vector<std::int32_t> touched_;
  bool all_touched_ = false;
  // Rows touched in the closed step, as ascending runs that neither overlap nor adjoin.
  std::vector<RowRun> step_runs_;
  // Rows touched in any step so far, as flags and as such runs. All other rows have zero moments, and an update without gradient leaves
  // them unchanged.
  std::vector<bool> has_moments_;
  std::vector<RowRun> moment_runs_;
};

template <class Fn>
void WordRows::for_moving_runs(const Fn& fn) const {
  // The closed step's rows are among those with moments: each moment run is cut into parts inside and outside of step runs.
  auto next = step_runs_.begin();
  for (const RowRun& run : moment_runs_) {
    for (std::int64_t begin = run.begin; begin < run.end;) {
      const bool has_gradient = next != step_runs_.end() && next->begin == begin;
      const std::int64_t end = has_gradient ? next->end : next != step_runs_.end() ? std::min(run.end, next->begin) : run.end;
      fn(RowRun{begin, end}, has_gradient);
      if (has_gradient) ++next;
      begin = end;
    }
  }
}

}  // namespace minbert
