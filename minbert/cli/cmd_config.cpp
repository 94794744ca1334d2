// config show | check: a config as it resolves, with the origin of each value.
#include <memory>

#include "minbert/cli/config_flags.h"
#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/train/config.h"

namespace minbert {
namespace {

struct ShowFlags {
  ConfigFlags config;
  bool json = false;
};

int run_show(const ShowFlags& flags) {
  const ConfigTree tree = load_config_tree(flags.config);
  const TomlValue resolved = write_options(load_run_config(tree));
  print(flags.json ? toml_to_json(resolved) + "\n" : tree.print_resolved(resolved));
  return 0;
}

int run_check(const ConfigFlags& flags, Session& session) {
  const RunConfig config = load_run_config(load_config_tree(flags));
  session.console.info(fmt::format("ok: run \"{}\", {} tasks, {} stages", config.run.name, config.tasks.size(), config.stages.size()));
  return 0;
}

}  // namespace

Action declare_config(CLI::App& app, Session& session) {
  app.require_subcommand(1);
  auto show = std::make_shared<ShowFlags>();
  auto check = std::make_shared<ConfigFlags>();
  CLI::App* show_app = app.add_subcommand("show", "print the resolved config; comments say where each value comes from");
  add_config(*show_app, show->config, true);
  add_json(*show_app, show->json);
  CLI::App* check_app = app.add_subcommand("check", "read a config and say whether it is right; data is not opened");
  add_config(*check_app, *check, true);
  for (CLI::App* sub : {show_app, check_app}) sub->fallthrough();
  add_examples(app, "  minbert config show base.toml mine.toml --set stage.0.epochs=3\n  minbert config check base.toml");
  return [show, check, show_app, &session] { return show_app->parsed() ? run_show(*show) : run_check(*check, session); };
}

}  // namespace minbert
