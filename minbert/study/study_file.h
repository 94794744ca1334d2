// StudyFile: several runs that go into one table, as a TOML file describes them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "minbert/study/config_files.h"

namespace minbert {

struct StudySection {
  std::string name, title;
  PathList base;
  std::vector<std::uint64_t> seeds;
  std::string caption;
};
template <class V>
void visit_options(V& v, StudySection& o) {
  v.field("name", o.name, "names the study's folder; default: the file's");
  v.field("title", o.title, "above the table; default: the name");
  v.field("base", o.base, "config of every row that has no recipe: a file, or files that are merged");
  v.field("seeds", o.seeds, "one run of each row for each; default: the config's run.seed");
  v.field("caption", o.caption, "below the table, with the encoder's name after it");
}

/// One line of the table: a config, and a run for each seed.
struct StudyRow {
  std::string name, title;
  PathList recipe, overlay;
  std::vector<std::string> set;
  std::vector<std::uint64_t> seeds;
  std::map<std::string, double> published;
};
template <class V>
void visit_options(V& v, StudyRow& o) {
  v.field("name", o.name, "letters, digits, - and _; names the row's folder");
  v.field("title", o.title, "in the table; default: the name");
  v.field("recipe", o.recipe, "file or files in place of the study's base");
  v.field("overlay", o.overlay, "file or files merged on top");
  v.field("set", o.set, "changes of single keys, as --set takes them");
  v.field("seeds", o.seeds, "in place of the study's");
  v.field("published", o.published, "scores by task to stand beside the row's own; mean: theirs unless given");
}

struct StudyFile {
  std::int64_t format = 1;
  StudySection study;
  std::vector<StudyRow> rows;
  SourceFile source;
};
template <class V>
void visit_options(V& v, StudyFile& o) {
  v.field("format", o.format, "version of this file's format", between(1, 1));
  v.field("study", o.study, "");
  v.field("row", o.rows, "");
}

/// Reads and checks: names are plain and unique, names and titles filled in. Throws Error(kUsage) with file, line and key.
StudyFile load_study_file(const std::filesystem::path& path);

/// A row's config: recipe or base, then its overlay, the overrides' files, its `set`, the overrides' `set`, and the seed, if any. The run
/// has the row's name unless one of the two `set` says otherwise. A row skips an override that names a stage or task which it lacks, unless
/// no row has it. Throws Error(kUsage).
ConfigTree row_config(const StudyFile& file, const StudyRow& row, const ConfigOverrides& overrides, const std::uint64_t* seed);

}  // namespace minbert
