// Pipeline: gives texts to the queue chunk by chunk and makes answers of what comes back.
#include "minbert/pipeline/api.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <mutex>
#include <set>

#include "minbert/base/nearest.h"
#include "minbert/base/parallel.h"
#include "minbert/base/system.h"
#include "minbert/model/config.h"
#include "minbert/pipeline/chunked_answers.h"
#include "minbert/pipeline/rank.h"
#include "minbert/pipeline/sentence_folder.h"
#include "minbert/pipeline/text_model.h"

namespace minbert::api {
namespace {

/// Calls `work`, and turns whatever it throws into an Error, except what the caller's own function threw.
template <class Work>
auto guarded(const Work& work) {
  try {
    return work();
  } catch (const CallerStopped& stopped) {
    std::rethrow_exception(stopped.reason);
  } catch (...) {
    throw current_error();
  }
}

std::string_view dtype_text(DType dtype, const ModelFolder& folder) {
  switch (dtype) {
    case DType::kF32: return "f32";
    case DType::kBf16: return "bf16";
    case DType::kInt8: return "int8";
    case DType::kModel: break;
  }
  return folder.dtype;
}

TaskInfo task_info(const TaskSpec& task) {
  TaskInfo info{.name = task.name,
                .type = std::string(option_name(task.type)),
                .is_pair = task.is_pair(),
                .is_regression = task.is_regression(),
                .has_names = task.labels.kind == TaskLabels::Kind::kNames,
                .classes = {},
                .metric = std::string(option_name(task.scored_by()))};
  for (int k = 0; k < (task.is_regression() ? 0 : task.labels.count); ++k) info.classes.push_back(task.labels.class_name(k));
  return info;
}

Prediction to_api(const TaskSpec& task, minbert::Prediction&& prediction) {
  const std::string label =
      task.is_regression() ? fmt::format("{}", prediction.value) : task.labels.class_name(static_cast<int>(prediction.value));
  return {.label = label, .score = prediction.score(), .value = prediction.value, .probs = std::move(prediction.probs)};
}

std::vector<Input> as_inputs(std::span<const std::string> texts) {
  std::vector<Input> inputs(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) inputs[i].text = texts[i];
  return inputs;
}

std::vector<std::string_view> as_views(std::span<const std::string> texts) { return {texts.begin(), texts.end()}; }

}  // namespace

struct Pipeline::Impl {
  Impl(const std::filesystem::path& path, const Options& options);

  const std::vector<TaskSpec>& specs() const { return model->tasks(); }
  std::int64_t hidden() const { return model->folder().config.hidden_size; }
  std::string place_of(std::size_t row) const { return fmt::format("{}, input {}", model->folder().path.string(), row); }
  void expect_fitting(const TaskSpec& task, const Input& input, std::size_t i) const;
  TokenizedRows tokenize(const TaskSpec& task, std::span<const Input> inputs) const;
  std::vector<minbert::Prediction> predict(std::size_t task, std::span<const Input> inputs, const Progress& progress);
  std::vector<std::vector<TaskPrediction>> analyze(std::span<const Input> inputs, const std::vector<std::size_t>& wanted,
                                                   const Progress& progress);
  SentenceModules modules_of(const EmbedOptions& options) const;
  std::string prompt_of(const EmbedOptions& options) const;
  void embed(std::span<float> rows, std::span<const std::string_view> texts, const EmbedOptions& options, const Progress& progress);
  std::vector<double> scores(std::string_view query, std::span<const std::string> documents, const RankOptions& options);
  std::vector<double> pair_scores(std::size_t task, std::string_view query, std::span<const std::string> documents);

  /// Throws in a forked child, which has none of the queue's threads.
  void expect_own_process() const {
    if (!is_forked()) return;
    throw Error(ErrorTag::kUsage, model->folder().path.string(), "expected the process that loaded this model, got a fork of it",
                "load the model in each process, or start processes by spawn");
  }
  bool is_forked() const { return ::getpid() != process; }

  pid_t process = ::getpid();
  int threads = 1;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<TextModel> model;
  std::string dtype;
  bool has_pooler = false;
  SentenceModules modules;
  Prompts prompts;
  std::exception_ptr no_vectors;            // why the folder's modules cannot make vectors
  std::unique_ptr<Backend> module_backend;  // what modules are applied on, while module_mutex is held
  std::mutex module_mutex;
  std::vector<TaskInfo> infos;
  std::vector<std::string> warnings;
  std::unique_ptr<RequestQueue> queue;  // the last member: its threads end first
};

Pipeline::Impl::Impl(const std::filesystem::path& path, const Options& options) {
  const Env env = read_env();
  threads = thread_count(env, options.threads);
  const ThreadScope scope(threads);
  backend = open_backend(env);
  ModelFolder folder = read_model_folder(path);
  dtype = dtype_text(options.dtype, folder);
  const Compute compute = resolve_compute(*backend, dtype, [&](const std::string& what) {
    warnings.push_back(what + "; computing in f32");
    dtype = "f32";
  });
  try {
    modules = read_sentence_modules(folder, folder.warnings);
    prompts = read_prompts(folder);
  } catch (const Error&) {
    no_vectors = std::current_exception();
  }
  has_pooler = minbert::has_pooler(folder);
  model = std::make_unique<TextModel>(*backend, std::move(folder), compute, has_pooler);
  for (const auto& some :
       {model->import_report().warnings(), model->folder().warnings, model->tokenizer().warnings(), {model->tokenizer().limit_text()}})
    std::copy_if(some.begin(), some.end(), std::back_inserter(warnings), [](const std::string& text) { return !text.empty(); });
  for (const TaskSpec& task : specs()) infos.push_back(task_info(task));
  module_backend = backend->sibling();
  queue = std::make_unique<RequestQueue>(model->model(), RequestQueueOptions{.capacity = SIZE_MAX});
}

void Pipeline::Impl::expect_fitting(const TaskSpec& task, const Input& input, std::size_t i) const {
  if (input.text_pair.has_value() == task.is_pair()) return;
  throw Error(ErrorTag::kUsage, fmt::format("input {}", i),
              fmt::format("expected {}, which task \"{}\" reads, got {}", task.is_pair() ? "a pair of texts" : "one text", task.name,
                          task.is_pair() ? "one text" : "a pair"));
}

TokenizedRows Pipeline::Impl::tokenize(const TaskSpec& task, std::span<const Input> inputs) const {
  std::vector<Row> rows(inputs.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].text = preprocess_text(task.data, inputs[i].text);
    if (task.is_pair()) rows[i].text_pair = preprocess_text(task.data, *inputs[i].text_pair);
  }
  return tokenize_rows(model->tokenizer(), task, rows, model->folder().max_length);
}

std::vector<minbert::Prediction> Pipeline::Impl::predict(std::size_t task, std::span<const Input> inputs, const Progress& progress) {
  expect_own_process();
  const TaskSpec& spec = specs()[task];
  for (std::size_t i = 0; i < inputs.size(); ++i) expect_fitting(spec, inputs[i], i);
  std::vector<minbert::Prediction> out;
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
                       auto some = decode(spec, job.answers[0].logits[0], job.queries[0].rows.rows());
                       expect_finite(some, [&](std::size_t row) { return place_of(begin + row); });
                       std::move(some.begin(), some.end(), std::back_inserter(out));
                     }});
  return out;
}

std::vector<std::vector<TaskPrediction>> Pipeline::Impl::analyze(std::span<const Input> inputs, const std::vector<std::size_t>& wanted,
                                                                 const Progress& progress) {
  expect_own_process();
  std::vector<std::vector<TaskPrediction>> out(inputs.size());
  // Inputs of each kind, and tasks that give them the same tokens: these share a query.
  using Tokenising = std::pair<std::string, bool>;  // preprocessing, separate
  std::map<Tokenising, std::vector<std::size_t>> alike[2];
  for (const std::size_t task : wanted) {
    const TaskSpec& spec = specs()[task];
    alike[spec.is_pair() ? 1 : 0][{spec.data.preprocess, spec.is_separate()}].push_back(task);
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
                         std::vector<Input> some;
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
                           auto some = decode(spec, job.answers[q].logits[slot], std::ssize(of.inputs));
                           expect_finite(some, [&](std::size_t row) { return place_of(of.inputs[row]); });
                           for (std::size_t r = 0; r < some.size(); ++r)
                             out[of.inputs[r]].push_back({of.tasks[slot], to_api(spec, std::move(some[r]))});
                         }
                       }
                       asked.erase(begin);
                     }});
  for (auto& answers : out) std::sort(answers.begin(), answers.end(), [](const auto& a, const auto& b) { return a.task < b.task; });
  return out;
}

SentenceModules Pipeline::Impl::modules_of(const EmbedOptions& options) const {
  SentenceModules chosen;
  if (options.pool) {
    const auto& names = option_names(TokenPool{});
    const auto found = std::ranges::find(names, std::string_view(*options.pool), &OptionName<TokenPool>::name);
    if (found == names.end())
      throw Error(ErrorTag::kUsage, "pool", fmt::format("unknown pooling \"{}\"", *options.pool),
                  suggest(*options.pool, OptionType<TokenPool>::names()));
    chosen.pooling.modes = {found->value};
  } else {
    if (no_vectors) std::rethrow_exception(no_vectors);
    chosen = modules;
  }
  if (chosen.pooling.modes.front() == TokenPool::kPooler && !has_pooler)
    throw Error(ErrorTag::kModel, model->folder().path.string(), "expected a pooler, which the pool needs, got none");
  const std::int64_t width = chosen.width(hidden());
  if (options.dimensions && !(*options.dimensions >= 1 && *options.dimensions <= width))
    throw Error(ErrorTag::kUsage, "dimensions", fmt::format("expected a whole number from 1 to {}, got {}", width, *options.dimensions));
  chosen.choose(options.dimensions, options.normalize);
  return chosen;
}

std::string Pipeline::Impl::prompt_of(const EmbedOptions& options) const {
  if (options.prompt) return *options.prompt;
  return options.prompt_name ? prompts.named(*options.prompt_name) : prompts.by_default;
}

void Pipeline::Impl::embed(std::span<float> rows, std::span<const std::string_view> texts, const EmbedOptions& options,
                           const Progress& progress) {
  expect_own_process();
  const SentenceModules chosen = modules_of(options);
  const auto width = static_cast<std::size_t>(chosen.width(hidden()));
  if (rows.size() < texts.size() * width)
    throw Error(ErrorTag::kUsage, "rows", fmt::format("expected room for {} numbers, got {}", texts.size() * width, rows.size()));
  const std::string prompt = prompt_of(options);
  const std::int64_t prompt_tokens = model->prompt_tokens(prompt);
  const TaskSpec plain;
  answer_chunks(*queue, texts.size(), progress,
                {.ask =
                     [&](std::size_t begin, std::size_t end) {
                       std::vector<Query> queries(1);
                       std::vector<Row> some(end - begin);
                       for (std::size_t i = begin; i < end; ++i) some[i - begin].text = prompt + std::string(texts[i]);
                       queries[0].rows = tokenize_rows(model->tokenizer(), plain, some, model->folder().max_length);
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

std::vector<double> Pipeline::Impl::pair_scores(std::size_t task, std::string_view query, std::span<const std::string> documents) {
  std::vector<Input> inputs = as_inputs(documents);
  for (Input& input : inputs) input = {.text = query, .text_pair = input.text};
  std::vector<double> out;
  for (const minbert::Prediction& prediction : predict(task, inputs, {}))
    out.push_back(specs()[task].is_regression() ? prediction.value : prediction.probs[1]);
  return out;
}

std::vector<double> Pipeline::Impl::scores(std::string_view query, std::span<const std::string> documents, const RankOptions& options) {
  if (!options.task.empty()) {
    const std::size_t task = model->find_task(options.task);
    if (!scores_pairs(specs()[task]))
      throw Error(ErrorTag::kUsage, "task", fmt::format("expected a task that scores pairs, \"{}\" does not", options.task));
    return pair_scores(task, query, documents);
  }
  if (std::count_if(specs().begin(), specs().end(), scores_pairs) == 1)
    return pair_scores(static_cast<std::size_t>(std::find_if(specs().begin(), specs().end(), scores_pairs) - specs().begin()), query,
                       documents);
  std::vector<std::string_view> texts = as_views(documents);
  texts.insert(texts.begin(), query);
  const auto width = static_cast<std::size_t>(modules_of({}).width(hidden()));
  std::vector<float> vectors(texts.size() * width);
  embed(vectors, texts, {}, {});
  std::vector<double> out;
  for (std::size_t i = 1; i < texts.size(); ++i)
    out.push_back(cosine(std::span(vectors).first(width), std::span(vectors).subspan(i * width, width)));
  return out;
}

Pipeline::Pipeline(const std::filesystem::path& folder, const Options& options)
    : impl_(guarded([&] { return std::make_unique<Impl>(folder, options); })) {}
Pipeline::~Pipeline() {
  if (impl_ && impl_->is_forked()) static_cast<void>(impl_.release());  // its threads are not here to be waited for
}
Pipeline::Pipeline(Pipeline&&) noexcept = default;
Pipeline& Pipeline::operator=(Pipeline&& other) noexcept {
  impl_.swap(other.impl_);
  return *this;
}

const std::vector<TaskInfo>& Pipeline::tasks() const { return impl_->infos; }

std::size_t Pipeline::find_task(std::string_view name) const {
  if (!name.empty() || impl_->specs().empty()) return impl_->model->find_task(name);
  if (impl_->specs().size() == 1) return 0;
  std::vector<std::string> names;
  for (const TaskInfo& info : impl_->infos) names.push_back(info.name);
  throw Error(ErrorTag::kUsage, "task", "expected the name of a task", fmt::format("one of {}", fmt::join(names, ", ")));
}

std::vector<Prediction> Pipeline::predict(std::string_view task, std::span<const Input> inputs, const Progress& progress) const {
  return guarded([&] {
    const ThreadScope scope(impl_->threads);
    const std::size_t index = find_task(task);
    std::vector<Prediction> out;
    out.reserve(inputs.size());
    for (minbert::Prediction& prediction : impl_->predict(index, inputs, progress))
      out.push_back(to_api(impl_->specs()[index], std::move(prediction)));
    return out;
  });
}

std::vector<Prediction> Pipeline::predict(std::string_view task, std::span<const std::string> texts, const Progress& progress) const {
  return predict(task, as_inputs(texts), progress);
}

std::vector<double> Pipeline::predict_proba(std::string_view task, std::span<const Input> inputs, const Progress& progress) const {
  return guarded([&] {
    const ThreadScope scope(impl_->threads);
    const std::size_t index = find_task(task);
    if (impl_->specs()[index].is_regression())
      throw Error(ErrorTag::kUsage, "task", fmt::format("expected a task with classes, \"{}\" gives numbers", impl_->infos[index].name));
    std::vector<double> out;
    out.reserve(inputs.size() * impl_->infos[index].classes.size());
    for (const minbert::Prediction& prediction : impl_->predict(index, inputs, progress))
      out.insert(out.end(), prediction.probs.begin(), prediction.probs.end());
    return out;
  });
}

std::vector<double> Pipeline::predict_proba(std::string_view task, std::span<const std::string> texts, const Progress& progress) const {
  return predict_proba(task, as_inputs(texts), progress);
}

std::vector<std::vector<TaskPrediction>> Pipeline::analyze(std::span<const Input> inputs, std::span<const std::string> tasks,
                                                           const Progress& progress) const {
  return guarded([&] {
    const ThreadScope scope(impl_->threads);
    std::set<std::size_t> wanted;
    for (const std::string& name : tasks) wanted.insert(impl_->model->find_task(name));
    if (impl_->specs().empty()) impl_->model->find_task("");  // throws
    for (std::size_t i = 0; tasks.empty() && i < impl_->specs().size(); ++i) wanted.insert(i);
    return impl_->analyze(inputs, {wanted.begin(), wanted.end()}, progress);
  });
}

void Pipeline::embed_to(std::span<float> rows, std::span<const std::string_view> texts, const EmbedOptions& options,
                        const Progress& progress) const {
  guarded([&] {
    const ThreadScope scope(impl_->threads);
    impl_->embed(rows, texts, options, progress);
  });
}

std::vector<float> Pipeline::embed(std::span<const std::string_view> texts, const EmbedOptions& options, const Progress& progress) const {
  std::vector<float> rows(texts.size() * dimension(options));
  embed_to(rows, texts, options, progress);
  return rows;
}

std::vector<float> Pipeline::embed(std::span<const std::string> texts, const EmbedOptions& options, const Progress& progress) const {
  return embed(as_views(texts), options, progress);
}

std::size_t Pipeline::dimension(const EmbedOptions& options) const {
  return guarded([&] { return static_cast<std::size_t>(impl_->modules_of(options).width(impl_->hidden())); });
}

std::vector<RankedDocument> Pipeline::rank(std::string_view query, std::span<const std::string> documents,
                                           const RankOptions& options) const {
  return guarded([&] {
    const ThreadScope scope(impl_->threads);
    const auto scores = impl_->scores(query, documents, options);
    std::vector<RankedDocument> out;
    for (const std::size_t i : falling_order(scores)) out.push_back({i, scores[i]});
    out.resize(std::min(out.size(), options.top_k.value_or(out.size())));
    return out;
  });
}

std::vector<Tokens> Pipeline::tokenize(std::span<const Input> inputs, std::int64_t max_length) const {
  return guarded([&] {
    const ThreadScope scope(impl_->threads);
    const Tokenizer& tokenizer = impl_->model->tokenizer();
    std::vector<Tokens> out(inputs.size());
    parallel_for(std::ssize(inputs), 64, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        const Input& input = inputs[i];
        Encoding encoding = input.text_pair ? tokenizer.encode_pair(input.text, *input.text_pair, max_length, true)
                                            : tokenizer.encode(input.text, max_length, true);
        for (const std::int32_t id : encoding.ids) out[i].tokens.push_back(tokenizer.token(id));
        out[i].ids = std::move(encoding.ids);
        out[i].type_ids = std::move(encoding.type_ids);
        out[i].offsets = std::move(encoding.offsets);
      }
    });
    return out;
  });
}

const std::filesystem::path& Pipeline::folder() const { return impl_->model->folder().path; }
std::string Pipeline::config() const { return dump_json(model_config_json(impl_->model->folder().config)); }
std::int64_t Pipeline::max_length() const { return impl_->model->folder().max_length; }
std::string Pipeline::dtype() const { return impl_->dtype; }
int Pipeline::threads() const { return impl_->threads; }
const std::vector<std::string>& Pipeline::warnings() const { return impl_->warnings; }

std::string version() { return std::string(program_version()); }

}  // namespace minbert::api
