// Declares and applies the flags of a config.
#include "minbert/cli/config_flags.h"

namespace minbert {

void add_set(CLI::App& app, ConfigFlags& flags) {
  app.add_option("--set", flags.sets, "change one key: --set task.sst.batch=16 --set stage.0.lr=3e-5 (repeatable)")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
}

void add_config(CLI::App& app, ConfigFlags& flags, bool required) {
  app.add_option("CONFIG", flags.files, "TOML files; later ones win")->required(required)->type_name("");
  add_set(app, flags);
}

ConfigTree load_config_tree(const ConfigFlags& flags) {
  ConfigTree tree;
  for (const std::string& file : flags.files) tree.load(file);
  for (const std::string& assignment : flags.sets) tree.set(assignment);
  return tree;
}

void show_notes(const ConfigTree& tree, Session& session) {
  for (const std::string& note : tree.notes()) session.console.info("note: " + note);
}

}  // namespace minbert
