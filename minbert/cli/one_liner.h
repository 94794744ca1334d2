// OneLiner: `train --init MODEL --train my.csv` as the config file that says the same.
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>

#include "minbert/cli/file_task.h"

namespace minbert {

struct OneLinerFlags {
  std::string init, train, dev = "0.1";
  ColumnFlags columns;
};

/// Declares --init, --train, --dev and the columns.
void add_one_liner(CLI::App& app, OneLinerFlags& flags);

/// A commented TOML file with absolute paths, sensible for today's encoders. Reads the train file to infer type and labels.
/// Throws Error: kData, kUsage.
std::string one_liner_config(const OneLinerFlags& flags);

/// The same for `pretrain --init MODEL --text-file FILE ...`.
std::string pretrain_config(const std::string& init, std::span<const std::string> text_files);

}  // namespace minbert
