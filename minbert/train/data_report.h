// What a run read: a digest that a resume compares, and data.json.
#pragma once

#include <string>

#include "minbert/base/json.h"
#include "minbert/train/setup.h"

namespace minbert {

/// Hash of the token ids and labels of all train and dev rows and of the texts of mlm stages: a run cannot go on with others.
std::string data_digest(const RunSetup& setup);

/// data.json: what became of the rows of each task, and of the texts of each mlm stage.
Json data_json(const RunSetup& setup, const RunConfig& config);
/// {source: what became of its texts}
Json corpus_json(const MlmCorpus& corpus);

}  // namespace minbert
