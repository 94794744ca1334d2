// One-liners: the config files that `train --init MODEL --train my.csv` and `pretrain --init MODEL --text-file my.txt` stand for.
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>

#include "minbert/cli/console.h"
#include "minbert/cli/file_task.h"

namespace minbert {

struct OneLinerFlags {
  std::string init, train, dev = "0.1";
  FileTaskFlags file;
};

/// Declares --init, --train, --dev and what add_file_task() declares.
void add_one_liner(CLI::App& app, OneLinerFlags& flags);

/// The text of a commented TOML file with absolute paths: one task and the stage of the preset "classify". Reads the train file to infer
/// the task's type and labels, and says on the console what it inferred. Throws Error: kData, kUsage.
std::string one_liner_config(const OneLinerFlags& flags, Console& console);

/// The text of a TOML file with the stage of the preset "pretrain" on these files. Warns of files that look like tables. Throws
/// Error(kUsage).
std::string pretrain_config(const std::string& init, std::span<const std::string> text_files, Console& console);

}  // namespace minbert
