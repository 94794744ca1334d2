// ConfigFlags: config files, and --set to change keys in them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "minbert/base/config_tree.h"
#include "minbert/cli/session.h"

namespace minbert {

struct ConfigFlags {
  std::vector<std::string> files, sets;
};

/// Declares --set.
void add_set(CLI::App& app, ConfigFlags& flags);
/// Declares the positional CONFIG ... and --set.
void add_config(CLI::App& app, ConfigFlags& flags, bool required);

/// Merges the files in order, then applies --set.
ConfigTree load_config_tree(const ConfigFlags& flags);
/// Says on the console which tasks and stages later files added to those of earlier ones.
void show_notes(const ConfigTree& tree, Session& session);

}  // namespace minbert
