// ConfigTree: several TOML files and --set assignments merged into one table that knows where each value comes from.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/toml.h"

namespace minbert {

/// Later wins. Merging rules:
///  - tables merge key by key, whether written as [a] or inline; any other value replaces the earlier one;
///  - [[x]] blocks merge one by one into the earlier [[x]]: a block with a `name` into the block of that name (a block without
///    one is found by its index), a block without a name into the block at its own index; without such a block it is appended;
///  - a list of tables written inline, x = [{...}, {...}], is a plain value: it replaces, and is replaced.
/// One file may not give two [[x]] blocks the same name.
/// A [[x]] block that a later file appends to the blocks of an earlier one is noted, because it may have been meant to change one of them.
class ConfigTree {
 public:
  /// Merges a file ("-" is standard input). Throws Error(kUsage) "file:line: ...".
  void load(const std::filesystem::path& file);
  /// Merges a file's text; relative paths in it start at `folder`.
  void load_text(std::string_view text, std::string_view place, const std::filesystem::path& folder);
  /// Merges TOML text that was generated from a flag. Errors name the flag, not a line of the text.
  void load_generated(std::string_view text, std::string_view flag);

  /// `key=value` as --set takes it: parse_toml_value reads the value. Relative paths start at the working directory, or at the folder of
  /// the file that holds the assignment.
  void set(std::string_view assignment);
  void set(std::string_view assignment, const TomlOrigin& origin);
  /// Sets one key, such as task.sst.batch or stage.0.lr: blocks by name or index, lists by index, missing tables made; index 0
  /// of a missing list of blocks starts it. `place` becomes the origin: "--seed", the name of an environment variable.
  void set(std::string_view key, TomlValue value, std::string_view place);
  void set(std::string_view key, TomlValue value, const TomlOrigin& origin);

  /// Whether every block and list element that `key` (or a whole assignment) names exists, so that set() can follow it.
  bool can_set(std::string_view key) const;

  /// The texts of the loaded files in their order, and the assignments as comments.
  const std::string& given() const { return given_; }

  /// A sentence for each [[x]] block that a later file appended: `stage "finetune" of short.toml:3 is new, beside "0"`.
  const std::vector<std::string>& notes() const { return notes_; }

  const TomlValue& root() const { return root_; }
  TomlNode node() const { return TomlNode(root_); }

  /// Where the value of a key was written. A key without one has the place of its nearest table, or "default".
  std::string place(std::string_view key) const;

  /// Prints a table that write_options returned as a TOML file. A comment on each line names the origin that the same key has
  /// in this tree, or "default".
  /// With `meaning`, which explains a key such as stage.0.lr, the comment continues with that.
  std::string print_resolved(TomlValue resolved, const std::function<std::string(std::string_view key)>& meaning = {}) const;

 private:
  void add(TomlValue file, std::string_view text, std::string_view place);

  std::string given_;
  std::vector<std::string> notes_;
  TomlValue root_ = [] {
    TomlValue table{TomlTable()};
    table.section = true;
    return table;
  }();
};

/// The keys of `table` whose values differ from those in `defaults`, in nested tables too. Both are as write_options returns them.
TomlValue without_defaults(const TomlValue& table, const TomlValue& defaults);

/// A key that some of several configs set differently, and its value in each as TOML; empty where a config lacks it. A block that some lack
/// is one such key, with "yes" where it is.
struct ConfigDifference {
  std::string key;  ///< "task.sst.batch", "stage.0.lr"
  std::vector<std::string> values;
};
/// The keys whose values are not the same in all tables, in the order in which they first appear.
std::vector<ConfigDifference> config_differences(std::span<const TomlValue> tables);

}  // namespace minbert
