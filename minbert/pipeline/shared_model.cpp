// Gives texts to the queue chunk by chunk, and makes answers of what comes back.
#include "minbert/pipeline/shared_model.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "minbert/base/nearest.h"
#include "minbert/base/parallel.h"
#include "minbert/pipeline/chunked_answers.h"
#include "minbert/pipeline/rank.h"

namespace minbert {
namespace {

std::string_view dtype_text(api::DType dtype, const ModelFolder& folder) {
  switch (dtype) {
    case api::DType::kF32: return "f32";
    case api::DType::kBf16: return "bf16";
    case api::DType::kInt8: return "int8";
    case api::DType::kModel: break;
  }
  return folder.dtype;
}

api::TaskInfo task_info(const TaskSpec& task) {
  return {.name = task.name,
          .type = std::string(option_name(task.type)),
          .is_pair = task.is_pair(),
          .is_regression = task.is_regression(),
          .is_multi_label = task.is_multi_label(),
          .has_names = task.labels.kind == TaskLabels::Kind::kNames,
          .classes = task.labels.class_names(),
          .metric = std::string(option_name(task.scored_by()))};
}

void expect_fitting(const TaskSpec& task, const api::Input& input, std::size_t i) {
  if (input.text_pair.has_value() == task.is_pair()) return;
  throw Error(ErrorTag::kUsage, fmt::format("input {}", i),
              fmt::format("expected {}, which task \"{}\" reads, got {}", task.is_pair() ? "a pair of texts" : "one text", task.name,
                          task.is_pair() ? "one text" : "a pair"));
}

}  // namespace

SharedModel::SharedModel(const std::filesystem::path& path, const api::Options& options) {
  const Env env = read_env();
  threads = thread_count(env, options.threads);
  const ThreadScope scope(threads);
  backend = open_backend(env);
  std::vector<ModelFolder> folders = read_answering_folders(path);
  ModelFolder& first = folders.front();
  const Compute compute = resolve_compute(*backend, dtype_text(options.dtype, first),
                                          [&](const std::string& what) { warnings.push_back(what + "; computing in f32"); });
  dtype = compute_name(compute);
  try {
    modules = read_sentence_modules(first, first.warnings);
    prompts = read_prompts(first);
  } catch (const Error&) {
    no_vectors = std::current_exception();
  }
  has_pooler = minbert::has_pooler(first);
  std::vector<TextModel> loaded;
  for (ModelFolder& folder : folders) loaded.emplace_back(*backend, std::move(folder), compute, has_pooler && loaded.empty());
  for (const TextModel& model : loaded)
    for (const auto& some :
         {model.import_report().warnings(), model.folder().warnings, model.tokenizer().warnings(), {model.tokenizer().limit_text()}})
      std::copy_if(some.begin(), some.end(), std::back_inserter(warnings), [](const std::string& text) { return !text.empty(); });
  models = std::make_unique<Ensemble>(std::move(loaded));
  for (const TaskSpec& task : specs()) infos.push_back(task_info(task));
  module_backend = backend->sibling();
  queue = std::make_unique<RequestQueue>(models->compute_models(), RequestQueueOptions{.capacity = SIZE_MAX});
}

void SharedModel::expect_own_process() const {
  if (is_forked())
    throw Error(ErrorTag::kUsage, model().folder().path.string(), "expected the process that loaded this model, got a fork of it",
                "load the model in each process, or start processes by spawn");
}

std::string SharedModel::place_of(std::size_t row) const { return fmt::format("{}, input {}", model().folder().path.string(), row); }

TokenizedRows SharedModel::tokenize(const TaskSpec& task, std::span<const api::Input> inputs) const {
  std::vector<Row> rows(inputs.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].text = preprocess_text(task.data, inputs[i].text);
    if (task.is_pair()) rows[i].text_pair = preprocess_text(task.data, *inputs[i].text_pair);
  }
  return tokenize_rows(model().tokenizer(), task, rows, model().folder().max_length);
}

std::vector<Prediction> SharedModel::predict(std::size_t task, std::span<const api::Input> inputs, const api::Progress& progress) {
  expect_own_process();
  const TaskSpec& spec = specs()[task];
  for (std::size_t i = 0; i < inputs.size(); ++i) expect_fitting(spec, inputs[i], i);
  std::vector<Prediction> out;
  out.reserve(inputs.size());
  answer_chunks(*queue, inputs.size(), progress,
                {.ask =
                     [&](std::size_t begin, std::size_t end) {
                       std::vector<Query> queries(1);
                       queries[0].tasks = {task};
                       queries[0].rows = tokenize(spec, inputs.subspan(begin, end - begin));
                       return queries;
                     },
                 .take =
                     [&](std::size_t begin, QueueJob& job) {
                       auto some = decode_answer(spec, job.answers[0], 0);
                       expect_finite(some, [&](std::size_t row) { return place_of(begin + row); });
                       std::move(some.begin(), some.end(), std::back_inserter(out));
                     }});
  return out;
}

std::vector<std::vector<TaskAnswer>> SharedModel::analyze(std::span<const api::Input> inputs, const std::vector<std::size_t>& wanted,
                                                          const api::Progress& progress) {
  expect_own_process();
  std::vector<std::vector<TaskAnswer>> out(inputs.size());
  // Inputs of each kind, and tasks that give them the same tokens: these share a query.
  using Tokenising = std::tuple<std::size_t, std::string, bool, bool, bool>;  // model, preprocessing, separate, symmetric, windows
  std::map<Tokenising, std::vector<std::size_t>> alike[2];
  for (const std::size_t task : wanted) {
    const TaskSpec& spec = specs()[task];
    const std::size_t model = models->members(task).front().model;
    alike[spec.is_pair() ? 1 : 0][{model, spec.data.preprocess, spec.is_separate(), spec.symmetric, spec.windows != Windows::kNone}]
        .push_back(task);
  }
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (alike[inputs[i].text_pair ? 1 : 0].empty())
      throw Error(ErrorTag::kUsage, fmt::format("input {}", i),
                  fmt::format("no task that was asked for reads {}", inputs[i].text_pair ? "a pair" : "a single text"));
  struct Asked {
    std::vector<std::size_t> tasks, inputs;
  };
  std::map<std::size_t, std::vector<Asked>> asked;  // of each chunk, by its begin
  answer_chunks(*queue, inputs.size(), progress,
                {.ask =
                     [&](std::size_t begin, std::size_t end) {
                       std::vector<Query> queries;
                       for (const bool pair : {false, true}) {
                         std::vector<std::size_t> which;
                         std::vector<api::Input> some;
                         for (std::size_t i = begin; i < end; ++i)
                           if (inputs[i].text_pair.has_value() == pair) {
                             which.push_back(i);
                             some.push_back(inputs[i]);
                           }
                         if (which.empty()) continue;
                         for (const auto& [key, tasks] : alike[pair ? 1 : 0]) {
                           queries.push_back({.rows = tokenize(specs()[tasks.front()], some), .tasks = tasks, .pool = {}, .states = false});
                           asked[begin].push_back({tasks, which});
                         }
                       }
                       return queries;
                     },
                 .take =
                     [&](std::size_t begin, QueueJob& job) {
                       for (std::size_t q = 0; q < job.queries.size(); ++q) {
                         const Asked& of = asked.at(begin)[q];
                         for (std::size_t slot = 0; slot < of.tasks.size(); ++slot) {
                           const TaskSpec& spec = specs()[of.tasks[slot]];
                           auto some = decode_answer(spec, job.answers[q], slot);
                           expect_finite(some, [&](std::size_t row) { return place_of(of.inputs[row]); });
                           for (std::size_t r = 0; r < some.size(); ++r) out[of.inputs[r]].push_back({of.tasks[slot], std::move(some[r])});
                         }
                       }
                       asked.erase(begin);
                     }});
  for (auto& answers : out) std::sort(answers.begin(), answers.end(), [](const auto& a, const auto& b) { return a.task < b.task; });
  return out;
}

SentenceModules SharedModel::modules_of(const api::EmbedOptions& options) const {
  SentenceModules chosen;
  if (options.pool) {
    chosen.pooling.modes = {named_option<TokenPool>(*options.pool, "pool")};
  } else {
    if (no_vectors) std::rethrow_exception(no_vectors);
    chosen = modules;
  }
  if (chosen.pooling.modes.front() == TokenPool::kPooler && !has_pooler)
    throw Error(ErrorTag::kModel, model().folder().path.string(), "expected a pooler, which the pool needs, got none");
  const std::int64_t width = chosen.width(hidden());
  if (options.dimensions && !(*options.dimensions >= 1 && *options.dimensions <= width))
    throw Error(ErrorTag::kUsage, "dimensions", fmt::format("expected a whole number from 1 to {}, got {}", width, *options.dimensions));
  chosen.choose(options.dimensions, options.normalize);
  return chosen;
}

void SharedModel::embed(std::span<float> rows, std::span<const std::string_view> texts, const api::EmbedOptions& options,
                        const api::Progress& progress) {
  expect_own_process();
  const SentenceModules chosen = modules_of(options);
  const auto width = static_cast<std::size_t>(chosen.width(hidden()));
  if (rows.size() < texts.size() * width)
    throw Error(ErrorTag::kUsage, "rows", fmt::format("expected room for {} numbers, got {}", texts.size() * width, rows.size()));
  const std::string prompt = options.prompt        ? *options.prompt
                             : options.prompt_name ? prompts.named(*options.prompt_name)
                                                   : prompts.by_default;
  const std::int64_t prompt_tokens = model().prompt_tokens(prompt);
  const TaskSpec plain;
  answer_chunks(*queue, texts.size(), progress,
                {.ask =
                     [&](std::size_t begin, std::size_t end) {
                       std::vector<Query> queries(1);
                       std::vector<Row> some(end - begin);
                       for (std::size_t i = begin; i < end; ++i) some[i - begin].text = prompt + std::string(texts[i]);
                       queries[0].rows = tokenize_rows(model().tokenizer(), plain, some, model().folder().max_length);
                       ask_for_vectors(queries[0], chosen.pooling, prompt_tokens);
                       return queries;
                     },
                 .take =
                     [&](std::size_t begin, QueueJob& job) {
                       auto vectors = pooled_vectors(job.answers[0], job.queries[0].rows.offsets, chosen.pooling, prompt_tokens, hidden());
                       if (!chosen.after.empty()) {
                         const std::lock_guard lock(module_mutex);
                         vectors = apply_modules(*module_backend, chosen.after, std::move(vectors), chosen.pooling.width(hidden()));
                       }
                       expect_finite(vectors, job.queries[0].rows.rows(), [&](std::size_t row) { return place_of(begin + row); });
                       std::copy(vectors.begin(), vectors.end(), rows.begin() + static_cast<std::ptrdiff_t>(begin * width));
                     }});
}

std::vector<double> SharedModel::pair_scores(std::size_t task, std::string_view query, std::span<const std::string> documents) {
  std::vector<api::Input> inputs;
  for (const std::string& document : documents) inputs.push_back({.text = query, .text_pair = document});
  std::vector<double> out;
  for (const Prediction& prediction : predict(task, inputs, {})) out.push_back(pair_score(specs()[task], prediction));
  return out;
}

std::vector<double> SharedModel::scores(std::string_view query, std::span<const std::string> documents, const api::RankOptions& options) {
  if (!options.task.empty()) {
    const std::size_t task = models->find_task(options.task);
    if (!scores_pairs(specs()[task]))
      throw Error(ErrorTag::kUsage, "task", fmt::format("expected a task that scores pairs, \"{}\" does not", options.task));
    return pair_scores(task, query, documents);
  }
  if (const auto task = only_pair_task(specs())) return pair_scores(*task, query, documents);
  std::vector<std::string_view> texts = {query};
  texts.insert(texts.end(), documents.begin(), documents.end());
  const auto width = static_cast<std::size_t>(modules_of({}).width(hidden()));
  std::vector<float> vectors(texts.size() * width);
  embed(vectors, texts, {}, {});
  std::vector<double> out;
  for (std::size_t i = 1; i < texts.size(); ++i)
    out.push_back(cosine(std::span(vectors).first(width), std::span(vectors).subspan(i * width, width)));
  return out;
}

}  // namespace minbert
