// TOML out: values on one line, tables as files, and dotted keys.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "minbert/base/json.h"
#include "minbert/base/toml.h"
#include "minbert/base/unicode.h"

namespace minbert {
namespace {

constexpr std::size_t kCommentColumn = 44;

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default: out += c;
    }
  }
  return escape_controls(out) + '"';
}

std::string print_key(std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return bare ? std::string(key) : quote(key);
}

/// The shortest text that reads back as the same number, and as a float.
std::string print_double(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

/// Where the part of a dotted key that begins at `at` ends: behind its closing quote, or at a dot. Beyond the key if no quote closes it.
std::size_t part_end(std::string_view key, std::size_t at) {
  if (key.substr(at, 1) != "\"") return std::min(key.find('.', at), key.size());
  for (++at; at < key.size() && key[at] != '"'; ++at) at += key[at] == '\\';
  return at + 1;
}

bool is_section(const TomlValue& value) {
  return value.section &&
         (value.get_if<TomlTable>() != nullptr || (value.get_if<TomlArray>() != nullptr && !value.get_if<TomlArray>()->empty()));
}

void print_table(std::string& out, const TomlTable& table, const std::string& path, bool with_origins) {
  // What follows a header belongs to it, so that plain values come first.
  for (const auto& [key, value] : table) {
    if (is_section(value)) continue;
    std::string line = fmt::format("{} = {}", print_key(key), print_toml_value(value));
    if (with_origins && !value.origin.place.empty())
      line = fmt::format("{:<{}}  # {}", line, kCommentColumn, printable(value.origin.place));
    out += line + "\n";
  }
  const auto header = [&](std::string_view open, const std::string& key, std::string_view close) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{}{}{}\n", open, key, close);
  };
  for (const auto& [key, value] : table) {
    if (!is_section(value)) continue;
    const std::string below = join_key(path, key);
    if (const auto* inner = value.get_if<TomlTable>()) {
      header("[", below, "]");
      print_table(out, *inner, below, with_origins);
    } else {
      for (const auto& item : *value.get_if<TomlArray>()) {
        header("[[", below, "]]");
        print_table(out, *item.get_if<TomlTable>(), below, with_origins);
      }
    }
  }
}

}  // namespace

std::string print_toml_value(const TomlValue& value) {
  return std::visit(
      [](const auto& data) -> std::string {
        using T = std::decay_t<decltype(data)>;
        if constexpr (std::is_same_v<T, bool>) return data ? "true" : "false";
        if constexpr (std::is_same_v<T, std::int64_t>) return fmt::to_string(data);
        if constexpr (std::is_same_v<T, double>) return print_double(data);
        if constexpr (std::is_same_v<T, std::string>) return quote(data);
        std::vector<std::string> items;
        if constexpr (std::is_same_v<T, TomlArray>) {
          for (const auto& item : data) items.push_back(print_toml_value(item));
          return fmt::format("[{}]", fmt::join(items, ", "));
        }
        if constexpr (std::is_same_v<T, TomlTable>) {
          for (const auto& [key, item] : data) items.push_back(fmt::format("{} = {}", print_key(key), print_toml_value(item)));
          return items.empty() ? "{}" : fmt::format("{{ {} }}", fmt::join(items, ", "));
        }
      },
      value.data);
}

std::string print_toml(const TomlValue& table, bool with_origins) {
  MINBERT_CHECK(table.get_if<TomlTable>() != nullptr, "a file is a table");
  std::string out;
  print_table(out, *table.get_if<TomlTable>(), "", with_origins);
  return out;
}

std::string join_key(std::string_view parent, std::string_view child) {
  return parent.empty() ? print_key(child) : fmt::format("{}.{}", parent, print_key(child));
}

std::vector<std::string> split_key(std::string_view key, std::string_view place) {
  std::vector<std::string> parts;
  for (std::size_t at = 0;; ++at) {
    const std::size_t begin = at;
    at = part_end(key, begin);
    std::string part(key.substr(begin, at - begin));
    if (part.starts_with('"')) part = at > key.size() ? "" : *parse_toml_value(part, place).get_if<std::string>();
    if (part.empty() || (at < key.size() && key[at] != '.'))
      throw Error(ErrorTag::kUsage, place, fmt::format("expected a key such as task.sst.batch, got \"{}\"", key));
    if (parts.size() == kMaxNesting) throw Error(ErrorTag::kUsage, place, fmt::format("nested deeper than {} levels", kMaxNesting));
    parts.push_back(std::move(part));
    if (at >= key.size()) return parts;
  }
}

}  // namespace minbert
