// report: writes runs, a study or a search as one HTML file.
#include <filesystem>
#include <memory>
#include <optional>

#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/report/report.h"

namespace minbert {
namespace {

struct ReportFlags {
  std::vector<std::string> runs;
  std::string output;
};

int run_report(const ReportFlags& flags, Session& session) {
  const std::vector<std::filesystem::path> folders(flags.runs.begin(), flags.runs.end());
  const bool one = folders.size() == 1;
  const std::string path = !flags.output.empty() ? flags.output : one ? (folders.front() / "report.html").string() : "report.html";
  std::optional<Output> out;
  if (!flags.output.empty() || !one) out.emplace(path);  // what cannot be written is refused before the work
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
  add_examples(app,
               "  minbert report runs/mine\n  minbert report runs/old runs/new -o both.html\n"
               "  minbert report studies/paper -o paper.html\n  minbert report searches/rates");
  return [flags, &session] { return run_report(*flags, session); };
}

}  // namespace minbert
