// Downloads from a loopback server: resuming, retrying, refusing.
#include "minbert/hub/download.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"
#include "tests/hub/hub_server.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

DownloadOptions quick(int attempts = 3) { return {.http = {}, .attempts = attempts, .backoff_s = 0.001}; }

class DownloadTest : public testing::Test {
 protected:
  /// Fails as a transfer that is cut for good, and leaves a part of `bytes` bytes.
  void leave_part(const std::string& content, std::size_t bytes, const std::string& etag) {
    server_.once("/file", cut_after(content, bytes, etag));
    expect_error(ErrorTag::kResources, {}, [&] { fetch_file(server_.url("/file"), target_, {}, quick(1)); });
    ASSERT_EQ(folder_.count(), 1);
    ASSERT_EQ(fs::file_size(part()), bytes);
  }
  /// The only file of the folder.
  fs::path part() const { return *fs::directory_iterator(folder_.path()); }
  std::vector<std::string> ranges() const {
    std::vector<std::string> result;
    for (const auto& request : server_.seen("/file")) result.push_back(request.range);
    return result;
  }

  using Ranges = std::vector<std::string>;
  TempFolder folder_;
  fs::path target_ = folder_ / "file.bin";
  HubServer server_;
  std::string content_ = random_bytes(300000, 1), other_ = random_bytes(300000, 2);
};

TEST_F(DownloadTest, BytesArriveAndNothingElseIsLeft) {
  server_.put("/file", content_);
  std::int64_t done = 0, total = 0;
  const Download download = fetch_file(server_.url("/file"), target_, sha256_hex(content_), quick(), [&](std::int64_t d, std::int64_t t) {
    EXPECT_GE(d, done);
    done = d;
    total = t;
  });
  EXPECT_EQ(read_file(target_), content_);
  EXPECT_TRUE(download.downloaded);
  EXPECT_EQ(download.bytes, 300000);
  EXPECT_EQ(download.sha256, sha256_hex(content_));
  EXPECT_EQ(done, 300000);
  EXPECT_EQ(total, 300000);
  EXPECT_EQ(folder_.count(), 1);
}

TEST_F(DownloadTest, EmptyFileIsAFile) {
  server_.put("/file", "");
  EXPECT_EQ(fetch_file(server_.url("/file"), target_, {}, quick()).bytes, 0);
  EXPECT_EQ(read_file(target_), "");
}

TEST_F(DownloadTest, UnknownLengthIsAccepted) {
  server_.put("/file", chunked(content_));
  fetch_file(server_.url("/file"), target_, sha256_hex(content_), quick());
  EXPECT_EQ(read_file(target_), content_);
}

TEST_F(DownloadTest, LengthOfARedirectIsNotTheFiles) {
  server_.put("/file", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("moved", "text/plain");
    response.set_redirect("/storage");
  });
  server_.put("/storage", chunked(content_));
  fetch_file(server_.url("/file"), target_, {}, quick());
  EXPECT_EQ(read_file(target_), content_);
}

TEST_F(DownloadTest, CutConnectionIsResumedWhereItBroke) {
  server_.once("/file", cut_after(content_, 100000));
  server_.once("/file", cut_after(content_, 150000));
  server_.put("/file", content_);
  const Download download = fetch_file(server_.url("/file"), target_, {}, quick(2));
  EXPECT_EQ(read_file(target_), content_);
  EXPECT_EQ(download.sha256, sha256_hex(content_));
  EXPECT_EQ(ranges(), (Ranges{"", "bytes=100000-", "bytes=250000-"}));
  EXPECT_EQ(folder_.count(), 1);
}

TEST_F(DownloadTest, TriesThatBringSomethingNewAreNotCounted) {
  for (int i = 0; i < 9; ++i) server_.once("/file", cut_after(content_, 30000));
  server_.put("/file", content_);
  fetch_file(server_.url("/file"), target_, {}, quick(2));
  EXPECT_EQ(read_file(target_), content_);
}

TEST_F(DownloadTest, LaterFetchGoesOnWithThePart) {
  leave_part(content_, 120000, "\"one\"");
  server_.put("/file", with_etag(content_, "\"one\""));
  fetch_file(server_.url("/file"), target_, sha256_hex(content_), quick(1));
  EXPECT_EQ(read_file(target_), content_);
  EXPECT_EQ(ranges(), (Ranges{"", "bytes=120000-"}));
  EXPECT_EQ(folder_.count(), 1);
}

TEST_F(DownloadTest, PartOfAFileThatChangedIsDropped) {
  leave_part(content_, 120000, "\"one\"");
  server_.put("/file", with_etag(other_, "\"two\""));
  fetch_file(server_.url("/file"), target_, {}, quick(2));
  EXPECT_EQ(read_file(target_), other_);
  EXPECT_EQ(ranges(), (Ranges{"", "bytes=120000-", ""}));
  EXPECT_EQ(folder_.count(), 1);
}

TEST_F(DownloadTest, PartThatSpoilsTheChecksumIsDropped) {
  // Same tag, same size, other bytes: only the checksum can tell.
  leave_part(content_, 120000, "\"one\"");
  server_.put("/file", with_etag(other_, "\"one\""));
  fetch_file(server_.url("/file"), target_, sha256_hex(other_), quick(2));
  EXPECT_EQ(read_file(target_), other_);
  EXPECT_EQ(ranges(), (Ranges{"", "bytes=120000-", ""}));
}

TEST_F(DownloadTest, PartAsLongAsTheFileIsDropped) {
  leave_part(content_ + "x", 300000, "\"one\"");
  server_.put("/file", with_etag(content_, "\"one\""));
  fetch_file(server_.url("/file"), target_, {}, quick(2));
  EXPECT_EQ(read_file(target_), content_);
}

TEST_F(DownloadTest, ServerWithoutRangesStartsOver) {
  leave_part(content_, 120000, "\"one\"");
  server_.put("/file", chunked(content_));
  fetch_file(server_.url("/file"), target_, {}, quick(1));
  EXPECT_EQ(read_file(target_), content_);
  EXPECT_EQ(folder_.count(), 1);
}

TEST_F(DownloadTest, PartInUseByAnotherIsLeftAlone) {
  leave_part(content_, 120000, "\"one\"");
  const FileLock other_process(part());
  server_.put("/file", with_etag(content_, "\"one\""));
  expect_error(ErrorTag::kResources, {"another process"}, [&] { fetch_file(server_.url("/file"), target_, {}, quick(1)); });
  EXPECT_EQ(fs::file_size(part()), 120000u);
}

TEST_F(DownloadTest, TruncatedBodyIsNeverTakenForAFile) {
  server_.put("/file", cut_after(content_, 0));
  server_.once("/file", cut_after(content_, 70000));
  expect_error(ErrorTag::kResources, {server_.url("/file"), "cut (3 attempts)"},
               [&] { fetch_file(server_.url("/file"), target_, {}, quick()); });
  EXPECT_FALSE(fs::exists(target_));
  EXPECT_EQ(ranges(), (Ranges{"", "bytes=70000-", "bytes=70000-"}));
}

TEST_F(DownloadTest, ShorterThanTheHubSaysIsNeverTakenForAFile) {
  server_.put("/file", [this](const httplib::Request&, httplib::Response& response) {
    response.set_header("X-Linked-Size", "300001");
    response.set_content(content_, "text/plain");
  });
  expect_error(ErrorTag::kResources, {"cut"}, [&] { fetch_file(server_.url("/file"), target_, {}, quick(2)); });
  EXPECT_FALSE(fs::exists(target_));
}

TEST_F(DownloadTest, WrongChecksumLeavesNothing) {
  server_.put("/file", content_);
  expect_error(ErrorTag::kModel, {server_.url("/file"), sha256_hex(other_), sha256_hex(content_)},
               [&] { fetch_file(server_.url("/file"), target_, sha256_hex(other_), quick()); });
  EXPECT_EQ(folder_.count(), 0);
  EXPECT_EQ(ranges().size(), 1u);
}

TEST_F(DownloadTest, ServersChecksumIsCheckedToo) {
  server_.put("/file", with_etag(content_, fmt::format("W/\"{}\"", sha256_hex(other_))));
  expect_error(ErrorTag::kModel, {"sha256"}, [&] { fetch_file(server_.url("/file"), target_, {}, quick()); });
  EXPECT_EQ(folder_.count(), 0);
  server_.put("/file", with_etag(content_, fmt::format("\"{}\"", sha256_hex(content_))));
  EXPECT_TRUE(fetch_file(server_.url("/file"), target_, {}, quick()).downloaded);
}

TEST_F(DownloadTest, TagOfStorageBehindARedirectIsNoChecksum) {
  server_.put("/file", status(302, {{"Location", "/storage"}}));
  server_.put("/storage", with_etag(content_, fmt::format("\"{}\"", sha256_hex(other_))));
  fetch_file(server_.url("/file"), target_, {}, quick());
  EXPECT_EQ(read_file(target_), content_);
}

TEST_F(DownloadTest, LinkedChecksumSurvivesTheRedirect) {
  server_.put("/file", status(302, {{"Location", "/storage"}, {"X-Linked-Etag", fmt::format("\"{}\"", sha256_hex(other_))}}));
  server_.put("/storage", content_);
  expect_error(ErrorTag::kModel, {"sha256", sha256_hex(other_)}, [&] { fetch_file(server_.url("/file"), target_, {}, quick()); });
}

TEST_F(DownloadTest, StorageCannotVouchForItsOwnBytes) {
  // The hub names the file by its checksum; whoever it redirects to serves other bytes and names theirs.
  HubServer storage;
  const auto spoilt = [this](const httplib::Request&, httplib::Response& response) {
    response.set_header("X-Linked-Etag", fmt::format("\"{}\"", sha256_hex(other_)));
    response.set_content(other_, "text/plain");
  };
  storage.put("/storage", spoilt);
  storage.put("/back", status(302, {{"Location", server_.url("/own")}, {"X-Linked-Etag", fmt::format("\"{}\"", sha256_hex(other_))}}));
  server_.put("/own", spoilt);  // a repository of the storage's owner, on the hub itself
  for (const char* way : {"/storage", "/back"}) {
    server_.put("/file",
                status(302, {{"Location", storage.url(way, "localhost")}, {"X-Linked-Etag", fmt::format("\"{}\"", sha256_hex(content_))}}));
    expect_error(ErrorTag::kModel, {"expected sha256 " + sha256_hex(content_)},
                 [&] { fetch_file(server_.url("/file"), target_, {}, quick()); });
  }
  EXPECT_EQ(folder_.count(), 0);
}

TEST_F(DownloadTest, HubsOwnRedirectKeepsItsWord) {
  server_.put("/file", status(307, {{"Location", "/renamed"}}));
  server_.put("/renamed", [this](const httplib::Request&, httplib::Response& response) {
    response.set_header("X-Linked-Etag", fmt::format("\"{}\"", sha256_hex(content_)));
    response.set_content(other_, "text/plain");
  });
  expect_error(ErrorTag::kModel, {"expected sha256 " + sha256_hex(content_)},
               [&] { fetch_file(server_.url("/file"), target_, {}, quick()); });
}

TEST_F(DownloadTest, FileOfTheSameSizeIsNotTakenForTheFile) {
  write_file(target_, other_);
  server_.put("/file", content_);  // no checksum, no tag
  EXPECT_TRUE(fetch_file(server_.url("/file"), target_, {}, quick()).downloaded);
  EXPECT_EQ(read_file(target_), content_);
  EXPECT_EQ(folder_.count(), 1);
}

TEST_F(DownloadTest, SmallFileOfAHubIsKnownByItsGitName) {
  // printf 'hello\n' | git hash-object --stdin
  server_.put("/file", with_etag("hello\n", "\"ce013625030ba8dba906f756967f9e9ca394464a\""));
  write_file(target_, "jello\n");
  EXPECT_TRUE(fetch_file(server_.url("/file"), target_, {}, quick()).downloaded);
  EXPECT_EQ(read_file(target_), "hello\n");
  EXPECT_FALSE(fetch_file(server_.url("/file"), target_, {}, quick()).downloaded);
}

TEST_F(DownloadTest, EndlessFileIsCutOff) {
  server_.put("/file", chunked(content_));  // no length
  DownloadOptions options = quick();
  options.max_unsized_bytes = 299999;
  expect_error(ErrorTag::kModel, {server_.url("/file"), "at most 299999 bytes", "without its length"},
               [&] { fetch_file(server_.url("/file"), target_, {}, options); });
  EXPECT_EQ(folder_.count(), 0);
  options.max_unsized_bytes = 300000;
  fetch_file(server_.url("/file"), target_, {}, options);
  EXPECT_EQ(read_file(target_), content_);
}

TEST_F(DownloadTest, MoreThanTheHubSaysIsCutOff) {
  server_.put("/file", [this](const httplib::Request&, httplib::Response& response) {
    response.set_header("X-Linked-Size", "1000");
    response.set_content(content_, "text/plain");
  });
  std::int64_t most = 0;
  expect_error(ErrorTag::kModel, {server_.url("/file"), "expected 1000 bytes, got more"}, [&] {
    fetch_file(server_.url("/file"), target_, {}, quick(), [&](std::int64_t done, std::int64_t) { most = std::max(most, done); });
  });
  EXPECT_LE(most, 1000);
  EXPECT_EQ(folder_.count(), 0);
}

TEST_F(DownloadTest, PartThatIsALinkIsNotFollowed) {
  const TempFolder elsewhere;
  const fs::path victim = elsewhere / "victim";
  for (const bool symbolic : {true, false}) {
    leave_part(content_, 120000, "\"one\"");
    const fs::path name = part();
    fs::remove(name);
    write_file(victim, "precious");
    symbolic ? fs::create_symlink(victim, name) : fs::create_hard_link(victim, name);
    server_.put("/file", with_etag(content_, "\"one\""));
    fetch_file(server_.url("/file"), target_, {}, quick(1));
    EXPECT_EQ(read_file(victim), "precious");
    EXPECT_EQ(read_file(target_), content_);
    EXPECT_FALSE(fs::is_symlink(target_));
    fs::remove(target_);
    fs::remove(victim);
  }
}

TEST_F(DownloadTest, TokenNeverGoesInClear) {
  DownloadOptions options = quick();
  options.http.token = "secret";
  for (const char* url :
       {"http://mirror.example.org/file", "http://127.0.0.1.example.org/file", "http://user@example.org:80/file", "HTTP://example.org"})
    expect_error(ErrorTag::kUsage, {url, "in clear", "HF_TOKEN"}, [&] { fetch_file(url, target_, {}, options); });
  server_.put("/file", content_);
  fetch_file(server_.url("/file", "localhost"), target_, {}, options);  // the machine itself
  EXPECT_EQ(server_.seen("/file").at(0).authorization, "Bearer secret");
}

TEST_F(DownloadTest, CompleteFileIsKept) {
  server_.put("/file", with_etag(content_, fmt::format("\"{}\"", sha256_hex(content_))));
  write_file(target_, content_);
  EXPECT_FALSE(fetch_file(server_.url("/file"), target_, {}, quick()).downloaded);
  EXPECT_EQ(ranges().size(), 1u);
  EXPECT_FALSE(fetch_file(server_.url("/file"), target_, sha256_hex(content_), quick()).downloaded);
  EXPECT_EQ(ranges().size(), 1u) << "a known checksum needs no request";
  EXPECT_EQ(folder_.count(), 1);
}

TEST_F(DownloadTest, IncompleteOrSpoiltFileIsReplaced) {
  server_.put("/file", with_etag(content_, fmt::format("\"{}\"", sha256_hex(content_))));
  for (const std::string& wrong : {content_.substr(0, 1000), other_, std::string()}) {
    write_file(target_, wrong);
    EXPECT_TRUE(fetch_file(server_.url("/file"), target_, {}, quick()).downloaded);
    EXPECT_EQ(read_file(target_), content_);
  }
}

TEST_F(DownloadTest, ServerTroubleIsRetried) {
  server_.once("/file", status(500));
  server_.once("/file", status(429, {{"Retry-After", "0"}}));
  server_.put("/file", content_);
  fetch_file(server_.url("/file"), target_, {}, quick(3));
  EXPECT_EQ(read_file(target_), content_);
  EXPECT_EQ(ranges().size(), 3u);
}

TEST_F(DownloadTest, LastingServerTroubleIsAnError) {
  server_.put("/file", status(503));
  expect_error(ErrorTag::kResources, {server_.url("/file"), "HTTP status 503 (3 attempts)"},
               [&] { fetch_file(server_.url("/file"), target_, {}, quick(3)); });
  EXPECT_EQ(ranges().size(), 3u);
  EXPECT_EQ(folder_.count(), 0);
}

TEST_F(DownloadTest, RefusalsAreNotRetried) {
  server_.put("/file", status(401, {{"X-Error-Message", "Access is\trestricted"}}));
  expect_error(ErrorTag::kModel, {"HTTP status 401: Access is restricted", "HF_TOKEN"},
               [&] { fetch_file(server_.url("/file"), target_, {}, quick()); });
  server_.put("/file", status(404));
  expect_error(ErrorTag::kModel, {server_.url("/file"), "404"}, [&] { fetch_file(server_.url("/file"), target_, {}, quick()); });
  server_.put("/file", status(410));
  expect_error(ErrorTag::kModel, {"HTTP status 410"}, [&] { fetch_file(server_.url("/file"), target_, {}, quick()); });
  EXPECT_EQ(ranges().size(), 3u);
}

TEST_F(DownloadTest, StalledTransferIsCutAndTriedAgain) {
  std::promise<void> fetched;
  const std::shared_future<void> end = fetched.get_future().share();
  server_.once("/file", [&, end](const httplib::Request&, httplib::Response& response) {
    response.set_content_provider(content_.size(), "text/plain", [end](std::size_t, std::size_t, httplib::DataSink&) {
      end.wait_for(std::chrono::seconds(20));
      return false;
    });
  });
  server_.put("/file", content_);
  DownloadOptions options = quick(5);
  options.http.stall_timeout_s = 1;
  const Stopwatch clock;
  fetch_file(server_.url("/file"), target_, {}, options);
  fetched.set_value();
  EXPECT_LT(clock.seconds(), 19);
  EXPECT_EQ(read_file(target_), content_);
}

TEST_F(DownloadTest, NobodyThereIsAnErrorAtOnce) {
  const std::string url = HubServer().url("/file");
  DownloadOptions options = quick();
  options.backoff_s = 60;
  expect_error(ErrorTag::kResources, {url, "cannot connect", "network"}, [&] { fetch_file(url, target_, {}, options); });
  EXPECT_EQ(folder_.count(), 0);
}

TEST_F(DownloadTest, TokenStaysWithItsHost) {
  HubServer storage;
  storage.put("/storage", content_);
  server_.put("/file", status(302, {{"Location", storage.url("/storage", "localhost")}}));
  DownloadOptions options = quick();
  options.http.token = "secret";
  fetch_file(server_.url("/file"), target_, {}, options);
  EXPECT_EQ(server_.seen("/file").at(0).authorization, "Bearer secret");
  EXPECT_EQ(storage.seen("/storage").at(0).authorization, "");
  EXPECT_EQ(read_file(target_), content_);
}

TEST_F(DownloadTest, EndlessRedirectAndOtherProtocolsAreErrors) {
  server_.put("/file", status(302, {{"Location", "/file"}}));
  expect_error(ErrorTag::kResources, {"redirects"}, [&] { fetch_file(server_.url("/file"), target_, {}, quick()); });
  server_.put("/file", status(302, {{"Location", "file:///etc/hostname"}}));
  expect_error(ErrorTag::kResources, {server_.url("/file")}, [&] { fetch_file(server_.url("/file"), target_, {}, quick()); });
  EXPECT_EQ(folder_.count(), 0);
}

TEST_F(DownloadTest, FolderThatCannotBeMadeIsAnError) {
  write_file(target_, "a file");
  expect_error(ErrorTag::kResources, {"file.bin"}, [&] { fetch_file(server_.url("/file"), target_ / "below", {}, quick()); });
}

TEST_F(DownloadTest, ErrorOfTheProgressCallbackIsPassedOn) {
  server_.put("/file", content_);
  const auto stop = [](std::int64_t, std::int64_t) { throw Error(ErrorTag::kUsage, "", "stopped by the caller"); };
  expect_error(ErrorTag::kUsage, {"stopped by the caller"}, [&] { fetch_file(server_.url("/file"), target_, {}, quick(), stop); });
}

TEST_F(DownloadTest, TextIsWholeAndNoLongerThanAllowed) {
  server_.once("/file", cut_after("a small page", 3));
  server_.put("/file", "a small page");
  Downloader downloader(quick());
  EXPECT_EQ(downloader.text(server_.url("/file"), 12), "a small page");
  EXPECT_EQ(downloader.text(server_.url("/absent"), 12), std::nullopt);
  expect_error(ErrorTag::kModel, {server_.url("/file"), "at most 11 bytes"}, [&] { downloader.text(server_.url("/file"), 11); });
}

TEST(UrlEncode, KeepsOnlyWhatIsPlain) {
  EXPECT_EQ(url_encode("refs/pr/1"), "refs%2Fpr%2F1");
  EXPECT_EQ(url_encode("1_Pooling/a b+é.json", "/"), "1_Pooling/a%20b%2B%C3%A9.json");
}

}  // namespace
}  // namespace minbert
