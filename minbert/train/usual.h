// What a run of one task does where its user says nothing: the settings of the one-liner and of train_texts().
#pragma once

#include <string>

#include "minbert/train/api.h"

namespace minbert {

/// Settings as TOML.
struct UsualSettings {
  std::string task;    ///< keys of the [[task]], a line each: the pooling, one linear layer, and how pairs are encoded
  std::string stages;  ///< [[stage]] tables: heads on cached vectors, then, but for few pairs, fine-tuning from there
};
/// Chooses the settings of a task that starts from `init`, a folder or "scratch". docs/small_data.md has the figures behind the choice.
UsualSettings usual_settings(const std::string& init, const api::UsualTask& task);

}  // namespace minbert
