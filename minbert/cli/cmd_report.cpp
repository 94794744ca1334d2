// report: writes a run or a study as one HTML file.
#include <filesystem>
#include <memory>

#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/report/report.h"

namespace minbert {
namespace {

struct ReportFlags {
  std::string run, output;
};

int run_report(const ReportFlags& flags) {
  const std::string html = write_report_tables(flags.run);
  const std::string path = flags.output.empty() ? (std::filesystem::path(flags.run) / "report.html").string() : flags.output;
  Output out(path);
  out.write(html);
  out.commit();
  if (path != "-") print(path + "\n");
  return 0;
}

}  // namespace

Action declare_report(CLI::App& app, Session&) {
  auto flags = std::make_shared<ReportFlags>();
  app.add_option("RUN", flags->run, "run or study folder")->required()->type_name("");
  app.add_option("-o,--output", flags->output, "HTML file; - is standard output [RUN/report.html]; the tables go to RUN/eval in any case")
      ->type_name("FILE");
  add_examples(app, "  minbert report runs/mine\n  minbert report studies/paper -o paper.html");
  return [flags] { return run_report(*flags); };
}

}  // namespace minbert
