// Fuzz target: a safetensors file is read, or refused with Error(kModel); what is read lies inside the file.
#include <cstring>

#include "minbert/base/safetensors.h"
#include "tests/fuzz/fuzz.h"

namespace {

void read(std::span<const std::byte> file) {
  try {
    std::size_t total = 0;
    for (const auto& entry : minbert::parse_safetensors(file, "fuzz").entries) {
      MINBERT_CHECK(entry.bytes.empty() ||
                    (entry.bytes.data() >= file.data() && entry.bytes.data() + entry.bytes.size() <= file.data() + file.size()));
      total += entry.bytes.size();
      if (!minbert::is_floating_dtype(entry.dtype)) continue;
      const std::size_t element_bytes = entry.dtype == "F64" ? 8 : entry.dtype == "F32" ? 4 : 2;
      std::vector<float> values(entry.bytes.size() / element_bytes);
      minbert::convert_to_f32(entry.dtype, entry.bytes, values);
    }
    MINBERT_CHECK(total <= file.size());
  } catch (const minbert::Error& error) {
    if (error.tag() != minbert::ErrorTag::kModel) throw;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string file(reinterpret_cast<const char*>(data), size);
  read(std::as_bytes(std::span(file)));
  // Most changes spoil the header's length and would be refused there: set it to where the last brace is.
  const auto brace = file.rfind('}');
  if (brace == std::string::npos || brace < 8) return 0;
  const std::uint64_t length = brace - 7;
  std::memcpy(file.data(), &length, sizeof length);
  read(std::as_bytes(std::span(file)));
  return 0;
}

std::vector<std::string> minbert::fuzz_seeds() {
  std::vector<std::string> seeds;
  const auto add = [&](std::string_view header, std::string_view data) {
    const std::uint64_t length = header.size();
    std::string file(8, '\0');
    std::memcpy(file.data(), &length, 8);
    seeds.push_back(file.append(header).append(data));
  };
  add("{}", "");
  add(R"({"x":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})", "abcdefgh");
  add(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"a":{"dtype":"F16","shape":[1],"data_offsets":[4,6]}})",
      "abcdef");
  add(R"({"d":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"e":{"dtype":"I8","shape":[0,9],"data_offsets":[8,8]},"u":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}})",
      "abcdefghi");
  add(R"({"o":{"dtype":"F32","shape":[0,4611686018427387904,4611686018427387904],"data_offsets":[0,0]}})", "");
  seeds.push_back("version https://git-lfs.github.com/spec/v1\n");
  return seeds;
}
