// Inputs that several families of routes read in the same way.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/pipeline/rank.h"
#include "minbert/serve/call.h"

namespace minbert {

/// Adds the value of `member`, which is a text, a list of token ids, or a list of texts and lists of ids, as sequences for embed.
void read_embed_inputs(Call& call, TextReader& reader, const SortedJson& value, const std::string& member, TokenizedRows& rows);

/// How vectors are made of an answered query. The engine must outlive it: modules with weights stay there.
class VectorMaker {
 public:
  /// `dimensions`: how many numbers are kept, before vectors are normalised; the model has as many.
  VectorMaker(const Engine& engine, const TextReader& reader, std::optional<std::int64_t> dimensions, std::optional<bool> normalize);

  /// Asks for what is needed, once `reader` has given the query its rows. Throws ApiError if a prompt is left out of vectors and the rows
  /// do not all begin with it.
  void ask(Query& query, const TextReader& reader);
  /// Vectors (sequences, width()) of the answer.
  std::vector<float> make(QueryAnswer& answer) const;
  std::size_t width() const { return width_; }
  /// Cosines of the first sequence's vector with those of the others.
  std::vector<double> cosines(QueryAnswer& answer) const;

 private:
  const Engine& engine_;
  std::int64_t prompt_tokens_;
  std::span<const VectorModule> first_;  // of the engine's modules: up to the last that has weights
  std::vector<VectorModule> last_;       // what follows them in this request
  std::size_t width_;
  std::vector<std::int64_t> offsets_;
};

/// The pair task that scores, and whether by its logits.
struct PairScorer {
  std::size_t task;
  bool raw = false;

  /// The score of each row of an answer to a query of this task alone: pair_score(), or raw the logit of class 1 over that of class 0.
  std::vector<double> scores(const Engine& engine, const QueryAnswer& answer) const;
};

/// Index of the task of this name; a 422 with the names that there are.
std::size_t find_task(const Engine& engine, const std::string& name, const std::string& member);
/// Finds the task that the member `task` names, as find_task() does; a 422 too if that task does not score pairs.
std::size_t find_pair_task(const Engine& engine, const std::string& name);
/// Index of the task that the member `task` names, which may be absent where there is one task.
std::size_t choose_task(const Call& call, const Members& members);
/// {"label","score","probs"}, {"labels","score","probs"} of multi_label, or {"value"}.
std::string analysis_text(const TaskSpec& task, const Prediction& prediction);

}  // namespace minbert
