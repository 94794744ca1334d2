// Tokenises what tokenizers_test.py sends, for comparison with the reference.
//
// tokenize_probe FOLDER single|pair MAX_LENGTH   texts on standard input, encodings on standard output
// tokenize_probe FOLDER save TO                  loads and saves a tokenizer
// tokenize_probe TO train SIZE                   trains a vocabulary on the texts of standard input and saves it
// A text is its length (32 bits) and its bytes. An encoding is 32-bit integers: n, then n ids, n type ids, n pairs of offsets.
// Every encoding is made twice, with offsets and without, which must agree.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "minbert/base/files.h"
#include "minbert/tokenizer/train_vocabulary.h"

namespace minbert {
namespace {

class Texts {
 public:
  std::optional<std::string> next() {
    if (rest_.empty()) return std::nullopt;
    std::uint32_t length = 0;
    std::memcpy(&length, rest_.data(), sizeof length);
    std::string text(rest_.substr(sizeof length, length));
    rest_.remove_prefix(sizeof length + length);
    return text;
  }

 private:
  std::string all_ = read_file("-");
  std::string_view rest_ = all_;
};

void put(std::span<const std::int32_t> values) { std::fwrite(values.data(), sizeof(std::int32_t), values.size(), stdout); }

void encode_all(const Tokenizer& tokenizer, bool pairs, std::int64_t max_length) {
  Texts texts;
  while (const auto text = texts.next()) {
    const std::string second = pairs ? texts.next().value() : "";
    const auto encode = [&](bool offsets) {
      return pairs ? tokenizer.encode_pair(*text, second, max_length, offsets) : tokenizer.encode(*text, max_length, offsets);
    };
    const Encoding full = encode(true), plain = encode(false);
    MINBERT_CHECK(full.ids == plain.ids && full.type_ids == plain.type_ids && plain.offsets.empty(), "with offsets: {}; without: {}",
                  full.ids.size(), plain.ids.size());
    const auto n = static_cast<std::int32_t>(full.ids.size());
    MINBERT_CHECK(full.type_ids.size() == full.ids.size() && full.offsets.size() == full.ids.size());
    put({&n, 1});
    put(full.ids);
    put(full.type_ids);
    put({full.offsets.data()->data(), 2 * full.ids.size()});
  }
}

int run(const char* folder, std::string_view mode, const char* argument) {
  if (mode == "train") {
    Texts input;
    std::vector<std::string> texts;
    while (auto text = input.next()) texts.push_back(std::move(*text));
    Tokenizer(train_vocabulary(texts, {.size = std::atoll(argument)})).save(folder);
    return 0;
  }
  const Tokenizer tokenizer = Tokenizer::load(folder);
  if (mode == "save")
    tokenizer.save(argument);
  else
    encode_all(tokenizer, mode == "pair", std::atoll(argument));
  return 0;
}

}  // namespace
}  // namespace minbert

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  try {
    return minbert::run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
