// Config keys: lists them, finds them, and writes them as text, JSON and Markdown.
#include "minbert/cli/config_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "minbert/base/nearest.h"
#include "minbert/base/text_table.h"
#include "minbert/cli/key_notes.h"
#include "minbert/study/search_file.h"
#include "minbert/study/study_file.h"
#include "minbert/train/config.h"

namespace minbert {
namespace {

using Parts = std::vector<std::string>;

Parts parts_of(std::string_view key) {
  Parts parts(1);
  for (const char c : key) c == '.' ? void(parts.emplace_back()) : parts.back().push_back(c);
  return parts;
}

std::string without_brackets(std::string part) {
  if (part.ends_with("[]")) part.resize(part.size() - 2);
  return part;
}

/// Whether `asked` names the key or a table that it lies in. With `blocks`, a list of tables in `asked` may be followed by the name or the
/// number of one: stage.finetune.lr matches stage[].lr.
bool names(std::span<const std::string> asked, std::span<const std::string> key, bool blocks) {
  if (asked.empty()) return true;
  if (key.empty() || without_brackets(asked[0]) != without_brackets(key[0])) return false;
  const bool number = asked.size() > 1 && std::ranges::all_of(asked[1], [](unsigned char c) { return std::isdigit(c) != 0; });
  if (blocks && key[0].ends_with("[]") && (asked.size() > 2 || number)) return names(asked.subspan(2), key.subspan(1), blocks);
  return names(asked.subspan(1), key.subspan(1), blocks);
}

/// Whether the key ends in the parts that are asked for.
bool ends_in(std::span<const std::string> asked, std::span<const std::string> key) {
  return asked.size() <= key.size() && names(asked, key.last(asked.size()), false);
}

void add_keys(std::vector<OptionInfo> infos, std::string_view file, std::vector<ConfigKey>& keys) {
  for (OptionInfo& info : infos) {
    ConfigKey key{.info = std::move(info), .file = file, .example = {}, .paper = {}};
    std::string_view value = key.info.default_value;
    for (const KeyNote& note : key_notes()) {
      if (note.key != key.info.key) continue;
      if (!note.value.empty()) value = note.value;
      key.paper = note.paper;
    }
    key.example = fmt::format("{} = {}", parts_of(key.info.key).back(), value);
    for (const ValueNote& note : value_notes())
      if (note.key == key.info.key) key.values.emplace_back(note.value, note.meaning);
    keys.push_back(std::move(key));
  }
}

/// A key that only holds other keys has a list of tables as its type.
bool is_table(const OptionInfo& info) { return info.type.ends_with("table"); }

template <class Match>
std::vector<const ConfigKey*> matching(Match match) {
  std::vector<const ConfigKey*> found;
  for (const ConfigKey& key : config_keys())
    if (match(parts_of(key.info.key))) found.push_back(&key);
  return found;
}

std::string markdown_cell(std::string_view text) {
  std::string out;
  for (const char c : text) c == '|' ? void(out += "\\|") : out.push_back(c);
  return out;
}

std::string code_cell(std::string_view text) { return text.empty() ? "" : "`" + markdown_cell(text) + "`"; }

/// The heading of the table that a key lies in: "[[task]]", "[task.data]", or an empty string for keys outside any.
std::string section_of(const ConfigKey& key) {
  Parts parts = parts_of(key.info.key);
  parts.pop_back();
  if (parts.empty()) return "";
  const bool block = parts.size() == 1 && parts[0].ends_with("[]");
  for (std::string& part : parts) part = without_brackets(part);
  return fmt::format("{}{}{}", block ? "[[" : "[", fmt::join(parts, "."), block ? "]]" : "]");
}

/// A table of the page for the keys of one section, and the meanings of their values.
std::string section_page(const std::vector<const ConfigKey*>& keys) {
  const bool paper = std::ranges::any_of(keys, [](const ConfigKey* key) { return !key->paper.empty(); });
  std::string text = fmt::format("| key | type | default | meaning | example |{}\n|---|---|---|---|---|{}\n", paper ? " paper |" : "",
                                 paper ? "---|" : "");
  std::string values;
  for (const ConfigKey* key : keys) {
    const std::string name = parts_of(key->info.key).back();
    text += fmt::format("| `{}` | {} | {} | {} | {} |", name, markdown_cell(key->info.type), code_cell(key->info.default_value),
                        markdown_cell(key->info.help), code_cell(key->example));
    text += (paper ? fmt::format(" {} |", markdown_cell(key->paper)) : "") + "\n";
    if (key->values.empty()) continue;
    values += fmt::format("\n`{}` is one of\n\n", name);
    for (const auto& [value, meaning] : key->values) values += fmt::format("- `{}`: {}\n", value, meaning);
  }
  return text + values;
}

}  // namespace

std::string ConfigKey::name() const {
  std::string text;
  for (const std::string& part : parts_of(info.key)) text += (text.empty() ? "" : ".") + without_brackets(part);
  return text;
}

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> kKeys = [] {
    std::vector<ConfigKey> keys;
    add_keys(list_options<RunConfig>(), "run", keys);
    add_keys(list_options<StudyFile>(), "study", keys);
    add_keys(list_options<SearchFile>(), "search", keys);
    // A file of test or exclude has the keys of one of train.
    std::erase_if(keys, [](const ConfigKey& key) {
      return is_table(key.info) || key.info.key.starts_with("task[].data.test[]") || key.info.key.starts_with("task[].data.exclude[]");
    });
    return keys;
  }();
  return kKeys;
}

std::vector<const ConfigKey*> find_config_keys(std::string_view asked) {
  if (asked.empty()) return matching([](const Parts&) { return true; });
  const Parts parts = parts_of(asked);
  auto found = matching([&](const Parts& key) { return names(parts, key, false); });
  if (found.empty()) found = matching([&](const Parts& key) { return names(parts, key, true); });
  if (found.empty()) found = matching([&](const Parts& key) { return ends_in(parts, key); });
  if (!found.empty()) return found;
  std::vector<std::string> known;
  for (const ConfigKey& key : config_keys()) {
    known.push_back(key.name());
    known.push_back(parts_of(key.info.key).back());
  }
  throw Error(ErrorTag::kUsage, asked, "expected a key of a config, or a table such as stage or task.data", suggest(asked, known));
}

std::string config_key_help(std::string_view key) {
  const Parts parts = parts_of(key);
  for (const ConfigKey& known : config_keys())
    if (known.file == "run" && names(parts, parts_of(known.info.key), true)) return known.info.help;
  return "";
}

std::string explain_text(const std::vector<const ConfigKey*>& keys) {
  if (keys.size() > 1) {
    TextTable table({"key", "default", "meaning"});
    for (const ConfigKey* key : keys) table.add({key->name(), key->info.default_value, key->info.help});
    return table.text();
  }
  const ConfigKey& key = *keys.front();
  std::string text = fmt::format("{}: {}\n", key.name(), key.info.help);
  for (const auto& [what, value] : {std::pair("type", key.info.type),
                                    {"default", key.info.default_value},
                                    {"example", key.example},
                                    {"paper", key.paper},
                                    {"in", section_of(key).empty() ? "" : section_of(key) + " of a " + std::string(key.file) + " file"}})
    if (!value.empty()) text += fmt::format("  {:<8} {}\n", what, value);
  std::size_t width = 0;
  for (const auto& [value, meaning] : key.values) width = std::max(width, value.size());
  for (const auto& [value, meaning] : key.values) text += fmt::format("  {:<{}}  {}\n", value, width, meaning);
  return text;
}

Json explain_json(const std::vector<const ConfigKey*>& keys) {
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json list = Json::array();
  for (const ConfigKey* key : keys) {
    Json values = Json::object();
    for (const auto& [value, meaning] : key->values) values[value] = meaning;
    list.push_back({{"key", key->name()},
                    {"file", key->file},
                    {"type", key->info.type},
                    {"default", or_null(key->info.default_value)},
                    {"help", key->info.help},
                    {"example", key->example},
                    {"paper", or_null(key->paper)},
                    {"values", values}});
  }
  return list;
}

std::string config_page() {
  std::string text =
      "# Config keys\n\n"
      "`minbert config explain --markdown > docs/config.md` writes this page from the program's own declarations; ctest compares them.\n"
      "`minbert config explain KEY` says the same about one key, `minbert config show -v CONFIG.toml` about the keys of a config. `--set\n"
      "task.NAME.KEY=VALUE` and `--set stage.0.KEY=VALUE` change one key. The last column has what the paper prints or does.\n";
  for (const auto& [file, title] : {std::pair("run", "Runs: `minbert train CONFIG.toml`"),
                                    {"study", "Studies: `minbert study STUDY.toml`"},
                                    {"search", "Searches: `minbert search SEARCH.toml`"}}) {
    std::vector<std::pair<std::string, std::vector<const ConfigKey*>>> sections;  // in order of appearance
    for (const ConfigKey& key : config_keys()) {
      if (key.file != file) continue;
      const std::string heading = section_of(key);
      auto section = std::ranges::find(sections, heading, [](const auto& s) { return s.first; });
      if (section == sections.end()) section = sections.insert(sections.end(), {heading, {}});
      section->second.push_back(&key);
    }
    text += fmt::format("\n## {}\n", title);
    for (const auto& [heading, keys] : sections)
      text += fmt::format("\n{}{}", heading.empty() ? "" : fmt::format("### {}\n\n", heading), section_page(keys));
  }
  return text;
}

}  // namespace minbert
