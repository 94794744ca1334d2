// Members: the members of a request's JSON object, each read with its type. A wrong type is a 422 that names the member.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/serve/api_error.h"

namespace minbert {

/// Parses a body (as SortedJson: a client may send very many keys): UTF-8 and JSON, or a 400 that says where it is not. A surrogate escape
/// without its other half becomes U+FFFD.
SortedJson parse_body(std::string_view body);

class Members {
 public:
  /// `path` names the object inside the request; empty for the whole. Throws ApiError if the value is not an object.
  explicit Members(const SortedJson& object, std::string path = {});

  /// "inputs.sentences" for "sentences" in "inputs".
  std::string name(std::string_view key) const { return path_.empty() ? std::string(key) : path_ + "." + std::string(key); }
  /// Null if the member is missing or null.
  const SortedJson* find(std::string_view key) const;
  /// A 422 if it is missing or null.
  const SortedJson& required(std::string_view key, std::string_view expected) const;

  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::optional<std::int64_t> whole_number(std::string_view key, std::int64_t low, std::int64_t high) const;
  /// One of `values`.
  std::optional<std::string> choice(std::string_view key, const std::vector<std::string>& values) const;
  std::string required_text(std::string_view key) const;
  std::vector<std::string> required_texts(std::string_view key) const;

 private:
  const SortedJson& object_;
  std::string path_;
};

/// What a value is, for errors: "a number", "null".
std::string describe(const SortedJson& value);
/// A list of texts; a 422 that names the element otherwise.
std::vector<std::string> read_texts(const SortedJson& value, const std::string& name);

}  // namespace minbert
