// Reports on the rows that a run has read: data.json, and a digest that a resume compares.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "minbert/base/json.h"
#include "minbert/train/setup.h"

namespace minbert {

/// Hash of the token ids and labels of all train and dev rows and of all other texts that stages read. A run cannot be resumed with other
/// rows.
std::string data_digest(const RunSetup& setup);

/// data.json: how many rows of each task, and texts of each stage that reads texts, were used, skipped, cut and so on.
Json data_json(const RunSetup& setup, const RunConfig& config);
/// The hashes of a split's rows (rows_digest) by task, from the data.json of a run folder; empty where there is none.
std::map<std::string, std::string> read_digests(const std::filesystem::path& run, const std::string& split);
/// {source of texts: its counts}
Json corpus_json(const MlmCorpus& corpus);
Json contrastive_json(std::span<const ContrastiveTexts> sources);

}  // namespace minbert
