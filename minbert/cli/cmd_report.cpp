// report: writes runs, a study or a search as one HTML file.
#include <array>
#include <filesystem>
#include <memory>
#include <optional>

#include "minbert/base/json.h"
#include "minbert/cli/output.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/verbs.h"
#include "minbert/pipeline/explain.h"
#include "minbert/report/report.h"
#include "minbert/report/run_data.h"

namespace minbert {
namespace {

struct ReportFlags {
  std::vector<std::string> runs;
  std::string output;
  std::optional<std::size_t> explain;
};

/// Writes why the model answered the worst errors of each task so, as many as --explain says, where the report looks for it.
void explain_errors(const ReportFlags& flags, const std::filesystem::path& folder, Session& session) {
  const RunData run = read_run(folder, StepDetail::kSums);
  if (run.results.empty()) return;
  const auto backend = open_backend(session);
  Ensemble model = open_models(session, *backend, std::array{folder.string()}, true);
  const SplitResult& split = run.results.front();
  for (const TaskResult& result : split.tasks) {
    std::vector<Row> rows;
    for (const ErrorRow& error : std::span(result.errors).first(std::min(*flags.explain, result.errors.size()))) {
      Row& row = rows.emplace_back();
      row.id = error.id;
      row.text = error.text;
      row.text_pair = error.text_pair;
    }
    const auto progress = [&](std::int64_t done) {
      throw_if_stopped();
      session.console.progress(fmt::format("{}  {} of {} errors explained", result.task, done, rows.size()));
    };
    const auto predictions = model.predict(model.find_task(result.task), rows, progress, TextModel::Why::kExplain);
    std::string lines;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto& why = predictions[i].explanation;
      lines += fmt::format("{{\"id\":{},\"explanation\":{}}}\n", dump_json(rows[i].id), why ? explanation_json(*why) : "null");
    }
    write_file(folder / "eval" / split.split / (result.task + ".explanations.jsonl"), lines);
  }
  session.console.clear_progress();
}

int run_report(const ReportFlags& flags, Session& session) {
  const std::vector<std::filesystem::path> folders(flags.runs.begin(), flags.runs.end());
  const bool one = folders.size() == 1;
  const std::string path = !flags.output.empty() ? flags.output : one ? (folders.front() / "report.html").string() : "report.html";
  std::optional<Output> out;
  if (!flags.output.empty() || !one) out.emplace(path);  // what cannot be written is refused before the work
  if (flags.explain) {
    catch_signals();
    for (const std::filesystem::path& folder : folders) explain_errors(flags, folder, session);
  }
  const Report report = one ? make_report(folders.front()) : make_report(folders);
  if (!out) out.emplace(path);
  out->write(report.html);
  try {
    if (one) write_tables(report, folders.front());
  } catch (const Error& error) {  // -o makes the report of a run that somebody else may write to, and nobody here
    if (flags.output.empty() || error.tag() != ErrorTag::kResources) throw;
    session.console.warning(fmt::format("the tables are not written: {}", error.what()));
  }
  out->commit();
  if (path != "-") print(path + "\n");
  return 0;
}

}  // namespace

Action declare_report(CLI::App& app, Session& session) {
  auto flags = std::make_shared<ReportFlags>();
  app.add_option("RUN", flags->runs, "run, folder of --seeds, study or search; several runs are laid side by side")
      ->required()
      ->type_name("");
  app.add_option(
         "-o,--output", flags->output,
         "HTML file; - is standard output [RUN/report.html, for several runs report.html]; the tables of one folder go to RUN/eval, "
         "if it can be written")
      ->type_name("FILE");
  app.add_option("--explain", flags->explain, "of runs: show what each token adds to the answers of the N worst errors of each task")
      ->check(whole_number(1, static_cast<std::int64_t>(kWorstErrors)))
      ->type_name("N");
  add_threads(app, session);
  add_examples(app,
               "  minbert report runs/mine\n  minbert report runs/mine --explain 10\n  minbert report runs/old runs/new -o both.html\n"
               "  minbert report studies/paper -o paper.html\n  minbert report searches/rates");
  return [flags, &session] { return run_report(*flags, session); };
}

}  // namespace minbert
