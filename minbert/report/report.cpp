// The report: which sections stand where.
#include "minbert/report/report.h"

#include <fmt/format.h>

#include "minbert/base/files.h"
#include "minbert/report/numbers.h"
#include "minbert/report/page.h"
#include "minbert/report/sections.h"

namespace minbert {
namespace {

Html run_title(const RunData& run, std::int64_t steps) {
  const std::string state = json_text(run.status, "state"), failure = json_text(run.status, "error");
  Html line;
  if (!state.empty()) line += element("span", {{"class", "state " + state}}, state) + " ";
  line += counted(steps, "step", "steps") + " on " + counted(std::ssize(run.tasks), "task", "tasks");
  if (const std::string started = json_text(run.status, "started"); !started.empty()) line += ", started " + started;
  Html html = element("h1", {}, run.name) + "\n" + element("p", {{"class", "soft"}}, line) + "\n";
  if (!failure.empty()) html += element("p", {{"class", "failure"}}, failure) + "\n";
  return html;
}

Report run_report(const std::filesystem::path& folder) {
  RunData read = read_run(folder);
  const std::int64_t steps = read.steps.empty() ? 0 : read.steps.back().step;
  ModelRows rows(1);
  rows[0].name = rows[0].title = read.name;
  rows[0].runs.push_back(std::move(read));
  const RunData& run = rows[0].runs[0];
  Sheets sheets;
  const std::string html = page(run.name, run_title(run, steps),
                                {{"scores", "Scores", run_scores(run, sheets)},
                                 {"model", "Model and stages", architecture_and_flow(rows, run) + features_table(rows, sheets) + settings_table(rows, sheets)},
                                 {"data", "Data", data_table(rows, sheets)},
                                 {"epochs", "Scores by epoch", score_curves(rows, sheets)},
                                 {"pretraining", "Further pretraining", masked_word_curves(rows, sheets)},
                                 {"loss", "Training loss", loss_curves(run)},
                                 {"classes", "Errors of classes", class_errors_section(run, sheets)},
                                 {"pairs", "Errors of paraphrase tasks", pair_errors_section(run, sheets)},
                                 {"similarity", "Errors of similarity", similarity_errors_section(run, sheets)},
                                 {"calibration", "Calibration", calibration_section(run, sheets)},
                                 {"errors", "Worst errors", worst_errors_section(run)},
                                 {"costs", "Time and memory", run_costs(run, sheets)},
                                 {"config", "Config", config_text(run)},
                                 {"environment", "Environment", environment(run)}});
  return {html, sheets.files()};
}

}  // namespace

Report make_report(const std::filesystem::path& folder) { return run_report(folder); }

std::string write_report_tables(const std::filesystem::path& folder) {
  const Report report = make_report(folder);
  const std::filesystem::path tables = folder / "eval";
  make_directories(tables);
  for (const auto& [name, text] : report.tables) write_file(tables / name, text);
  return report.html;
}

}  // namespace minbert
