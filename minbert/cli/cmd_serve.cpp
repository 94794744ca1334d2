// serve: answers over HTTP until a signal ends it.
#include <algorithm>
#include <csignal>
#include <memory>
#include <regex>
#include <sstream>
#include <thread>

#include "minbert/base/clock.h"
#include "minbert/base/live_files.h"
#include "minbert/base/system.h"
#include "minbert/base/unicode.h"
#include "minbert/cli/option_flags.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/text.h"
#include "minbert/serve/service.h"

namespace minbert {
namespace {

/// Throws Error(kUsage) for a key that no header can bring, as that of a file with its line end is.
void expect_sendable(const std::string& key) {
  if (!std::ranges::all_of(key, [](char c) { return c > ' ' && c < '\x7f'; }))
    throw Error(ErrorTag::kUsage, "MINBERT_API_KEY",
                "expected visible ASCII characters, got a key with others, such as a blank or a line end");
}

/// Throws Error(kUsage) for an address that would mean all of them, and for origins that no browser sends.
void expect_addresses(const ServeOptions& options) {
  if (options.host.empty())
    throw Error(ErrorTag::kUsage, "--host", "expected an address, got an empty one", "0.0.0.0 is every one of the machine's");
  static const std::regex kOrigin("[a-z][a-z0-9+.-]*://[^/,\\s]+");
  std::istringstream origins(options.cors_allow_origin);
  for (std::string origin; std::getline(origins, origin, ',');)
    if (options.cors_allow_origin != "*" && !std::regex_match(std::string(strip(origin)), kOrigin))
      throw Error(ErrorTag::kUsage, "--cors-allow-origin",
                  fmt::format("expected * alone, or origins such as https://a.example without a path, got \"{}\"", printable(origin)));
}

LoadedModel load(const std::string& path, Session& session) {
  LoadedModel loaded;
  loaded.backend = open_backend(session);
  std::vector<ModelFolder> folders = read_answering_folders(path);
  ModelFolder& first = folders.front();
  const SentenceModules modules = read_sentence_modules(first, first.warnings);
  const bool pooler = modules.pooling.modes.front() == TokenPool::kPooler;
  std::vector<TextModel> models;
  for (ModelFolder& folder : folders) models.push_back(open_model(session, *loaded.backend, std::move(folder), pooler && models.empty()));
  loaded.dtype = compute_name({models.front().params().compute(), models.front().params().use()});
  loaded.models = std::make_unique<Ensemble>(std::move(models));
  return loaded;
}

/// Ends the service while a second Ctrl-C can still end the process.
void drain(Service& service) {
  std::atomic<bool> drained = false;
  const std::jthread waiting([&] {
    service.drain();
    drained = true;
  });
  while (!drained)
    if (wait_for_signal(0.02) == SIGINT) end_at_once();
}

/// Reads the model while a signal can still end the process: a disk or a network may be slow, and no request is answered yet.
void start(Service& service) {
  std::atomic<bool> started = false;
  std::exception_ptr failure;
  std::thread loading([&] {
    try {
      service.start();
    } catch (...) {
      failure = std::current_exception();
    }
    started = true;
  });
  while (!started)
    if (const int signal = wait_for_signal(0.02); signal == SIGINT || signal == SIGTERM) end_at_once(signal == SIGINT ? 130 : 0);
  loading.join();
  if (failure) std::rethrow_exception(failure);
}

int run_serve(const std::string& model, const OptionFlags& flags, Session& session) {
  ServeOptions options = flags.read<ServeOptions>(process_environment());
  options.api_key = session.env.api_key;
  expect_sendable(options.api_key);
  expect_addresses(options);
  const Stopwatch watch;
  return_large_memory();  // bodies and replies: memory would grow with the largest ones, for as long as the server runs
  session.console.set_lossy();
  on_cut_file(nullptr);  // a file that somebody cuts during a reload is no reason to end
  hold_signals();
  Service service(options, [&] { return load(model, session); }, write_while_read);
  start(service);
  session.console.info(fmt::format("serving {} at http://{}:{} after {:.2f} s", service.model_name(*service.engine()),
                                   options.host.find(':') == std::string::npos ? options.host : "[" + options.host + "]", service.port(),
                                   watch.seconds()));
  for (;;) {
    const int signal = wait_for_signal(3600);
    if (signal == SIGINT || signal == SIGTERM) break;
    if (signal != SIGHUP) continue;
    service.reload([&session](const std::string& error) {
      if (error.empty())
        session.console.info("read the model again; new requests get it");
      else
        session.console.warning("the old model stays in service: " + error);
    });
  }
  session.console.info("ending: running requests are answered first");
  drain(service);
  return 0;
}

}  // namespace

Action declare_serve(CLI::App& app, Session& session) {
  auto model = std::make_shared<std::string>();
  add_model(app, *model);
  const auto flags = OptionFlags::declare<ServeOptions>(app, "MINBERT_SERVE_");
  add_compute(app, session, true);
  app.get_option("--dtype")->envname("MINBERT_SERVE_DTYPE");
  app.get_option("--threads")->envname("MINBERT_SERVE_THREADS");
  add_examples(app,
               "  minbert serve runs/mine\n"
               "  curl -s 127.0.0.1:8080/v1/analyze -H 'Content-Type: application/json' -d '{\"inputs\": [{\"text\": \"A fine film.\"}]}'\n"
               "  MINBERT_API_KEY=secret minbert serve runs/mine --host 0.0.0.0 --port 80");
  return [model, flags, &session] { return run_serve(*model, *flags, session); };
}

}  // namespace minbert
