// What a run of one task does where its user says nothing: the settings of the one-liner and of train_texts().
#pragma once

#include <string>

#include "minbert/pipeline/task.h"

namespace minbert {

/// The pooling that the encoder `init`, a folder or "scratch", was trained with. Where it has none of its own, it is that of BERT's pooler,
/// as transformers' own classifiers have it.
Pool usual_pool(const std::string& init);

/// [[stage]] tables as TOML: heads on cached vectors, then fine-tuning from there, with enough epochs for `rows` train rows.
std::string usual_stages(double rows);

}  // namespace minbert
