// README: its tables of environment variables and exit codes say what the program does.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "minbert/base/check.h"
#include "minbert/base/env.h"
#include "minbert/base/files.h"

namespace minbert {
namespace {

std::string readme() { return read_file(MINBERT_SOURCE_DIR "/README.md"); }

/// The rows of the table under "## title", header left out, each with its newline.
std::string table_under(std::string_view title) {
  const std::string text = readme();
  const std::size_t section = text.find(fmt::format("\n## {}\n", title));
  if (section == std::string::npos) return "no section " + std::string(title);
  const std::size_t rule = text.find("\n|---", section), first = text.find('\n', rule + 1) + 1;
  return text.substr(first, text.find("\n\n", first) + 1 - first);
}

std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? "\\|" : std::string(1, c);
  return out;
}

TEST(Readme, ListsEveryEnvironmentVariable) {
  std::string rows;
  for (const auto& [name, default_value, help] : env_variables())
    rows += fmt::format("| `{}` | {} | {} |\n", name, default_value, cell(help));
  EXPECT_EQ(table_under("Environment"), rows);
}

TEST(Readme, ListsEveryErrorTagWithItsExitCode) {
  const std::string table = table_under("Exit codes");
  for (int code = 1; code <= 7; ++code) {
    const auto row = fmt::format("| {} | `{}` | ", code, tag_name(static_cast<ErrorTag>(code)));
    EXPECT_NE(table.find(row), std::string::npos) << row << "\nis not in\n" << table;
  }
}

}  // namespace
}  // namespace minbert
