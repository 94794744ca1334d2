// The report: the order of its sections.
#include "minbert/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "minbert/base/files.h"
#include "minbert/data/run_status.h"
#include "minbert/report/numbers.h"
#include "minbert/report/page.h"
#include "minbert/report/sections.h"
#include "minbert/report/study_data.h"

namespace minbert {
namespace {

Html heading(const std::string& name, const std::string& state, const std::string& line) {
  Html html;
  if (!state.empty()) html += element("span", {{"class", "state " + state}}, state) + " ";
  return element("h1", {}, name) + "\n" + element("p", {{"class", "soft"}}, html + line) + "\n";
}

Html failure(const std::string& text) { return text.empty() ? Html() : element("p", {{"class", "failure"}}, text) + "\n"; }

/// The folder's name. A name such as "seed-1" or "fold-1" says little, so the run's name from the config goes before it.
std::string title_of(const RunData& run) {
  const std::string name = setting(run.config.run, "name");
  return number_among_runs(run.name) && !name.empty() ? name + ", " + run.name : run.name;
}

Html run_heading(const RunData& run) {
  const std::int64_t steps = run.steps.empty() ? 0 : run.steps.back().step;
  std::string line = counted(steps, "step", "steps") + " on " + counted(std::ssize(run.tasks), "task", "tasks");
  if (!run.status.started.empty()) line += ", started " + run.status.started;
  return heading(title_of(run), run.status.state, line) + failure(run.status.error);
}

/// What a report says of the errors of one model. `with` wraps each part.
template <class With>
void add_errors(const Analysed& model, Sheets& sheets, With with, std::vector<PageSection>& sections) {
  const RunData& run = model.run();
  sections.push_back({"classes", "Classes", with(classes_section(run, sheets))});
  sections.push_back({"errors", "Worst errors", with(worst_errors_section(run))});
  sections.push_back({"confidence", "Confidence", with(confidence_section(run, sheets))});
  sections.push_back({"ordered", "Errors of numbered classes", with(ordered_errors_section(model, sheets))});
  sections.push_back(
      {"pairs", sheets.beside_paper() ? "Errors of paraphrase tasks" : "Errors of pairs", with(pair_errors_section(model, sheets))});
  sections.push_back({"similarity", "Errors of similarity", with(similarity_errors_section(run, sheets))});
}

void add_training(const ModelRows& rows, Sheets& sheets, std::vector<PageSection>& sections) {
  sections.push_back({"epochs", "Scores by epoch", score_curves(rows, sheets)});
  sections.push_back({"loss", "Training loss", loss_curves(rows)});
  sections.push_back({"pretraining", "Further pretraining", pretraining_section(rows, sheets)});
  sections.push_back({"data", "Data", data_table(rows, sheets)});
}

Report run_report(const std::filesystem::path& folder) {
  ModelRows rows(1);
  rows[0].runs.push_back(read_run(folder));
  const RunData& run = rows[0].runs[0];
  rows[0].name = rows[0].title = run.name;
  const Analysed model{.seeds = {&run}};
  Sheets sheets;
  const std::string scored =
      setting(run.config.run, "best") == "per_task" ? "Scores of each task's own model, best-TASK/" : "Scores of the parameters in best/";
  std::vector<PageSection> sections = {{"scores", "Scores", run_scores(run, "scores", scored, sheets)}};
  add_errors(model, sheets, [](const Html& content) { return content; }, sections);
  add_training(rows, sheets, sections);
  sections.push_back({"costs", "Time and memory", run_costs(run, sheets)});
  sections.push_back({"model", "Model and settings", architecture_and_flow(rows, run, sheets) + settings_table(rows, sheets)});
  sections.push_back({"config", "Config", config_text(run)});
  sections.push_back({"environment", "Environment", environment(run)});
  return {page(title_of(run), run_heading(run), sections, sheets.footer()), sheets.files()};
}

Html study_heading(const StudyData& study) {
  std::string line = fmt::format("{} of {} done", study.done, counted(static_cast<std::int64_t>(study.runs), "run", "runs"));
  if (!study.search)
    line += ", " + counted(std::ssize(study.rows), "model", "models");
  else if (study.rows.size() < study.runs)
    line += fmt::format(", the best {} in detail", study.rows.size());
  if (!study.caption.empty()) line += ". " + study.caption;
  Html html = heading(study.title.empty() ? study.name : study.title, study.state, line);
  const bool folds = !study.rows.empty() && study.rows.front().is_fold();
  const bool by_mean = !folds && study.same_tasks() && (!study.search || study.search->metric == "mean");
  if (const ModelRow* best = study.best(); best != nullptr && by_mean) {
    const Spread mean = scores_of(*best, "");
    html += element("p", {},
                    fmt::format("The best mean on dev is {}'s: {}{}.", best->title, score_text(mean.mean),
                                std::isfinite(mean.deviation) ? fmt::format(" ± {}", score_text(mean.deviation)) : "")) +
            "\n";
  }
  for (const std::string& text : study.failures) html += failure(text);
  return html;
}

/// The finished runs of a row.
std::vector<const RunData*> finished(const ModelRow& row) {
  std::vector<const RunData*> runs;
  for (const RunData& run : row.runs)
    if (find_split(run, row.split) != nullptr) runs.push_back(&run);
  return runs;
}

/// The rows, and for several seeds or folds of one config a last row with their mean.
ModelRows with_mean(const ModelRows& rows) {
  ModelRows all = rows;
  ModelRow mean{.name = "mean", .title = rows.front().is_fold() ? "all folds" : "all seeds", .split = rows.front().split};
  for (const ModelRow& row : rows) mean.runs.insert(mean.runs.end(), row.runs.begin(), row.runs.end());
  all.push_back(std::move(mean));
  return all;
}

/// What a report of several models is about, beside the models.
enum class Several { kStudy, kSearch, kSeeds, kRuns };

Report several_report(const StudyData& study, Several kind) {
  const ModelRows& rows = study.rows;
  const RunData none;
  Analysed model{.seeds = {&none}};
  std::string whose = "No model is finished yet.";
  if (const ModelRow* best = study.best()) {
    model.seeds = finished(*best);
    const std::string_view why = study.search ? " the best trial," : study.same_tasks() ? " the model with the best mean," : "";
    whose = fmt::format("Of {},{} as trained in {}.", best->title, why, model.run().name);
  } else if (const auto begun = std::ranges::find_if(rows, [](const ModelRow& row) { return row.first() != nullptr; });
             begun != rows.end()) {
    model.seeds = {begun->first()};
  }
  const RunData& run = model.run();
  const auto of_best = [&](const Html& content) {
    return content.empty() ? content : element("p", {{"class", "soft"}}, whose) + "\n" + content;
  };
  Sheets sheets(study.published(), kind != Several::kRuns);
  std::vector<PageSection> sections;
  if (kind == Several::kSearch) sections.push_back({"trials", "Trials", search_section(*study.search, sheets)});
  sections.push_back({"scores", "Results", study_scores(kind == Several::kSeeds ? with_mean(rows) : rows, sheets)});
  if (!study.published() && kind != Several::kSeeds) sections.push_back({"differing", "What differs", differences_table(rows, sheets)});
  if (!run.results.empty())
    sections.push_back({"best", study.same_tasks() ? "The best model" : "One model in detail",
                        of_best(run_scores(run, "best-scores", "Scores of the model", sheets))});
  add_errors(model, sheets, of_best, sections);
  add_training(rows, sheets, sections);
  sections.push_back({"costs", "Time and memory", study_costs(rows, sheets)});
  const Html features = kind == Several::kSeeds ? Html() : features_table(rows, sheets);  // those of all seeds are the same
  sections.push_back({"models", "Models", features + architecture_and_flow(rows, run, sheets)});
  sections.push_back({"settings", "Hyperparameters", settings_table(rows, sheets)});
  if (study.published()) sections.push_back({"paper", "The paper's anomalies", anomalies_section(sheets)});
  sections.push_back({"environment", "Environment", environment(run)});
  return {page(study.title.empty() ? study.name : study.title, study_heading(study), sections, sheets.footer()), sheets.files()};
}

}  // namespace

Report make_report(const std::filesystem::path& folder) {
  if (is_study(folder)) return several_report(read_study(folder), Several::kStudy);
  if (is_search(folder)) return several_report(read_search(folder), Several::kSearch);
  if (is_seeds(folder)) return several_report(read_seeds(folder), Several::kSeeds);
  return run_report(folder);
}

Report make_report(std::span<const std::filesystem::path> folders) { return several_report(read_models(folders), Several::kRuns); }

void write_tables(const Report& report, const std::filesystem::path& folder) {
  const std::filesystem::path tables = folder / "eval";
  make_directories(tables);
  for (const auto& [name, text] : report.tables) write_file(tables / name, text);
}

std::string write_report_tables(const std::filesystem::path& folder) {
  const Report report = make_report(folder);
  write_tables(report, folder);
  return report.html;
}

}  // namespace minbert
