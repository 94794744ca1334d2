// Program: the built minbert run as its users run it.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/base/temp_folder.h"

namespace minbert {

struct Finished {
  int code = 0;          ///< exit code; negative: the signal that ended it
  std::string out, err;  ///< what it wrote
};

struct RunOptions {
  std::string input = {};                     ///< standard input
  std::string output = {};                    ///< standard output goes to this file (/dev/full) instead
  std::string errors = {};                    ///< and stderr to this one
  std::filesystem::path folder = ".";         ///< working directory
  std::vector<std::string> environment = {};  ///< "NAME=VALUE", beside the test's own
};

/// A program that still runs; the destructor kills it.
class Program {
 public:
  Program(const std::vector<std::string>& arguments, const RunOptions& options = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void send(int signal);
  /// What it has written to stderr by now.
  std::string errors() const;
  /// Signals that it was sent and has not met yet.
  bool has_pending_signals() const;
  bool ended();
  /// Waits until `condition` holds; false when the program ended, or a minute passed, without it.
  bool wait_until(const std::function<bool()>& condition);
  Finished wait();

 private:
  TempFolder files_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
};

Finished run(const std::vector<std::string>& arguments, const RunOptions& options = {});

/// The run ended with `code` after one error line of the documented form that holds `part`, and a hint line at most.
void expect_failure(const Finished& finished, int code, std::string_view part);
/// The run ended with 0; its errors are shown otherwise.
void expect_success(const Finished& finished);

std::vector<std::string> lines_of(const std::string& text);

}  // namespace minbert
