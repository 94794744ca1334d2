// The C functions of a loaded model.
#include <limits>

#include "minbert/capi/boundary.h"

struct minbert_predictions {
  std::vector<minbert::api::Prediction> rows;
};

struct minbert_tokens {
  std::vector<minbert::api::Tokens> texts;
};

namespace minbert {
namespace {

template <class T>
const T* at(const std::vector<T>* list, std::size_t index) {
  return list == nullptr || index >= list->size() ? nullptr : &(*list)[index];
}

const api::TaskInfo* task_at(const minbert_model* model, std::size_t task) {
  return at(model == nullptr ? nullptr : &model->pipeline.tasks(), task);
}
const api::Prediction* prediction_at(const minbert_predictions* predictions, std::size_t index) {
  return at(predictions == nullptr ? nullptr : &predictions->rows, index);
}
const api::Tokens* tokens_at(const minbert_tokens* tokens, std::size_t index) {
  return at(tokens == nullptr ? nullptr : &tokens->texts, index);
}

api::EmbedOptions embed_options(const minbert_embed_options* given) {
  const minbert_embed_options options = read_options(given);
  api::EmbedOptions out;
  if (options.normalize != 0) out.normalize = options.normalize > 0;
  if (options.dimensions != 0) out.dimensions = options.dimensions;
  if (options.pool != nullptr) out.pool = options.pool;
  if (options.prompt != nullptr) out.prompt = options.prompt;
  return out;
}

}  // namespace
}  // namespace minbert

using minbert::at_boundary;
using minbert::expect_given;

extern "C" {

uint32_t minbert_api_version(void) noexcept { return MINBERT_API_VERSION; }

const char* minbert_version(void) noexcept {
  static const std::string version = minbert::api::version();
  return version.c_str();
}

minbert_status minbert_open(const char* folder, const minbert_options* given, minbert_model** out, minbert_error** error) noexcept {
  return at_boundary(error, [&] {
    expect_given(out, "out");
    *out = nullptr;
    expect_given(folder, "folder");
    const minbert_options options = minbert::read_options(given);
    if (options.dtype < MINBERT_DTYPE_MODEL || options.dtype > MINBERT_DTYPE_INT8 || options.threads < 0)
      throw minbert::Error(minbert::ErrorTag::kUsage, "options", "expected a MINBERT_DTYPE_... and threads from 0");
    *out = new minbert_model{
        minbert::api::Pipeline(folder, {.dtype = static_cast<minbert::api::DType>(options.dtype), .threads = options.threads})};
  });
}

void minbert_model_free(minbert_model* model) noexcept { delete model; }

size_t minbert_task_count(const minbert_model* model) noexcept { return model == nullptr ? 0 : model->pipeline.tasks().size(); }

const char* minbert_task_name(const minbert_model* model, size_t task) noexcept {
  const auto* const info = minbert::task_at(model, task);
  return info == nullptr ? nullptr : info->name.c_str();
}

int32_t minbert_task_is_pair(const minbert_model* model, size_t task) noexcept {
  const auto* const info = minbert::task_at(model, task);
  return info != nullptr && info->is_pair ? 1 : 0;
}

size_t minbert_task_class_count(const minbert_model* model, size_t task) noexcept {
  const auto* const info = minbert::task_at(model, task);
  return info == nullptr ? 0 : info->classes.size();
}

const char* minbert_task_class_name(const minbert_model* model, size_t task, size_t index) noexcept {
  const auto* const info = minbert::task_at(model, task);
  const auto* const name = minbert::at(info == nullptr ? nullptr : &info->classes, index);
  return name == nullptr ? nullptr : name->c_str();
}

minbert_status minbert_predict(minbert_model* model, const char* task, const minbert_text* texts, size_t count, minbert_predictions** out,
                               minbert_error** error) noexcept {
  return at_boundary(error, [&] {
    expect_given(out, "out");
    *out = nullptr;
    expect_given(model, "model");
    const auto inputs = minbert::read_texts(texts, count, "texts");
    *out = new minbert_predictions{model->pipeline.predict(task == nullptr ? "" : task, inputs)};
  });
}

size_t minbert_predictions_count(const minbert_predictions* predictions) noexcept {
  return predictions == nullptr ? 0 : predictions->rows.size();
}

const char* minbert_predictions_label(const minbert_predictions* predictions, size_t index) noexcept {
  const auto* const prediction = minbert::prediction_at(predictions, index);
  return prediction == nullptr ? nullptr : prediction->label.c_str();
}

double minbert_predictions_value(const minbert_predictions* predictions, size_t index) noexcept {
  const auto* const prediction = minbert::prediction_at(predictions, index);
  return prediction == nullptr ? std::numeric_limits<double>::quiet_NaN() : prediction->value;
}

const int32_t* minbert_predictions_classes(const minbert_predictions* predictions, size_t index, size_t* count) noexcept {
  const auto* const prediction = minbert::prediction_at(predictions, index);
  if (count != nullptr) *count = prediction == nullptr ? 0 : prediction->classes.size();
  return prediction == nullptr ? nullptr : prediction->classes.data();
}

double minbert_predictions_score(const minbert_predictions* predictions, size_t index) noexcept {
  const auto* const prediction = minbert::prediction_at(predictions, index);
  return prediction == nullptr ? std::numeric_limits<double>::quiet_NaN() : prediction->score;
}

const double* minbert_predictions_probs(const minbert_predictions* predictions, size_t index, size_t* classes) noexcept {
  const auto* const prediction = minbert::prediction_at(predictions, index);
  if (classes != nullptr) *classes = prediction == nullptr ? 0 : prediction->probs.size();
  return prediction == nullptr ? nullptr : prediction->probs.data();
}

void minbert_predictions_free(minbert_predictions* predictions) noexcept { delete predictions; }

minbert_status minbert_embed_width(const minbert_model* model, const minbert_embed_options* options, size_t* width,
                                   minbert_error** error) noexcept {
  return at_boundary(error, [&] {
    expect_given(width, "width");
    *width = 0;
    expect_given(model, "model");
    *width = model->pipeline.dimension(minbert::embed_options(options));
  });
}

minbert_status minbert_embed(minbert_model* model, const minbert_text* texts, size_t count, const minbert_embed_options* options,
                             float* rows, size_t capacity, minbert_error** error) noexcept {
  return at_boundary(error, [&] {
    expect_given(model, "model");
    if (count > 0) expect_given(rows, "rows");
    model->pipeline.embed_to({rows, capacity}, minbert::read_single_texts(texts, count, "texts"), minbert::embed_options(options));
  });
}

minbert_status minbert_rank(minbert_model* model, const char* task, const minbert_text* query, const minbert_text* documents, size_t count,
                            size_t* order, double* scores, minbert_error** error) noexcept {
  return at_boundary(error, [&] {
    expect_given(model, "model");
    expect_given(query, "query");
    if (count > 0) expect_given(order, "order");
    if (count > 0) expect_given(scores, "scores");
    const auto views = minbert::read_single_texts(documents, count, "documents");
    const std::vector<std::string> texts(views.begin(), views.end());
    const auto ranked = model->pipeline.rank(minbert::read_single_texts(query, 1, "query").front(), texts,
                                             {.task = task == nullptr ? "" : task, .top_k = {}});
    for (std::size_t i = 0; i < ranked.size(); ++i) {
      order[i] = ranked[i].index;
      scores[i] = ranked[i].score;
    }
  });
}

minbert_status minbert_tokenize(minbert_model* model, const minbert_text* texts, size_t count, size_t max_length, minbert_tokens** out,
                                minbert_error** error) noexcept {
  return at_boundary(error, [&] {
    expect_given(out, "out");
    *out = nullptr;
    expect_given(model, "model");
    if (max_length > INT32_MAX) throw minbert::Error(minbert::ErrorTag::kUsage, "max_length", "expected at most 2147483647");
    *out = new minbert_tokens{model->pipeline.tokenize(minbert::read_texts(texts, count, "texts"), static_cast<std::int64_t>(max_length))};
  });
}

size_t minbert_tokens_count(const minbert_tokens* tokens) noexcept { return tokens == nullptr ? 0 : tokens->texts.size(); }

size_t minbert_tokens_length(const minbert_tokens* tokens, size_t index) noexcept {
  const auto* const text = minbert::tokens_at(tokens, index);
  return text == nullptr ? 0 : text->ids.size();
}

const int32_t* minbert_tokens_ids(const minbert_tokens* tokens, size_t index) noexcept {
  const auto* const text = minbert::tokens_at(tokens, index);
  return text == nullptr ? nullptr : text->ids.data();
}

const int32_t* minbert_tokens_type_ids(const minbert_tokens* tokens, size_t index) noexcept {
  const auto* const text = minbert::tokens_at(tokens, index);
  return text == nullptr ? nullptr : text->type_ids.data();
}

const int32_t* minbert_tokens_offsets(const minbert_tokens* tokens, size_t index) noexcept {
  const auto* const text = minbert::tokens_at(tokens, index);
  return text == nullptr || text->offsets.empty() ? nullptr : text->offsets.front().data();
}

const char* minbert_tokens_text(const minbert_tokens* tokens, size_t index, size_t token) noexcept {
  const auto* const text = minbert::tokens_at(tokens, index);
  const auto* const word = minbert::at(text == nullptr ? nullptr : &text->tokens, token);
  return word == nullptr ? nullptr : word->c_str();
}

void minbert_tokens_free(minbert_tokens* tokens) noexcept { delete tokens; }

}  // extern "C"
