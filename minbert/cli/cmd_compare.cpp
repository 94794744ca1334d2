// compare: tests whether one run is better than another, or only luckier.
#include <memory>

#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/study/compare.h"

namespace minbert {
namespace {

struct CompareFlags {
  std::vector<std::string> runs;
  CompareOptions options;
  bool json = false;
};

std::string table_of(const RunComparison& comparison) {
  TextTable table({"task", "metric", "rows", "a", "b", "b - a", "interval", "p", "a alone right", "b alone right", "McNemar p"});
  for (const TaskComparison& task : comparison.tasks) {
    const PairedBootstrap& scores = task.bootstrap;
    std::vector<std::string> row = {task.task,
                                    task.metric.empty() ? "-" : task.metric,
                                    std::to_string(task.rows),
                                    fmt::format("{:.4f}", scores.a),
                                    fmt::format("{:.4f}", scores.b),
                                    fmt::format("{:+.4f}", scores.difference.estimate),
                                    fmt::format("{:+.4f}, {:+.4f}", scores.difference.low, scores.difference.high),
                                    fmt::format("{:.4f}", scores.p_value)};
    if (const auto& test = task.mcnemar)
      row.insert(row.end(), {std::to_string(test->only_a), std::to_string(test->only_b), fmt::format("{:.4f}", test->p_value)});
    else
      row.insert(row.end(), 3, "-");
    table.add(std::move(row));
  }
  return fmt::format("a {}\nb {}\n{}", comparison.a, comparison.b, table.text());
}

int run_compare(const CompareFlags& flags, Session& session) {
  if (flags.runs.size() < 2) throw Error(ErrorTag::kUsage, "compare", "expected at least two run folders, got one");
  set_threads(session);
  const std::vector<std::filesystem::path> runs(flags.runs.begin(), flags.runs.end());
  const auto comparisons = compare_runs(runs, flags.options);
  if (flags.json) {
    print_json(comparison_json(comparisons, flags.options));
    return 0;
  }
  for (const RunComparison& comparison : comparisons) print_text((&comparison == comparisons.data() ? "" : "\n") + table_of(comparison));
  session.console.info(fmt::format("interval ({:.0f}%) and p: paired bootstrap, {} resamples of the rows of each task on {}",
                                   100 * BootstrapOptions{}.confidence, flags.options.resamples, flags.options.split));
  return 0;
}

}  // namespace

Action declare_compare(CLI::App& app, Session& session) {
  auto flags = std::make_shared<CompareFlags>();
  app.add_option("RUN", flags->runs, "run folders; each is compared with the first")->required()->type_name("");
  app.add_flag("--all", flags->options.all_pairs, "compare every pair of runs");
  app.add_option("--split", flags->options.split, "dev | test [dev]")->check(one_of({"dev", "test"}))->type_name("SPLIT");
  app.add_option("--bootstrap", flags->options.resamples, fmt::format("resamples [{}]", flags->options.resamples))
      ->check(whole_number(1, 1000000))
      ->type_name("N");
  add_json(app, flags->json);
  add_threads(app, session);
  add_examples(app, "  minbert compare studies/paper/rows/mtft/seed-11711 studies/paper/rows/mtft-d/seed-11711");
  return [flags, &session] { return run_compare(*flags, session); };
}

}  // namespace minbert
