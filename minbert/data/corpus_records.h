// CorpusRecords: eval/mlm/corpora.csv of a run (docs/run_folder.md), for all who write or read it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace minbert {

/// Vocabulary and losses of one text of an mlm stage, or of a task beside it.
struct CorpusRecord {
  /// A metric on the held-out texts before the stage, and after the epoch that it kept. Absent where no text was held out.
  struct Shift {
    std::optional<double> before = {}, after = {};
  };
  std::string stage, corpus, role;       ///< role: text, probe or task
  std::int64_t texts = 0, held_out = 0;  ///< sequences, held-out ones among them
  std::int64_t word_pieces = 0, distinct = 0, unknown = 0;
  Shift loss = {}, perplexity = {}, accuracy = {};
};

std::string corpora_csv(std::span<const CorpusRecord> corpora);
/// Columns that the file lacks and empty cells are 0 or nothing. Throws Error(kData) naming file and line.
std::vector<CorpusRecord> read_corpora(const std::filesystem::path& file);

}  // namespace minbert
