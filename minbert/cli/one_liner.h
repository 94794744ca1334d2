// One-liners: the config files that `train --init MODEL --train my.csv` and `pretrain --init MODEL --text-file my.txt` stand for.
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <vector>

#include "minbert/cli/console.h"
#include "minbert/cli/file_task.h"
#include "minbert/cli/one_liner_flags.h"

namespace minbert {

struct OneLinerFlags {
  std::string init, dev = "0.1";
  std::vector<std::string> train;
  FileTaskFlags file;
  TrainingFlags training;
};

/// Declares --init, --train, --dev, what add_file_task() declares, and the training flags.
void add_one_liner(CLI::App& app, OneLinerFlags& flags);

/// The text of a commented TOML file with absolute paths: one task, and stages that suit the number of its rows. Reads the train files to
/// infer the task's type and labels, and says on the console what it inferred. The head is one linear layer on the vectors that the encoder
/// was trained to make, or on BERT's pooler. Throws Error: kData, kUsage, kModel.
/// `sets` are the user's --set, of which some ask for fine-tuning.
std::string one_liner_config(const OneLinerFlags& flags, std::span<const std::string> sets, Console& console);

/// The text of a TOML file with the stage of the preset "pretrain" on these files. Warns of files that look like tables. Throws
/// Error(kUsage).
std::string pretrain_config(const std::string& init, std::span<const std::string> text_files, Console& console);

}  // namespace minbert
