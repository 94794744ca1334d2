// Comparisons: reads two runs' predictions, checks that their rows are the same, and runs the two tests.
#include "minbert/study/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "minbert/base/json_node.h"
#include "minbert/data/answers.h"
#include "minbert/pipeline/model_folder.h"
#include "minbert/pipeline/task.h"
#include "minbert/stats/student.h"
#include "minbert/study/run_tables.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// The predictions of one run for one task.
struct TaskAnswers {
  std::string name;
  Metric metric = Metric::kAccuracy;
  std::vector<std::string> classes;  ///< empty when the task predicts numbers
  bool sets = false;                 ///< answers are sets of labels
  fs::path file;
  std::vector<Answer> rows;

  std::vector<double> gold() const { return values(&Answer::gold); }
  std::vector<double> predicted() const { return values(&Answer::predicted); }

 private:
  std::vector<double> values(double Answer::*part) const {
    std::vector<double> values;
    for (const Answer& row : rows) values.push_back(row.*part);
    return values;
  }
};

using RunAnswers = std::vector<TaskAnswers>;  // in the order of metrics.json

RunAnswers read_answers_of(const fs::path& run, const std::string& split) {
  const fs::path file = results_file(run, split), folder = file.parent_path();
  RunAnswers tasks;
  for (const auto& [name, figures] : JsonNode::read(file, ErrorTag::kData).at("tasks").members()) {
    if (!is_plain_name(name)) figures.complain("expected the name of a task: letters, digits, - and _");
    const auto type = figures.find("type");
    TaskAnswers task{.name = name,
                     .metric = figures.at("metric").as_choice<Metric>(),
                     .classes = {},
                     .sets = type && type->as_text() == "multi_label",
                     .file = folder / (name + ".predictions.tsv"),
                     .rows = {}};
    if (const auto classes = figures.find("classes"))
      for (const auto& [label, scores] : classes->members()) task.classes.push_back(label);
    const Answers answers = task.classes.empty() ? Answers::kValues : task.sets ? Answers::kSets : Answers::kClasses;
    if (!metric_fits(task.metric, answers)) figures.complain("its metric does not fit its classes");
    tasks.push_back(std::move(task));
  }
  for (TaskAnswers& task : tasks) task.rows = read_answers(task.file, task.classes, task.sets);
  return tasks;
}

/// Throws at the first row in which `b` differs from `a`.
void require_same_rows(const TaskAnswers& a, const TaskAnswers& b) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorTag::kData, b.file.string(), fmt::format("{}, so that it cannot be compared with {}", what, a.file.string()));
  };
  if (a.metric != b.metric) refuse(fmt::format("expected to be scored by {}, got {}", option_name(a.metric), option_name(b.metric)));
  if (a.classes != b.classes) refuse(fmt::format("expected classes {}, got {}", fmt::join(a.classes, ", "), fmt::join(b.classes, ", ")));
  for (std::size_t i = 0; i < std::min(a.rows.size(), b.rows.size()); ++i) {
    const Answer &ours = a.rows[i], &theirs = b.rows[i];
    const auto expect = [&](std::string_view part, const auto& expected, const auto& got) {
      if (expected != got) refuse(fmt::format("row {} (id \"{}\"): expected {} \"{}\", got \"{}\"", i + 1, theirs.id, part, expected, got));
    };
    expect("id", ours.id, theirs.id);
    expect("text", ours.text, theirs.text);
    expect("text_pair", ours.text_pair, theirs.text_pair);
    expect("gold", ours.gold, theirs.gold);
  }
  if (a.rows.size() != b.rows.size()) refuse(fmt::format("expected {} rows, got {}", a.rows.size(), b.rows.size()));
}

RunComparison compare_two(const RunAnswers& a, const RunAnswers& b, const CompareOptions& options) {
  RunComparison comparison;
  std::vector<std::vector<double>> values;  // three lists for each task: gold, a, b
  std::vector<PairedTask> paired;
  values.reserve(3 * a.size());
  for (const TaskAnswers& ours : a) {
    const auto theirs = std::ranges::find(b, ours.name, &TaskAnswers::name);
    if (theirs == b.end() || ours.rows.empty()) continue;
    require_same_rows(ours, *theirs);
    for (auto list : {ours.gold(), ours.predicted(), theirs->predicted()}) values.push_back(std::move(list));
    const auto last = values.end();
    paired.push_back({ours.metric, last[-3], last[-2], last[-1], ours.sets ? static_cast<int>(ours.classes.size()) : 0});
    TaskComparison& task = comparison.tasks.emplace_back();
    task.task = ours.name;
    task.metric = option_name(ours.metric);
    task.rows = std::ssize(ours.rows);
    if (!ours.classes.empty() && !ours.sets)
      task.mcnemar = mcnemar_test(labels_from(last[-3]), labels_from(last[-2]), labels_from(last[-1]));
  }
  if (paired.empty()) return comparison;
  Rng rng(options.seed, "compare");
  const PairedScores scores = paired_bootstrap(paired, {.resamples = options.resamples}, rng);
  for (std::size_t i = 0; i < paired.size(); ++i) comparison.tasks[i].scores = scores.tasks[i];
  if (paired.size() > 1) {
    std::int64_t rows = 0;
    for (const TaskComparison& task : comparison.tasks) rows += task.rows;
    comparison.tasks.push_back({.task = "mean", .metric = {}, .rows = rows, .scores = scores.mean, .mcnemar = {}});
  }
  return comparison;
}

/// What is compared: a run, or the finished runs of a folder of seeds.
struct Compared {
  bool has_seeds = false;
  std::vector<std::pair<std::string, RunAnswers>> runs;  // of seed-N, by N; a run itself has the name ""
};

Compared read_compared(const fs::path& folder, const std::string& split) {
  const std::vector<std::string> seeds = runs_inside(folder);
  Compared compared{.has_seeds = !seeds.empty(), .runs = {}};
  if (seeds.empty()) compared.runs.emplace_back("", read_answers_of(folder, split));
  for (const std::string& seed : seeds)
    if (fs::exists(folder / seed / "eval" / split / "metrics.json"))
      compared.runs.emplace_back(seed, read_answers_of(folder / seed, split));
  return compared;
}

/// No task if there are fewer than two common seeds.
RunComparison compare_over_seeds(const Compared& a, const Compared& b, CompareOptions options) {
  options.resamples = 1;  // each pair of runs gives its scores alone
  RunComparison comparison;
  std::map<std::string, std::vector<double>> scores_a, scores_b;  // by task, one for each seed
  for (const auto& [seed, ours] : a.runs) {
    const auto theirs = std::ranges::find(b.runs, seed, &std::pair<std::string, RunAnswers>::first);
    if (theirs == b.runs.end()) continue;
    comparison.seeds.push_back(seed);
    comparison.tasks = compare_two(ours, theirs->second, options).tasks;
    for (const TaskComparison& task : comparison.tasks) {
      scores_a[task.task].push_back(task.scores.a);
      scores_b[task.task].push_back(task.scores.b);
    }
  }
  const std::size_t seeds = comparison.seeds.size();
  std::erase_if(comparison.tasks, [&](const TaskComparison& task) { return seeds < 2 || scores_a[task.task].size() != seeds; });
  for (TaskComparison& task : comparison.tasks) {
    task.scores = compare_seeds(scores_a[task.task], scores_b[task.task]);
    task.mcnemar.reset();
  }
  return comparison;
}

}  // namespace

std::vector<RunComparison> compare_runs(std::span<const fs::path> runs, const CompareOptions& options) {
  MINBERT_CHECK(runs.size() >= 2, "{} runs", runs.size());
  std::vector<Compared> compared;
  for (const fs::path& run : runs) {
    compared.push_back(read_compared(run, options.split));
    if (compared.back().has_seeds != compared.front().has_seeds)
      throw Error(ErrorTag::kData, run.string(),
                  fmt::format("expected {} as {} is, got {}", compared.front().has_seeds ? "several seeds" : "a run", runs.front().string(),
                              compared.back().has_seeds ? "several seeds" : "a run"));
  }
  std::vector<RunComparison> comparisons;
  for (std::size_t a = 0; a < (options.all_pairs ? runs.size() : 1); ++a) {
    for (std::size_t b = a + 1; b < runs.size(); ++b) {
      const bool has_seeds = compared[a].has_seeds;
      RunComparison comparison = has_seeds ? compare_over_seeds(compared[a], compared[b], options)
                                           : compare_two(compared[a].runs.front().second, compared[b].runs.front().second, options);
      comparison.a = runs[a].string();
      comparison.b = runs[b].string();
      if (comparison.tasks.empty())
        throw Error(ErrorTag::kData, comparison.b,
                    fmt::format("expected labelled {} rows of a task that {} has too{}, got none", options.split, comparison.a,
                                has_seeds ? ", from at least two seeds of both" : ""));
      comparisons.push_back(std::move(comparison));
    }
  }
  return comparisons;
}

Json comparison_json(std::span<const RunComparison> comparisons, const CompareOptions& options) {
  Json json = {{"format", 1},
               {"split", options.split},
               {"resamples", options.resamples},
               {"confidence", BootstrapOptions{}.confidence},
               {"comparisons", Json::array()}};
  for (const RunComparison& comparison : comparisons) {
    Json pair = {{"a", comparison.a}, {"b", comparison.b}};
    if (!comparison.seeds.empty()) pair["seeds"] = comparison.seeds;
    pair["tasks"] = Json::array();
    for (const TaskComparison& task : comparison.tasks) {
      const PairedDifference& scores = task.scores;
      Json row = {{"task", task.task},
                  {"metric", task.metric.empty() ? Json() : Json(task.metric)},
                  {"rows", task.rows},
                  {"a", scores.a},
                  {"b", scores.b},
                  {"difference", scores.difference.estimate},
                  {"low", scores.difference.low},
                  {"high", scores.difference.high},
                  {"p_value", scores.p_value}};
      if (const auto& test = task.mcnemar)
        row["mcnemar"] = {{"only_a", test->only_a},
                          {"only_b", test->only_b},
                          {"statistic", test->statistic},
                          {"p_value", test->p_value},
                          {"exact", test->exact}};
      pair["tasks"].push_back(std::move(row));
    }
    json["comparisons"].push_back(std::move(pair));
  }
  return json;
}

}  // namespace minbert
