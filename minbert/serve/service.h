// Service: the model in service with its queue, the requests on their way, and the routes that they take.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "minbert/pipeline/ensemble.h"
#include "minbert/pipeline/request_queue.h"
#include "minbert/pipeline/sentence_folder.h"
#include "minbert/serve/api_error.h"
#include "minbert/serve/explainer.h"
#include "minbert/serve/http.h"
#include "minbert/serve/line_log.h"
#include "minbert/serve/metrics.h"
#include "minbert/serve/options.h"

namespace minbert {

/// Models of which one answers each task, and the backend that they compute on.
struct LoadedModel {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Ensemble> models;  ///< the first makes vectors, with the pooler if the folder's modules ask for it
  std::string dtype;                 ///< "f32", "bf16" or "int8"
};

/// A model in service. Requests hold it, so that a reload leaves them theirs.
struct Engine {
  LoadedModel loaded;
  std::int64_t created;     ///< seconds since 1970
  SentenceModules modules;  ///< of the folder
  Prompts prompts;
  std::unique_ptr<Backend> module_backend;  ///< what `modules` are applied on, while module_mutex is held
  mutable std::mutex module_mutex;
  std::unique_ptr<RequestQueue> queue;
  std::unique_ptr<Explainer> explainer;

  /// The model that makes vectors, whose tokenizer and limits are those of all.
  const TextModel& model() const { return loaded.models->models().front(); }
  const std::vector<TaskSpec>& tasks() const { return loaded.models->tasks(); }
};

struct Route;

/// What the log and the metrics tell of a request beside its reply.
struct Outcome {
  const Route* route = nullptr;
  std::int64_t inputs = 0, tokens = 0;
  bool batch = false;
  std::string_view failure = {};  ///< error_type; empty: none
  std::optional<Work> work = {};  ///< what was computed
  PhaseTimes times = {};
};

class Service {
 public:
  /// Reads the model folder; called at start and for each reload, from any thread, and may throw Error.
  using Load = std::function<LoadedModel()>;

  /// Listens at once and answers 503 until start() has loaded the model. `log` gets the access log, line by line, from a thread of its own.
  Service(ServeOptions options, Load load, LineLog::Write log);
  /// Ends what is left of requests.
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Loads the model and takes requests from then on. Throws what `load` throws.
  void start();
  /// Loads the model again on a thread of its own and swaps it; requests on their way end on the old one. If `load` throws, the old one
  /// stays in service. Then calls `done` with the error's text, or an empty one.
  void reload(std::function<void(const std::string& error)> done);
  /// Refuses new requests, and returns when all others are answered or request_timeout has passed.
  void drain();

  std::uint16_t port() const;

  // ---- for routes ----
  const ServeOptions& options() const { return options_; }
  Metrics& metrics() { return metrics_; }
  /// Null before start().
  std::shared_ptr<Engine> engine() const;
  bool ready() const { return !draining_ && engine() != nullptr; }
  std::string metrics_text() const;
  /// The name in replies.
  std::string model_name(const Engine& engine) const;

 private:
  std::shared_ptr<Engine> load_engine();
  std::shared_ptr<Engine> swap_engine();
  void work_reloads();
  std::unique_ptr<HttpReply> check(const HttpRequest& head);
  std::unique_ptr<HttpReply> preflight(const HttpRequest& head, const std::string& methods);
  void authorize(const HttpRequest& head, const Route& route) const;
  HttpReply refuse(const HttpRequest& head, const ApiError& error, const Route* route);
  /// Counts and logs a reply, and adds the headers that every reply has.
  void finish(const HttpRequest& request, HttpReply& reply, const Outcome& outcome);
  void retire(std::shared_ptr<Engine> engine);

  ServeOptions options_;
  Load load_;
  Metrics metrics_;
  LineLog log_;
  Stopwatch uptime_;
  std::atomic<bool> draining_ = false;
  std::atomic<std::int64_t> calls_ = 0, made_ids_ = 0, answer_bytes_ = 0;
  std::uint64_t first_id_;
  mutable std::mutex mutex_;  // guards engine_
  std::shared_ptr<Engine> engine_;

  std::mutex reload_mutex_;  // guards the two that follow
  std::condition_variable reload_wake_;
  std::vector<std::function<void(const std::string&)>> reload_wishes_;
  bool stop_ = false;
  std::jthread reload_thread_;
  std::unique_ptr<HttpServer> http_;

  friend class Call;
};

}  // namespace minbert
