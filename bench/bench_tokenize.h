// Times the tokenizer on the lines of a file.
#pragma once

#include <filesystem>
#include <vector>

#include "minbert/base/json.h"

namespace minbert {

struct TokenizeBench {
  std::filesystem::path model;  ///< folder with a tokenizer
  std::filesystem::path input;  ///< file of lines
  std::int64_t rounds = 9;      ///< times the file is timed, after one that is not
};

/// A line for one thread, and one for all threads where there are more. Every text becomes its own Encoding, kept to the end of the round.
std::vector<Json> bench_tokenize(const TokenizeBench& options);

}  // namespace minbert
