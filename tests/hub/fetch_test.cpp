// Fetching models from a loopback hub: which files, from where, and never outside the folder.
#include "minbert/hub/fetch.h"

#include <gtest/gtest.h>

#include <set>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"
#include "tests/hub/hub_server.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class FetchTest : public testing::Test {
 protected:
  FetchOptions options() const {
    FetchOptions options{.endpoint = server_.url("/"), .out_dir = out_, .revision = "main", .files = {}, .sha256 = {}, .download = {}};
    options.download.attempts = 2;
    options.download.backoff_s = 0.001;
    return options;
  }
  std::vector<FetchedFile> fetch() { return fetch_model("owner/tiny", options()); }

  /// Files below a folder, relative to it.
  static std::set<std::string> files_below(const fs::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_directory()) names.insert(fs::relative(entry.path(), folder).string());
    }
    return names;
  }

  using Names = std::set<std::string>;
  TempFolder folder_;
  fs::path out_ = folder_ / "out";
  HubServer server_;
  std::string weights_ = random_bytes(200000, 3);
};

TEST_F(FetchTest, TakesWhatABertNeedsAndNothingElse) {
  server_.put_repository("owner/tiny", {{"config.json", "{}"},
                                        {"tokenizer.json", "{\"model\":{}}"},
                                        {"tokenizer_config.json", "{\"a\":1}"},
                                        {"vocab.txt", "[PAD]\n"},
                                        {"special_tokens_map.json", "{\"b\":1}"},
                                        {"modules.json", "[]"},
                                        {"1_Pooling/config.json", "{\"c\":1}"},
                                        {"sentence_bert_config.json", "{\"d\":1}"},
                                        {"model.safetensors", weights_},
                                        {"pytorch_model.bin", "not this"},
                                        {"README.md", "nor this"},
                                        {".gitattributes", "nor this"},
                                        {"onnx/model.onnx", "nor this"},
                                        {"onnx/config.json", "nor this"},
                                        {"tokenizer/vocab.txt", "nor this"}});
  std::map<std::string, std::int64_t> progress;
  const auto fetched = fetch_model("owner/tiny", options(), [&](const FetchProgress& p) { progress[std::string(p.file)] = p.done_bytes; });
  const Names expected = {
      "config.json",  "tokenizer.json",        "tokenizer_config.json",     "vocab.txt",        "special_tokens_map.json",
      "modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "model.safetensors"};
  EXPECT_EQ(files_below(out_), expected);
  EXPECT_EQ(fetched.size(), expected.size());
  EXPECT_EQ(fetched.back().name, "model.safetensors") << "weights last: an interrupted folder cannot look complete";
  EXPECT_EQ(fetched.back().download.sha256, sha256_hex(weights_));
  EXPECT_EQ(read_file(out_ / "model.safetensors"), weights_);
  EXPECT_EQ(read_file(out_ / "1_Pooling/config.json"), "{\"c\":1}");
  EXPECT_EQ(progress.size(), expected.size());
  EXPECT_EQ(progress["model.safetensors"], 200000);

  for (const auto& again : fetch()) EXPECT_FALSE(again.download.downloaded) << again.name;
  write_file(out_ / "vocab.txt", "cut");
  for (const auto& again : fetch()) EXPECT_EQ(again.download.downloaded, again.name == "vocab.txt") << again.name;
}

TEST_F(FetchTest, RedirectedWeightsAreResumedAndChecked) {
  server_.put_repository("owner/tiny", {{"config.json", "{}"}, {"model.safetensors", weights_}});
  server_.put("/owner/tiny/resolve/main/model.safetensors", status(302, {{"Location", "/storage/blob?signature=x"},
                                                                         {"X-Linked-Etag", fmt::format("\"{}\"", sha256_hex(weights_))},
                                                                         {"X-Linked-Size", "200000"}}));
  server_.put("/storage/blob", weights_);
  server_.once("/storage/blob", cut_after(weights_, 50000));
  fetch();
  EXPECT_EQ(read_file(out_ / "model.safetensors"), weights_);
  EXPECT_EQ(server_.seen("/storage/blob?signature=x").back().range, "bytes=50000-");
}

TEST_F(FetchTest, ShardsAreThoseOfTheIndex) {
  server_.put_repository("owner/tiny", {{"config.json", "{}"},
                                        {"model.safetensors.index.json",
                                         R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors","c":"one.safetensors"}})"},
                                        {"one.safetensors", weights_},
                                        {"two.safetensors", "2"},
                                        {"other.safetensors", "3"},
                                        {"pytorch_model.bin", "4"}});
  fetch();
  EXPECT_EQ(files_below(out_), (Names{"config.json", "model.safetensors.index.json", "one.safetensors", "two.safetensors"}));
}

TEST_F(FetchTest, PickleIsTheLastResort) {
  server_.put_repository("owner/tiny", {{"config.json", "{}"}, {"pytorch_model.bin", weights_}, {"tf_model.h5", "no"}});
  fetch();
  EXPECT_EQ(files_below(out_), (Names{"config.json", "pytorch_model.bin"}));
}

TEST_F(FetchTest, CopyOfAHubWithoutListingIsAskedFileByFile) {
  server_.put("/owner/tiny/resolve/main/config.json", "{}");
  server_.put("/owner/tiny/resolve/main/vocab.txt", "[PAD]\n");
  server_.put("/owner/tiny/resolve/main/pytorch_model.bin", weights_);
  fetch();
  EXPECT_EQ(files_below(out_), (Names{"config.json", "vocab.txt", "pytorch_model.bin"}));
}

// What sentence-transformers keeps beside an encoder, in the layout of its old versions.
const std::vector<std::pair<std::string, std::string>> kModules = {
    {"modules.json", R"([{"path": "0_Encoder", "type": "sentence_transformers.models.Transformer"},
                         {"path": "1_Mean", "type": "sentence_transformers.models.Pooling"},
                         {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
                         {"path": "3_LayerNorm", "type": "sentence_transformers.models.LayerNorm"}])"},
    {"config_sentence_transformers.json", "{}"},
    {"0_Encoder/config.json", "{}"},
    {"0_Encoder/vocab.txt", "[PAD]\n"},
    {"0_Encoder/sentence_bert_config.json", "{}"},
    {"0_Encoder/model.safetensors", "encoder"},
    {"1_Mean/config.json", "{}"},
    {"2_Dense/config.json", "{}"},
    {"2_Dense/model.safetensors", "dense"},
    {"3_LayerNorm/config.json", "{}"},
    {"3_LayerNorm/pytorch_model.bin", "norm"}};

TEST_F(FetchTest, ModulesAreThoseThatModulesJsonNames) {
  Names expected;
  for (const auto& [name, content] : kModules) expected.insert(name);
  std::vector<std::pair<std::string, std::string>> files = kModules;
  files.insert(files.end(), {{"2_Dense/pytorch_model.bin", "not this"}, {"4_Other/model.safetensors", "nor this"}});
  server_.put_repository("owner/tiny", {files.begin(), files.end()});
  EXPECT_EQ(fetch().back().name, "0_Encoder/model.safetensors");
  EXPECT_EQ(files_below(out_), expected);

  out_ = folder_ / "unlisted";
  server_.put("/api/models/owner/tiny/revision/main", status(404));
  fetch();
  EXPECT_EQ(files_below(out_), expected);

  server_.put("/owner/tiny/resolve/main/modules.json", R"([{"path": "../up", "type": "a"}])");
  expect_error(ErrorTag::kModel, {"modules.json", "../up"}, [&] { fetch(); });
}

TEST_F(FetchTest, FilesByNameAreTakenAsTheyAre) {
  server_.put_repository("owner/tiny", {{"config.json", "{}"}, {"onnx/model.onnx", weights_}});
  FetchOptions some = options();
  some.files = {"onnx/model.onnx"};
  some.sha256 = {{"onnx/model.onnx", sha256_hex(weights_)}};
  fetch_model("owner/tiny", some);
  EXPECT_EQ(files_below(out_), (Names{"onnx/model.onnx"}));
  some.sha256 = {{"onnx/modle.onnx", sha256_hex(weights_)}};
  expect_error(ErrorTag::kUsage, {"onnx/modle.onnx", "checksum"}, [&] { fetch_model("owner/tiny", some); });
  some.sha256 = {};
  some.files = {"absent.json"};
  expect_error(ErrorTag::kModel, {"/owner/tiny/resolve/main/absent.json", "404"}, [&] { fetch_model("owner/tiny", some); });
}

TEST_F(FetchTest, ExpectedChecksumIsChecked) {
  server_.put_repository("owner/tiny", {{"config.json", "{}"}, {"model.safetensors", "small enough to have no checksum"}});
  FetchOptions strict = options();
  strict.sha256 = {{"model.safetensors", std::string(64, '0')}};
  expect_error(ErrorTag::kModel, {"model.safetensors", std::string(64, '0')}, [&] { fetch_model("owner/tiny", strict); });
  EXPECT_EQ(files_below(out_), (Names{"config.json"}));
}

TEST_F(FetchTest, RevisionAndTokenGoWithEveryRequest) {
  server_.put("/api/models/owner/tiny/revision/refs/pr/1",
              R"({"siblings":[{"rfilename":"config.json"},{"rfilename":"model.safetensors"}]})");
  server_.put("/owner/tiny/resolve/refs/pr/1/config.json", "{}");
  server_.put("/owner/tiny/resolve/refs/pr/1/model.safetensors", weights_);
  FetchOptions private_options = options();
  private_options.revision = "refs/pr/1";
  private_options.download.http.token = "secret";
  fetch_model("owner/tiny", private_options);
  const auto seen = server_.seen();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].target, "/api/models/owner/tiny/revision/refs%2Fpr%2F1");
  EXPECT_EQ(seen[1].target, "/owner/tiny/resolve/refs%2Fpr%2F1/config.json");
  for (const auto& request : seen) EXPECT_EQ(request.authorization, "Bearer secret");
}

TEST_F(FetchTest, HostileNamesAreRefusedBeforeAnythingIsWritten) {
  for (const std::string name : {"../model.safetensors", "/tmp/x", "a/../../b", "..", "a//b", "./a", "a\\..\\b", "line\nbreak", ""}) {
    EXPECT_FALSE(is_safe_file_name(name)) << name;
    server_.put_repository("owner/tiny", {{"config.json", "{}"}, {"model.safetensors", weights_}, {name, "evil"}});
    expect_error(ErrorTag::kModel, {"/api/models/owner/tiny", "outside the output folder"}, [&] { fetch(); });
    FetchOptions some = options();
    some.files = {name};
    expect_error(ErrorTag::kModel, {"outside the output folder"}, [&] { fetch_model("owner/tiny", some); });
  }
  EXPECT_EQ(folder_.count(), 0);
  for (const std::string name : {"config.json", "1_Pooling/config.json", "..a/b..", "a b/é"}) EXPECT_TRUE(is_safe_file_name(name)) << name;
}

TEST_F(FetchTest, HostileShardsAreRefused) {
  server_.put_repository("owner/tiny",
                         {{"config.json", "{}"}, {"model.safetensors.index.json", R"({"weight_map":{"a":"../evil.safetensors"}})"}});
  server_.put("/owner/tiny/resolve/evil.safetensors", "evil");
  expect_error(ErrorTag::kModel, {"model.safetensors.index.json", "../evil.safetensors"}, [&] { fetch(); });
  EXPECT_EQ(folder_.count(), 1);
}

TEST_F(FetchTest, LinkOutOfTheFolderIsRefused) {
  server_.put_repository("owner/tiny", {{"config.json", "{}"}, {"1_Pooling/config.json", "{}"}, {"model.safetensors", weights_}});
  fs::create_directories(folder_ / "elsewhere");
  fs::create_directories(out_);
  fs::create_directory_symlink(folder_ / "elsewhere", out_ / "1_Pooling");
  expect_error(ErrorTag::kResources, {"1_Pooling", "leads out"}, [&] { fetch(); });
  EXPECT_TRUE(fs::is_empty(folder_ / "elsewhere"));
}

TEST_F(FetchTest, NoFolderIsMadeBehindALink) {
  server_.put_repository("owner/tiny", {{"config.json", "{}"}, {"deep/er/x.bin", "x"}, {"model.safetensors", weights_}});
  fs::create_directories(folder_ / "elsewhere");
  fs::create_directories(out_);
  FetchOptions one = options();
  one.files = {"deep/er/x.bin"};
  for (const char* target : {"elsewhere", "nowhere"}) {  // a folder, and a link that leads to nothing yet
    fs::create_directory_symlink(folder_ / target, out_ / "deep");
    expect_error(ErrorTag::kResources, {"deep", "leads out"}, [&] { fetch_model("owner/tiny", one); });
    fs::remove(out_ / "deep");
  }
  EXPECT_TRUE(fs::is_empty(folder_ / "elsewhere"));
  EXPECT_FALSE(fs::exists(folder_ / "nowhere"));
  fs::create_directories(out_ / "within");
  fs::create_directory_symlink("within", out_ / "deep");  // a link inside the folder is the user's own affair
  fetch_model("owner/tiny", one);
  EXPECT_EQ(read_file(out_ / "within/er/x.bin"), "x");
}

TEST_F(FetchTest, WhatIsMissingIsNamed) {
  expect_error(ErrorTag::kModel, {"/owner/tiny/resolve/main/config.json", "404", "names of repository"}, [&] { fetch(); });
  server_.put_repository("owner/tiny", {{"README.md", "no model"}});
  expect_error(ErrorTag::kModel, {"/api/models/owner/tiny", "config.json"}, [&] { fetch(); });
  server_.put_repository("owner/tiny", {{"config.json", "{}"}, {"tf_model.h5", "no"}});
  expect_error(ErrorTag::kModel, {"model.safetensors or pytorch_model.bin"}, [&] { fetch(); });
  server_.put("/api/models/owner/tiny/revision/main", status(401, {{"X-Error-Message", "Repository not found"}}));
  expect_error(ErrorTag::kModel, {"HTTP status 401: Repository not found", "HF_TOKEN"}, [&] { fetch(); });
}

TEST_F(FetchTest, BrokenListingIsAnError) {
  const std::string page = "/api/models/owner/tiny/revision/main";
  for (const std::string broken : {"{", "[]", "{}", R"({"siblings":3})", R"({"siblings":[1]})", R"({"siblings":[{"rfilename":1}]})"}) {
    server_.put(page, broken);
    expect_error(ErrorTag::kModel, {page}, [&] { fetch(); });
  }
  server_.put_repository("owner/tiny", {{"config.json", "{}"}, {"model.safetensors.index.json", R"({"weight_map":[]})"}});
  expect_error(ErrorTag::kModel, {"weight_map"}, [&] { fetch(); });
}

TEST_F(FetchTest, MalformedRepositoryAndEndpointAreUsageErrors) {
  for (const std::string repo : {"", "a/b/c", "../b", "a b", "a/", "https://huggingface.co/a/b", "a?b"}) {
    expect_error(ErrorTag::kUsage, {"OWNER/NAME"}, [&] { fetch_model(repo, options()); });
  }
  FetchOptions odd = options();
  odd.endpoint = "ftp://example.org";
  expect_error(ErrorTag::kUsage, {"ftp://example.org", "https://"}, [&] { fetch_model("owner/tiny", odd); });
  EXPECT_EQ(server_.seen().size(), 0u);
}

}  // namespace
}  // namespace minbert
