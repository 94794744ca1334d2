// TOML as plain values that remember where they were written. toml++ itself stays inside toml.cpp.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "minbert/base/check.h"

namespace minbert {

struct TomlValue;
using TomlArray = std::vector<TomlValue>;

/// A table; keys stay in the order they were written.
class TomlTable {
 public:
  using Entry = std::pair<std::string, TomlValue>;

  /// Null when there is no such key.
  const TomlValue* find(std::string_view key) const;
  TomlValue* find(std::string_view key);
  /// Overwrites, or appends the key.
  TomlValue& set(std::string_view key, TomlValue value);

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
};

/// Where a value comes from.
struct TomlOrigin {
  std::string place;             ///< "base.toml:12", "--set", the name of an environment variable, or "default"
  std::filesystem::path folder;  ///< absolute; a relative path in the value starts here
};

struct TomlValue {
  using Data = std::variant<bool, std::int64_t, double, std::string, TomlArray, TomlTable>;

  Data data;
  TomlOrigin origin;
  /// A table under a [header], or an array of tables under [[headers]]; the others are written inline.
  bool section = false;

  TomlValue() = default;
  TomlValue(std::same_as<bool> auto value) : data(value) {}
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  TomlValue(T value) : data(static_cast<std::int64_t>(value)) {}
  TomlValue(std::floating_point auto value) : data(static_cast<double>(value)) {}
  TomlValue(std::string value) : data(std::move(value)) {}
  TomlValue(std::string_view value) : data(std::string(value)) {}
  TomlValue(const char* value) : data(std::string(value)) {}
  TomlValue(TomlArray value) : data(std::move(value)) {}
  TomlValue(TomlTable value) : data(std::move(value)) {}

  template <class T>
  const T* get_if() const {
    return std::get_if<T>(&data);
  }
  template <class T>
  T* get_if() {
    return std::get_if<T>(&data);
  }
};

/// A value under its full key, for readers: each complaint is an Error(kUsage) with file, line, key, expected and got.
class TomlNode {
 public:
  explicit TomlNode(const TomlValue& value, std::string key = {}) : value_(&value), key_(std::move(key)) {}

  const TomlValue& value() const { return *value_; }
  /// "task.sst.batch"; empty for the whole file.
  const std::string& key() const { return key_; }
  template <class T>
  bool is() const {
    return value_->get_if<T>() != nullptr;
  }

  bool as_bool() const;
  std::int64_t as_int() const;
  /// Whole numbers count as numbers.
  double as_double() const;
  const std::string& as_string() const;
  /// The elements of an array. The last part of an element's key is its `name` if it is a table with one, else its index.
  std::vector<TomlNode> items() const;
  /// The value must be a table; nothing when it lacks the key.
  std::optional<TomlNode> find(std::string_view key) const;
  const TomlTable& as_table() const;

  /// Throws `key "K": expected X, got Y`.
  [[noreturn]] void fail(std::string_view expected, std::string hint = {}) const;
  /// Throws any other complaint about this key.
  [[noreturn]] void complain(std::string_view message, std::string hint = {}) const;

 private:
  const TomlValue* value_;
  std::string key_;
};

/// Parses a file's text into a table. `place` is its name in origins and errors; throws Error(kUsage) "place:line: ..." for what is no
/// TOML, nests deeper than kMaxNesting (json.h), or is longer than 16 MiB.
TomlValue parse_toml(std::string_view text, std::string_view place, const std::filesystem::path& folder);

/// The value of `--set key=TEXT`: TOML if it is, else (a bare word, a path, a date) the text itself. Text that starts as a
/// string, list or table must be TOML: Error(kUsage) otherwise, at `place`.
TomlValue parse_toml_value(std::string_view text, std::string_view place);

/// One value in TOML, on one line.
std::string print_toml_value(const TomlValue& value);
/// A whole table as a file; with origins, each line ends in a comment that says where the value comes from.
std::string print_toml(const TomlValue& table, bool with_origins);

/// "a.b" below "x" is "x.a.b"; names that TOML would quote are quoted.
std::string join_key(std::string_view parent, std::string_view child);
/// Splits `task."my.task".batch`. Throws Error(kUsage) at `place` when a part is empty or a quote is open.
std::vector<std::string> split_key(std::string_view key, std::string_view place);

/// The same value as JSON, indented by two.
std::string toml_to_json(const TomlValue& value);

/// The version of toml++.
std::string toml_library_version();

}  // namespace minbert
