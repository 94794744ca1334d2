// Output: checked writes to stdout, atomic files, aligned tables.
#include "minbert/cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "minbert/base/unicode.h"

namespace minbert {
namespace {

[[noreturn]] void fail_stdout() {
  const int error = errno;
  std::clearerr(stdout);
  if (error == EPIPE) throw BrokenPipe();
  throw Error(ErrorTag::kResources, "standard output", fmt::format("cannot write: {}", std::generic_category().message(error)));
}

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t position = 0; position < text.size(); ++width) next_code_point(text, position);
  return width;
}

bool is_numeric(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789.+-%, []e") == text.npos; }

}  // namespace

Output::Output(const std::string& path) {
  if (path != "-") file_.emplace(path);
}

void Output::write(std::string_view text) {
  if (file_)
    file_->write(text);
  else if (!text.empty() && std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
    fail_stdout();
}

void Output::commit() {
  if (file_)
    file_->commit();
  else if (std::fflush(stdout) != 0)
    fail_stdout();
}

void print(std::string_view text) {
  Output out;
  out.write(text);
  out.commit();
}

void print_json(const Json& json) { print(dump_json(json, 2) + "\n"); }

std::string TextTable::text() const {
  const std::size_t columns = rows_.front().size();
  std::vector<std::size_t> widths(columns, 0);
  std::vector<bool> right(columns, true);
  for (std::size_t r = 0; r < rows_.size(); ++r)
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string& cell = rows_[r].at(c);
      widths[c] = std::max(widths[c], width_of(cell));
      if (c == 0 || (r > 0 && !cell.empty() && !is_numeric(cell))) right[c] = false;
    }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string padding(widths[c] - width_of(row[c]), ' ');
      line += (c == 0 ? "" : "  ") + (right[c] ? padding + row[c] : row[c] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace minbert
