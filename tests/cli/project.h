// Project: a folder with sample data and a config that trains in an instant; the program runs in it.
#pragma once

#include "minbert/base/files.h"
#include "tests/cli/program.h"

namespace minbert {

class ProjectTest : public testing::Test {
 protected:
  ProjectTest();

  /// Runs the program in this folder on one thread, as the matrices are too small for two.
  Finished minbert(const std::vector<std::string>& arguments, const std::string& input = {}) const;
  /// Options that start the program here and leave it running.
  RunOptions options(const std::string& input = {}) const;
  /// Trains tiny.toml into run/.
  void train();

  std::filesystem::path path(std::string_view name) const { return folder_ / name; }
  std::string text(std::string_view name) const { return read_file(folder_ / name); }
  void write(std::string_view name, std::string_view text) const;

 private:
  TempFolder folder_;
};

}  // namespace minbert
