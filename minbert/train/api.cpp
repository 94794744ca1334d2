// train(): reads a config as the program does, and passes the run's events on as JSON.
#include "minbert/train/api.h"

#include <exception>

#include "minbert/base/env.h"
#include "minbert/base/parallel.h"
#include "minbert/base/toml.h"
#include "minbert/pipeline/compute.h"
#include "minbert/train/trainer.h"
#include "minbert/train/usual.h"

namespace minbert::api {
namespace {

/// What the caller's function threw.
struct CallerThrew {
  std::exception_ptr reason;
};

class JsonEvents final : public TrainEvents {
 public:
  explicit JsonEvents(const std::function<void(std::string_view)>& sink) : sink_(sink) {}

  void step(const StepEvent& event) override {
    std::string line = record_line(event);
    line.pop_back();
    send(fmt::format("{},\"stage_step\":{},\"stage_steps\":{}}}", line, event.stage_step, event.stage_steps));
  }
  void eval(const EvalEvent& event) override { send(record_line(event)); }
  void pass(const PassEvent& event) override {
    send(fmt::format(R"({{"event":"pass","what":{},"rows":{},"of":{}}})", dump_json(std::string(event.what)), event.rows, event.of));
  }
  void message(MessageLevel level, std::string_view text) override {
    const char* const name = level == MessageLevel::kWarning ? "warning" : level == MessageLevel::kInfo ? "info" : "detail";
    send(fmt::format(R"({{"event":"message","level":"{}","text":{}}})", name, dump_json(std::string(text))));
  }

 private:
  void send(const std::string& json) const {
    if (!sink_) return;
    try {
      sink_(json);
    } catch (...) {
      throw CallerThrew{std::current_exception()};
    }
  }

  const std::function<void(std::string_view)>& sink_;
};

ConfigTree config_tree(const TrainConfig& config) {
  ConfigTree tree;
  for (const std::filesystem::path& file : config.files) tree.load(file);
  for (const std::string& text : config.texts) tree.load_text(text, "config", std::filesystem::current_path());
  for (const std::string& assignment : config.set) tree.set(assignment);
  return tree;
}

TrainResult run(const TrainConfig& given, const TrainOptions& wanted) {
  const ConfigTree tree = config_tree(given);
  JsonEvents events(wanted.on_event);
  for (const std::string& note : tree.notes()) events.message(MessageLevel::kInfo, "note: " + note);
  const RunConfig config = load_run_config(tree);
  const Env env = read_env();
  const ThreadScope threads(thread_count(env, wanted.threads));
  const auto backend = open_backend(env);
  TrainResult result;
  result.folder = run_folder_of(wanted.output, config);
  minbert::TrainOptions options = train_options(tree, config, result.folder, {.resume = wanted.resume, .overwrite = wanted.overwrite});
  options.announce = true;
  if (wanted.should_stop) options.should_stop = wanted.should_stop;
  const minbert::TrainResult trained = minbert::train(*backend, config, options, events);
  result.stopped = trained.stopped;
  result.dev_scores = trained.dev_scores;
  result.dev_mean = trained.dev_mean;
  return result;
}

}  // namespace

std::string usual_config(const std::string& init, const UsualTask& task) {
  const UsualSettings usual = usual_settings(init, task);
  return fmt::format("[[task]]\nname = {}\n{}{}", print_toml_value(task.name), usual.task, usual.stages);
}

TrainResult train(const TrainConfig& config, const TrainOptions& options) {
  try {
    return run(config, options);
  } catch (const CallerThrew& threw) {
    std::rethrow_exception(threw.reason);
  } catch (...) {
    throw current_error();
  }
}

}  // namespace minbert::api
