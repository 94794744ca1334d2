// Declarations of the flags that study and search share.
#include "minbert/cli/many_runs.h"

namespace minbert {

void add_many_runs(CLI::App& app, ManyRunsFlags& flags, const std::string& name, const std::string& file_help,
                   const std::string& output_help) {
  app.add_option(name, flags.file, file_help)->required()->type_name("");
  app.add_option("-o,--output", flags.output, output_help)->type_name("DIR");
  add_set(app, flags.config);
  app.add_option("--overlay", flags.overlays, "TOML file merged on top of every config (repeatable)")
      ->allow_extra_args(false)
      ->type_name("FILE");
}

void add_plan(CLI::App& app, ManyRunsFlags& flags, Session& session, const std::string& dry_run_help) {
  app.add_flag("--dry-run", flags.dry_run, dry_run_help);
  add_json(app, flags.json);
  add_compute(app, session);
}

}  // namespace minbert
