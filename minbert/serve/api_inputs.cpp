// Inputs, tasks and scores that families of routes share.
#include "minbert/serve/api_inputs.h"

#include <algorithm>

namespace minbert {
namespace {

/// "sst, para" of all tasks that `wanted` takes.
std::string task_names(const Engine& engine, bool (*wanted)(const TaskSpec&)) {
  std::string names;
  for (const TaskSpec& task : engine.tasks())
    if (wanted(task)) names += (names.empty() ? "" : ", ") + task.name;
  return names.empty() ? "none" : names;
}

bool has_weights(const VectorModule& module) {
  return std::holds_alternative<DenseModule>(module) || std::holds_alternative<LayerNormModule>(module);
}

}  // namespace

void read_embed_inputs(Call& call, TextReader& reader, const SortedJson& value, const std::string& member, TokenizedRows& rows) {
  if (value.is_string()) {
    call.count_inputs(1, member, false);
    return reader.add(rows, value.get_ref<const std::string&>(), member);
  }
  if (!value.is_array()) throw invalid(member, "expected a text, a list of token ids, or a list of those, got " + describe(value));
  if (!value.empty() && value[0].is_number()) {
    call.count_inputs(1, member, false);
    return reader.add_ids(rows, value, member);
  }
  call.count_inputs(value.size(), member, true);
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string element = fmt::format("{}[{}]", member, i);
    if (value[i].is_string())
      reader.add(rows, value[i].get_ref<const std::string&>(), element);
    else if (value[i].is_array())
      reader.add_ids(rows, value[i], element);
    else
      throw invalid(element, "expected a text or a list of token ids, got " + describe(value[i]));
  }
}

VectorMaker::VectorMaker(const Engine& engine, const TextReader& reader, std::optional<std::int64_t> dimensions,
                         std::optional<bool> normalize)
    : engine_(engine), prompt_tokens_(reader.prompt_tokens()) {
  const SentenceModules& modules = engine.modules;
  const std::int64_t width = modules.width(engine.model().folder().config.hidden_size);
  const auto end = std::find_if(modules.after.rbegin(), modules.after.rend(), has_weights).base();
  first_ = std::span(modules.after.begin(), end);
  SentenceModules last{.pooling = {}, .after = {end, modules.after.end()}};
  last.choose(dimensions, normalize);
  last_ = std::move(last.after);
  width_ = static_cast<std::size_t>(dimensions.value_or(width));
}

void VectorMaker::ask(Query& query, const TextReader& reader) {
  if (prompt_tokens_ > 0 && !engine_.modules.pooling.include_prompt && !reader.without_prompt().empty())
    throw invalid(reader.without_prompt(),
                  "expected a text whose start is kept: this model leaves the tokens of its prompt out of a vector, and here they are not "
                  "the first ones");
  ask_for_vectors(query, engine_.modules.pooling, prompt_tokens_);
  if (query.states) offsets_ = query.rows.offsets;
}

std::vector<float> VectorMaker::make(QueryAnswer& answer) const {
  const Pooling& pooling = engine_.modules.pooling;
  const std::int64_t hidden = engine_.model().folder().config.hidden_size;
  auto vectors = pooled_vectors(answer, offsets_, pooling, prompt_tokens_, hidden);
  if (vectors.empty() || (first_.empty() && last_.empty())) return vectors;
  const std::lock_guard lock(engine_.module_mutex);
  const std::int64_t rows = std::ssize(vectors) / pooling.width(hidden);
  vectors = apply_modules(*engine_.module_backend, first_, std::move(vectors), pooling.width(hidden));
  const std::int64_t width = std::ssize(vectors) / rows;
  return apply_modules(*engine_.module_backend, last_, std::move(vectors), width);
}

std::vector<double> PairScorer::scores(const Engine& engine, const QueryAnswer& answer) const {
  const TaskSpec& spec = engine.tasks()[task];
  std::vector<double> scores;
  if (!raw) {
    for (const Prediction& prediction : decode_answer(spec, answer, 0)) scores.push_back(pair_score(spec, prediction));
    return scores;
  }
  const std::vector<float> logits = joined_logits(spec, answer, 0);
  const std::size_t width = logits.size() / static_cast<std::size_t>(answer.rows);
  for (std::size_t at = 0; at < logits.size(); at += width)
    scores.push_back(width == 1 ? static_cast<double>(logits[at]) : static_cast<double>(logits[at + 1]) - logits[at]);
  return scores;
}

std::vector<double> VectorMaker::cosines(QueryAnswer& answer) const {
  const std::vector<float> made = make(answer);
  const auto vectors = std::span(made);
  std::vector<double> cosines;
  for (std::size_t at = width_; at < made.size(); at += width_)
    cosines.push_back(cosine(vectors.first(width_), vectors.subspan(at, width_)));
  return cosines;
}

std::size_t find_task(const Engine& engine, const std::string& name, const std::string& member) {
  std::vector<std::string> names;
  for (std::size_t t = 0; t < engine.tasks().size(); ++t) {
    if (engine.tasks()[t].name == name) return t;
    names.push_back(engine.tasks()[t].name);
  }
  if (names.empty()) throw invalid(member, "this model has no tasks: it only makes vectors");
  throw invalid(member, fmt::format("unknown task; this model has {}", fmt::join(names, ", ")));
}

std::size_t find_pair_task(const Engine& engine, const std::string& name) {
  const std::size_t task = find_task(engine, name, "task");
  if (!scores_pairs(engine.tasks()[task]))
    throw invalid("task", fmt::format("expected a task that scores pairs: {}", task_names(engine, scores_pairs)));
  return task;
}

std::size_t choose_task(const Call& call, const Members& members) {
  const auto name = members.text("task");
  if (name) return find_task(call.engine(), *name, "task");
  if (call.engine().tasks().size() == 1) return 0;
  if (call.engine().tasks().empty()) throw invalid("task", "this model has no tasks: it only makes vectors");
  throw invalid("task", "expected one of " + task_names(call.engine(), [](const TaskSpec&) { return true; }) + ", got nothing");
}

std::string analysis_text(const TaskSpec& task, const Prediction& prediction) {
  if (task.is_regression()) return fmt::format(R"({{"value":{}}})", number_text(prediction.value));
  std::string probs;
  for (std::size_t k = 0; k < prediction.probs.size(); ++k)
    probs +=
        fmt::format("{}{}:{}", k > 0 ? "," : "", dump_json(task.labels.class_name(static_cast<int>(k))), number_text(prediction.probs[k]));
  // label_text of multi_label is a list
  return fmt::format(R"({{"{}":{},"score":{},"probs":{{{}}}}})", task.is_multi_label() ? "labels" : "label",
                     task.is_multi_label() ? task.label_text(prediction.value) : dump_json(task.label_text(prediction.value)),
                     number_text(prediction.score()), probs);
}

}  // namespace minbert
