// Options: the parts of the visitors that do not depend on a field's type.
#include "minbert/base/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "minbert/base/nearest.h"

namespace minbert {

bool Range::contains(double value) const {
  // Written so that NaN is outside of any limited range.
  const bool above_low = std::isinf(low) ? true : low_open ? value > low : value >= low;
  const bool below_high = std::isinf(high) ? true : high_open ? value < high : value <= high;
  return above_low && below_high;
}

std::string Range::describe() const {
  if (std::isinf(low) && std::isinf(high)) return {};
  if (low == high) return fmt::format("{}", low);
  if (std::isinf(high)) return fmt::format("{} {}", low_open ? "above" : "at least", low);
  if (std::isinf(low)) return fmt::format("{} {}", high_open ? "below" : "at most", high);
  return fmt::format("{} {} {} {}", low_open ? "above" : "from", low, high_open ? "to below" : "to", high);
}

std::filesystem::path PathOption::resolve(const std::filesystem::path& root) const {
  if (text == "-") return text;  // standard input
  return std::filesystem::absolute((root.empty() ? folder : root) / text).lexically_normal();
}

namespace internal {

TomlValue schema_of(std::string_view json_type) {
  TomlTable schema;
  schema.set("type", json_type);
  return schema;
}

void fail_unknown_name(const TomlNode& node, const std::vector<std::string>& names) {
  const auto* text = node.value().get_if<std::string>();
  node.fail(fmt::format("one of {}", fmt::join(names, ", ")), text == nullptr ? "" : suggest(*text, names));
}

void fail_unknown_name(std::string_view name, std::string_view place, const std::vector<std::string>& names) {
  throw Error(ErrorTag::kUsage, std::string(place), fmt::format("expected one of {}, got \"{}\"", fmt::join(names, ", "), name),
              suggest(name, names));
}

void fail_unknown_key(const UnknownKey& unknown, const std::vector<OptionInfo>& all) {
  std::vector<std::string> elsewhere;
  for (const OptionInfo& row : all)
    if (row.key == unknown.key || row.key.ends_with("." + unknown.key)) elsewhere.push_back(row.key);
  throw Error(unknown.tag(), unknown.place(), unknown.message(),
              elsewhere.empty() ? unknown.hint() : fmt::format("another table has it: {}", fmt::join(elsewhere, ", ")));
}

std::string join_types(const std::vector<std::string>& types) { return fmt::format("{}", fmt::join(types, " | ")); }

}  // namespace internal

std::optional<TomlNode> OptionReader::take(std::string_view key) {
  known_.emplace_back(key);
  return table_.find(key);
}

void OptionReader::check_range(const TomlNode& node, const Range& range) {
  if (node.is<TomlArray>()) {
    for (const auto& item : node.items()) check_range(item, range);
  } else if ((node.is<std::int64_t>() || node.is<double>()) && !range.contains(node.as_double())) {
    node.fail(fmt::format("a number {}", range.describe()));
  }
}

void OptionReader::refuse_unknown_keys() const {
  for (const auto& [key, value] : table_.as_table()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::string message = fmt::format("key \"{}\": unknown key", join_key(table_.key(), key));
    throw internal::UnknownKey(Error(ErrorTag::kUsage, value.origin.place, message, suggest(key, known_)), key);
  }
}

TomlValue OptionWriter::take() {
  TomlValue table(std::move(table_));
  table.section = true;
  return table;
}

void OptionLister::add(std::string_view key, std::string type, std::string default_value, std::string_view help, const Range& range) {
  if (const std::string limits = range.describe(); !limits.empty()) type += " " + limits;
  rows_.push_back({prefix_ + std::string(key), std::move(type), std::move(default_value), std::string(help)});
}

void OptionLister::append(std::vector<OptionInfo> rows) { std::move(rows.begin(), rows.end(), std::back_inserter(rows_)); }

void OptionSchema::add(std::string_view key, TomlValue schema, std::optional<TomlValue> default_value, std::string_view help,
                       const Range& range) {
  auto& table = *schema.get_if<TomlTable>();
  if (!help.empty()) table.set("description", help);
  if (default_value) table.set("default", std::move(*default_value));
  // Limits of a list hold for its elements.
  TomlValue* items = table.find("items");
  auto& limited = items == nullptr ? table : *items->get_if<TomlTable>();
  if (std::isfinite(range.low)) limited.set(range.low_open ? "exclusiveMinimum" : "minimum", range.low);
  if (std::isfinite(range.high)) limited.set(range.high_open ? "exclusiveMaximum" : "maximum", range.high);
  properties_.set(key, std::move(schema));
}

TomlValue OptionSchema::take() {
  TomlTable schema;
  schema.set("type", "object");
  schema.set("properties", std::move(properties_));
  schema.set("additionalProperties", false);
  return schema;
}

}  // namespace minbert
