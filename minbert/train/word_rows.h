// WordRows: which rows of the word embeddings a step has gradients for, and how many steps each row has made. Most rows have no gradient in
// a step, and to update them in every step would take long: the table is half of a small model.
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
  /// For a table of this many rows. With 0 touch() does nothing. Every row moves in every step if `all_move`, which weight decay does, or
  /// else a row moves from its first gradient on.
  WordRows(std::int64_t rows, bool all_move) : made_(static_cast<std::size_t>(rows), all_move ? 0 : kNeverMoved) {}

  /// Marks rows that the step's gradient may be in: the token ids of a micro-batch, in any order, maybe repeated.
  void touch(std::span<const std::int32_t> ids);
  /// Marks all rows, because a head tied to the word embeddings was used.
  void touch_all() { all_touched_ = true; }

  /// Ends the list of touched rows: step_runs() is that list until the next close_step().
  void close_step();
  /// Rows with a gradient in the closed step, as ascending runs that neither overlap nor adjoin.
  std::span<const RowRun> step_runs() const { return step_runs_; }
  /// Says that the closed step, the optimizer's `steps`th, has updated step_runs(), and forgets the touched rows.
  void next_step(std::int64_t steps);

  /// A row, and how many steps it has made.
  struct Behind {
    std::int64_t row = 0, made = 0;
  };
  /// Which of these rows, or of all, move and have made fewer than `steps` steps; valid until the next such call. From now on they count as
  /// having made them.
  std::span<const Behind> take_behind(std::span<const std::int32_t> ids, std::int64_t steps);
  std::span<const Behind> take_all_behind(std::int64_t steps);
  /// Says that every row that moves has made so many steps.
  void set_made(std::int64_t steps);
  /// Says that a row moves and has made so many steps.
  void set_made(std::int64_t row, std::int64_t steps) { made_[static_cast<std::size_t>(row)] = steps; }

 private:
  /// The moments are zero, and an update without gradient leaves the row unchanged.
  static constexpr std::int64_t kNeverMoved = -1;

  std::int64_t rows() const { return static_cast<std::int64_t>(made_.size()); }
  void take(std::int64_t row, std::int64_t steps);

  // Rows touched since next_step(): ids as they came, or all rows.
  std::vector<std::int32_t> touched_;
  bool all_touched_ = false;
  std::vector<RowRun> step_runs_;
  std::vector<std::int64_t> made_;  // by row: the steps that it has made
  std::vector<Behind> behind_;
};

}  // namespace minbert
