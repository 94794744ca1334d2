// Flags of the one-liner that say how to divide and train: shorter names of config keys.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/config_tree.h"

namespace minbert {

/// --lr, --head-lr, --epochs, --batch, --max-length, --limit and --test; empty: not given.
struct TrainingFlags {
  std::optional<double> lr, head_lr;
  std::optional<std::int64_t> epochs, batch, max_length, limit;
  std::string test;
};
void add_training_flags(CLI::App& app, TrainingFlags& flags);

/// Sets the keys that the flags stand for in a one-liner's config, as --set would.
void set_training_keys(ConfigTree& tree, const TrainingFlags& flags);
/// Throws Error(kUsage) naming the --set for the first flag that is given: config files have stages of other names.
void refuse_training_flags(const TrainingFlags& flags);

/// Reads a share of train as --dev and --test take it: nothing for a file's name. Throws Error(kUsage) outside (0, 1).
std::optional<double> parse_fraction(std::string_view flag, const std::string& value);

/// What a flag that the program lacks may have meant: `--set KEY=VALUE` for the config key of about that name; empty if there is none.
std::string set_hint(std::string_view flag);

}  // namespace minbert
