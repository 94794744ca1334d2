// Data manifests: what they must hold, and fetching them from a loopback server.
#include "minbert/hub/data_manifest.h"

#include <gtest/gtest.h>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"
#include "tests/hub/hub_server.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class DataFetchTest : public testing::Test {
 protected:
  DataFetchTest() {
    server_.put("/a/train.csv", train_);
    server_.put("/dev.csv", "text,label\nso so,1\n");
  }
  /// Two files, of which the first has this checksum.
  DataSet set(const std::string& sha256) const {
    const std::string text = fmt::format(R"([[data]]
name = "reviews"
licence = "CC0"
home = "https://example.org/reviews"
[[data.file]]
url = "{0}/a/train.csv"
path = "reviews/train.csv"
sha256 = "{1}"
[[data.file]]
url = "{0}/dev.csv"
path = "reviews/dev.csv"
)",
                                         server_.url(), sha256);
    return parse_data_manifest(text, "list.toml").sets.at(0);
  }
  std::vector<FetchedFile> fetch(const DataSet& set) { return fetch_data(set, out_, options_); }
  std::string text(std::string_view name) const { return read_file(out_ / name); }

  TempFolder folder_;
  fs::path out_ = folder_ / "data";
  HubServer server_;
  std::string train_ = random_bytes(100000, 5);
  DownloadOptions options_ = {.http = {}, .attempts = 2, .backoff_s = 0.001};
};

TEST_F(DataFetchTest, FilesGoWhereTheManifestSays) {
  const auto files = fetch(set(sha256_hex(train_)));
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].name, "reviews/train.csv");
  EXPECT_EQ(text("reviews/train.csv"), train_);
  EXPECT_EQ(files[1].download.sha256, sha256_hex("text,label\nso so,1\n")) << "told where the manifest has none";
  const auto again = fetch(set(sha256_hex(train_)));
  EXPECT_FALSE(again[0].download.downloaded);
  EXPECT_FALSE(again[1].download.downloaded);
  EXPECT_EQ(again[1].download.sha256, files[1].download.sha256);
  EXPECT_EQ(server_.seen("/a/train.csv").size(), 1u) << "a checked file is not asked for";
}

TEST_F(DataFetchTest, ACutTransferGoesOn) {
  server_.once("/a/train.csv", cut_after(train_, 60000, "\"v1\""));
  server_.once("/a/train.csv", cut_after(train_, train_.size(), "\"v1\""));
  EXPECT_EQ(fetch(set(sha256_hex(train_)))[0].download.bytes, std::ssize(train_));
  const auto seen = server_.seen("/a/train.csv");
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[1].range, "bytes=60000-");
}

TEST_F(DataFetchTest, AWrongFileIsADataErrorAndNotKept) {
  expect_error(ErrorTag::kData, {"/a/train.csv", "expected sha256 " + sha256_hex("other")}, [&] { fetch(set(sha256_hex("other"))); });
  EXPECT_FALSE(fs::exists(out_ / "reviews" / "train.csv"));
  DataSet moved = set("");
  moved.files[1].url = server_.url("/gone.csv");
  expect_error(ErrorTag::kData, {"/gone.csv", "404"}, [&] { fetch(moved); });
  server_.put("/gone.csv", status(403));
  expect_error(ErrorTag::kData, {"/gone.csv", "403"}, [&] { fetch(moved); });
}

TEST(DataManifest, MistakesNameTheKey) {
  const std::string good = "[[data]]\nname = \"a\"\nlicence = \"CC0\"\n";
  const std::string file = "[[data.file]]\nurl = \"https://example.org/a\"\npath = \"a.csv\"\n";
  EXPECT_EQ(parse_data_manifest(good + file, "list.toml").sets.size(), 1u);
  struct Mistake {
    std::string text;
    std::initializer_list<std::string_view> told;
  };
  const Mistake mistakes[] = {
      {"", {"list.toml", "[[data]]"}},
      {"[[data]]\nlicence = \"CC0\"\n" + file, {"data.0.name", "expected a name"}},
      {"[[data]]\nname = \"a\"\n" + file, {"data.a.licence"}},
      {good, {"data.a.file", "at least one"}},
      {good + "[[data.file]]\nurl = \"ftp://example.org/a\"\npath = \"a.csv\"\n", {"data.a.file.0.url", "ftp://example.org/a"}},
      {good + "[[data.file]]\nurl = \"https://example.org/a\"\npath = \"../a.csv\"\n", {"data.a.file.0.path", "../a.csv"}},
      {good + file + file, {"data.a.file.1.path", "twice"}},
      {good + file + good + "[[data.file]]\nurl = \"https://example.org/a\"\npath = \"b.csv\"\n", {"data.a.name", "two sets"}},
      {good + file + "sha256 = \"ABC\"\n", {"data.a.file.0.sha256", "64 hexadecimal"}},
      {good + file + "sha = \"\"\n", {"list.toml:7", "unknown key"}},
  };
  for (const auto& [text, told] : mistakes) {
    SCOPED_TRACE(text);
    expect_error(ErrorTag::kUsage, told, [&] { parse_data_manifest(text, "list.toml"); });
  }
}

TEST(DataManifest, TheProgramCarriesThePapersData) {
  const DataManifest manifest = parse_data_manifest(paper_data_manifest(), "sources.toml");
  EXPECT_EQ(paper_data_manifest(), read_file(fs::path(MINBERT_SOURCE_DIR) / "recipes" / "sources.toml"));
  EXPECT_EQ(select_data(manifest, {}).size(), 7u);
  EXPECT_EQ(select_data(manifest, {"sick", "sst"})[1].files.size(), 3u);
  expect_error(ErrorTag::kUsage, {"sicks", "sst, cfimdb", "did you mean \"sick\"?"}, [&] { select_data(manifest, {"sicks"}); });
}

}  // namespace
}  // namespace minbert
