// JSON: one wrapper around nlohmann-json's exceptions.
#include "minbert/base/json.h"

#include <fmt/format.h>

#include <algorithm>

#include "minbert/base/files.h"
#include "minbert/base/unicode.h"

namespace minbert {
namespace {

std::string place_of(std::string_view text, std::string_view place, std::size_t offset) {
  const auto before = text.substr(0, std::min(offset, text.size()));
  const auto line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return fmt::format("{}:{}:{}", place, std::count(before.begin(), before.end(), '\n') + 1, before.size() - line_start + 1);
}

/// Where `text` first nests deeper than kMaxNesting, or npos.
std::size_t find_excess_depth(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxNesting) return i;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return std::string_view::npos;
}

/// Where `text` has a NUL byte, which nlohmann's parser takes for the end, or npos.
std::size_t find_nul(std::string_view text) { return text.find('\0'); }

/// Whether dump() would recurse too deeply. The limit leaves room for a parsed document inside another value.
bool is_too_deep(const Json& value, int depth = 1) {
  if (!value.is_structured()) return false;
  return depth > 2 * kMaxNesting || std::any_of(value.begin(), value.end(), [&](const Json& item) { return is_too_deep(item, depth + 1); });
}

/// The message without nlohmann's "[json.exception.parse_error.101] parse error at line 1, column 2: ", which the place already says.
std::string plain_message(std::string_view what) {
  if (const auto at = what.find("] "); at != std::string_view::npos) what.remove_prefix(at + 2);
  if (what.starts_with("parse error")) {
    if (const auto at = what.find(": "); at != std::string_view::npos) what.remove_prefix(at + 2);
  }
  return std::string(what);
}

template <class AnyJson>
AnyJson parse(std::string_view text, std::string_view place, ErrorTag tag) {
  if (text.size() > kMaxJsonBytes)
    throw Error(tag, place, fmt::format("expected at most {} bytes of JSON, got {}", kMaxJsonBytes, text.size()));
  if (const std::size_t at = find_excess_depth(text); at != text.npos)
    throw Error(tag, place_of(text, place, at), fmt::format("nested deeper than {} levels", kMaxNesting));
  if (const std::size_t at = find_nul(text); at != text.npos) throw Error(tag, place_of(text, place, at), "not valid JSON: a NUL byte");
  try {
    return AnyJson::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    // The byte of a parse error counts from 1 and names the last byte read.
    throw Error(tag, place_of(text, place, error.byte > 0 ? error.byte - 1 : 0), "not valid JSON: " + plain_message(error.what()));
  } catch (const nlohmann::json::exception& error) {  // a number out of range
    throw Error(tag, place, "not valid JSON: " + plain_message(error.what()));
  }
}

}  // namespace

Json parse_json(std::string_view text, std::string_view place, ErrorTag tag) { return parse<Json>(text, place, tag); }

SortedJson parse_sorted_json(std::string_view text, std::string_view place, ErrorTag tag) { return parse<SortedJson>(text, place, tag); }

Json read_json(const std::filesystem::path& path, ErrorTag tag) { return parse_json(read_file(path, tag), path.string(), tag); }

SortedJson read_sorted_json(const std::filesystem::path& path, ErrorTag tag) {
  return parse<SortedJson>(read_file(path, tag), path.string(), tag);
}

JsonLine parse_json_line(std::string_view line) {
  if (line.size() > kMaxJsonBytes) return {nullptr, fmt::format("{} bytes, more than {}", line.size(), kMaxJsonBytes)};
  if (find_excess_depth(line) != line.npos) return {nullptr, fmt::format("one nested deeper than {} levels", kMaxNesting)};
  Json value = Json::parse(line, nullptr, false);
  if (value.is_discarded() || find_nul(line) != line.npos) return {nullptr, "invalid JSON"};
  return {std::move(value), {}};
}

std::string dump_json(const Json& value, int indent) {
  MINBERT_CHECK(!is_too_deep(value), "JSON nested deeper than {} levels", 2 * kMaxNesting);
  std::string text = value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
  // What nlohmann leaves as it is: DEL, and characters that begin with these bytes.
  return text.find_first_of("\x7F\xC2\xE2") == text.npos ? text : escape_controls(text);
}

}  // namespace minbert
