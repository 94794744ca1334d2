// Files: what readers see while a write is under way, after it, and when it fails.
#include "minbert/base/files.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "tests/base/error_matchers.h"
#include "tests/base/file_size_limit.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// Runs `body` in a child process and returns its exit status; 250 when an exception escapes.
template <class Body>
int run_in_child(Body&& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 250;
    try {
      code = body();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(Files, ReadsAndMapsWhatWasWritten) {
  const TempFolder folder;
  const std::string content = std::string("a\0b\r\n", 5) + std::string(200000, 'x');
  write_file(folder / "f", content);
  EXPECT_EQ(read_file(folder / "f"), content);
  MappedFile map(folder / "f");
  EXPECT_EQ(map.text(), content);
  MappedFile moved(std::move(map));
  EXPECT_EQ(moved.text(), content);
  EXPECT_EQ(folder.count(), 1);
}

TEST(Files, EmptyFileMapsToNothing) {
  const TempFolder folder;
  write_file(folder / "f", "");
  EXPECT_TRUE(MappedFile(folder / "f").bytes().empty());
  EXPECT_EQ(read_file(folder / "f"), "");
}

TEST(Files, MissingFileAndFolderAreErrorsOfTheCallersKind) {
  const TempFolder folder;
  expect_error(ErrorTag::kData, {"none", "No such file"}, [&] { read_file(folder / "none"); });
  expect_error(ErrorTag::kModel, {"none", "No such file"}, [&] { MappedFile(folder / "none", ErrorTag::kModel); });
  expect_error(ErrorTag::kUsage, {"expected a file, got a folder"}, [&] { read_file(folder.path(), ErrorTag::kUsage); });
  expect_error(ErrorTag::kResources, {"No such file"}, [&] { write_file(folder / "none/f", "x"); });
  expect_error(ErrorTag::kResources, {"directory"}, [&] { write_file(folder.path(), "x"); });
}

TEST(Files, CutWhileMappedIsReportedByName) {
  const TempFolder folder;
  const std::string content(1 << 20, 'x');
  write_file(folder / "f", content);
  const auto read_after_cut = [&](bool report, bool model = true) {
    return run_in_child([&] {
      AtomicFile unfinished(folder / "g");
      unfinished.write("x");
      if (report) {
        on_cut_file([](const char* path, ErrorTag tag) {
          const bool named = std::string_view(path).ends_with("/f");
          ::_exit(named ? static_cast<int>(tag) : 99);
        });
      } else {
        ::signal(SIGBUS, SIG_DFL);  // a sanitizer has a handler of its own
      }
      const MappedFile data(folder / "f", ErrorTag::kData), weights(folder / "f", ErrorTag::kModel);
      fs::resize_file(folder / "f", 10);
      return (model ? weights : data).text().back() == 'x' ? 1 : 2;
    });
  };
  EXPECT_EQ(read_after_cut(true), static_cast<int>(ErrorTag::kModel));
  EXPECT_EQ(folder.count(), 1) << "the temporary file is gone";
  write_file(folder / "f", content);
  EXPECT_EQ(read_after_cut(false), 1) << "a model is read into memory where nobody reports cut files";
  write_file(folder / "f", content);
  EXPECT_EQ(read_after_cut(false, false), 1000 + SIGBUS);
}

TEST(Files, OtherBusErrorsKeepTheirEffect) {
  const int status = run_in_child([] {
    on_cut_file([](const char*, ErrorTag) { ::_exit(99); });
    return ::raise(SIGBUS);
  });
  EXPECT_EQ(status, 1000 + SIGBUS);
}

TEST(Files, EverySignalRemovesTemporaryFiles) {
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR2, SIGALRM, SIGABRT, SIGXCPU, SIGRTMIN}) {
    const TempFolder folder;
    write_file(folder / "kept", "old");
    const int status = run_in_child([&] {
      ::signal(signal, SIG_DFL);  // nohup ignores some
      remove_temporary_files_on_signals();
      AtomicFile file(folder / "kept");
      file.write("half");
      AtomicFolder tree(folder / "tree");
      make_directories(tree.temporary() / "deep/er");
      write_file(tree.temporary() / "deep/er/f", "x");
      std::filesystem::create_directory_symlink(folder.path(), tree.temporary() / "link");
      return ::raise(signal);
    });
    EXPECT_EQ(status, 1000 + signal);
    EXPECT_EQ(folder.count(), 1) << "signal " << signal;
    EXPECT_EQ(read_file(folder / "kept"), "old");
  }
}

TEST(Files, IgnoredSignalsStayIgnored) {
  EXPECT_EQ(run_in_child([] {
              ::signal(SIGHUP, SIG_IGN);
              remove_temporary_files_on_signals();
              ::raise(SIGHUP);
              ::raise(SIGCHLD);
              return 7;
            }),
            7);
}

TEST(Files, FreeBytesAreCheckedAhead) {
  const TempFolder folder;
  EXPECT_NO_THROW(expect_free_bytes(folder / "absent/too", 1, "a test"));
  expect_error(ErrorTag::kResources, {"absent", "free bytes for a test", "the disk is full"},
               [&] { expect_free_bytes(folder / "absent/too", INT64_MAX, "a test"); });
}

TEST(FileLock, FollowsNoLink) {
  const TempFolder folder;
  fs::create_symlink(folder / "target", folder / "lock");
  expect_error(ErrorTag::kResources, {"lock"}, [&] { FileLock lock(folder / "lock"); });
  EXPECT_FALSE(fs::exists(folder / "target"));
}

TEST(AtomicFile, KeepsTheOldContentUntilCommit) {
  const TempFolder folder;
  write_file(folder / "f", "old");
  {
    AtomicFile file(folder / "f");
    file.write("new");
    EXPECT_EQ(read_file(folder / "f"), "old");
    file.commit();
    EXPECT_EQ(read_file(folder / "f"), "new");
  }
  { AtomicFile(folder / "f").write("dropped"); }
  EXPECT_EQ(read_file(folder / "f"), "new");
  EXPECT_EQ(folder.count(), 1);
}

TEST(AtomicFile, WritesThroughLinksAndDevices) {
  const TempFolder folder;
  write_file(folder / "target", "old");
  fs::create_symlink("target", folder / "link");
  write_file(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "target"), "new");
  fs::create_symlink("next", folder / "first");
  fs::create_symlink(fs::absolute(folder / "absent"), folder / "next");
  write_file(folder / "first", "made");
  EXPECT_TRUE(fs::is_symlink(folder / "first") && fs::is_symlink(folder / "next"));
  EXPECT_EQ(read_file(folder / "absent"), "made");
  fs::create_symlink("circle", folder / "circle");
  EXPECT_THROW(write_file(folder / "circle", "x"), Error);
  write_file("/dev/null", "x");
  EXPECT_EQ(fs::status("/dev/null").type(), fs::file_type::character);
  if (fs::exists("/dev/full"))
    expect_error(ErrorTag::kResources, {"/dev/full", "No space left", "the disk is full"}, [] { write_file("/dev/full", "x"); });
}

TEST(AtomicFile, KilledBeforeCommitLeavesNoTarget) {
  const TempFolder folder;
  const int status = run_in_child([&] {
    AtomicFile file(folder / "f");
    file.write(std::string(100000, 'x'));
    ::kill(::getpid(), SIGKILL);
    return 0;
  });
  EXPECT_EQ(status, 1000 + SIGKILL);
  EXPECT_FALSE(fs::exists(folder / "f"));
  write_file(folder / "f", "later");
  EXPECT_EQ(read_file(folder / "f"), "later");
}

// A file-size limit fails writes just as a full disk does.
TEST(AtomicFile, FullDiskIsAnErrorThatLeavesNothing) {
  const TempFolder folder;
  write_file(folder / "f", "old");
  for (const std::size_t size : {5000u, 1000000u}) {  // within and beyond the stream's buffer
    const int status = run_in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{4096, 4096};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      try {
        write_file(folder / "f", std::string(size, 'x'));
      } catch (const Error& error) {
        return error.exit_code();
      }
      return 0;
    });
    EXPECT_EQ(status, static_cast<int>(ErrorTag::kResources)) << size;
    EXPECT_EQ(read_file(folder / "f"), "old");
    EXPECT_EQ(folder.count(), 1);
  }
}

TEST(AppendFile, GrowsByWholeWritesThatAreSeenAtOnce) {
  const TempFolder folder;
  write_file(folder / "f", "a\n");
  AppendFile file(folder / "f");
  file.write("b\n");
  EXPECT_EQ(read_file(folder / "f"), "a\nb\n");
  fs::resize_file(folder / "f", 2);  // cut by someone: writing goes on at the new end
  file.write("c\n");
  file.sync();
  EXPECT_EQ(read_file(folder / "f"), "a\nc\n");
}

TEST(AppendFile, FullDiskAndMissingFolderAreErrorsThatNameTheFile) {
  const TempFolder folder;
  expect_error(ErrorTag::kResources, {"none/f", "cannot write"}, [&] { AppendFile(folder / "none/f"); });
  AppendFile file(folder / "f");
  const FileSizeLimit limit(64);
  expect_error(ErrorTag::kResources, {"f", "cannot write"}, [&] { file.write(std::string(100, 'x')); });
}

TEST(FileLock, IsExclusiveBetweenProcesses) {
  const TempFolder folder;
  const auto try_lock = [&] {
    try {
      FileLock lock(folder / "lock");
    } catch (const Error& error) {
      return error.exit_code();
    }
    return 0;
  };
  {
    FileLock held(folder / "lock");
    EXPECT_EQ(run_in_child(try_lock), static_cast<int>(ErrorTag::kResources));
    expect_error(ErrorTag::kResources, {"lock", "another process"}, [&] { FileLock second(folder / "lock"); });
  }
  EXPECT_EQ(run_in_child(try_lock), 0);
}

TEST(Files, LinkedFoldersTakeNoRoom) {
  const TempFolder folder;
  make_directories(folder / "from/inner");
  write_file(folder / "from/a", "first");
  write_file(folder / "from/inner/b", "second");
  for (int again = 0; again < 2; ++again) link_folder(folder / "from", folder / "to");
  EXPECT_TRUE(fs::equivalent(folder / "from/a", folder / "to/a"));
  EXPECT_EQ(read_file(folder / "to/inner/b"), "second");
  write_file(folder / "from/a", "changed");
  EXPECT_EQ(read_file(folder / "to/a"), "first") << "files are replaced, not written over";
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 2);
}

TEST(Files, MakesParents) {
  const TempFolder folder;
  make_directories(folder / "a/b/c");
  make_directories(folder / "a/b/c");
  EXPECT_TRUE(fs::is_directory(folder / "a/b/c"));
  write_file(folder / "f", "");
  expect_error(ErrorTag::kResources, {"cannot create the folder"}, [&] { make_directories(folder / "f/g"); });
}

}  // namespace
}  // namespace minbert
