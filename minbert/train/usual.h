// What a run of one task does where its user says nothing: the settings of the one-liner and of train_texts().
#pragma once

#include <string>

#include "minbert/pipeline/task.h"

namespace minbert {

/// Settings as TOML.
struct UsualSettings {
  std::string task;    ///< keys of the [[task]], a line each: the pooling, one linear layer, and how pairs are encoded
  std::string stages;  ///< [[stage]] tables: heads on cached vectors, then fine-tuning from there, with enough epochs for the rows
};
/// Those of a task called `task` that starts from `init`, a folder or "scratch", and has `rows` train rows.
UsualSettings usual_settings(const std::string& init, const std::string& task, bool is_pair, double rows);

}  // namespace minbert
