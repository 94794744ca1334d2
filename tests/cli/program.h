// Program: runs the built minbert as users do.
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
  int code = 0;          ///< exit code; minus the signal's number if a signal ended it
  std::string out, err;  ///< its standard output and error output
};

struct RunOptions {
  std::string input = {};                     ///< standard input
  std::string output = {};                    ///< standard output goes to this file (/dev/full) instead
  std::string errors = {};                    ///< and stderr to this one
  std::filesystem::path folder = ".";         ///< working directory
  std::vector<std::string> environment = {};  ///< "NAME=VALUE", beside the test's own
};

/// A running program; the destructor kills it.
class Program {
 public:
  Program(const std::vector<std::string>& arguments, const RunOptions& options = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void send(int signal);
  /// Its error output so far.
  std::string errors() const;
  /// Signals that were sent and are still pending.
  bool has_pending_signals() const;
  bool ended();
  /// Waits until `condition` holds; returns false if the program ends or a minute passes before.
  bool wait_until(const std::function<bool()>& condition);
  Finished wait();

 private:
  TempFolder files_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
};

Finished run(const std::vector<std::string>& arguments, const RunOptions& options = {});

/// Expects `code`, one error line of the documented form that holds `part`, and at most a hint line.
void expect_failure(const Finished& finished, int code, std::string_view part);
/// Expects exit code 0; shows the errors otherwise.
void expect_success(const Finished& finished);

std::vector<std::string> lines_of(const std::string& text);

}  // namespace minbert
