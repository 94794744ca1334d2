// WordRows: which rows of the word embeddings a step changes. Most stay as they are, and the table is most of a small model.
#pragma once

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
  /// Of a table of so many rows. 0: no rows, and touch() does nothing.
  explicit WordRows(std::int64_t rows) : has_moments_(static_cast<std::size_t>(rows)) {}

  /// The step's gradient may be in these rows: the token ids of a micro-batch, in any order and repeated.
  void touch(std::span<const std::int32_t> ids);
  /// The step's gradient may be in every row: a head tied to the word embeddings was used.
  void touch_all() { all_touched_ = true; }

  /// Ends the touching of one step: step_runs() and moving_runs() are those of this step until next_step().
  void close_step();
  void next_step();

  /// The rows with a gradient in this step.
  std::span<const RowRun> step_runs() const { return step_runs_; }
  /// Marks rows whose moments are not zero, as a checkpoint has them.
  void add_moments(std::span<const RowRun> runs);

  /// Calls fn(run, has_gradient) for all rows that an update without decay can change, in their order.
  template <class Fn>
  void for_moving_runs(const Fn& fn) const;

 private:
  std::int64_t rows() const { return static_cast<std::int64_t>(has_moments_.size()); }

  // Touched in this step so far: ids as they come, or all rows.
  std::vector<std::int32_t> touched_;
  bool all_touched_ = false;
  // Touched in this step, once it is closed: ascending, disjoint, not adjacent.
  std::vector<RowRun> step_runs_;
  // Touched in any step up to this one, as flags and as such runs. The moments of all other rows are zero, and an update without gradient
  // leaves them as they are.
  std::vector<bool> has_moments_;
  std::vector<RowRun> moment_runs_;
};

template <class Fn>
void WordRows::for_moving_runs(const Fn& fn) const {
  // close_step() put the step's rows among those with moments, so each moment run is cut into parts inside and outside of step runs.
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
