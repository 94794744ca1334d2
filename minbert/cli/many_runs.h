// ManyRunsFlags: the flags that the verbs study and search share.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "minbert/cli/config_flags.h"
#include "minbert/cli/session.h"
#include "minbert/cli/signals.h"

namespace minbert {

struct ManyRunsFlags {
  std::string file, output;
  ConfigFlags config;
  std::vector<std::string> overlays;
  bool dry_run = false, json = false;
};

/// Declares the positional `name`, -o, --set and --overlay.
void add_many_runs(CLI::App& app, ManyRunsFlags& flags, const std::string& name, const std::string& file_help,
                   const std::string& output_help);
/// Declares --dry-run, --json, --threads and --dtype.
void add_plan(CLI::App& app, ManyRunsFlags& flags, Session& session, const std::string& dry_run_help);

/// Sets the folder, the overrides and should_stop of StudyOptions or SearchOptions.
template <class Options>
void apply_flags(const ManyRunsFlags& flags, const Session& session, Options& options) {
  options.folder = flags.output;
  options.overrides = {.overlays = flags.overlays, .sets = flags.config.sets, .dtype = session.dtype};
  options.should_stop = stop_requested;
}

}  // namespace minbert
