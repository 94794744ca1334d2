// JsonNode: the checks, and their messages.
#include "minbert/base/json_node.h"

#include <fmt/format.h>

#include <cmath>

#include "minbert/base/nearest.h"

namespace minbert {
namespace {

std::string shown(const Json& value) {
  constexpr std::size_t kShown = 60;
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  std::string text = dump_json(value);
  if (text.size() > kShown) text = text.substr(0, kShown) + " ...";
  return text;
}

/// "a number from 0", or for one that is too large "a number up to 1".
std::string expected_number(std::string_view kind, bool too_large, const auto& low, const auto& high) {
  using Number = std::decay_t<decltype(low)>;
  if (too_large) return fmt::format("{} up to {}", kind, high);
  return low > std::numeric_limits<Number>::lowest() ? fmt::format("{} from {}", kind, low) : std::string(kind);
}

}  // namespace

JsonNode::JsonNode(Json json, std::string place, ErrorTag tag)
    : document_(std::make_shared<const Document>(Document{std::move(json), std::move(place), tag})), value_(&document_->json) {}

JsonNode JsonNode::read(const std::filesystem::path& path, ErrorTag tag) { return {read_json(path, tag), path.string(), tag}; }

std::string JsonNode::key_of(std::string_view member) const {
  return key_.empty() ? std::string(member) : fmt::format("{}.{}", key_, member);
}

void JsonNode::complain(std::string_view message, std::string hint) const {
  throw Error(document_->tag, document_->place, key_.empty() ? std::string(message) : fmt::format("key \"{}\": {}", key_, message),
              std::move(hint));
}

void JsonNode::fail(std::string_view expected) const { complain(fmt::format("expected {}, got {}", expected, shown(json()))); }

void JsonNode::fail_choice(const std::vector<std::string>& names) const {
  const std::string hint = json().is_string() ? suggest(json().get<std::string>(), names) : "";
  complain(fmt::format("expected one of {}, got {}", fmt::join(names, ", "), shown(json())), hint);
}

bool JsonNode::as_flag() const {
  if (!json().is_boolean()) fail("true or false");
  return json().get<bool>();
}

const std::string& JsonNode::as_text() const {
  if (!json().is_string()) fail("a text");
  return json().get_ref<const std::string&>();
}

std::int64_t JsonNode::whole(std::int64_t low, std::int64_t high) const {
  // An unsigned value beyond int64 would be read as a negative one.
  const bool fits = json().is_number_integer() && !(json().is_number_unsigned() && json().get<std::uint64_t>() > INT64_MAX);
  const std::int64_t value = fits ? json().get<std::int64_t>() : 0;
  if (!fits || value < low || value > high) fail(expected_number("a whole number", fits && value > high, low, high));
  return value;
}

double JsonNode::as_number(double low, double high) const {
  const double value = json().is_number() ? json().get<double>() : std::nan("");
  if (!(value >= low && value <= high)) fail(expected_number("a number", value > high, low, high));
  return value;
}

double JsonNode::as_number_or_nan(double low) const {
  if (json().is_null()) return std::nan("");
  if (!json().is_number() || json().get<double>() < low) fail(expected_number("a number", false, low, low) + " or null");
  return json().get<double>();
}

std::vector<JsonNode> JsonNode::items() const {
  if (!json().is_array()) fail("a list");
  std::vector<JsonNode> nodes;
  nodes.reserve(json().size());
  for (const Json& item : json()) nodes.push_back(inside(item, fmt::format("{}[{}]", key_, nodes.size())));
  return nodes;
}

const Json& JsonNode::as_object() const {
  if (!json().is_object()) fail("an object");
  return json();
}

std::vector<std::pair<std::string, JsonNode>> JsonNode::members() const {
  std::vector<std::pair<std::string, JsonNode>> nodes;
  nodes.reserve(as_object().size());
  for (const auto& [name, value] : json().items()) nodes.emplace_back(name, inside(value, key_of(name)));
  return nodes;
}

std::map<std::string, double> JsonNode::as_numbers() const {
  std::map<std::string, double> numbers;
  for (const auto& [name, node] : members()) numbers[name] = node.as_number_or_nan();
  return numbers;
}

std::map<std::string, std::string> JsonNode::as_texts() const {
  std::map<std::string, std::string> texts;
  for (const auto& [name, node] : members()) texts[name] = node.as_text();
  return texts;
}

JsonNode JsonNode::at(std::string_view key) const {
  const auto found = as_object().find(std::string(key));
  if (found == json().end()) throw Error(document_->tag, document_->place, fmt::format("key \"{}\" is missing", key_of(key)));
  return inside(*found, key_of(key));
}

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
  const auto found = as_object().find(std::string(key));
  if (found == json().end()) return std::nullopt;
  return inside(*found, key_of(key));
}

std::optional<JsonNode> JsonNode::find_set(std::string_view key) const {
  const auto found = find(key);
  return found && !found->json().is_null() ? found : std::nullopt;
}

void JsonNode::expect_format(std::int64_t newest, bool required) const {
  if (!required && !find("format")) return;
  const JsonNode format = at("format");
  if (format.as_whole<std::int64_t>(1) > newest)
    format.complain(fmt::format("expected format {}, got {}", newest, shown(format.json())), "a newer minbert wrote it");
}

}  // namespace minbert
