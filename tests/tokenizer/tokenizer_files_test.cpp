// Files of a tokenizer: which of them holds, and what is said where they disagree.
#include <gtest/gtest.h>

#include <functional>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/tokenizer/tokenizer.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

class TokenizerFiles : public testing::Test {
 protected:
  /// The files of a tokenizer that does or does not lower-case; without its tokenizer.json if not `whole`.
  void save(bool lowercase, bool whole) {
    Tokenizer({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Café", "café", "cafe"}, {.lowercase = lowercase}).save(folder_.path());
    if (!whole) std::filesystem::remove(folder_ / "tokenizer.json");
    for (const char* settings : {"sentence_bert_config.json", "sentence_roberta_config.json"}) std::filesystem::remove(folder_ / settings);
  }
  void edit(const char* file, const std::function<void(Json&)>& change) {
    Json json = read_json(folder_ / file, ErrorTag::kModel);
    change(json);
    write_file(folder_ / file, dump_json(json));
  }
  /// What becomes of "Café"; notes the warnings.
  std::string token() {
    const Tokenizer tokenizer = Tokenizer::load(folder_.path());
    warnings_ = tokenizer.warnings();
    return tokenizer.token(tokenizer.encode("Café").ids[1]);
  }
  void expect_warning(std::initializer_list<std::string_view> parts) {
    ASSERT_EQ(warnings_.size(), 1u);
    for (const auto part : parts) EXPECT_NE(warnings_[0].find(part), std::string::npos) << part << " in " << warnings_[0];
  }

  TempFolder folder_;
  std::vector<std::string> warnings_;
};

TEST_F(TokenizerFiles, AgreeAsTheyAreSaved) {
  for (const bool whole : {true, false}) {
    save(true, whole);
    write_file(folder_ / "sentence_bert_config.json", R"({"max_seq_length": 9, "do_lower_case": false})");
    EXPECT_EQ(token(), "cafe");
    EXPECT_TRUE(warnings_.empty());
    save(false, whole);
    EXPECT_EQ(token(), "Café");
    EXPECT_TRUE(warnings_.empty());
  }
}

TEST_F(TokenizerFiles, TokenizerJsonHolds) {
  save(true, true);
  edit("tokenizer_config.json", [](Json& json) { json["do_lower_case"] = false, json["tokenize_chinese_chars"] = false; });
  EXPECT_EQ(token(), "cafe");
  expect_warning({"tokenizer_config.json says do_lower_case = false, tokenize_chinese_chars = false", "tokenizer.json says true, true"});
  save(true, true);
  edit("tokenizer_config.json", [](Json& json) { json["cls_token"] = "[MASK]"; });
  edit("special_tokens_map.json", [](Json& json) { json.erase("cls_token"); });
  EXPECT_EQ(token(), "cafe");
  expect_warning({"cls_token = \"[MASK]\"", "tokenizer.json says \"[CLS]\""});
  save(true, true);
  edit("tokenizer_config.json", [](Json& json) { json["added_tokens_decoder"] = {{"99", {{"content", "[NEW]"}}}}; });
  EXPECT_EQ(token(), "cafe");
  expect_warning({"added token 99 = \"[NEW]\"", "null"});
  save(false, true);
  write_file(folder_ / "sentence_bert_config.json", R"({"do_lower_case": true})");
  EXPECT_EQ(token(), "Café");
  expect_warning({"sentence_bert_config.json says do_lower_case = true", "tokenizer.json says false"});
  save(true, true);
  edit("tokenizer_config.json", [](Json& json) { json["truncation_side"] = "left"; });
  EXPECT_EQ(token(), "cafe");
  expect_warning({"truncation_side"});
  save(true, true);
  write_file(folder_ / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\n");
  EXPECT_EQ(token(), "cafe");
  expect_warning({"vocab.txt", "tokenizer.json"});
}

TEST_F(TokenizerFiles, SentenceTransformersSettingsHoldWithoutOne) {
  save(false, false);
  write_file(folder_ / "sentence_roberta_config.json", R"({"do_lower_case": true})");
  EXPECT_EQ(token(), "café") << "accents stay";
  expect_warning({"tokenizer_config.json says do_lower_case = false", "sentence_roberta_config.json says true"});
  edit("tokenizer_config.json", [](Json& json) { json.erase("do_lower_case"); });  // then BertTokenizer lower-cases
  EXPECT_EQ(token(), "cafe");
  EXPECT_TRUE(warnings_.empty());
  write_file(folder_ / "sentence_roberta_config.json", R"({"tokenizer_args": {"do_lower_case": false}})");
  EXPECT_EQ(token(), "Café");
  write_file(folder_ / "sentence_roberta_config.json", R"({"do_lower_case": 1})");
  expect_error(ErrorTag::kModel, {"sentence_roberta_config.json", "do_lower_case"}, [&] { token(); });
}

TEST_F(TokenizerFiles, LowercaseMayStandBeforeBertNormalizer) {
  save(false, true);
  edit("tokenizer.json", [](Json& json) {
    const Json bert = json["normalizer"];
    json["normalizer"] = {{"type", "Sequence"}, {"normalizers", Json::array({{{"type", "Lowercase"}}, bert})}};
  });
  EXPECT_EQ(token(), "café") << "accents stay";
  edit("tokenizer.json", [](Json& json) { json["normalizer"]["normalizers"][1]["strip_accents"] = true; });
  EXPECT_EQ(token(), "cafe");
  edit("tokenizer.json", [](Json& json) { json["normalizer"]["normalizers"][0]["type"] = "NFC"; });
  expect_error(ErrorTag::kModel, {"tokenizer.json", "normalizer", "NFC"}, [&] { token(); });
}

}  // namespace
}  // namespace minbert
