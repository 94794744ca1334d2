// The tokenizer against what Hugging Face's made of texts that seek a difference (tools/export_golden_tokenizer.py).
#include <gtest/gtest.h>

#include <charconv>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/tokenizer/tokenizer.h"

namespace minbert {
namespace {

const std::string kFolder = MINBERT_SOURCE_DIR "/tests/golden/tokenizer/";

std::vector<std::string> read_lines(const std::string& name) {
  const std::string text = read_file(kFolder + name);
  std::vector<std::string> lines;
  for (std::size_t at = 0, end; at < text.size(); at = end + 1) {
    end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
  }
  return lines;
}

TokenizerOptions options_of(const Json& settings) {
  TokenizerOptions options;
  options.lowercase = settings.at("lowercase");
  options.clean_text = settings.value("clean_text", true);
  options.handle_chinese_chars = settings.value("handle_chinese_chars", true);
  if (settings.contains("strip_accents")) options.strip_accents = settings["strip_accents"].get<bool>();
  return options;
}

std::string text_of(const Json& spelled) {
  if (spelled.is_string()) return spelled;
  const std::string hex = spelled.at("hex");
  std::string bytes;
  for (const char* at = hex.data(); at < hex.data() + hex.size(); at += 2) {
    unsigned char byte = 0;
    std::from_chars(at, at + 2, byte, 16);
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

class TokenizerGolden : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerGolden, IdsTypesAndOffsets) {
  const std::vector<std::string> lines = read_lines(GetParam() + std::string(".jsonl"));
  ASSERT_GT(lines.size(), 100u);
  const Tokenizer tokenizer(read_lines("vocab.txt"), options_of(parse_json(lines[0], GetParam(), ErrorTag::kData)));
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const Json line = parse_json(lines[i], GetParam(), ErrorTag::kData);
    std::vector<std::string> texts;
    for (const Json& spelled : line.at("texts")) texts.push_back(text_of(spelled));
    const std::int64_t max_length = line.value("max_length", 0);
    const auto encode = [&](bool offsets) {
      return texts.size() == 1 ? tokenizer.encode(texts[0], max_length, offsets)
                               : tokenizer.encode_pair(texts[0], texts[1], max_length, offsets);
    };
    const Encoding encoding = encode(true);
    std::vector<std::int32_t> offsets;
    for (const auto& [start, end] : encoding.offsets) offsets.insert(offsets.end(), {start, end});
    const auto ids = line.at("ids").get<std::vector<std::int32_t>>();
    EXPECT_EQ(encoding.ids, ids) << lines[i];
    EXPECT_EQ(encode(false).ids, ids) << lines[i];
    EXPECT_EQ(encoding.type_ids, line.value("type_ids", std::vector<std::int32_t>(ids.size(), 0))) << lines[i];
    EXPECT_EQ(offsets, line.at("offsets").get<std::vector<std::int32_t>>()) << lines[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, TokenizerGolden, testing::Values("uncased", "cased", "accents", "cased_stripped", "raw"));

}  // namespace
}  // namespace minbert
