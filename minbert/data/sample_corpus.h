// Sample data: writes the three sample tasks as files, with sentences from the project's own grammar.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace minbert {

struct SampleDataOptions {
  std::uint64_t seed = 11711;
  /// Rows of each task. Some millions of distinct sentences exist: a larger number never ends.
  std::int64_t train_rows = 2000, dev_rows = 400, test_rows = 400;
};

/// Writes NAME-train.csv, NAME-dev.csv and NAME-test.csv for sentiment (id, sentence, label 0..4), paraphrase and similarity (id,
/// sentence1, sentence2, label 0/1 or 0.0..5.0) into `folder` (created) and returns their paths. No text or pair appears twice in a
/// task. Throws Error(kResources).
std::vector<std::filesystem::path> write_sample_data(const std::filesystem::path& folder, const SampleDataOptions& options = {});

}  // namespace minbert
