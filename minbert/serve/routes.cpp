// The table of routes, and the OpenAPI document made from it.
#include "minbert/serve/routes.h"

#include <algorithm>
#include <array>

#include "minbert/base/json.h"
#include "minbert/base/system.h"

namespace minbert {

std::string_view serve_schemas();  // schemas.json

namespace {

// Refusals that any route with a body may give; the text says what each means.
constexpr std::string_view kRefusals = "400 401 413 415 422 429 431 500 503";

constexpr Route kRoutes[] = {
    {"GET", "/", "The page for people", Access::kOpen, "", "text/html", "", run_page},
    {"POST", "/", "What its body asks for: /similarity, /predict or /embed", Access::kKey, "RootRequest", "RootReply", kRefusals, run_root},
    {"GET", "/health", "200 when ready", Access::kOpen, "", "", "503", run_ready},
    {"GET", "/ping", "200 when ready", Access::kOpen, "", "", "503", run_ready},
    {"GET", "/readyz", "200 when ready", Access::kOpen, "", "", "503", run_ready},
    {"GET", "/livez", "200 as long as the server runs", Access::kOpen, "", "", "", run_live},
    {"GET", "/metrics", "Counters and times in Prometheus' text format", Access::kMetrics, "", "text/plain", "401", run_metrics},
    {"GET", "/openapi.json", "This document", Access::kOpen, "", "application/json", "", run_openapi},
    {"GET", "/info", "The model, its tasks, the server's limits", Access::kKey, "", "Info", "401 503", run_info},
    {"GET", "/v1/models", "The model, as OpenAI lists models", Access::kKey, "", "Models", "401 503", run_models},
    {"POST", "/predict", "Labels or a number of one task", Access::kKey, "PredictRequest", "PredictReply", kRefusals, run_predict},
    {"POST", "/v1/analyze", "All tasks of each input, in one encoder pass", Access::kKey, "AnalyzeRequest", "AnalyzeReply", kRefusals,
     run_analyze},
    {"POST", "/v1/explain", "What each token of an input adds to one task's answer", Access::kKey, "ExplainRequest", "ExplainReply",
     kRefusals, run_explain},
    {"POST", "/embed", "Sentence vectors", Access::kKey, "EmbedRequest", "EmbedReply", kRefusals, run_embed},
    {"POST", "/embed_all", "A vector of each token", Access::kKey, "EmbedAllRequest", "EmbedAllReply", kRefusals, run_embed_all},
    {"POST", "/v1/embeddings", "Sentence vectors, as OpenAI gives them", Access::kKey, "EmbeddingsRequest", "EmbeddingsReply", kRefusals,
     run_open_ai_embeddings},
    {"POST", "/embeddings", "The same as /v1/embeddings", Access::kKey, "EmbeddingsRequest", "EmbeddingsReply", kRefusals,
     run_open_ai_embeddings},
    {"POST", "/similarity", "Cosines of a sentence and others, or a pair task's scores", Access::kKey, "SimilarityRequest",
     "SimilarityReply", kRefusals, run_similarity},
    {"POST", "/rerank", "Texts by how well they fit a query", Access::kKey, "RerankRequest", "RerankReply", kRefusals, run_rerank},
    {"POST", "/v1/rerank", "The same, as Jina and Cohere have it", Access::kKey, "DocumentsRequest", "DocumentsReply", kRefusals,
     run_v1_rerank},
    {"POST", "/v2/rerank", "The same as /v1/rerank", Access::kKey, "DocumentsRequest", "DocumentsReply", kRefusals, run_v1_rerank},
    {"POST", "/tokenize", "The tokens of texts", Access::kKey, "TokenizeRequest", "TokenizeReply", kRefusals, run_tokenize},
    {"POST", "/v1/reload", "Reads the model folder again and swaps the model; needs a key", Access::kKeyAlways, "", "ReloadReply",
     "401 415 422 503", run_reload},
};

std::string_view meaning_of(std::string_view status) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kMeanings = {{
      {"400", "Not JSON, not UTF-8, or empty"},
      {"401", "The API key is missing or wrong"},
      {"413", "The body is larger than --payload-limit"},
      {"415", "The body is not application/json, or compressed"},
      {"422", "A member is wrong, or an input too long"},
      {"429", "Too many requests wait"},
      {"431", "The head is too large"},
      {"500", "The computation failed"},
      {"503", "Not ready, about to end, or too many connections"},
  }};
  const auto at = std::find_if(kMeanings.begin(), kMeanings.end(), [&](const auto& row) { return row.first == status; });
  MINBERT_CHECK(at != kMeanings.end(), "status {} without a meaning", status);
  return at->second;
}

Json reference(std::string_view schema) { return {{"$ref", fmt::format("#/components/schemas/{}", schema)}}; }

Json content(std::string_view type, Json schema) { return {{std::string(type), {{"schema", std::move(schema)}}}}; }

/// The reply of a route at 200; `reply` names a schema, or a media type.
Json good_reply(std::string_view reply) {
  Json out = {{"description", "OK"}};
  if (reply.find('/') != reply.npos)
    out["content"] = content(reply, reply == "application/json" ? Json{{"type", "object"}} : Json{{"type", "string"}});
  else if (!reply.empty())
    out["content"] = content("application/json", reference(reply));
  return out;
}

/// Whether requests have a member `task`, in one of their forms.
bool takes_task(const Json& schemas, std::string_view request) {
  if (request.empty()) return false;
  const Json& schema = schemas.at(std::string(request));
  if (!schema.contains("anyOf")) return schema.contains("properties") && schema["properties"].contains("task");
  return std::any_of(schema["anyOf"].begin(), schema["anyOf"].end(), [&](const Json& form) {
    const auto name = form["$ref"].get<std::string>();
    return takes_task(schemas, std::string_view(name).substr(name.rfind('/') + 1));
  });
}

Json operation(const Json& schemas, const Route& route) {
  std::string id(route.method == "GET" ? "get" : "post");
  for (const char c : route.path) id += c == '/' || c == '.' ? '_' : c;
  Json out = {{"operationId", id}, {"summary", route.summary}, {"responses", {{"200", good_reply(route.reply)}}}};
  if (!route.request.empty()) out["requestBody"] = {{"required", true}, {"content", content("application/json", reference(route.request))}};
  for (std::string_view rest = route.statuses; !rest.empty(); rest.remove_prefix(std::min<std::size_t>(rest.size(), 4))) {
    const std::string_view status = rest.substr(0, 3);
    const auto schema = error_shape(route.path) == ErrorShape::kTei ? "TeiError" : "OpenAiError";
    out["responses"][std::string(status)] = {{"description", meaning_of(status)},
                                             {"content", content("application/json", reference(schema))}};
  }
  if (takes_task(schemas, route.request))
    out["parameters"] = Json::array({{{"name", "task"},
                                      {"in", "query"},
                                      {"required", false},
                                      {"description", "The same as the member `task`, for clients that can only set a URL"},
                                      {"schema", {{"type", "string"}}}}});
  if (route.access != Access::kOpen) out["security"] = Json::array({Json::object({{"key", Json::array()}})});
  // Without a key where the server has none, or leaves its metrics open.
  if (route.access == Access::kKey || route.access == Access::kMetrics) out["security"].push_back(Json::object());
  return out;
}

std::string make_openapi() {
  Json document = {
      {"openapi", "3.1.0"},
      {"info", {{"title", "minbert"}, {"version", program_version()}, {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
      {"paths", Json::object()},
      {"components", Json::object()}};
  const Json schemas = parse_json(serve_schemas(), "schemas.json", ErrorTag::kInternal);
  for (const Route& route : kRoutes)
    document["paths"][std::string(route.path)][route.method == "GET" ? "get" : "post"] = operation(schemas, route);
  document["components"]["schemas"] = schemas;
  document["components"]["securitySchemes"] = {{"key", {{"type", "http"}, {"scheme", "bearer"}}}};
  return dump_json(document);
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

const Route* find_route(std::string_view method, std::string_view path, std::string& allowed) {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  allowed.clear();
  const Route* found = nullptr;
  for (const Route& route : kRoutes) {
    if (route.path != path) continue;
    if (route.method == wanted) found = &route;
    allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", route.method == "GET" ? "GET, HEAD" : route.method);
  }
  return found;
}

const std::string& openapi_text() {
  static const std::string text = make_openapi();
  return text;
}

void run_root(Call& call) {
  const Members members(call.body());
  const SortedJson* const inputs = members.find("inputs");
  if (inputs != nullptr && inputs->is_object()) return run_similarity(call);
  return members.find("task") != nullptr || members.find("raw_scores") != nullptr ? run_predict(call) : run_embed(call);
}

}  // namespace minbert
