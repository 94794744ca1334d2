// What a fuzz target defines. A target is run by libFuzzer, or by replay.cpp in ctest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// Feeds one input to the parser. Returns 0; a crash, a sanitizer report or an exception that escapes is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace minbert {

/// Valid inputs and past findings, from which mutations start.
std::vector<std::string> fuzz_seeds();

}  // namespace minbert
