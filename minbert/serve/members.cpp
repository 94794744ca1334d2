// Reads JSON members.
#include "minbert/serve/members.h"

#include <algorithm>
#include <cmath>

#include "minbert/base/unicode.h"

namespace minbert {
namespace {

bool is_hex(std::string_view text) {
  return text.size() == 4 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f'); });
}

/// 'h' or 'l' if an escape of a high or low surrogate is at `at`, else 0.
char surrogate_at(std::string_view text, std::size_t at) {
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u' || !is_hex(text.substr(at + 2, 4)) || (text[at + 2] | 32) != 'd')
    return 0;
  const char digit = static_cast<char>(text[at + 3] | 32);
  if (digit == '8' || digit == '9' || digit == 'a' || digit == 'b') return 'h';
  return digit >= 'c' && digit <= 'f' ? 'l' : static_cast<char>(0);
}

/// The text with \ufffd in place of each surrogate escape that lacks its other half; empty if there is none.
std::string with_lone_surrogates_replaced(std::string_view text) {
  std::string out;
  for (std::size_t at = text.find('\\'); at < text.size(); at = text.find('\\', at)) {
    const char kind = surrogate_at(text, at);
    if (kind == 'h' && surrogate_at(text, at + 6) == 'l') {
      at += 12;
    } else if (kind != 0) {
      if (out.empty()) out = text;
      out.replace(at + 2, 4, "fffd");
      at += 6;
    } else {
      at += 2;
    }
  }
  return out;
}

}  // namespace

SortedJson parse_body(std::string_view body) {
  if (const std::size_t at = find_invalid_utf8(body); at != body.npos)
    throw ApiError(400, ErrorType::kValidation,
                   fmt::format("the body is not UTF-8: byte {} is 0x{:02x}", at, static_cast<unsigned char>(body[at])));
  const std::string replaced = with_lone_surrogates_replaced(body);
  try {
    return parse_sorted_json(replaced.empty() ? body : replaced, "body", ErrorTag::kData);
  } catch (const Error& error) {
    std::string message = error.what();
    if (message.starts_with("[data] ")) message.erase(0, 7);
    throw ApiError(400, ErrorType::kValidation, message);
  }
}

std::string describe(const SortedJson& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number()) return "the number " + value.dump();
  if (value.is_string()) return "a text";
  return value.is_array() ? fmt::format("a list of {}", value.size()) : "an object";
}

std::vector<std::string> read_texts(const SortedJson& value, const std::string& name) {
  if (!value.is_array()) throw invalid(name, "expected a list of texts, got " + describe(value));
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!value[i].is_string()) throw invalid(fmt::format("{}[{}]", name, i), "expected a text, got " + describe(value[i]));
    texts.push_back(value[i].get<std::string>());
  }
  return texts;
}

Members::Members(const SortedJson& object, std::string path) : object_(object), path_(std::move(path)) {
  if (object.is_object()) return;
  const std::string message = "expected an object, got " + describe(object);
  throw path_.empty() ? ApiError(422, ErrorType::kValidation, "body: " + message) : invalid(path_, message);
}

const SortedJson* Members::find(std::string_view key) const {
  const auto at = object_.find(std::string(key));
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

const SortedJson& Members::required(std::string_view key, std::string_view expected) const {
  const SortedJson* const value = find(key);
  if (value == nullptr)
    throw invalid(name(key), fmt::format("expected {}, got {}", expected, object_.contains(std::string(key)) ? "null" : "nothing"));
  return *value;
}

std::optional<bool> Members::flag(std::string_view key) const {
  const SortedJson* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) throw invalid(name(key), "expected true or false, got " + describe(*value));
  return value->get<bool>();
}

std::optional<std::string> Members::text(std::string_view key) const {
  const SortedJson* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) throw invalid(name(key), "expected a text, got " + describe(*value));
  return value->get<std::string>();
}

std::optional<std::int64_t> Members::whole_number(std::string_view key, std::int64_t low, std::int64_t high) const {
  const SortedJson* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_float()) {  // 8.0 is an integer to JSON Schema
    const double number = value->get<double>();
    if (number == std::floor(number) && number >= static_cast<double>(low) && number <= static_cast<double>(high))
      return static_cast<std::int64_t>(number);
  }
  // An unsigned number may be too large for int64; such a one is too large for any limit here.
  if (!value->is_number_integer() || (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(high)) ||
      value->get<std::int64_t>() < low)
    throw invalid(name(key), fmt::format("expected a whole number from {} to {}, got {}", low, high, describe(*value)));
  return value->get<std::int64_t>();
}

std::optional<std::string> Members::choice(std::string_view key, const std::vector<std::string>& values) const {
  const auto value = text(key);
  if (value && std::find(values.begin(), values.end(), *value) == values.end())
    throw invalid(name(key), fmt::format("expected {}, got another text", fmt::join(values, " or ")));
  return value;
}

std::string Members::required_text(std::string_view key) const {
  required(key, "a text");
  return *text(key);
}

std::vector<std::string> Members::required_texts(std::string_view key) const {
  return read_texts(required(key, "a list of texts"), name(key));
}

}  // namespace minbert
