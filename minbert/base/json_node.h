// JsonNode: a value of a JSON file that is read back. Its accessors check type and range, and complain with file and key.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/base/options.h"

namespace minbert {

/// What TomlNode is for configs: a value under its full key, such as "stages[1].name". Each complaint is an Error with the file's tag, its
/// place, the key, what was expected and what was got. A node keeps its document alive.
class JsonNode {
 public:
  /// The root of a document. `place` is its file, or file and line.
  JsonNode(Json json, std::string place, ErrorTag tag);
  /// Reads a file. Throws what read_json throws.
  static JsonNode read(const std::filesystem::path& path, ErrorTag tag);

  const Json& json() const { return *value_; }
  /// Empty for the root.
  const std::string& key() const { return key_; }
  const std::string& place() const { return document_->place; }

  bool as_flag() const;
  const std::string& as_text() const;
  /// A whole number in [low, high], both included.
  template <std::integral Int = std::int64_t>
  Int as_whole(Int low = std::numeric_limits<Int>::min(), Int high = std::numeric_limits<Int>::max()) const {
    return static_cast<Int>(
        whole(static_cast<std::int64_t>(low), std::in_range<std::int64_t>(high) ? static_cast<std::int64_t>(high) : INT64_MAX));
  }
  /// A number in [low, high], both included; JSON has no others than finite ones.
  double as_number(double low = std::numeric_limits<double>::lowest(), double high = std::numeric_limits<double>::max()) const;
  /// A number that is at least `low`, or null, which stands for NaN.
  double as_number_or_nan(double low = std::numeric_limits<double>::lowest()) const;
  /// A text that names a value of the enum.
  template <NamedEnum E>
  E as_choice() const {
    const auto found = json().is_string() ? find_option<E>(json().get_ref<const std::string&>()) : std::nullopt;
    if (!found) fail_choice(OptionType<E>::names());
    return *found;
  }
  /// The elements of a list.
  std::vector<JsonNode> items() const;
  /// The members of an object by name, in the order of the file.
  std::vector<std::pair<std::string, JsonNode>> members() const;
  /// The members of an object of numbers (null: NaN), or of texts.
  std::map<std::string, double> as_numbers() const;
  std::map<std::string, std::string> as_texts() const;

  /// The member of an object; throws if there is none.
  JsonNode at(std::string_view key) const;
  /// Nothing when the member is absent.
  std::optional<JsonNode> find(std::string_view key) const;
  /// Nothing when the member is absent or null.
  std::optional<JsonNode> find_set(std::string_view key) const;
  /// Checks the object's "format", the version of the file: newer ones are refused. With `required`, it must be there.
  void expect_format(std::int64_t newest, bool required = true) const;

  /// Throws `key "K": expected X, got Y`.
  [[noreturn]] void fail(std::string_view expected) const;
  /// Throws any other complaint about this value.
  [[noreturn]] void complain(std::string_view message, std::string hint = {}) const;

 private:
  struct Document {
    Json json;
    std::string place;
    ErrorTag tag;
  };
  JsonNode(std::shared_ptr<const Document> document, const Json& value, std::string key)
      : document_(std::move(document)), value_(&value), key_(std::move(key)) {}
  JsonNode inside(const Json& value, std::string key) const { return {document_, value, std::move(key)}; }
  std::string key_of(std::string_view member) const;
  const Json& as_object() const;
  std::int64_t whole(std::int64_t low, std::int64_t high) const;
  [[noreturn]] void fail_choice(const std::vector<std::string>& names) const;

  std::shared_ptr<const Document> document_;
  const Json* value_;
  std::string key_;
};

}  // namespace minbert
