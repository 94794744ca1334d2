// Pipeline: SharedModel with the types and errors that programs see.
#include "minbert/pipeline/api.h"

#include <algorithm>
#include <limits>
#include <set>

#include "minbert/base/parallel.h"
#include "minbert/base/system.h"
#include "minbert/model/config.h"
#include "minbert/pipeline/chunked_answers.h"
#include "minbert/pipeline/rank.h"
#include "minbert/pipeline/shared_model.h"
#include "minbert/pipeline/vector_precision.h"

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

Prediction to_api(const TaskSpec& task, minbert::Prediction&& prediction) {
  Prediction out{
      .label = task.label_text(prediction.value), .score = prediction.score(), .value = prediction.value, .classes = {}, .probs = {}};
  if (task.is_multi_label()) {
    const std::vector<int> classes = classes_of(prediction.value);
    out.classes.assign(classes.begin(), classes.end());
    out.value = std::numeric_limits<double>::quiet_NaN();
  } else if (!task.is_regression()) {
    out.classes = {static_cast<std::int32_t>(prediction.value)};
  }
  out.probs = std::move(prediction.probs);
  return out;
}

std::vector<Input> as_inputs(std::span<const std::string> texts) {
  std::vector<Input> inputs(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) inputs[i].text = texts[i];
  return inputs;
}

std::vector<std::string_view> as_views(std::span<const std::string> texts) { return {texts.begin(), texts.end()}; }

}  // namespace

struct Pipeline::Impl : SharedModel {
  using SharedModel::SharedModel;
};

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
  if (!name.empty() || impl_->specs().empty()) return impl_->models->find_task(name);
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
    for (const std::string& name : tasks) wanted.insert(impl_->models->find_task(name));
    if (impl_->specs().empty()) impl_->models->find_task("");  // throws
    for (std::size_t i = 0; tasks.empty() && i < impl_->specs().size(); ++i) wanted.insert(i);
    std::vector<std::vector<TaskPrediction>> out(inputs.size());
    auto answers = impl_->analyze(inputs, {wanted.begin(), wanted.end()}, progress);
    for (std::size_t i = 0; i < out.size(); ++i)
      for (TaskAnswer& answer : answers[i])
        out[i].push_back({answer.task, to_api(impl_->specs()[answer.task], std::move(answer.prediction))});
    return out;
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
    const Tokenizer& tokenizer = impl_->model().tokenizer();
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

const std::filesystem::path& Pipeline::folder() const { return impl_->model().folder().path; }
std::string Pipeline::config() const { return dump_json(model_config_json(impl_->model().folder().config)); }
std::int64_t Pipeline::max_length() const { return impl_->model().folder().max_length; }
std::string Pipeline::dtype() const { return impl_->dtype; }
int Pipeline::threads() const { return impl_->threads; }
const std::vector<std::string>& Pipeline::warnings() const { return impl_->warnings; }

std::vector<std::byte> quantize_embeddings(std::span<const float> vectors, std::size_t width, std::string_view precision) {
  return guarded([&] {
    const VectorPrecision wanted = named_option<VectorPrecision>(precision, "precision");
    if (wanted == VectorPrecision::kFloat32)
      throw Error(ErrorTag::kUsage, "precision", "expected one of int8, uint8, binary, ubinary, got float32");
    if (width == 0 || vectors.size() % width != 0)
      throw Error(ErrorTag::kUsage, "vectors", fmt::format("expected rows of {} numbers, got {} numbers", width, vectors.size()));
    const auto columns = static_cast<std::int64_t>(width);
    std::vector<std::byte> out;
    if (!vectors.empty())
      round_vectors(out, wanted, vectors, columns, needs_ranges(wanted) ? ColumnRanges::of(vectors, columns) : ColumnRanges());
    return out;
  });
}

std::string version() { return std::string(program_version()); }

}  // namespace minbert::api
