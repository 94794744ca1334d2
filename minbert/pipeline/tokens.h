// Token ids of rows: every text of a split is tokenised once, and batches are cut from the ids.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "minbert/data/dataset.h"
#include "minbert/model/encoder.h"
#include "minbert/pipeline/task.h"
#include "minbert/tokenizer/tokenizer.h"

namespace minbert {

struct RowWindows;

/// The sequences of many rows, one after the other. A row has one sequence, or two if it is a pair that is encoded separately: row r then
/// has the sequences 2r and 2r + 1.
struct TokenizedRows {
  std::vector<std::int32_t> ids;             ///< token ids of all sequences, with [CLS] and [SEP]
  std::vector<std::int64_t> offsets = {0};   ///< sequence s has the ids [offsets[s], offsets[s + 1])
  std::vector<std::int32_t> first_segments;  ///< how many tokens at the start of each sequence have type 0; the rest have type 1
  std::vector<double> labels;                ///< one a row, as Row::label
  std::int64_t per_row = 1;                  ///< sequences a row
  std::int64_t truncated = 0;                ///< rows that max_length cut
  std::shared_ptr<RowWindows> windows = {};  ///< where the task asks for them; copies share them

  std::int64_t rows() const { return std::ssize(labels); }
  std::int64_t sequences() const { return std::ssize(offsets) - 1; }
  std::int64_t length(std::int64_t sequence) const {
    return offsets[static_cast<std::size_t>(sequence) + 1] - offsets[static_cast<std::size_t>(sequence)];
  }
  /// Number of tokens in all sequences of a row, without further windows.
  std::int64_t row_tokens(std::int64_t row) const {
    return offsets[static_cast<std::size_t>((row + 1) * per_row)] - offsets[static_cast<std::size_t>(row * per_row)];
  }
};

/// What else is read of rows, whose answers join the row's own: further windows of long rows, of which the first is the row that was cut,
/// or a pair in its other order.
struct RowWindows {
  TokenizedRows rows;             ///< windows as rows without labels
  std::vector<std::uint32_t> of;  ///< the row of each window, ascending
};

/// Tokenises on all threads and cuts sequences to max_length tokens (0: no limit); a joint pair loses tokens of its longer text first. With
/// task.windows, rows that were cut get further windows: each has max_length tokens, overlaps its neighbours by a quarter or more, and
/// begins with [CLS] and the `prompt_tokens` - 1 tokens after it of the whole text; the last one ends where the text ends. With
/// task.symmetric each row has its other order as a window.
TokenizedRows tokenize_rows(const Tokenizer& tokenizer, const TaskSpec& task, std::span<const Row> rows, std::int64_t max_length,
                            std::int64_t prompt_tokens = 1);

/// Preprocesses and tokenises raw texts as `task` says, and adds them as an unlabelled row, with windows as tokenize_rows adds them.
/// `text_pair` is read for pairs only. Returns the number of tokens that max_length took away, none where windows read them. A text that
/// windows read is never cut at its start.
std::int64_t append_text(TokenizedRows& out, const Tokenizer& tokenizer, const TaskSpec& task, std::string_view text,
                         std::string_view text_pair, std::int64_t max_length, CutSide side = CutSide::kEnd);

/// Adds a sequence, without a label.
void append_sequence(TokenizedRows& out, const Encoding& encoding);
/// Adds a copy of a sequence, without a label.
void append_sequence(TokenizedRows& out, const TokenizedRows& from, std::int64_t sequence);
/// Adds a copy of a row: its sequences and its label. `out` and `from` must have the same per_row.
void append_row(TokenizedRows& out, const TokenizedRows& from, std::int64_t row);
/// Returns copies of the rows `which`, in that order.
TokenizedRows copy_rows(const TokenizedRows& rows, std::span<const std::uint32_t> which);

/// Called after each batch with the number of rows done; what it throws ends the work.
using RowProgress = std::function<void(std::int64_t rows)>;

/// The part of a pass over rows that one of several processes computes: every `count`-th batch from `index` on.
struct BatchShare {
  std::size_t index = 0, count = 1;
};

/// Cuts all rows into batches for inference, of at most 512 tokens (or one longer row). Batches of the longest rows come first, so that
/// arenas grow once and the sequences of a batch have about equal lengths. Returns those of the share.
std::vector<std::vector<std::uint32_t>> batches_by_length(const TokenizedRows& rows, BatchShare share = {});

/// Rows packed for one forward pass. Owns the memory behind its TokenBatch and is reused from step to step.
class Batch {
 public:
  Batch() = default;
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  /// Overwrites the batch with the rows `which`; they have the indices first_row, first_row + 1 ... in the global batch. For separate
  /// pairs, all first texts come before all second ones, which have RowId::pass 1. With `passes` 2 all rows are there twice:
  /// first texts, first texts again, second texts, second texts again; RowId::pass is 2 more in the second copies.
  void fill(const TokenizedRows& rows, std::span<const std::uint32_t> which, std::uint32_t first_row, int passes = 1);

  TokenBatch tokens() const { return {ids_, type_ids_, positions_, offsets_, rows_}; }

 private:
  void append(const TokenizedRows& rows, std::int64_t sequence, RowId id);

  std::vector<std::int32_t> ids_, type_ids_, positions_, offsets_;
  std::vector<RowId> rows_;
};

/// What teachers answer to a task's rows: (rows, classes) probabilities, or one number a row, row-major; empty without teachers.
struct SoftLabels {
  std::vector<double> values = {};
  double share = 0;  ///< what they count for; the rows' labels count for the rest. Of a row without a label they count for all
};

/// The labels of a micro-batch in the form that the task's loss takes, with its class weights and label smoothing or order: the losses are
/// those of torch's CrossEntropyLoss and BCEWithLogitsLoss. Two classes of one logit are smoothed as the softmax over (0, logit).
class BatchTargets {
 public:
  /// Overwrites the targets with the labels of the rows `which`. Each of these rows must have a label, or soft ones. For regression with
  /// BCE, labels are scaled from label_range to [0, 1]. With soft labels no class may have a weight of its own.
  void fill(const TaskSpec& task, const TokenizedRows& rows, std::span<const std::uint32_t> which, const SoftLabels& soft = {});
  Targets targets() const { return {labels_, values_, weights_, range_}; }

 private:
  void add_classes(const TaskSpec& task, int label, std::span<const double> taught, double share);
  void add_term(const TaskSpec& task, bool positive, double negative_factor, double positive_factor, double taught, double share);

  std::vector<std::int32_t> labels_;
  std::vector<float> values_, weights_;
  double range_ = 1;
};

/// What a sum over rows is divided by for its mean, whatever the class weights are: the rows, of sets the labels of all rows.
double unweighted_terms(const TaskSpec& task, std::size_t rows);

/// What the sum of the rows' losses is divided by for their mean, as in torch: the sum of their classes' weights for cross-entropy, the
/// terms for BCE, or the rows.
double loss_terms(const TaskSpec& task, const TokenizedRows& rows, std::span<const std::uint32_t> which);

}  // namespace minbert
