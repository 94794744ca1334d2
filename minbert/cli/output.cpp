// Checked writes to stdout, and atomic files.
#include "minbert/cli/output.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "minbert/base/unicode.h"
#include "minbert/data/text.h"

namespace minbert {
namespace {

[[noreturn]] void fail_stdout() {
  const int error = errno;
  std::clearerr(stdout);
  if (error == EPIPE) throw BrokenPipe();
  throw Error(ErrorTag::kResources, "standard output", fmt::format("cannot write: {}", std::generic_category().message(error)));
}

}  // namespace

Output::Output(const std::string& path) {
  if (path != "-") file_.emplace(path);
}

void Output::write(std::string_view text) {
  if (shard_ != nullptr)
    shard_->write(text);
  else if (file_)
    file_->write(text);
  else if (!text.empty() && std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
    fail_stdout();
}

void Output::write_header(std::string_view text) {
  if (shard_ != nullptr)
    shard_->write_header(text);
  else
    write(text);
}

void Output::flush() {
  if (!file_ && shard_ == nullptr && std::fflush(stdout) != 0) fail_stdout();
}

void Output::commit() {
  if (shard_ != nullptr) return;
  if (file_)
    file_->commit();
  else
    flush();
}

std::string output_format(const std::string& path, std::initializer_list<std::string_view> formats, std::string hint) {
  if (path == "-") return "jsonl";
  const std::string ending = lower_case(std::filesystem::path(path).extension().string());
  for (const std::string_view format : formats)
    if (ending.substr(std::min<std::size_t>(ending.size(), 1)) == format) return std::string(format);
  std::string endings;
  for (const std::string_view& format : formats)
    endings += fmt::format("{}.{}", endings.empty() ? "" : &format == formats.end() - 1 ? " or " : ", ", format);
  throw Error(ErrorTag::kUsage, "-o", fmt::format("expected a name that ends in {}, got \"{}\"", endings, path), std::move(hint));
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=:,./@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == text.npos) return std::string(text);
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

void print(std::string_view text) {
  Output out;
  out.write(text);
  out.commit();
}

void print_text(std::string_view text) { print(printable_lines(text)); }

void print_json(const Json& json) { print(dump_json(json, 2) + "\n"); }

}  // namespace minbert
