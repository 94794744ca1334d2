// TOML: from toml++'s tree to ours, and the accessors that complain.
#include "minbert/base/toml.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <tuple>

#include "minbert/base/json.h"
#include "minbert/base/unicode.h"

namespace minbert {
namespace {

constexpr std::size_t kMaxTomlBytes = std::size_t{16} << 20;  // far above any config

/// Turns toml++ nodes into values that carry "place:line".
class Converter {
 public:
  Converter(std::string_view place, std::filesystem::path folder) : place_(place), folder_(std::move(folder)) {}

  TomlValue convert(const toml::node& node) const {
    TomlValue value = convert_data(node);
    value.origin = origin(node.source());
    return value;
  }

 private:
  TomlOrigin origin(const toml::source_region& region) const { return {fmt::format("{}:{}", place_, region.begin.line), folder_}; }

  TomlValue convert_data(const toml::node& node) const {
    if (const auto* table = node.as_table()) return convert_table(*table);
    if (const auto* array = node.as_array()) return convert_array(*array);
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return number->get();
    if (const auto* number = node.as_floating_point()) return number->get();
    if (const auto* flag = node.as_boolean()) return flag->get();
    throw Error(ErrorTag::kUsage, origin(node.source()).place, "expected no dates or times, got one", "put it in quotes");
  }

  TomlValue convert_table(const toml::table& source) const {
    // toml++ sorts keys by name. Their positions tell the order of the file.
    std::vector<std::pair<const toml::key*, const toml::node*>> members;
    for (auto&& [key, node] : source) members.emplace_back(&key, &node);
    std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
      const auto &x = a.first->source().begin, &y = b.first->source().begin;
      return std::tie(x.line, x.column) < std::tie(y.line, y.column);
    });
    TomlTable table;
    for (const auto& [key, node] : members) {
      TomlValue& value = table.set(key->str(), convert(*node));
      value.origin = origin(key->source());
    }
    TomlValue value(std::move(table));
    value.section = !source.is_inline();
    return value;
  }

  TomlValue convert_array(const toml::array& source) const {
    TomlArray array;
    array.reserve(source.size());
    for (const auto& node : source) array.push_back(convert(node));
    const bool section = !array.empty() && std::all_of(array.begin(), array.end(), [](const TomlValue& value) { return value.section; });
    TomlValue value(std::move(array));
    value.section = section;
    return value;
  }

  std::string_view place_;
  std::filesystem::path folder_;
};

std::string describe(const TomlValue& value) {
  if (value.get_if<TomlTable>() != nullptr) return "a table";
  if (value.get_if<TomlArray>() != nullptr) return "a list";
  std::string text = print_toml_value(value);
  constexpr std::size_t kLongest = 80;
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

Json to_json(const TomlValue& value) {
  return std::visit(
      [](const auto& data) -> Json {
        using T = std::decay_t<decltype(data)>;
        if constexpr (std::is_same_v<T, TomlArray>) {
          Json array = Json::array();
          for (const auto& item : data) array.push_back(to_json(item));
          return array;
        } else if constexpr (std::is_same_v<T, TomlTable>) {
          Json object = Json::object();
          for (const auto& [key, item] : data) object[key] = to_json(item);
          return object;
        } else {
          return data;
        }
      },
      value.data);
}

/// Walks over TOML text as toml++ will, to see what it would recurse into: it limits the nesting of values, but not the parts of a dotted
/// key.
class NestingCheck {
 public:
  NestingCheck(std::string_view text, std::string_view place) : text_(text), place_(place) {}

  void run() {
    if (text_.size() > kMaxTomlBytes)
      throw Error(ErrorTag::kUsage, place_, fmt::format("expected at most {} bytes of TOML, got {}", kMaxTomlBytes, text_.size()));
    for (std::size_t at = 0; at < text_.size();) {
      const char c = text_[at];
      if (c == '"' || c == '\'') {
        at = string_end(at);
      } else if (c == '#') {
        at = std::min(text_.find('\n', at), text_.size());
      } else {
        step(c);
        if (outside_ + parts_ > kMaxNesting) refuse(at);
        ++at;
      }
    }
  }

 private:
  /// One character outside strings and comments. Dots with only names and blanks between them make one key; no number has more than one
  /// dot.
  void step(char c) {
    const bool of_a_key =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == ' ' || c == '\t';
    if (of_a_key) return;
    if (c == '.') {
      ++parts_;
      return;
    }
    if (c == '{' || c == '[') {
      open_.push_back(outside_);
      outside_ += key_parts_ + 1;
    } else if ((c == '}' || c == ']') && !open_.empty()) {
      outside_ = open_.back();
      open_.pop_back();
    }
    key_parts_ = c == '=' ? parts_ : 0;
    parts_ = 1;
  }

  [[noreturn]] void refuse(std::size_t at) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    throw Error(ErrorTag::kUsage, fmt::format("{}:{}", place_, line), fmt::format("nested deeper than {} levels", kMaxNesting));
  }

  /// Where the string that starts at `at` ends. A string on one line ends with its line at the latest, as toml++ refuses it there. One of
  /// several lines may have two quotes of its own before the three that end it.
  std::size_t string_end(std::size_t at) const {
    const char quote = text_[at];
    const std::string three(3, quote);
    const bool several_lines = text_.substr(at, 3) == three;
    for (at += several_lines ? 3 : 1; at < text_.size(); ++at) {
      if (text_[at] == '\\' && quote == '"')
        ++at;
      else if (several_lines ? text_.substr(at, 3) == three : text_[at] == quote)
        return several_lines ? std::min(text_.find_first_not_of(quote, at), at + 5) : at + 1;
      else if (text_[at] == '\n' && !several_lines)
        return at;
    }
    return text_.size();
  }

  std::string_view text_, place_;
  int parts_ = 1;          // of the key that is being read
  int key_parts_ = 0;      // of the key whose value comes next
  int outside_ = 0;        // levels of the open lists and inline tables, and of the keys that they belong to
  std::vector<int> open_;  // what outside_ was before each of them
};

/// The only call of toml++'s parser; throws toml::parse_error, or Error(kUsage) for what it must not be given.
toml::table parse_within_limits(std::string_view text, std::string_view place) {
  NestingCheck(text, place).run();
  return toml::parse(text);
}

}  // namespace

const TomlValue* TomlTable::find(std::string_view key) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.first == key; });
  return found == entries_.end() ? nullptr : &found->second;
}

TomlValue* TomlTable::find(std::string_view key) { return const_cast<TomlValue*>(std::as_const(*this).find(key)); }

TomlValue& TomlTable::set(std::string_view key, TomlValue value) {
  if (TomlValue* found = find(key)) return *found = std::move(value);
  return entries_.emplace_back(key, std::move(value)).second;
}

bool TomlNode::as_bool() const {
  if (const auto* value = value_->get_if<bool>()) return *value;
  fail("true or false");
}

std::int64_t TomlNode::as_int() const {
  if (const auto* value = value_->get_if<std::int64_t>()) return *value;
  fail("a whole number");
}

double TomlNode::as_double() const {
  if (const auto* value = value_->get_if<double>()) return *value;
  if (const auto* value = value_->get_if<std::int64_t>()) return static_cast<double>(*value);
  fail("a number");
}

const std::string& TomlNode::as_string() const {
  if (const auto* value = value_->get_if<std::string>()) return *value;
  fail("text", is<std::int64_t>() || is<double>() || is<bool>() ? "put it in quotes" : "");
}

const TomlTable& TomlNode::as_table() const {
  if (const auto* table = value_->get_if<TomlTable>()) return *table;
  fail("a table");
}

std::vector<TomlNode> TomlNode::items() const {
  const auto* array = value_->get_if<TomlArray>();
  if (array == nullptr) fail("a list");
  std::vector<TomlNode> nodes;
  nodes.reserve(array->size());
  for (const auto& item : *array) {
    const auto* table = item.get_if<TomlTable>();
    const TomlValue* name = table == nullptr ? nullptr : table->find("name");
    const auto* text = name == nullptr ? nullptr : name->get_if<std::string>();
    nodes.emplace_back(item, join_key(key_, text != nullptr ? *text : std::to_string(nodes.size())));
  }
  return nodes;
}

std::optional<TomlNode> TomlNode::find(std::string_view key) const {
  const TomlValue* value = as_table().find(key);
  if (value == nullptr) return std::nullopt;
  return TomlNode(*value, join_key(key_, key));
}

void TomlNode::fail(std::string_view expected, std::string hint) const {
  complain(fmt::format("expected {}, got {}", expected, describe(*value_)), std::move(hint));
}

void TomlNode::complain(std::string_view message, std::string hint) const {
  throw Error(ErrorTag::kUsage, value_->origin.place, key_.empty() ? std::string(message) : fmt::format("key \"{}\": {}", key_, message),
              std::move(hint));
}

TomlValue parse_toml(std::string_view text, std::string_view place, const std::filesystem::path& folder) {
  try {
    return Converter(place, folder).convert(parse_within_limits(text, place));
  } catch (const toml::parse_error& error) {
    throw Error(ErrorTag::kUsage, fmt::format("{}:{}", place, error.source().begin.line),
                fmt::format("not valid TOML: {}", error.description()));
  }
}

TomlValue parse_toml_value(std::string_view text, std::string_view place) {
  const bool must_parse = !text.empty() && std::string_view("\"'[{").find(text.front()) != std::string_view::npos;
  try {
    const auto table = parse_within_limits(fmt::format("value = {}", text), place);
    const toml::node* node = table.get("value");
    // Text with a line break may hold more than one key; a date is taken as it is written.
    if (table.size() == 1 && !node->is_date() && !node->is_time() && !node->is_date_time()) {
      TomlValue value = Converter(place, {}).convert(*node);
      return value;
    }
  } catch (const toml::parse_error& error) {
    if (must_parse) throw Error(ErrorTag::kUsage, place, fmt::format("not a TOML value: {}", error.description()));
  }
  // TOML is UTF-8: no config file could hold this value.
  if (find_invalid_utf8(text) != text.npos) throw Error(ErrorTag::kUsage, place, fmt::format("expected UTF-8, got {}", printable(text)));
  return TomlValue(text);
}

std::string toml_to_json(const TomlValue& value) { return dump_json(to_json(value), 2); }

std::string toml_library_version() { return fmt::format("{}.{}.{}", TOML_LIB_MAJOR, TOML_LIB_MINOR, TOML_LIB_PATCH); }

}  // namespace minbert
