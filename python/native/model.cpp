// Binds Pipeline; minbert/_model.py gives it the names and shapes that people use.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <memory>

#include "python/native/texts.h"

namespace minbert::python {
namespace {

template <class T>
using Array = nb::ndarray<nb::numpy, T>;

/// Hands the values over to a NumPy array, without a copy.
template <class T>
Array<T> to_array(std::vector<T> values, std::initializer_list<std::size_t> shape) {
  auto* const owned = new std::vector<T>(std::move(values));
  const nb::capsule owner(owned, [](void* memory) noexcept { delete static_cast<std::vector<T>*>(memory); });
  return Array<T>(owned->data(), shape, owner);
}

Pipeline open(const std::string& folder, const std::string& dtype, int threads) {
  DType wanted = DType::kModel;
  if (dtype == "f32")
    wanted = DType::kF32;
  else if (dtype == "bf16")
    wanted = DType::kBf16;
  else if (dtype == "int8")
    wanted = DType::kInt8;
  else if (!dtype.empty())
    throw Error(ErrorTag::kUsage, "dtype", "expected \"f32\", \"bf16\" or \"int8\", got \"" + dtype + "\"");
  const nb::gil_scoped_release unlocked;
  return Pipeline(folder, {.dtype = wanted, .threads = threads});
}

/// (values, probs, classes): (n) class indices or numbers; (n, classes), or None for a regression; of multi_label a list of lists, else
/// None.
nb::tuple predict(const Pipeline& model, const std::string& task, nb::handle texts, nb::handle pairs, nb::handle progress) {
  const Inputs inputs(texts, pairs);
  std::vector<Prediction> predictions;
  {
    const nb::gil_scoped_release unlocked;
    predictions = model.predict(task, inputs.list(), progress_of(progress));
  }
  const TaskInfo& info = model.tasks()[model.find_task(task)];
  const std::size_t count = predictions.size(), classes = info.classes.size();
  std::vector<double> values, probs;
  values.reserve(count);
  probs.reserve(count * classes);
  for (const Prediction& prediction : predictions) {
    values.push_back(prediction.value);
    probs.insert(probs.end(), prediction.probs.begin(), prediction.probs.end());
  }
  nb::object sets = nb::none(), table = nb::none();
  if (info.is_multi_label) {
    nb::list lists;
    for (const Prediction& prediction : predictions) lists.append(prediction.classes);
    sets = lists;
  }
  if (!info.is_regression) table = nb::cast(to_array(std::move(probs), {count, classes}));
  return nb::make_tuple(to_array(std::move(values), {count}), table, sets);
}

/// For each input a list of (task index, value, classes, probs).
nb::list analyze(const Pipeline& model, nb::handle texts, nb::handle pairs, const std::vector<std::string>& tasks, nb::handle progress) {
  const Inputs inputs(texts, pairs);
  std::vector<std::vector<TaskPrediction>> answers;
  {
    const nb::gil_scoped_release unlocked;
    answers = model.analyze(inputs.list(), tasks, progress_of(progress));
  }
  nb::list out;
  for (const auto& of_input : answers) {
    nb::list row;
    for (const auto& [task, prediction] : of_input)
      row.append(nb::make_tuple(task, prediction.value, prediction.classes, prediction.probs));
    out.append(row);
  }
  return out;
}

EmbedOptions embed_options(std::optional<std::string> pool, std::optional<bool> normalize, std::optional<std::int64_t> dimensions,
                           std::optional<std::string> prompt, std::optional<std::string> prompt_name) {
  return {.pool = std::move(pool),
          .normalize = normalize,
          .dimensions = dimensions,
          .prompt = std::move(prompt),
          .prompt_name = std::move(prompt_name)};
}

Array<float> embed(const Pipeline& model, nb::handle texts, nb::handle progress, std::optional<std::string> pool,
                   std::optional<bool> normalize, std::optional<std::int64_t> dimensions, std::optional<std::string> prompt,
                   std::optional<std::string> prompt_name) {
  const Texts held(texts);
  const auto options = embed_options(std::move(pool), normalize, dimensions, std::move(prompt), std::move(prompt_name));
  const std::size_t width = model.dimension(options);
  std::vector<float> rows;
  {
    const nb::gil_scoped_release unlocked;
    rows.resize(held.views().size() * width);
    model.embed_to(rows, held.views(), options, progress_of(progress));
  }
  return to_array(std::move(rows), {held.views().size(), width});
}

std::vector<std::pair<std::size_t, double>> rank(const Pipeline& model, nb::handle query, nb::handle documents, const std::string& task,
                                                 std::optional<std::size_t> top_k) {
  const Texts held(documents), asked(nb::make_tuple(query));
  const std::vector<std::string> texts(held.views().begin(), held.views().end());
  const nb::gil_scoped_release unlocked;
  std::vector<std::pair<std::size_t, double>> out;
  for (const RankedDocument& document : model.rank(asked.views().front(), texts, {.task = task, .top_k = top_k}))
    out.emplace_back(document.index, document.score);
  return out;
}

/// Vectors (n, d) as (n, d) int8 or uint8, or as (n, (d + 7) / 8) of them.
nb::object quantize(const nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>& rows, const std::string& precision) {
  std::vector<std::byte> bytes;
  {
    const nb::gil_scoped_release unlocked;
    bytes = quantize_embeddings({rows.data(), rows.size()}, rows.shape(1), precision);
  }
  const bool is_binary = precision == "binary" || precision == "ubinary";
  const auto array = [&]<class T>(T) {
    std::vector<T> numbers(bytes.size());
    if (!bytes.empty()) std::memcpy(numbers.data(), bytes.data(), bytes.size());
    return nb::cast(to_array(std::move(numbers), {rows.shape(0), is_binary ? (rows.shape(1) + 7) / 8 : rows.shape(1)}));
  };
  return precision == "int8" || precision == "binary" ? array(std::int8_t{}) : array(std::uint8_t{});
}

nb::list tokenize(const Pipeline& model, nb::handle texts, nb::handle pairs, std::int64_t max_length) {
  const Inputs inputs(texts, pairs);
  std::vector<Tokens> all;
  {
    const nb::gil_scoped_release unlocked;
    all = model.tokenize(inputs.list(), max_length);
  }
  nb::list out;
  for (const Tokens& tokens : all) {
    nb::list offsets;
    for (const auto& [begin, end] : tokens.offsets) offsets.append(nb::make_tuple(begin, end));
    out.append(nb::make_tuple(tokens.ids, tokens.tokens, tokens.type_ids, offsets));
  }
  return out;
}

}  // namespace

void bind_model(nb::module_& module) {
  module.def("quantize", &quantize, nb::arg("rows"), nb::arg("precision"));
  nb::class_<TaskInfo>(module, "TaskInfo")
      .def_ro("name", &TaskInfo::name)
      .def_ro("type", &TaskInfo::type)
      .def_ro("is_pair", &TaskInfo::is_pair)
      .def_ro("is_regression", &TaskInfo::is_regression)
      .def_ro("is_multi_label", &TaskInfo::is_multi_label)
      .def_ro("has_names", &TaskInfo::has_names)
      .def_ro("classes", &TaskInfo::classes)
      .def_ro("metric", &TaskInfo::metric);
  nb::class_<Pipeline>(module, "Pipeline")
      .def_static("open", &open, nb::arg("folder"), nb::arg("dtype"), nb::arg("threads"))
      .def_prop_ro("tasks", &Pipeline::tasks)
      .def(
          "find_task", [](const Pipeline& model, const std::string& name) { return model.find_task(name); }, nb::arg("name"))
      .def("predict", &predict, nb::arg("task"), nb::arg("texts"), nb::arg("pairs").none(), nb::arg("progress").none())
      .def("analyze", &analyze, nb::arg("texts"), nb::arg("pairs").none(), nb::arg("tasks"), nb::arg("progress").none())
      .def("embed", &embed, nb::arg("texts"), nb::arg("progress").none(), nb::arg("pool") = nb::none(), nb::arg("normalize") = nb::none(),
           nb::arg("dimensions") = nb::none(), nb::arg("prompt") = nb::none(), nb::arg("prompt_name") = nb::none())
      .def("rank", &rank, nb::arg("query").none(), nb::arg("documents"), nb::arg("task"), nb::arg("top_k") = nb::none())
      .def("tokenize", &tokenize, nb::arg("texts"), nb::arg("pairs").none(), nb::arg("max_length"))
      .def_prop_ro("dimension", [](const Pipeline& model) { return model.dimension(); })
      .def_prop_ro("folder", [](const Pipeline& model) { return model.folder().string(); })
      .def_prop_ro("config", &Pipeline::config)
      .def_prop_ro("max_length", &Pipeline::max_length)
      .def_prop_ro("dtype", &Pipeline::dtype)
      .def_prop_ro("threads", &Pipeline::threads)
      .def_prop_ro("warnings", &Pipeline::warnings);
}

}  // namespace minbert::python
