// The report: the order of its sections.
#include "minbert/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "minbert/base/files.h"
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

/// The folder's name. A name such as "seed-1" says little, so the run's name from the config goes before it.
std::string title_of(const RunData& run) {
  const std::string name = setting(run.config.run, "name");
  return run.name.starts_with("seed-") && !name.empty() ? name + ", " + run.name : run.name;
}

Html run_heading(const RunData& run) {
  const std::int64_t steps = run.steps.empty() ? 0 : run.steps.back().step;
  std::string line = counted(steps, "step", "steps") + " on " + counted(std::ssize(run.tasks), "task", "tasks");
  if (!run.status.started.empty()) line += ", started " + run.status.started;
  return heading(title_of(run), run.status.state, line) + failure(run.status.error);
}

Report run_report(const std::filesystem::path& folder) {
  ModelRows rows(1);
  rows[0].runs.push_back(read_run(folder));
  const RunData& run = rows[0].runs[0];
  rows[0].name = rows[0].title = run.name;
  const Analysed model{.seeds = {&run}};
  Sheets sheets;
  const std::string html =
      page(title_of(run), run_heading(run),
           {{"scores", "Scores", run_scores(run, "table-4", "Table 4. Scores of the parameters in best/", sheets)},
            {"model", "Model and stages", architecture_and_flow(rows, run) + features_table(rows, sheets) + settings_table(rows, sheets)},
            {"data", "Data", data_table(rows, sheets)},
            {"epochs", "Scores by epoch", score_curves(rows, sheets)},
            {"pretraining", "Further pretraining", pretraining_section(rows, sheets)},
            {"loss", "Training loss", loss_curves(run)},
            {"classes", "Errors of classes", class_errors_section(model, sheets)},
            {"pairs", "Errors of paraphrase tasks", pair_errors_section(model, sheets)},
            {"similarity", "Errors of similarity", similarity_errors_section(run, sheets)},
            {"calibration", "Calibration", calibration_section(run, sheets)},
            {"errors", "Worst errors", worst_errors_section(run)},
            {"costs", "Time and memory", run_costs(run, sheets)},
            {"config", "Config", config_text(run)},
            {"environment", "Environment", environment(run)}});
  return {html, sheets.files()};
}

Html study_heading(const StudyData& study) {
  std::string line = fmt::format("{} of {} done, {}", study.done, counted(static_cast<std::int64_t>(study.runs), "run", "runs"),
                                 counted(std::ssize(study.rows), "model", "models"));
  if (!study.caption.empty()) line += ". " + study.caption;
  Html html = heading(study.title.empty() ? study.name : study.title, study.state, line);
  if (const ModelRow* best = study.best()) {
    const Spread mean = dev_scores(*best, "");
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
    if (find_split(run, "dev") != nullptr) runs.push_back(&run);
  return runs;
}

Report study_report(const std::filesystem::path& folder) {
  const StudyData study = read_study(folder);
  const ModelRows& rows = study.rows;
  const RunData none;
  Analysed model{.seeds = {&none}, .beside_paper = study.published()};
  std::string whose = "No model is finished yet.";
  if (const ModelRow* best = study.best()) {
    model.seeds = finished(*best);
    whose = fmt::format("Of {}, the model with the best mean, as trained in {}.", best->title, model.run().name);
  } else if (const auto begun = std::ranges::find_if(rows, [](const ModelRow& row) { return row.first() != nullptr; });
             begun != rows.end()) {
    model.seeds = {begun->first()};
  }
  const RunData& run = model.run();
  const auto of_best = [&](const Html& content) {
    return content.empty() ? content : element("p", {{"class", "soft"}}, whose) + "\n" + content;
  };
  Sheets sheets;
  const std::string html = page(
      study.title.empty() ? study.name : study.title, study_heading(study),
      {{"scores", "Results", study_scores(rows, sheets)},
       {"models", "Models", features_table(rows, sheets) + architecture_and_flow(rows, run)},
       {"data", "Data", data_table(rows, sheets)},
       {"settings", "Hyperparameters", settings_table(rows, sheets)},
       {"epochs", "Scores by epoch", score_curves(rows, sheets)},
       {"pretraining", "Further pretraining", pretraining_section(rows, sheets)},
       {"best", "The best model", of_best(run.results.empty() ? Html() : run_scores(run, "best-scores", "Scores of the model", sheets))},
       {"classes", "Errors of classes", of_best(class_errors_section(model, sheets))},
       {"pairs", "Errors of paraphrase tasks", of_best(pair_errors_section(model, sheets))},
       {"similarity", "Errors of similarity", of_best(similarity_errors_section(run, sheets))},
       {"calibration", "Calibration", of_best(calibration_section(run, sheets))},
       {"errors", "Worst errors", of_best(worst_errors_section(run))},
       {"paper", "The paper's anomalies", study.published() ? anomalies_section(sheets) : Html()},
       {"costs", "Time and memory", study_costs(rows, sheets)},
       {"environment", "Environment", environment(run)}});
  return {html, sheets.files()};
}

}  // namespace

Report make_report(const std::filesystem::path& folder) { return is_study(folder) ? study_report(folder) : run_report(folder); }

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
