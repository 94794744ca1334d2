// Times the tokenizer on the lines of a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "minbert/base/json.h"

namespace minbert {

struct TokenizeBench {
  std::filesystem::path model;  ///< folder with a tokenizer
  std::filesystem::path input;  ///< file of lines
  std::int64_t rounds = 9;      ///< how often the file is timed, after one round that is not
};

/// One line for one thread, and one for all threads where there are more. Every text becomes an Encoding, kept until the round ends.
std::vector<Json> bench_tokenize(const TokenizeBench& options);

}  // namespace minbert
