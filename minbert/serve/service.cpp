// Loading, swapping, draining; what happens to each request before its route and after it.
#include "minbert/serve/service.h"

#include <algorithm>
#include <chrono>
#include <random>

#include "minbert/base/json.h"
#include "minbert/base/parallel.h"
#include "minbert/base/system.h"
#include "minbert/base/unicode.h"
#include "minbert/serve/routes.h"

namespace minbert {
namespace {

/// Compares without telling by its time how much of the key is right.
bool same_key(std::string_view given, std::string_view key) {
  unsigned difference = given.size() == key.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) difference |= static_cast<unsigned char>(given[i] ^ key[i % key.size()]);
  return difference == 0;
}

bool starts_with_word(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  return std::equal(word.begin(), word.end(), text.begin(), [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b | 32 : b); });
}

bool is_word(std::string_view text, std::string_view word) { return text.size() == word.size() && starts_with_word(text, word); }

bool is_json_type(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  return is_word(type, "application/json");
}

bool is_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
}

/// Answers one row of each kind, so that a model which cannot compute never gets into service.
void try_out(Engine& engine) {
  std::vector<Query> queries;
  for (std::size_t t = 0; t < engine.tasks().size(); ++t) {
    Query query;
    query.tasks = {t};
    append_text(query.rows, engine.model().tokenizer(), engine.tasks()[t], "a", "b", engine.model().folder().max_length);
    queries.push_back(std::move(query));
  }
  Query embed;
  ask_for_vectors(embed, engine.modules.pooling, 0);
  append_text(embed.rows, engine.model().tokenizer(), TaskSpec{}, "a", {}, engine.model().folder().max_length);
  queries.push_back(std::move(embed));
  engine.queue->answer(std::move(queries));
}

}  // namespace

Service::Service(ServeOptions options, Load load, LineLog::Write log)
    : options_(std::move(options)),
      load_(std::move(load)),
      log_(options_.access_log ? std::move(log) : nullptr),
      first_id_((std::uint64_t{std::random_device{}()} << 32) | std::random_device{}()) {
  std::erase(options_.cors_allow_origin, ' ');
  const HttpLimits limits = {.payload_bytes = static_cast<std::size_t>(options_.payload_limit),
                             .connections = static_cast<std::size_t>(options_.max_connections),
                             .header_timeout_s = options_.header_timeout,
                             .idle_timeout_s = options_.idle_timeout,
                             .body_timeout_s = options_.request_timeout};
  HttpHandlers handlers;
  handlers.check = [this](const HttpRequest& head) { return check(head); };
  handlers.handle = [this](const std::shared_ptr<HttpExchange>& exchange) {
    std::string allowed;
    const auto& request = exchange->request();
    std::make_shared<Call>(*this, *find_route(request.method, request.path, allowed), exchange)->run();
  };
  handlers.refuse = [this](const HttpRequest& head, const HttpRefusal& refusal) {
    const ErrorType type = refusal.status == 429 || refusal.status == 503 ? ErrorType::kOverloaded : ErrorType::kValidation;
    std::string allowed;
    return refuse(head, ApiError(refusal.status, type, refusal.message), find_route(head.method, head.path, allowed));
  };
  // Requests wait for the model, not for these threads: a few are enough.
  http_ = std::make_unique<HttpServer>(options_.host, options_.port, limits, std::clamp(available_cores() / 4, 2, 8), std::move(handlers));
  reload_thread_ = std::jthread([this] { work_reloads(); });
  http_->start();
}

Service::~Service() {
  draining_ = true;
  {
    const std::lock_guard lock(reload_mutex_);
    stop_ = true;
  }
  reload_wake_.notify_one();
  reload_thread_.join();
  reload_wishes_.clear();
  if (const auto last = engine()) {
    last->queue->close();
    last->explainer->close();
  }
  while (calls_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  http_.reset();
}

std::uint16_t Service::port() const { return http_->port(); }

std::shared_ptr<Engine> Service::engine() const {
  const std::lock_guard lock(mutex_);
  return engine_;
}

std::string Service::model_name(const Engine& engine) const {
  if (!options_.served_model_name.empty()) return options_.served_model_name;
  std::filesystem::path path = std::filesystem::absolute(engine.model().folder().path / ".").lexically_normal().parent_path();
  if (path.filename() == "best") path = path.parent_path();
  return path.filename().string();
}

std::shared_ptr<Engine> Service::load_engine() {
  auto engine = std::make_shared<Engine>();
  engine->loaded = load_();
  std::vector<std::string> known_warnings;  // the loader has shown them
  engine->modules = read_sentence_modules(engine->model().folder(), known_warnings);
  engine->prompts = read_prompts(engine->model().folder());
  engine->module_backend = engine->loaded.backend->sibling();
  engine->created = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  engine->queue = std::make_unique<RequestQueue>(
      engine->loaded.models->compute_models(),
      RequestQueueOptions{
          .max_batch_tokens = options_.max_batch_tokens,
          .capacity = static_cast<std::size_t>(options_.max_concurrent_requests),
          .timeout_s = options_.request_timeout,
          .on_pass = [this](std::int64_t rows, std::int64_t tokens, double seconds) { metrics_.count_pass(rows, tokens, seconds); }});
  engine->explainer = std::make_unique<Explainer>(*engine->loaded.models, *engine->loaded.backend, options_.request_timeout);
  try_out(*engine);
  return engine;
}

void Service::start() {
  auto engine = load_engine();
  const std::lock_guard lock(mutex_);
  engine_ = std::move(engine);
}

std::shared_ptr<Engine> Service::swap_engine() {
  try {
    auto engine = load_engine();
    metrics_.count_reload(true);
    const std::lock_guard lock(mutex_);
    return std::exchange(engine_, std::move(engine));
  } catch (...) {
    metrics_.count_reload(false);
    throw;
  }
}

/// Waits until no request holds the engine: it must not be destroyed by one of its own threads.
void Service::retire(std::shared_ptr<Engine> engine) {
  while (engine.use_count() > 1 && !draining_) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  if (engine.use_count() == 1) return;
  engine->queue->close();
  engine->explainer->close();
  while (engine.use_count() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void Service::reload(std::function<void(const std::string&)> done) {
  {
    const std::lock_guard lock(reload_mutex_);
    reload_wishes_.push_back(std::move(done));
  }
  reload_wake_.notify_one();
}

void Service::work_reloads() {
  std::unique_lock lock(reload_mutex_);
  for (;;) {
    reload_wake_.wait(lock, [&] { return stop_ || !reload_wishes_.empty(); });
    if (stop_) return;
    auto wishes = std::exchange(reload_wishes_, {});
    lock.unlock();
    std::string error;
    std::shared_ptr<Engine> old;
    try {
      old = swap_engine();
    } catch (const std::exception& failure) {
      error = failure.what();
    }
    for (const auto& done : wishes) done(error);
    wishes.clear();  // they may hold requests, which hold the old model
    if (old) retire(std::move(old));
    lock.lock();
  }
}

void Service::drain() {
  draining_ = true;
  http_->drain(options_.request_timeout);
}

std::string Service::metrics_text() const {
  const auto now = engine();
  return metrics_.text({.queue = now ? now->queue->size() : 0,
                        .connections = http_->connections(),
                        .resident_bytes = resident_memory_bytes(),
                        .uptime_s = uptime_.seconds()});
}

void Service::authorize(const HttpRequest& head, const Route& route) const {
  const bool open = route.access == Access::kOpen || (route.access == Access::kMetrics && options_.open_metrics);
  if (open) return;
  if (options_.api_key.empty()) {
    if (route.access == Access::kKeyAlways)
      throw ApiError(401, ErrorType::kValidation, "this route needs an API key, and the server was started without MINBERT_API_KEY");
    return;
  }
  std::string_view given = head.header("authorization");
  if (!starts_with_word(given, "bearer ") || !same_key(given.substr(7), options_.api_key))
    throw ApiError(401, ErrorType::kValidation, "expected the header \"Authorization: Bearer KEY\" with the server's API key");
}

std::unique_ptr<HttpReply> Service::check(const HttpRequest& head) {
  std::string allowed;
  const Route* const route = find_route(head.method, head.path, allowed);
  try {
    if (head.method == "OPTIONS" && !allowed.empty() && !options_.cors_allow_origin.empty()) return preflight(head, allowed);
    if (route == nullptr && allowed.empty()) throw ApiError(404, ErrorType::kValidation, "no such route; /openapi.json lists them");
    if (route == nullptr) throw ApiError(405, ErrorType::kValidation, fmt::format("this route takes {}", allowed));
    authorize(head, *route);
    if (route->access == Access::kOpen || route->access == Access::kMetrics) return nullptr;
    if (!ready()) throw ApiError(503, ErrorType::kUnhealthy, draining_ ? "the server is about to end" : "the model is not loaded yet");
    if (!route->request.empty() && !is_json_type(head.header("content-type")))
      throw ApiError(415, ErrorType::kValidation, "expected the header \"Content-Type: application/json\"");
    if (const std::string_view coding = head.header("content-encoding"); !coding.empty() && !is_word(coding, "identity"))
      throw ApiError(415, ErrorType::kValidation,
                     fmt::format("bodies may not be compressed, got the header \"content-encoding: {}\"", printable(coding)));
    const auto now = engine();
    if (!route->request.empty() && now->queue->size() >= now->queue->capacity())
      throw ApiError(429, ErrorType::kOverloaded,
                     fmt::format("{} requests wait already; --max-concurrent-requests raises the limit", now->queue->capacity()));
  } catch (const ApiError& error) {
    HttpReply reply = refuse(head, error, route);
    if (error.status() == 405) reply.headers.emplace_back("Allow", allowed);
    return std::make_unique<HttpReply>(std::move(reply));
  }
  return nullptr;
}

std::unique_ptr<HttpReply> Service::preflight(const HttpRequest& head, const std::string& methods) {
  auto reply = std::make_unique<HttpReply>(HttpReply{.status = 204, .content_type = {}, .body = {}, .headers = {}});
  finish(head, *reply, {});
  reply->headers.emplace_back("Access-Control-Allow-Methods", methods);
  reply->headers.emplace_back("Access-Control-Allow-Headers", "authorization, content-type, x-request-id");
  reply->headers.emplace_back("Access-Control-Max-Age", "600");
  return reply;
}

HttpReply Service::refuse(const HttpRequest& head, const ApiError& error, const Route* route) {
  HttpReply reply = error_reply(error, error_shape(head.path));
  finish(head, reply, {.route = route, .failure = error_type_name(error.type())});
  return reply;
}

void Service::finish(const HttpRequest& request, HttpReply& reply, const Outcome& outcome) {
  const std::string_view given = request.header("x-request-id");
  const std::string id =
      is_request_id(given) ? std::string(given) : fmt::format("{:016x}", first_id_ + static_cast<std::uint64_t>(++made_ids_));
  reply.headers.emplace_back("x-request-id", id);
  if (!options_.cors_allow_origin.empty()) {
    const std::string_view origin = request.header("origin");
    const std::string listed = "," + options_.cors_allow_origin + ",";
    reply.headers.emplace_back("Vary", "Origin");
    if (options_.cors_allow_origin == "*" || (!origin.empty() && listed.find(fmt::format(",{},", origin)) != std::string::npos)) {
      reply.headers.emplace_back("Access-Control-Allow-Origin", options_.cors_allow_origin == "*" ? "*" : std::string(origin));
      reply.headers.emplace_back(
          "Access-Control-Expose-Headers",
          "x-request-id, x-compute-tokens, x-total-time, x-tokenization-time, x-queue-time, x-inference-time, x-truncated");
    }
  }
  const bool of_model = outcome.route != nullptr && !outcome.route->request.empty() && outcome.route->access == Access::kKey;
  if (of_model) {
    metrics_.count_request(outcome.batch);
    if (!outcome.failure.empty()) {
      std::string kind(outcome.failure);
      kind[0] = static_cast<char>(kind[0] | 32);
      metrics_.count_failure(kind);
    } else {
      metrics_.count_success(outcome.work, outcome.batch, outcome.inputs, outcome.times);
    }
  }
  const std::string_view route = outcome.route == nullptr ? "unknown" : outcome.route->path;
  metrics_.count_reply(route, reply.status);
  if (!log_.on()) return;
  log_.add(
      fmt::format("{{\"time\":\"{}\",\"id\":\"{}\",\"route\":\"{}\",\"status\":{},\"inputs\":{},\"tokens\":{},\"ms\":{{\"total\":{:.3f},"
                  "\"tokenization\":{:.3f},\"queue\":{:.3f},\"inference\":{:.3f}}},\"peer\":\"{}\"}}",
                  utc_timestamp(), id, route, reply.status, outcome.inputs, outcome.tokens, request.received.seconds() * 1e3,
                  outcome.times.tokenization * 1e3, outcome.times.queue * 1e3, outcome.times.inference * 1e3, request.peer));
}

}  // namespace minbert
