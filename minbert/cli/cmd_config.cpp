// config show | check | schema: prints the resolved config with the origin of each value, checks it, or prints its JSON Schema.
#include <array>
#include <memory>

#include "minbert/cli/config_flags.h"
#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/hub/data_manifest.h"
#include "minbert/study/search_file.h"
#include "minbert/study/study_file.h"
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

/// A kind of TOML file.
struct FileKind {
  std::string_view name, title;
  TomlValue (*schema)();
};
constexpr std::array kFileKinds = {
    FileKind{"run", "Configuration of a training run: one file, or several of which later ones win",
             [] { return options_schema<RunConfig>(); }},
    FileKind{"study", "A study: runs that go into one table", [] { return options_schema<StudyFile>(); }},
    FileKind{"search", "A search: values of hyperparameters to be drawn for a recipe", [] { return options_schema<SearchFile>(); }},
    FileKind{"data", "Manifest of data sets for minbert fetch --data", [] { return options_schema<DataManifest>(); }},
};

std::vector<std::string> kind_names() {
  std::vector<std::string> names;
  for (const FileKind& kind : kFileKinds) names.emplace_back(kind.name);
  return names;
}

int run_schema(std::string_view name) {
  for (const FileKind& kind : kFileKinds) {
    if (kind.name != name) continue;
    const TomlValue described = kind.schema();
    TomlTable schema;
    schema.set("$schema", "https://json-schema.org/draft/2020-12/schema");
    schema.set("title", kind.title);
    for (const auto& [key, value] : *described.get_if<TomlTable>()) schema.set(key, value);
    print(toml_to_json(TomlValue(std::move(schema))) + "\n");
  }
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
  auto kind = std::make_shared<std::string>(kFileKinds.front().name);
  CLI::App* schema_app = app.add_subcommand("schema", "print the JSON Schema of a kind of file, as docs/schema holds it");
  schema_app->add_option("KIND", *kind, fmt::format("{} kinds: {}", kFileKinds.size(), fmt::join(kind_names(), " | ")))
      ->check(one_of(kind_names()))
      ->capture_default_str()
      ->type_name("");
  for (CLI::App* sub : {show_app, check_app, schema_app}) sub->fallthrough();
  add_examples(app, "  minbert config show base.toml mine.toml --set stage.0.epochs=3\n  minbert config check base.toml");
  return [=, &session] {
    if (schema_app->parsed()) return run_schema(*kind);
    return show_app->parsed() ? run_show(*show) : run_check(*check, session);
  };
}

}  // namespace minbert
