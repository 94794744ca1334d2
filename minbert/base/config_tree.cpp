// ConfigTree: merging, addressing and origins.
#include "minbert/base/config_tree.h"

#include <fmt/format.h>

#include <algorithm>

#include "minbert/base/input_bytes.h"
#include "minbert/base/nearest.h"
#include "minbert/base/number.h"
#include "minbert/base/unicode.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

bool is_blocks(const TomlValue& value) { return value.section && value.get_if<TomlArray>() != nullptr; }

/// The text under `name` in a block; null when it has none.
const std::string* name_of(const TomlValue& block) {
  const auto* table = block.get_if<TomlTable>();
  const TomlValue* name = table == nullptr ? nullptr : table->find("name");
  return name == nullptr ? nullptr : name->get_if<std::string>();
}

std::string label_of(const TomlArray& blocks, std::size_t index) {
  const std::string* name = name_of(blocks[index]);
  return name == nullptr ? std::to_string(index) : *name;
}

/// The index of the block whose name or index is `label`, or blocks.size().
std::size_t find_block(const TomlArray& blocks, std::string_view label) {
  std::size_t index = 0;
  while (index < blocks.size() && label_of(blocks, index) != label) ++index;
  return index;
}

void refuse_duplicate_names(const TomlValue& value, const std::string& key) {
  if (const auto* table = value.get_if<TomlTable>())
    for (const auto& [member, inner] : *table) refuse_duplicate_names(inner, join_key(key, member));
  const auto* array = value.get_if<TomlArray>();
  if (array == nullptr) return;
  for (std::size_t i = 0; i < array->size(); ++i) {
    refuse_duplicate_names((*array)[i], join_key(key, label_of(*array, i)));
    const std::string* name = is_blocks(value) ? name_of((*array)[i]) : nullptr;
    if (name == nullptr) continue;
    const std::size_t first = find_block(*array, *name);
    if (first < i) TomlNode((*array)[i], key).complain(fmt::format("the name \"{}\" is taken by {}", *name, (*array)[first].origin.place));
  }
}

/// The key of what is merged, and where to note blocks that are new.
struct MergePlace {
  std::string key;
  std::vector<std::string>& notes;

  MergePlace inside(std::string_view member) const { return {join_key(key, member), notes}; }
};

void merge(TomlValue& earlier, TomlValue later, const MergePlace& place);

void note_new_block(const TomlArray& earlier, const TomlValue& block, const MergePlace& place) {
  std::vector<std::string> known;
  for (std::size_t i = 0; i < earlier.size(); ++i) known.push_back(fmt::format("\"{}\"", label_of(earlier, i)));
  const std::string* name = name_of(block);
  place.notes.push_back(fmt::format("{} \"{}\" of {} is new, beside {}", place.key,
                                    name == nullptr ? std::to_string(earlier.size()) : *name, block.origin.place, fmt::join(known, ", ")));
}

void merge_blocks(TomlArray& earlier, TomlArray later, const MergePlace& place) {
  const std::size_t known = earlier.size();
  for (std::size_t i = 0; i < later.size(); ++i) {
    const std::string* name = name_of(later[i]);
    const std::size_t target = name == nullptr ? i : find_block(earlier, *name);
    if (target < (name == nullptr ? known : earlier.size()))
      merge(earlier[target], std::move(later[i]), place.inside(label_of(earlier, target)));
    else {
      if (known > 0) note_new_block(earlier, later[i], place);
      earlier.push_back(std::move(later[i]));
    }
  }
}

void merge(TomlValue& earlier, TomlValue later, const MergePlace& place) {
  auto *old_table = earlier.get_if<TomlTable>(), *new_table = later.get_if<TomlTable>();
  if (old_table != nullptr && new_table != nullptr) {
    for (auto& [key, value] : *new_table) {
      if (TomlValue* known = old_table->find(key))
        merge(*known, std::move(value), place.inside(key));
      else
        old_table->set(key, std::move(value));
    }
  } else if (is_blocks(earlier) && is_blocks(later)) {
    merge_blocks(*earlier.get_if<TomlArray>(), std::move(*later.get_if<TomlArray>()), place);
  } else {
    earlier = std::move(later);
  }
}

void set_origin(TomlValue& value, const TomlOrigin& origin) {
  value.origin = origin;
  if (auto* array = value.get_if<TomlArray>())
    for (auto& item : *array) set_origin(item, origin);
  if (auto* table = value.get_if<TomlTable>())
    for (auto& [key, item] : *table) set_origin(item, origin);
}

TomlValue section(TomlValue value, const TomlOrigin& origin) {
  value.section = true;
  value.origin = origin;
  return value;
}

/// The element that a part of a key names: a block by name or index, an element of another list by index. Null when none.
const TomlValue* find_element(const TomlArray& array, std::string_view part) {
  const std::size_t by_name = find_block(array, part);
  const std::size_t index = by_name < array.size() ? by_name : number_from<std::size_t>(part).value_or(array.size());
  return index < array.size() ? &array[index] : nullptr;
}

[[noreturn]] void fail_unknown_element(const TomlArray& array, std::string_view parent, const std::string& part, std::string_view key,
                                       std::string_view place) {
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < array.size(); ++i) labels.push_back(label_of(array, i));
  const std::string known = labels.empty() ? "is empty" : fmt::format("has {}", fmt::join(labels, ", "));
  throw Error(ErrorTag::kUsage, place, fmt::format("key \"{}\": there is no \"{}\" in {}, which {}", key, part, parent, known),
              suggest(part, labels));
}

/// The value that set() makes for a missing key on its way: a table, or for x.0.y a list with one block.
TomlValue make_container(const std::vector<std::string>& parts, std::size_t i, const TomlOrigin& origin) {
  const bool is_list = i + 2 < parts.size() && parts[i + 1] == "0";
  return section(is_list ? TomlValue(TomlArray(1, section(TomlTable(), origin))) : TomlTable(), origin);
}

/// Gives every value the origin of the same key in `source`, or "default" where there is none.
void copy_origins(TomlValue& value, const TomlValue* source) {
  value.origin = source == nullptr ? TomlOrigin{"default", {}} : source->origin;
  if (auto* table = value.get_if<TomlTable>()) {
    const auto* from = source == nullptr ? nullptr : source->get_if<TomlTable>();
    for (auto& [key, item] : *table) copy_origins(item, from == nullptr ? nullptr : from->find(key));
  } else if (auto* array = value.get_if<TomlArray>()) {
    const auto* from = source == nullptr ? nullptr : source->get_if<TomlArray>();
    for (std::size_t i = 0; i < array->size(); ++i) copy_origins((*array)[i], from != nullptr && i < from->size() ? &(*from)[i] : nullptr);
  }
}

/// Calls add(key, value as TOML) for every value inside `value` that is no table and no block, and add(key, "yes") for every block.
void list_values(const TomlValue& value, const std::string& key, const std::function<void(const std::string&, std::string)>& add) {
  const auto* array = value.get_if<TomlArray>();
  if (const auto* table = value.get_if<TomlTable>()) {
    for (const auto& [member, item] : *table) list_values(item, join_key(key, member), add);
  } else if (array != nullptr && is_blocks(value)) {
    for (std::size_t i = 0; i < array->size(); ++i) {
      const std::string block = join_key(key, label_of(*array, i));
      add(block, "yes");
      list_values((*array)[i], block, add);
    }
  } else {
    add(key, print_toml_value(value));
  }
}

/// Adds what each key means to its origin, which is then printed as the comment of its line.
void add_meanings(TomlValue& value, const std::string& key, const std::function<std::string(std::string_view)>& meaning) {
  if (auto* table = value.get_if<TomlTable>(); table != nullptr && value.section) {
    for (auto& [member, item] : *table) add_meanings(item, join_key(key, member), meaning);
  } else if (is_blocks(value)) {
    auto& blocks = *value.get_if<TomlArray>();
    for (std::size_t i = 0; i < blocks.size(); ++i) add_meanings(blocks[i], join_key(key, std::to_string(i)), meaning);
  } else if (const std::string text = meaning(key); !text.empty()) {
    value.origin.place += ": " + text;
  }
}

}  // namespace

void ConfigTree::load(const fs::path& file) {
  // A pipe lies nowhere: /dev/fd is no folder to start paths from.
  const fs::path folder = is_read_once(file) ? fs::current_path() : fs::absolute(file).parent_path();
  load_text(read_file(file, ErrorTag::kUsage), input_name(file), folder);
}

void ConfigTree::load_text(std::string_view text, std::string_view place, const fs::path& folder) {
  add(parse_toml(text, place, folder), text, place);
}

void ConfigTree::load_generated(std::string_view text, std::string_view flag) {
  TomlValue file = parse_toml(text, flag, fs::current_path());
  set_origin(file, {std::string(flag), fs::current_path()});
  add(std::move(file), text, flag);
}

void ConfigTree::add(TomlValue file, std::string_view text, std::string_view place) {
  refuse_duplicate_names(file, "");
  merge(root_, std::move(file), {"", notes_});
  given_ += fmt::format("# {}\n{}{}", printable(place), text, text.ends_with('\n') ? "" : "\n");
}

void ConfigTree::set(std::string_view assignment) { set(assignment, {"--set", fs::current_path()}); }

void ConfigTree::set(std::string_view assignment, const TomlOrigin& origin) {
  const auto equals = assignment.find('=');
  if (equals == std::string_view::npos)
    throw Error(ErrorTag::kUsage, origin.place, fmt::format("expected key=value, got \"{}\"", assignment));
  const auto trim = [](std::string_view text) {
    const auto first = std::min(text.find_first_not_of(' '), text.size());
    return text.substr(first, text.find_last_not_of(' ') + 1 - first);
  };
  set(trim(assignment.substr(0, equals)), parse_toml_value(trim(assignment.substr(equals + 1)), origin.place), origin);
}

void ConfigTree::set(std::string_view key, TomlValue value, std::string_view place) {
  set(key, std::move(value), TomlOrigin{std::string(place), fs::current_path()});
}

void ConfigTree::set(std::string_view key, TomlValue value, const TomlOrigin& origin) {
  const auto parts = split_key(key, origin.place);
  given_ += fmt::format("# {}: {} = {}\n", printable(origin.place), printable(key), print_toml_value(value));
  TomlValue* at = &root_;
  std::string path;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (auto* table = at->get_if<TomlTable>()) {
      at = table->find(parts[i]);
      if (at == nullptr) at = &table->set(parts[i], make_container(parts, i, origin));
    } else if (auto* array = at->get_if<TomlArray>()) {
      at = const_cast<TomlValue*>(find_element(*array, parts[i]));
      if (at == nullptr) fail_unknown_element(*array, path, parts[i], key, origin.place);
    } else {
      throw Error(ErrorTag::kUsage, origin.place,
                  fmt::format("key \"{}\": expected {} to be a table or a list, got {}", key, path, print_toml_value(*at)));
    }
    path = join_key(path, parts[i]);
  }
  set_origin(value, origin);
  *at = std::move(value);
}

bool ConfigTree::can_set(std::string_view key) const {
  key = key.substr(0, key.find('='));
  const TomlValue* at = &root_;
  for (const auto& part : split_key(key.substr(0, key.find_last_not_of(' ') + 1), "")) {
    if (const auto* array = at->get_if<TomlArray>()) {
      at = find_element(*array, part);
      if (at == nullptr) return false;
    } else if (const auto* table = at->get_if<TomlTable>()) {
      at = table->find(part);
      if (at == nullptr) return true;  // set() makes missing tables
    }
  }
  return true;
}

std::string ConfigTree::place(std::string_view key) const {
  const TomlValue* at = &root_;
  std::string place = "default";
  for (const auto& part : split_key(key, "")) {
    const auto* table = at->get_if<TomlTable>();
    const auto* array = at->get_if<TomlArray>();
    at = table != nullptr ? table->find(part) : array != nullptr ? find_element(*array, part) : nullptr;
    if (at == nullptr) break;
    place = at->origin.place;
  }
  return place;
}

TomlValue without_defaults(const TomlValue& table, const TomlValue& defaults) {
  TomlTable rest;
  for (const auto& [key, value] : *table.get_if<TomlTable>()) {
    const TomlValue* other = defaults.get_if<TomlTable>()->find(key);
    if (other != nullptr && print_toml_value(value) == print_toml_value(*other)) continue;
    const bool tables = other != nullptr && value.get_if<TomlTable>() != nullptr && other->get_if<TomlTable>() != nullptr;
    rest.set(key, tables ? without_defaults(value, *other) : value);
  }
  return rest;
}

std::vector<ConfigDifference> config_differences(std::span<const TomlValue> tables) {
  std::vector<ConfigDifference> keys;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    list_values(tables[i], "", [&](const std::string& key, std::string value) {
      auto found = std::ranges::find(keys, key, &ConfigDifference::key);
      if (found == keys.end()) found = keys.insert(keys.end(), {key, std::vector<std::string>(tables.size())});
      found->values[i] = std::move(value);
    });
  }
  std::vector<std::string> absent;  // blocks that some config lacks, whose keys would say no more
  for (const ConfigDifference& key : keys) {
    const bool block = std::ranges::all_of(key.values, [](const std::string& value) { return value.empty() || value == "yes"; });
    if (block && std::ranges::count(key.values, std::string()) > 0) absent.push_back(key.key + ".");
  }
  std::erase_if(keys, [&](const ConfigDifference& key) {
    return std::ranges::all_of(key.values, [&](const std::string& value) { return value == key.values.front(); }) ||
           std::ranges::any_of(absent, [&](const std::string& block) { return key.key.starts_with(block); });
  });
  return keys;
}

std::string ConfigTree::print_resolved(TomlValue resolved, const std::function<std::string(std::string_view)>& meaning) const {
  copy_origins(resolved, &root_);
  if (meaning) add_meanings(resolved, "", meaning);
  return print_toml(resolved, true);
}

}  // namespace minbert
