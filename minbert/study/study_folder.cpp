// Study folders: reads the status of each run, and writes study.json.
#include "minbert/study/study_folder.h"

#include <algorithm>
#include <set>

#include "minbert/base/files.h"
#include "minbert/data/run_status.h"
#include "minbert/study/results.h"
#include "minbert/study/study.h"
#include "minbert/train/data_report.h"
#include "minbert/train/progress.h"
#include "minbert/train/selection.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr int kStudyFormat = 1;

SeedResult read_run(const Study& study, const StudyRun& run, const RunFailures& failures) {
  SeedResult result{.seed = run.seed, .folder = run.folder.lexically_relative(study.folder).string()};
  if (const auto status = find_run_status(run.folder / "status.json")) {
    result.state = status->state == "running" ? "stopped" : status->state;  // unless its lock is held, see below
    if (result.state == "failed") {
      result.error = status->error;
      result.exit_code = status->exit_code;
    }
    if (result.done()) {
      result.scores = status->scores;
      result.dev_rows = read_digests(run.folder, "dev");
      result.mean = status->mean;
      result.seconds = status->seconds;
      result.phases = status->phases;
      result.best_epoch = status->best_epoch;
    }
  }
  if (const auto failure = failures.find(run.folder); failure != failures.end()) {
    result.state = "failed";
    result.error = failure->second.error;
    result.exit_code = failure->second.exit_code;
  }
  if (FileLock::is_held(run.folder / ".lock")) result.state = "running";
  for (const StageSpec& stage : run.config.stages) {
    const auto record = find_stage_record(stage_best(run.folder, stage).parent_path());
    if (record && !record->from.empty())
      result.shared.emplace_back(stage.name, (run.folder / record->from).lexically_normal().lexically_relative(study.folder).string());
  }
  return result;
}

std::string caption_of(const Study& study) {
  std::set<std::string> encoders;
  for (const StudyRun& run : study.runs)
    encoders.insert(run.config.model.from_scratch() ? "from scratch" : fs::path(run.config.model.init.text).filename().string());
  std::string caption = study.file.study.caption;
  if (!caption.empty()) caption += caption.ends_with('.') ? " " : ". ";
  return caption + fmt::format("Encoder: {}.", fmt::join(encoders, ", "));
}

std::map<std::string, double> with_mean(std::map<std::string, double> published) {
  if (!published.empty() && !published.contains("mean")) published["mean"] = mean_score(published);
  return published;
}

std::string state_of(const StudyResults& results, bool active) {
  const auto any = [&](std::string_view state) {
    return std::ranges::any_of(results.rows, [&](const RowResult& row) {
      return std::ranges::any_of(row.seeds, [&](const SeedResult& seed) { return seed.state == state; });
    });
  };
  if (active || any("running")) return "running";
  if (any("waiting") || any("stopped")) return "stopped";
  return any("failed") ? "failed" : "done";
}

Json study_json(const StudyResults& results) {
  Json json = {
      {"format", kStudyFormat}, {"name", results.name}, {"title", results.title}, {"caption", results.caption}, {"state", results.state}};
  json["rows"] = Json::array();
  for (const RowResult& row : results.rows) {
    Json seeds = Json::array();
    for (const SeedResult& result : row.seeds) {
      Json seed = {{"seed", result.seed}, {"folder", result.folder}, {"state", result.state}};
      if (result.done()) {
        seed["scores"] = result.scores;
        seed["mean"] = result.mean ? Json(*result.mean) : Json();
        seed["seconds"] = result.seconds;
        seed["best_epoch"] = result.best_epoch ? Json(*result.best_epoch) : Json();
        if (result.phases) seed.update(wall_json(*result.phases));
      }
      if (!result.error.empty()) seed["error"] = result.error;
      seed["shared"] = Json::array();
      for (const auto& [stage, from] : result.shared) seed["shared"].push_back({{"stage", stage}, {"from", from}});
      seeds.push_back(std::move(seed));
    }
    json["rows"].push_back({{"name", row.name}, {"title", row.title}, {"published", row.published}, {"seeds", std::move(seeds)}});
  }
  return json;
}

}  // namespace

StudyResults collect_results(const Study& study, const RunFailures& failures, bool active) {
  StudyResults results{
      .name = study.file.study.name, .title = study.file.study.title, .caption = caption_of(study), .state = {}, .tasks = {}, .rows = {}};
  for (std::size_t i = 0; i < study.file.rows.size(); ++i) {
    RowResult row{.name = study.file.rows[i].name,
                  .title = study.file.rows[i].title,
                  .published = with_mean(study.file.rows[i].published),
                  .seeds = {}};
    for (const StudyRun& run : study.runs) {
      if (run.row != i) continue;
      row.seeds.push_back(read_run(study, run, failures));
      for (const TaskSpec& task : run.config.tasks)
        if (row.seeds.back().scores.contains(task.name) &&
            std::ranges::find(results.tasks, task.name, &StudyTask::name) == results.tasks.end())
          results.tasks.push_back({task.name, std::string(option_name(task.scored_by()))});
    }
    if (!row.seeds.empty()) results.rows.push_back(std::move(row));
  }
  results.state = state_of(results, active);
  return results;
}

void write_results(const fs::path& folder, const StudyResults& results) {
  write_file(folder / "study.json", dump_json(study_json(results), 2) + "\n");
  write_file(folder / "results.txt", results_text(results));
  write_file(folder / "results.csv", results_csv(results));
  write_file(folder / "results.md", results_markdown(results));
  write_file(folder / "results.tex", results_latex(results));
  write_file(folder / "differences.csv", differences_csv(results));
  write_file(folder / "results.json", dump_json(results_json(results), 2) + "\n");
}

}  // namespace minbert
