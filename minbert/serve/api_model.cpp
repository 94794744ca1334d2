// What the server tells of itself and its model: health, /info, /v1/models, /tokenize, /metrics, /v1/reload.
#include <algorithm>
#include <filesystem>

#include "minbert/base/system.h"
#include "minbert/base/unicode.h"
#include "minbert/serve/page.h"
#include "minbert/serve/routes.h"

namespace minbert {
namespace {

Json task_info(const TaskSpec& task) {
  Json info = {{"name", task.name}, {"type", option_name(task.type)}};
  if (task.is_regression()) {
    info["labels"] = nullptr;
    info["label_range"] = task.data.takes_any_number() ? Json(nullptr) : Json(task.data.label_range);
  } else {
    info["labels"] = task.labels.class_names();
    info["label_range"] = nullptr;
  }
  info["encode"] = task.is_pair() ? Json(option_name(task.encode)) : Json(nullptr);
  info["metric"] = option_name(task.scored_by());
  info["windows"] = option_name(task.windows);
  info["symmetric"] = task.symmetric;
  return info;
}

void reply_text(Call& call, int status, std::string_view type, std::string body) {
  call.reply({.status = status, .content_type = std::string(type), .body = std::move(body), .headers = {}});
}

/// Byte offsets of each code point of a text, and of its end.
std::vector<std::size_t> code_point_offsets(std::string_view text) {
  std::vector<std::size_t> offsets;
  for (std::size_t at = 0; at < text.size();) {
    offsets.push_back(at);
    next_code_point(text, at);
  }
  offsets.push_back(text.size());
  return offsets;
}

std::string tokens_text(const Tokenizer& tokenizer, const std::string& text, const Encoding& encoding, bool specials) {
  const auto offsets = code_point_offsets(text);
  std::string out;
  for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
    const auto [start, stop] = encoding.offsets[i];
    const bool special = i == 0 || i + 1 == encoding.ids.size();
    if (special && !specials) continue;
    const std::string& token = tokenizer.token(encoding.ids[i]);
    const std::string_view source =
        special ? std::string_view(token)
                : std::string_view(text).substr(offsets[static_cast<std::size_t>(start)],
                                                offsets[static_cast<std::size_t>(stop)] - offsets[static_cast<std::size_t>(start)]);
    const std::string place = special ? R"("start":null,"stop":null)" : fmt::format(R"("start":{},"stop":{})", start, stop);
    fmt::format_to(std::back_inserter(out), R"({}{{"id":{},"text":{},"special":{},{},"token":{}}})", out.empty() ? "" : ",",
                   encoding.ids[i], dump_json(source), special, place, dump_json(token));
  }
  return "[" + out + "]";
}

}  // namespace

void run_page(Call& call) {
  call.reply({.status = 200,
              .content_type = "text/html; charset=utf-8",
              .body = page_text(),
              .headers = {{"Content-Security-Policy", page_policy()},
                          {"X-Content-Type-Options", "nosniff"},
                          {"Referrer-Policy", "no-referrer"},
                          {"Cache-Control", "no-cache"}}});
}

void run_live(Call& call) { reply_text(call, 200, "", ""); }

void run_ready(Call& call) {
  if (!call.service().ready()) throw ApiError(503, ErrorType::kUnhealthy, "the model is not loaded yet, or the server is about to end");
  reply_text(call, 200, "", "");
}

void run_metrics(Call& call) { reply_text(call, 200, "text/plain; version=0.0.4; charset=utf-8", call.service().metrics_text()); }

void run_openapi(Call& call) { reply_text(call, 200, "application/json", openapi_text()); }

void run_info(Call& call) {
  const Engine& engine = call.engine();
  const ServeOptions& options = call.service().options();
  const ModelFolder& folder = engine.model().folder();
  const auto dtype = engine.loaded.dtype == "f32" ? "float32" : engine.loaded.dtype == "bf16" ? "bfloat16" : engine.loaded.dtype;
  Json info = {{"model_id", call.service().model_name(engine)},
               {"model_dtype", dtype},
               {"model_type", {{"embedding", {{"pooling", engine.modules.pooling.text()}}}}},
               {"max_concurrent_requests", options.max_concurrent_requests},
               {"max_input_length", folder.max_length},
               {"max_batch_tokens", options.max_batch_tokens},
               {"max_client_batch_size", options.max_client_batch_size},
               {"auto_truncate", options.auto_truncate},
               {"version", program_version()},
               {"hidden_size", folder.config.hidden_size},
               {"dimensions", engine.modules.width(folder.config.hidden_size)},
               {"tasks", Json::array()}};
  for (const TaskSpec& task : engine.tasks()) info["tasks"].push_back(task_info(task));
  call.answer(dump_json(info));
}

void run_models(Call& call) {
  const Json model = {
      {"id", call.service().model_name(call.engine())}, {"object", "model"}, {"created", call.engine().created}, {"owned_by", "minbert"}};
  call.answer(dump_json(Json{{"object", "list"}, {"data", Json::array({model})}}));
}

void run_tokenize(Call& call) {
  const Members members(call.body());
  const bool specials = members.flag("add_special_tokens").value_or(true);
  const std::string prompt = read_prompt(call, members, "");
  const SortedJson& value = members.required("inputs", "a text, or a list of texts");
  const bool single = value.is_string();
  const auto texts = single ? std::vector{value.get<std::string>()} : read_texts(value, "inputs");
  call.count_inputs(texts.size(), "inputs", !single);
  const Tokenizer& tokenizer = call.engine().model().tokenizer();
  std::vector<Encoding> encodings;
  std::int64_t tokens = 0;
  for (const std::string& text : texts) {
    encodings.push_back(tokenizer.encode(prompt + text, 0, true));
    tokens += std::ssize(encodings.back().ids);
  }
  call.set_tokenized(Work::kTokenize);
  constexpr std::int64_t kBytesOfToken = 100;  // of the object that says what it is
  call.reserve_answer(tokens * kBytesOfToken);
  std::string out = "[";
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) out += ',';
    out += tokens_text(tokenizer, prompt + texts[i], encodings[i], specials);
  }
  out += ']';
  call.answer(std::move(out));
}

void run_reload(Call& call) {
  call.service().reload([self = call.shared_from_this()](const std::string& error) {
    if (error.empty())
      self->answer(dump_json(Json{{"reloaded", true}, {"model", self->service().model_name(*self->service().engine())}}));
    else
      self->fail({422, ErrorType::kValidation, "the old model stays in service: " + error});
  });
}

}  // namespace minbert
