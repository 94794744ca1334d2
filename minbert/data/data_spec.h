// DataSpec: [task.data] of a config: which files, which columns, what the labels mean, what to do with broken rows.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "minbert/base/options.h"
#include "minbert/data/table.h"

namespace minbert {

/// One file of a split. In TOML a path, or a table with these keys.
struct DataSource {
  std::string path;                               ///< absolute after DataSpec::make_absolute, or "-"
  std::string label = {};                         ///< label of every row of this file, instead of a label column
  std::map<std::string, std::string> where = {};  ///< column -> value: only rows that hold exactly these values are used
  std::int64_t limit = 0;                         ///< at most this many usable rows, drawn by split_seed; 0 = all
  bool first = false;                             ///< with limit: the first rows instead of drawn ones
  std::string text = {};                          ///< text column of this file; empty: the task's
  std::string text_pair = {};                     ///< column of the second text; empty: the task's
  std::string encoding = {};                      ///< empty: the task's
  std::filesystem::path folder = {};              ///< folder that a relative path starts from; not a key
};

/// The dev or test split: files, or a fraction of train that data.split_seed draws; with neither there is no such split.
struct HeldOutSource {
  std::vector<DataSource> files = {};
  double fraction = 0;  ///< in (0, 1)

  bool given() const { return !files.empty() || fraction != 0; }
};

/// The label_range that takes any number, for labels whose limits are unknown.
inline constexpr std::array<double, 2> kAnyNumber = {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};

/// Where a task's rows come from. A label_from whose ends are equal is not set.
struct DataSpec {
  std::vector<DataSource> train;
  HeldOutSource dev, test;
  std::string text;       ///< column name, or number from 0 where no column has that name
  std::string text_pair;  ///< column of the second text; empty for single texts
  std::string label;
  std::vector<std::string> label_columns = {};  ///< multi_label: a column of 0 and 1 for each label, instead of `label`
  std::string label_separator = ";";            ///< multi_label: what stands between labels in a cell
  std::string id;                               ///< empty: ids are row numbers, from 0 in each split
  std::string format = "auto";
  std::string delimiter = "auto";
  std::string quote = "auto";
  std::string header = "auto";
  std::string encoding = "utf-8";
  std::string preprocess = "none";
  std::map<std::string, std::string> label_map;
  std::array<double, 2> label_range = {0, 5};
  std::array<double, 2> label_from = {0, 0};
  std::string on_bad_row = "error";
  std::vector<DataSource> exclude;
  std::string exclude_pairs = "either";
  ReadingHints hints = config_hints();  ///< not a key

  bool takes_any_number() const { return label_range == kAnyNumber; }
  /// "0 to 5", or "any number".
  std::string range_text() const;
  /// Makes every path absolute: relative ones start at `root` or, when that is empty, at the folder of the file that names them.
  void make_absolute(const std::filesystem::path& root);
};

/// The one list of keys, defaults and help for config files, flags and schemas.
template <class V>
void visit_options(V& v, DataSource& o) {
  v.field("path", o.path, "file");
  v.field("label", o.label, "label of every row of the file");
  v.field("where", o.where, "column = value: only these rows");
  v.field("limit", o.limit, "at most this many usable rows, drawn by data.split_seed; 0 = all", at_least(0));
  v.field("first", o.first, "with limit: the first rows instead of drawn ones");
  v.field("text", o.text, "text column of this file, where it differs");
  v.field("text_pair", o.text_pair, "column of its second text, where it differs");
  v.field("encoding", o.encoding, "encoding of this file, where it differs");
}

template <class V>
void visit_options(V& v, DataSpec& o) {
  v.field("train", o.train, "path, or list of paths or tables { path, label, where, limit, first, text, text_pair, encoding }");
  v.field("dev", o.dev, "the same, or a fraction of train, stratified by label and drawn by data.split_seed; absent: no selection");
  v.field("test", o.test, "as dev; labels of files are optional");
  v.field("text", o.text, "column of the text: name, or number from 0");
  v.field("text_pair", o.text_pair, "column of the second text, for pairs");
  v.field("label", o.label, "column of the label");
  v.field("label_columns", o.label_columns, "multi_label: columns of 0 and 1, one for each label, instead of label");
  v.field("label_separator", o.label_separator, "multi_label: what stands between the labels of a cell that is no JSON list");
  v.field("id", o.id, "column of the id; default: row number from 0");
  v.field("format", o.format, "auto | csv | tsv | jsonl | lines");
  v.field("delimiter", o.delimiter, "auto | tab | one character");
  v.field("quote", o.quote, "auto | none | one character");
  v.field("header", o.header, "auto | yes | no");
  v.field("encoding", o.encoding, "utf-8 | latin-1 | cp1252 (of Windows)");
  v.field("preprocess", o.preprocess, "none | cs224n (lower-case, strip; pairs: space before . ? , ')");
  v.field("label_map", o.label_map, "text in the file -> label");
  v.field("label_range", o.label_range, "regress: lowest and highest label; rows outside are errors; [-inf, inf]: any number");
  v.field("label_from", o.label_from, "regress: the file's own range, rescaled to label_range");
  v.field("on_bad_row", o.on_bad_row, "error | skip (counted and listed in data.json)");
  v.field("exclude", o.exclude, "files, or splits of tasks (\"sst.dev\"), whose texts are removed from train");
  v.field("exclude_pairs", o.exclude_pairs, "either | both: how many texts of a pair must stand in such a file");
}

/// "path", or a table with the path and more.
template <>
struct OptionType<DataSource> {
  static bool accepts(const TomlNode& node) { return node.is<std::string>() || node.is<TomlTable>(); }
  static void read(const TomlNode& node, DataSource& source);
  static TomlValue write(const DataSource& source);
  static std::string type() { return "path | { path, ... }"; }
  static TomlValue schema();
};

/// One source, or a list of them.
template <>
struct OptionType<std::vector<DataSource>> {
  static bool accepts(const TomlNode& node) { return OptionType<DataSource>::accepts(node) || node.is<TomlArray>(); }
  static void read(const TomlNode& node, std::vector<DataSource>& sources);
  static TomlValue write(const std::vector<DataSource>& sources);
  static std::string type() { return "path | list of paths or tables"; }
  static TomlValue schema();
};

/// Sources, or a number above 0 and below 1.
template <>
struct OptionType<HeldOutSource> {
  static bool accepts(const TomlNode& node) { return OptionType<std::vector<DataSource>>::accepts(node) || node.is<double>(); }
  static void read(const TomlNode& node, HeldOutSource& source);
  static TomlValue write(const HeldOutSource& source);
  static std::string type() { return "path | list of paths or tables | fraction of train"; }
  static TomlValue schema();
};

}  // namespace minbert
