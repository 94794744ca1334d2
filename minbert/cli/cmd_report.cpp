// report: writes a run or a study as one HTML file.
#include <filesystem>
#include <memory>
#include <optional>

#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/report/report.h"

namespace minbert {
namespace {

struct ReportFlags {
  std::string run, output;
};

int run_report(const ReportFlags& flags, Session& session) {
  const std::string path = flags.output.empty() ? (std::filesystem::path(flags.run) / "report.html").string() : flags.output;
  std::optional<Output> out;
  if (!flags.output.empty()) out.emplace(path);  // what cannot be written is refused before the work
  const Report report = make_report(flags.run);
  if (!out) out.emplace(path);
  out->write(report.html);
  try {
    write_tables(report, flags.run);
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
  app.add_option("RUN", flags->run, "run or study folder")->required()->type_name("");
  app.add_option("-o,--output", flags->output,
                 "HTML file; - is standard output [RUN/report.html]; the tables go to RUN/eval, if it can be written")
      ->type_name("FILE");
  add_examples(app, "  minbert report runs/mine\n  minbert report studies/paper -o paper.html");
  return [flags, &session] { return run_report(*flags, session); };
}

}  // namespace minbert
