// Project: a folder with sample data, a config of a model that trains in an instant, and the program run in it.
#pragma once

#include "minbert/base/files.h"
#include "tests/cli/program.h"

namespace minbert {

class ProjectTest : public testing::Test {
 protected:
  ProjectTest();

  /// The program in this folder, on one thread: the matrices are too small for two.
  Finished minbert(const std::vector<std::string>& arguments, const std::string& input = {}) const;
  /// How to start it there when it is to be left running.
  RunOptions options(const std::string& input = {}) const;
  /// tiny.toml trained into run/.
  void train();

  std::filesystem::path path(std::string_view name) const { return folder_ / name; }
  std::string text(std::string_view name) const { return read_file(folder_ / name); }
  void write(std::string_view name, std::string_view text) const;

 private:
  TempFolder folder_;
};

}  // namespace minbert
