// Query: rows of tokens and all that is wanted of them. Rows of any queries share one encoder pass, whatever each of them wants.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "minbert/model/sentence_modules.h"
#include "minbert/pipeline/predict.h"

namespace minbert {

struct Query {
  TokenizedRows rows;              ///< labels are ignored; windows are for tasks alone
  std::vector<std::size_t> tasks;  ///< indices of the heads that read each row; all read pairs of sequences, or all single ones
  std::optional<Pool> pool;        ///< a vector of each sequence
  bool states = false;             ///< the last hidden state of each token

  /// Rows and, after them, their windows.
  std::int64_t all_rows() const { return rows.rows() + (rows.windows ? rows.windows->rows.rows() : 0); }
  /// The tokens of all of them.
  std::int64_t all_tokens() const { return std::ssize(rows.ids) + (rows.windows ? std::ssize(rows.windows->rows.ids) : 0); }
  /// Where a row or window lies: the rows that it is one of, and its index there.
  std::pair<const TokenizedRows&, std::int64_t> find_row(std::int64_t row) const {
    if (row < rows.rows()) return {rows, row};
    return {rows.windows->rows, row - rows.rows()};
  }
  std::int64_t row_tokens(std::int64_t row) const {
    const auto [list, index] = find_row(row);
    return list.row_tokens(index);
  }
};

/// What became of a Query. Each list is empty where it was not wanted.
struct QueryAnswer {
  std::vector<std::vector<float>> logits;          ///< for each of Query::tasks (rows and windows, K), as decode_answer() reads them
  std::vector<float> vectors;                      ///< (sequences, C), not normalised
  std::vector<float> states;                       ///< (N, C)
  std::int64_t rows = 0;                           ///< of the query, without windows
  std::shared_ptr<const RowWindows> windows = {};  ///< of those rows
};

/// Allocates zeros for all that `query` asks of this model. Query::tasks numbers the heads of all models in a row; this model's heads begin
/// at `first_task`.
QueryAnswer empty_answer(const Query& query, const ModelShape& shape, std::size_t first_task = 0);

/// One row or window of a query, and where its part of the answer goes.
struct QueryRow {
  const Query* query;
  QueryAnswer* answer;
  std::int64_t row;
};

/// Answers rows in one pass; dropout is off. In f32 a row's answer has the same bytes whichever rows share the pass, and equals that of
/// predict_rows and encode_rows. Resets the lane's arena. `first_task` is as empty_answer() has it.
void answer_rows(BatchLane& lane, std::span<const QueryRow> rows, std::size_t first_task = 0);

/// Predictions for a query's rows by the `slot`-th of its tasks, `task`. The answers to windows are joined with their rows'.
std::vector<Prediction> decode_answer(const TaskSpec& task, const QueryAnswer& answer, std::size_t slot);
/// Logits (rows, K) of the same: with windows their mean, or with windows = "max" the largest.
std::vector<float> joined_logits(const TaskSpec& task, const QueryAnswer& answer, std::size_t slot);

/// Asks for what pooled_vectors() needs. Each sequence begins with `prompt_tokens` of [CLS] and a prompt, or 0.
void ask_for_vectors(Query& query, const Pooling& pooling, std::int64_t prompt_tokens);
/// Sentence vectors (sequences, pooling.width(C)), as encode_rows makes them, of an answer to a query whose sequences lie at `offsets`.
std::vector<float> pooled_vectors(QueryAnswer& answer, std::span<const std::int64_t> offsets, const Pooling& pooling,
                                  std::int64_t prompt_tokens, std::int64_t hidden);

}  // namespace minbert
