// config show | check | explain | schema: prints the resolved config, checks it, explains keys, or prints the JSON Schema of a kind of
// file.
#include <memory>

#include "minbert/cli/config_flags.h"
#include "minbert/cli/config_keys.h"
#include "minbert/cli/file_kinds.h"
#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/train/config.h"

namespace minbert {
namespace {

struct ShowFlags {
  ConfigFlags config;
  bool json = false;
};

struct ExplainFlags {
  std::string key;
  bool json = false, markdown = false;
};

int run_show(const ShowFlags& flags, Session& session) {
  const ConfigTree tree = load_config_tree(flags.config);
  show_notes(tree, session);
  const TomlValue resolved = write_options(load_run_config(tree));
  print(flags.json                  ? toml_to_json(resolved) + "\n"
        : session.console.verbose() ? tree.print_resolved(resolved, config_key_help)
                                    : tree.print_resolved(resolved));
  return 0;
}

int run_explain(const ExplainFlags& flags) {
  if (flags.markdown) {
    print(config_page());
    return 0;
  }
  const auto keys = find_config_keys(flags.key);
  if (flags.json)
    print_json(explain_json(keys));
  else
    print(explain_text(keys));
  return 0;
}

int run_check(const ConfigFlags& flags, Session& session) {
  const ConfigTree tree = load_config_tree(flags);
  show_notes(tree, session);
  const RunConfig config = load_run_config(tree);
  session.console.info(fmt::format("ok: run \"{}\", {} tasks, {} stages", config.run.name, config.tasks.size(), config.stages.size()));
  return 0;
}

}  // namespace

Action declare_config(CLI::App& app, Session& session) {
  app.require_subcommand(1);
  auto show = std::make_shared<ShowFlags>();
  auto check = std::make_shared<ConfigFlags>();
  CLI::App* show_app =
      app.add_subcommand("show", "print the resolved config; comments say where each value comes from, and with -v what each key means");
  add_config(*show_app, show->config, true);
  add_json(*show_app, show->json);
  CLI::App* check_app = app.add_subcommand("check", "read a config and say whether it is right; data is not opened");
  add_config(*check_app, *check, true);
  auto explain = std::make_shared<ExplainFlags>();
  CLI::App* explain_app =
      app.add_subcommand("explain", "what a key means: type, default, example, the paper's value, and each value that it takes");
  explain_app->add_option("KEY", explain->key, "a key, a table, or the end of a key: stage.lr, task.data, sampler [all]")->type_name("");
  explain_app->add_flag("--markdown", explain->markdown, "print the page docs/config.md, on all keys");
  add_json(*explain_app, explain->json);
  auto kind = std::make_shared<std::string>(file_kinds().front());
  CLI::App* schema_app = app.add_subcommand("schema", "print the JSON Schema of a kind of file, as docs/schema holds it");
  schema_app->add_option("KIND", *kind, fmt::format("{} kinds: {}", file_kinds().size(), fmt::join(file_kinds(), " | ")))
      ->check(one_of(file_kinds()))
      ->capture_default_str()
      ->type_name("");
  for (CLI::App* sub : {show_app, check_app, explain_app, schema_app}) sub->fallthrough();
  add_examples(app,
               "  minbert config show base.toml mine.toml --set stage.0.epochs=3\n  minbert config check base.toml\n"
               "  minbert config explain sampler\n  minbert config explain task.data");
  return [=, &session] {
    if (schema_app->parsed()) {
      print(file_schema(*kind));
      return 0;
    }
    if (explain_app->parsed()) return run_explain(*explain);
    return show_app->parsed() ? run_show(*show, session) : run_check(*check, session);
  };
}

}  // namespace minbert
