// Loads a model folder and runs texts through it.
#include "minbert/pipeline/text_model.h"

#include <algorithm>

#include "minbert/base/nearest.h"
#include "minbert/data/text.h"
#include "minbert/pipeline/explain.h"

namespace minbert {
namespace {

std::unique_ptr<Params> load_params(Backend& backend, const ModelFolder& folder, Compute compute, bool pooler, ImportReport& report) {
  auto params =
      std::make_unique<Params>(backend, model_shape(folder.config, folder.tasks, pooler), DType::kF32, compute.dtype, compute.use);
  report = import_weights(folder.path, *params, {.wanted = {}, .require_encoder = folder.is_own});
  for (const ImportReport::Head& head : report.heads)
    if (!head.loaded)
      throw Error(ErrorTag::kModel, folder.path.string(), fmt::format("expected the head of task \"{}\": {}", head.task, head.reason));
  if (const auto missing = report.missing(Role::kPooler); !missing.empty())
    throw Error(ErrorTag::kModel, folder.path.string(), fmt::format("expected tensor \"{}\", which the pool needs", missing.front()));
  if (const auto missing = report.missing(Role::kEncoder); !missing.empty())
    params->init(0, [&](const ParamInfo& info) { return std::ranges::find(missing, info.name) != missing.end(); });
  return params;
}

/// Replaces the vectors of long rows by the means of their windows'.
void add_windows(std::vector<float>& vectors, const RowWindows& windows, std::span<const float> of_windows) {
  const std::size_t width = of_windows.size() / windows.of.size();
  for (std::size_t i = 0, end = 0; i < windows.of.size(); i = end) {
    const auto vector = std::span(vectors).subspan(windows.of[i] * width, width);
    for (end = i; end < windows.of.size() && windows.of[end] == windows.of[i]; ++end)
      for (std::size_t c = 0; c < width; ++c) vector[c] += of_windows[end * width + c];
    for (float& x : vector) x /= static_cast<float>(1 + end - i);
  }
}

}  // namespace

TextModel::TextModel(Backend& backend, ModelFolder folder, Compute compute, bool pooler)
    : folder_(std::move(folder)),
      tokenizer_(Tokenizer::load(folder_.path)),
      params_(load_params(backend, folder_, compute, pooler, report_)),
      model_(std::make_unique<MultitaskModel>(backend, *params_)),
      runner_(std::make_unique<BatchRunner>(*model_)) {
  tokenizer_.limit_ids(folder_.config.vocab_size, folder_.path.string());
}

std::size_t find_task(std::span<const TaskSpec> tasks, std::string_view name, const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const TaskSpec& task : tasks) names.push_back(task.name);
  const auto at = std::find(names.begin(), names.end(), name);
  if (at != names.end()) return static_cast<std::size_t>(at - names.begin());
  if (names.empty()) throw Error(ErrorTag::kUsage, folder.string(), "this model has no tasks", "train it with minbert train");
  throw Error(ErrorTag::kUsage, folder.string(), fmt::format("unknown task \"{}\"", name), suggest(name, names));
}

TokenizedRows TextModel::tokenize(const TaskSpec& task, std::span<const Row> rows, std::int64_t prompt_tokens) {
  TokenizedRows out = tokenize_rows(tokenizer_, task, rows, folder_.max_length, prompt_tokens);
  counts_.rows += out.rows();
  counts_.truncated += out.truncated;
  if (task.windows != Windows::kNone && out.windows) counts_.windowed += out.truncated;
  for (const std::int32_t id : out.ids) {
    if (id != tokenizer_.cls_id() && id != tokenizer_.sep_id()) ++counts_.tokens;
    if (id == tokenizer_.unk_id()) ++counts_.unknown;
  }
  return out;
}

std::vector<Prediction> TextModel::predict(std::size_t task, std::span<const Row> rows, const RowProgress& progress, Why why) {
  const TaskSpec& spec = tasks()[task];
  const TokenizedRows tokens = tokenize(spec, rows);
  const bool windowed = spec.windows != Windows::kNone && tokens.windows;
  std::vector<Prediction> predictions(rows.size());
  if (why == Why::kNo || tokens.windows)
    predictions = predict_rows(*runner_, task, spec, tokens, why == Why::kNo ? progress : RowProgress{});
  for (std::uint32_t row = 0; why == Why::kExplain && row < rows.size(); ++row) {
    if (progress) progress(row);
    if (windowed && std::ranges::binary_search(tokens.windows->of, row)) continue;
    predictions[row] = explain_row(*model_, task, spec, tokenizer_, tokens, row, tokens.windows ? &predictions[row] : nullptr);
  }
  expect_finite(predictions, [&](std::size_t row) { return place_of(rows[row].id); });
  return predictions;
}

std::string TextModel::place_of(std::string_view row) const { return fmt::format("{}, row \"{}\"", folder_.path.string(), row); }

std::vector<Prediction> TextModel::predict_texts(std::size_t task, std::span<const InputRow> inputs, const RowProgress& progress, Why why) {
  const TaskSpec& spec = tasks()[task];
  std::vector<Row> rows(inputs.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].id = inputs[i].id;
    rows[i].text = preprocess_text(spec.data, inputs[i].text);
    if (spec.is_pair()) rows[i].text_pair = preprocess_text(spec.data, inputs[i].text_pair);
  }
  return predict(task, rows, progress, why);
}

std::int64_t TextModel::prompt_tokens(std::string_view prompt) const {
  // All but the [SEP] that ends the prompt where it stands alone.
  return prompt.empty() ? 0 : std::ssize(tokenizer_.encode(prompt, folder_.max_length).ids) - 1;
}

std::vector<float> TextModel::embed(std::span<const InputRow> inputs, const EmbedSettings& settings, const RowProgress& progress) {
  std::vector<Row> rows(inputs.size());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].text = settings.prompt + inputs[i].text;
  const Pooling& pooling = settings.modules.pooling;
  const std::int64_t skipped = prompt_tokens(settings.prompt);
  TaskSpec reading;
  if (settings.windows) reading.windows = Windows::kMean;
  const TokenizedRows tokens = tokenize(reading, rows, std::max<std::int64_t>(skipped, 1));
  auto vectors = encode_rows(*runner_, pooling, skipped, tokens, progress);
  if (tokens.windows) add_windows(vectors, *tokens.windows, encode_rows(*runner_, pooling, skipped, tokens.windows->rows));
  vectors = apply_modules(params_->backend(), settings.modules.after, std::move(vectors), pooling.width(params_->config().hidden_size));
  expect_finite(vectors, std::ssize(rows), [&](std::size_t row) { return place_of(inputs[row].id); });
  return vectors;
}

}  // namespace minbert
