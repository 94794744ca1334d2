// Routes: the table that requests are routed by, and that /openapi.json is written from.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "minbert/serve/api_error.h"
#include "minbert/serve/call.h"

namespace minbert {

/// Who may use a route of a server that has an API key.
enum class Access : std::uint8_t {
  kOpen,
  kMetrics,  ///< open by --open-metrics
  kKey,
  kKeyAlways,  ///< closed where there is no key at all
};

struct Route {
  std::string_view method, path, summary;
  Access access;
  std::string_view request;   ///< name of its schema in schemas.json; empty: no body
  std::string_view reply;     ///< name of its schema, or a media type: "text/html"; empty: no body
  std::string_view statuses;  ///< beside 200, such as "400 422 503"
  void (*run)(Call& call);
};

std::span<const Route> routes();
/// Null for an unknown path or method. `allowed` becomes the methods of the path, such as "GET, HEAD".
const Route* find_route(std::string_view method, std::string_view path, std::string& allowed);

/// The document at /openapi.json.
const std::string& openapi_text();

// ---- the routes, a file for each family ----
void run_page(Call& call);
void run_live(Call& call);
void run_ready(Call& call);
void run_metrics(Call& call);
void run_openapi(Call& call);
void run_info(Call& call);
void run_models(Call& call);
void run_tokenize(Call& call);
void run_reload(Call& call);
void run_predict(Call& call);
void run_analyze(Call& call);
void run_explain(Call& call);
void run_embed(Call& call);
void run_embed_all(Call& call);
void run_similarity(Call& call);
void run_open_ai_embeddings(Call& call);
void run_rerank(Call& call);
void run_v1_rerank(Call& call);
void run_root(Call& call);

}  // namespace minbert
