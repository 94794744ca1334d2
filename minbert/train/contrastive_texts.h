// ContrastiveTexts: the texts of one source of a contrastive stage, and which of them belong together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "minbert/train/run_rows.h"

namespace minbert {

struct ContrastiveTexts {
  std::string name;                  ///< "quora.train", or a file's name
  TokenizedRows rows;                ///< two sequences a row for pairs, else one, which belongs to itself under another dropout
  std::vector<std::int32_t> groups;  ///< by row: rows of one group belong together
};

/// Tokenises a source of the stage. Rows of pairs are those with a positive label; rows that share a text are of one group. Single texts
/// with a label are grouped by it. Blank texts are left out. Throws Error(kUsage) for labels that do not say what belongs together, and
/// Error(kData) if no two groups are left.
ContrastiveTexts read_contrastive_texts(const Tokenizer& tokenizer, const NamedTexts& texts, const StageSpec& stage,
                                        std::int64_t max_length);

}  // namespace minbert
