// compare: tests whether one run, or one config over several seeds, is better than another, or only luckier.
#include <algorithm>
#include <memory>
#include <optional>

#include "minbert/cli/compare_data.h"
#include "minbert/cli/output.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/run_status.h"
#include "minbert/pipeline/model_folder.h"
#include "minbert/study/compare.h"
#include "minbert/study/run_tables.h"

namespace minbert {
namespace {

struct CompareFlags {
  std::vector<std::string> runs;
  CompareOptions options;
  std::string file, task, format = "text";
  ColumnFlags columns;
  std::vector<std::string> shown;  // --columns
  bool scores = false, json = false;
};

std::string table_of(const RunComparison& comparison) {
  std::vector<std::string> header = {"task", "metric", "rows", "a", "b", "b - a", "interval", "p"};
  const bool has_mcnemar = comparison.seeds.empty();
  if (has_mcnemar) header.insert(header.end(), {"a alone right", "b alone right", "McNemar p"});
  TextTable table(std::move(header));
  for (const TaskComparison& task : comparison.tasks) {
    const PairedDifference& scores = task.scores;
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
    else if (has_mcnemar)
      row.insert(row.end(), 3, "-");
    table.add(std::move(row));
  }
  const std::string seeds = comparison.seeds.empty() ? "" : fmt::format("over {}\n", fmt::join(comparison.seeds, ", "));
  return fmt::format("a {}\nb {}\n{}{}", comparison.a, comparison.b, seeds, table.text());
}

void show(ResultTable table, const CompareFlags& flags) {
  choose_columns(table, flags.shown, "--columns");
  if (flags.json) return print_json(table_json(table));
  print(format_table(table, flags.format));
}

/// What differs in the configs, before the comparisons.
std::string differences_text(std::span<const std::filesystem::path> runs) {
  const ResultTable differences = differences_table(runs);
  return differences.rows.empty() ? "" : fmt::format("What differs in the configs:\n{}\n", format_table(differences, "text"));
}

/// dev, but for folds the rows that they leave out.
std::string usual_split(std::span<const std::filesystem::path> folders) {
  const auto are_folds = [](const std::filesystem::path& folder) {
    const std::vector<std::string> runs = runs_inside(folder);
    return !runs.empty() && std::ranges::all_of(runs, is_fold);
  };
  return std::ranges::all_of(folders, are_folds) ? "test" : "dev";
}

int run_compare(CompareFlags& flags, Session& session) {
  if (flags.runs.size() < (flags.scores ? 1u : 2u))
    throw Error(ErrorTag::kUsage, "compare", "expected at least two run folders, got one", "--scores shows the scores of one");
  set_threads(session);
  std::vector<std::filesystem::path> named(flags.runs.begin(), flags.runs.end());
  if (flags.options.split.empty()) flags.options.split = usual_split(named);
  if (flags.scores && flags.file.empty()) named = rows_of_studies(named, flags.options.split);
  std::optional<ScoredOnFile> scored;
  if (!flags.file.empty()) {
    catch_signals();
    scored.emplace(flags.runs, flags.file, flags.task, flags.columns, flags.options.split, session);
  }
  const std::span<const std::filesystem::path> runs = scored ? scored->runs() : named;
  if (flags.scores) {
    ResultTable table = scores_table(runs, flags.options.split);
    for (std::size_t i = 0; i < table.rows.size(); ++i) table.rows[i][0] = named[i].lexically_normal().string();
    show(std::move(table), flags);
    return 0;
  }
  auto comparisons = compare_runs(runs, flags.options);
  if (scored) {
    for (RunComparison& comparison : comparisons)
      for (std::string* side : {&comparison.a, &comparison.b})
        *side = flags.runs[static_cast<std::size_t>(std::ranges::find(runs, std::filesystem::path(*side)) - runs.begin())];
  }
  Json json = comparison_json(comparisons, flags.options);
  if (scored) json["data"] = flags.file;
  if (flags.json) {
    for (const auto& row : differences_table(named).rows) json["config"][row.front()] = std::vector(row.begin() + 1, row.end());
    print_json(json);
    return 0;
  }
  if (flags.format != "text" || !flags.shown.empty()) {
    show(comparison_table(json), flags);
    return 0;
  }
  print_text(differences_text(named));
  for (const RunComparison& comparison : comparisons) print_text((&comparison == comparisons.data() ? "" : "\n") + table_of(comparison));
  const std::string method = comparisons.front().seeds.empty()
                                 ? fmt::format("paired bootstrap, {} resamples of the rows of each task", flags.options.resamples)
                                 : "Student's t of the differences with the same seed or fold";
  session.console.info(fmt::format("interval ({:.0f}%) and p: {}, on {}", 100 * BootstrapOptions{}.confidence, method,
                                   scored ? flags.file : flags.options.split));
  return 0;
}

}  // namespace

Action declare_compare(CLI::App& app, Session& session) {
  auto flags = std::make_shared<CompareFlags>();
  flags->options.split.clear();
  app.add_option("RUN", flags->runs,
                 "run folders, or folders of several seeds such as rows/NAME of a study; each is compared with the first")
      ->required()
      ->type_name("");
  app.add_flag("--all", flags->options.all_pairs, "compare every pair of runs");
  app.add_option("--split", flags->options.split, "dev | test [dev, of --folds test]")->check(one_of({"dev", "test"}))->type_name("SPLIT");
  app.add_option("--bootstrap", flags->options.resamples, fmt::format("resamples [{}]", flags->options.resamples))
      ->check(whole_number(1, 1000000))
      ->type_name("N");
  app.add_option("--data", flags->file, "score all models on this file first, whatever their tasks are called")->type_name("FILE");
  app.add_option("--task", flags->task, "with --data: which task of a model that has several of one kind")->type_name("NAME");
  add_columns(app, flags->columns, true);
  need_file(app, {"--task", "--text", "--text-pair", "--label", "--id"}, "--data");
  app.add_flag(
      "--scores", flags->scores,
      "only a table of the runs' scores, a row for each; folders of several seeds give mean and deviation, studies all their rows");
  app.add_option("--format", flags->format, "text | csv | markdown | latex; the last two have the best scores in bold")
      ->check(one_of({"text", "csv", "markdown", "latex"}))
      ->capture_default_str()
      ->type_name("FORMAT");
  app.add_option("--columns", flags->shown, "only these columns of the table, in this order")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("a,b");
  add_json(app, flags->json);
  add_compute(app, session, true);
  add_examples(app,
               "  minbert compare studies/paper/rows/mtft/seed-11711 studies/paper/rows/mtft-d/seed-11711\n"
               "  minbert compare studies/paper/rows/mtft studies/paper/rows/mtft-d     # over their seeds\n"
               "  minbert compare runs/old runs/new --data fresh.csv --text review --label stars\n"
               "  minbert compare studies/mine --scores --columns sst,mean --format latex");
  return [flags, &session] { return run_compare(*flags, session); };
}

}  // namespace minbert
