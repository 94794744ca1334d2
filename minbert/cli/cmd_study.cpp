// study: trains several runs for one table, and their shared stages only once.
#include <filesystem>
#include <memory>
#include <optional>

#include "minbert/cli/many_runs.h"
#include "minbert/cli/output.h"
#include "minbert/cli/plan_text.h"
#include "minbert/cli/run_report.h"
#include "minbert/cli/train_view.h"
#include "minbert/cli/verbs.h"
#include "minbert/study/results.h"
#include "minbert/study/study.h"
#include "minbert/train/run_folder.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

struct StudyFlags {
  ManyRunsFlags runs;
  StudyOptions options;
  bool resume = false;
};

/// Shows a line for each run and the run's events below it, and writes the run's report when it is done.
class StudyView final : public StudyEvents {
 public:
  StudyView(const StudyFile& file, Console& console) : file_(file), console_(console) {}

  TrainEvents& begin(const StudyRun& run, std::size_t number, std::size_t total) override {
    console_.info(fmt::format("{} of {}: row {}, seed {}, in {}", number, total, name(run), run.seed, run.folder.string()), true);
    return view_.emplace(console_);
  }

  void end(const StudyRun& run, const SeedResult& result, bool kept) override {
    console_.clear_progress();
    const std::string what = fmt::format("row {}, seed {}", name(run), run.seed);
    if (result.state == "failed") return console_.warning(fmt::format("{} failed: {}", what, result.error));
    if (!result.done()) return;
    if (!fs::exists(run.folder / "report.html")) write_run_report(run.folder, console_);
    console_.info(
        fmt::format("{} {}{}", what, kept ? "is done already" : "done", result.mean ? fmt::format(", mean {:.4f}", *result.mean) : ""));
  }

  void message(std::string_view text) override { console_.info(text); }

 private:
  const std::string& name(const StudyRun& run) const { return file_.rows[run.row].name; }

  const StudyFile& file_;
  Console& console_;
  std::optional<TrainView> view_;
};

int run_study_verb(const StudyFlags& flags, Session& session) {
  StudyOptions options = flags.options;
  apply_flags(flags.runs, session, options);
  OpenRun{.resume = flags.resume, .overwrite = options.overwrite}.check();
  const auto backend = open_backend(session);
  catch_signals();
  const Study study = load_study(flags.runs.file, backend->name(), options);
  if (flags.runs.dry_run) {
    const Json plan = plan_study(*backend, study, options);
    if (flags.runs.json)
      print_json(plan);
    else
      print_text(study_plan_text(plan));
    return 0;
  }
  StudyView view(study.file, session.console);
  const StudyOutcome outcome = run_study(*backend, study, options, view);
  write_run_report(study.folder, session.console);
  show_profile(session, *backend);
  if (outcome.stopped) {
    session.console.info("stopped after a checkpoint; the same command goes on");
    return kStoppedCode;
  }
  if (outcome.elsewhere > 0) session.console.info(fmt::format("other processes are training {} runs", outcome.elsewhere));
  session.console.info(fmt::format("study {} in {}", study.file.study.name, study.folder.string()));
  if (flags.runs.json)
    print_json(results_json(outcome.results));
  else
    print_text(results_text(outcome.results));
  return outcome.exit_code;
}

}  // namespace

Action declare_study(CLI::App& app, Session& session) {
  auto flags = std::make_shared<StudyFlags>();
  add_many_runs(app, flags->runs, "STUDY", "TOML file with [study] and [[row]]s", "study folder [studies/NAME, NAME being study.name]");
  const auto add_list = [&](const std::string& name, auto& list, const char* help, const char* type) {
    return app.add_option(name, list, help)->delimiter(',')->allow_extra_args(false)->type_name(type);
  };
  add_list("--rows", flags->options.rows, "train only these rows", "a,b");
  add_list("--seeds", flags->options.seeds, "train each row once for each of these seeds, instead of the file's", "1,2,3")
      ->check(whole_number(0, INT64_MAX));
  app.add_flag("--resume", flags->resume, "go on with the study in the folder, as it does without this flag too");
  app.add_flag("--overwrite", flags->options.overwrite,
               "train runs again that failed or that were made with another config, other files or another program");
  add_plan(app, flags->runs, session, "print what would be done: runs, steps, shared stages");
  add_examples(app,
               "  minbert study recipes/paper/study.toml --set model.init=MODEL --set data.root=DATA\n"
               "  minbert study mine.toml --rows base,strong --seeds 1,2,3 -o studies/mine");
  return [flags, &session] { return run_study_verb(*flags, session); };
}

}  // namespace minbert
