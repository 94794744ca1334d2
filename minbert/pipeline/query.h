// Query: rows of tokens and all that is wanted of them. Rows of any queries share one encoder pass, whatever each of them wants.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "minbert/model/sentence_modules.h"
#include "minbert/pipeline/batch_runner.h"

namespace minbert {

struct Query {
  TokenizedRows rows;              ///< labels are ignored
  std::vector<std::size_t> tasks;  ///< indices of the heads that read each row; all read pairs of sequences, or all single ones
  std::optional<Pool> pool;        ///< a vector of each sequence
  bool states = false;             ///< the last hidden state of each token
};

/// What became of a Query. Each list is empty where it was not wanted.
struct QueryAnswer {
  std::vector<std::vector<float>> logits;  ///< for each of Query::tasks (rows, K), as decode() takes them
  std::vector<float> vectors;              ///< (sequences, C), not normalised
  std::vector<float> states;               ///< (N, C)
};

/// An answer of the right sizes, all 0.
QueryAnswer empty_answer(const Query& query, const ModelShape& shape);

/// One row of a query, and where its part of the answer goes.
struct QueryRow {
  const Query* query;
  QueryAnswer* answer;
  std::int64_t row;
};

/// Answers rows in one pass; dropout is off. In f32 a row's answer has the same bytes whichever rows share the pass, and equals that of
/// predict_rows and encode_rows. Resets the lane's arena.
void answer_rows(BatchLane& lane, std::span<const QueryRow> rows);

/// Asks for what pooled_vectors() needs. Each sequence begins with `prompt_tokens` of [CLS] and a prompt, or 0.
void ask_for_vectors(Query& query, const Pooling& pooling, std::int64_t prompt_tokens);
/// Sentence vectors (sequences, pooling.width(C)), as encode_rows makes them, of an answer to a query whose sequences lie at `offsets`.
std::vector<float> pooled_vectors(QueryAnswer& answer, std::span<const std::int64_t> offsets, const Pooling& pooling,
                                  std::int64_t prompt_tokens, std::int64_t hidden);

}  // namespace minbert
