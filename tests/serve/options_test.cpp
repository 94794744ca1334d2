// ServeOptions: the README's table of flags lists them.
#include "minbert/serve/options.h"

#include <gtest/gtest.h>

#include "minbert/base/files.h"

namespace minbert {
namespace {

TEST(ServeOptionsTable, IsInTheReadme) {
  const std::string readme = read_file(MINBERT_SOURCE_DIR "/README.md");
  std::string rows;
  for (const OptionInfo& option : list_options<ServeOptions>()) {
    std::string flag = option.key, help;
    for (char& c : flag) c = c == '_' ? '-' : c;
    for (const char c : option.help) help += c == '|' ? "\\|" : std::string(1, c);
    std::string shown = option.default_value;
    std::erase(shown, '"');
    rows += fmt::format("| `--{}` | {} | {} |\n", flag, shown.empty() ? "none" : shown, help);
  }
  EXPECT_NE(readme.find(rows), std::string::npos) << rows;
}

}  // namespace
}  // namespace minbert
