// search: random search for hyperparameters, which stops trials early when they do worse than others.
#include <filesystem>
#include <memory>
#include <optional>

#include "minbert/cli/many_runs.h"
#include "minbert/cli/output.h"
#include "minbert/cli/plan_text.h"
#include "minbert/cli/train_view.h"
#include "minbert/cli/verbs.h"
#include "minbert/study/search.h"

namespace minbert {
namespace {

struct SearchFlags {
  ManyRunsFlags runs;
  SearchOptions options;
};

/// Shows a line with each trial's values, the trial's events below it, and a line about its end.
class SearchView final : public SearchEvents {
 public:
  SearchView(const SearchFile& file, Console& console) : file_(file), console_(console) {}

  TrainEvents& begin(const Trial& trial) override {
    std::string values;
    for (const auto& [key, value] : trial.values.items()) values += fmt::format("  {} = {}", key, dump_json(value));
    console_.info(fmt::format("trial {} of {}{}", trial.number, file_.search.trials, values), true);
    return view_.emplace(console_);
  }

  void end(const Trial& trial) override {
    console_.clear_progress();
    std::string text = fmt::format("trial {} {}", trial.number, option_name(trial.state));
    if (trial.score) text += fmt::format(", {:.4f}", *trial.score);
    if (!trial.reason.empty()) text += ": " + trial.reason;
    if (trial.state == TrialState::kFailed)
      console_.warning(text);
    else
      console_.info(text);
  }

 private:
  const SearchFile& file_;
  Console& console_;
  std::optional<TrainView> view_;
};

int run_search_verb(const SearchFlags& flags, Session& session) {
  constexpr std::size_t kRows = 20;
  SearchOptions options = flags.options;
  apply_flags(flags.runs, session, options);
  const auto backend = open_backend(session);
  const Search search = load_search(flags.runs.file, options);
  if (flags.runs.dry_run) {
    const Json plan = plan_search(*backend, search);
    if (flags.runs.json)
      print_json(plan);
    else
      print_text(search_plan_text(plan));
    return 0;
  }
  catch_signals();
  SearchView view(search.file, session.console);
  const SearchOutcome outcome = run_search(*backend, search, options, view);
  show_profile(session, *backend);
  const Trial* best = outcome.results.best();
  if (outcome.out_of_time) session.console.info("the time is up; --resume goes on");
  if (outcome.stopped) session.console.info("stopped after a checkpoint; --resume goes on");
  session.console.info(fmt::format("search {} in {}{}", search.file.search.name, search.folder.string(),
                                   best == nullptr ? "" : fmt::format("; its best config: {}", (search.folder / "best.toml").string())));
  if (outcome.stopped) return kStoppedCode;
  if (flags.runs.json)
    print_json(results_json(search.file, outcome.results));
  else
    print_text(results_text(search.file, outcome.results, kRows));
  return 0;
}

/// The keys of a search file and their defaults, for the end of --help.
std::string file_help() {
  std::string text = "Keys of the file and their defaults:\n";
  for (const OptionInfo& key : list_options<SearchFile>()) {
    if (key.key == "space") continue;
    const bool has_default = !key.default_value.empty() && key.default_value != "\"\"" && key.default_value != "[]";
    text += fmt::format("  {:<22}  {}{}\n", key.key, key.help, has_default ? fmt::format(" [{}]", key.default_value) : "");
  }
  return text;
}

/// The error message for a bad value of --max-hours; empty for a good one.
std::string check_hours(const std::string& text) {
  const auto hours = parse_number(text);
  return hours && *hours > 0 ? "" : fmt::format("expected a number above 0, got \"{}\"", text);
}

}  // namespace

Action declare_search(CLI::App& app, Session& session) {
  auto flags = std::make_shared<SearchFlags>();
  add_many_runs(app, flags->runs, "SEARCH", "TOML file with [search] and [[space]]s",
                "search folder [searches/NAME, NAME being search.name]");
  app.add_flag("--resume", flags->options.resume, "go on with the search in the folder");
  app.add_option("--max-hours", flags->options.max_hours, "pause the search after so many hours; --resume goes on [no limit]")
      ->check(CLI::Validator([](std::string& text) { return check_hours(text); }, ""))
      ->type_name("H");
  add_plan(app, flags->runs, session, "print what would be done: values and steps of the trials");
  app.footer(file_help() +
             "\nExamples:\n"
             "  minbert search recipes/search/sst.toml --set model.init=MODEL --set data.root=DATA\n"
             "  minbert search mine.toml --resume --max-hours 8");
  return [flags, &session] { return run_search_verb(*flags, session); };
}

}  // namespace minbert
