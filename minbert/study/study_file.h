// StudyFile: a TOML file that describes several runs for one table.
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
  v.field("name", o.name, "name of the study and its folder; default: the file's name");
  v.field("title", o.title, "title above the table; default: the name");
  v.field("base", o.base, "config of every row that has no recipe: a file, or files that are merged");
  v.field("seeds", o.seeds, "each row has one run for each seed; default: the config's run.seed");
  v.field("caption", o.caption, "text below the table; the encoder's name is added");
}

/// One line of the table: a config that is trained once for each seed.
struct StudyRow {
  std::string name, title;
  PathList recipe, overlay;
  std::vector<std::string> set;
  std::vector<std::uint64_t> seeds;
  std::map<std::string, double> published;
};
template <class V>
void visit_options(V& v, StudyRow& o) {
  v.field("name", o.name, "name of the row and its folder: letters, digits, - and _");
  v.field("title", o.title, "title in the table; default: the name");
  v.field("recipe", o.recipe, "file or files that replace the study's base");
  v.field("overlay", o.overlay, "file or files merged on top");
  v.field("set", o.set, "changes of single keys, written as for --set");
  v.field("seeds", o.seeds, "replace the study's seeds");
  v.field("published", o.published, "published scores by task, shown beside the row's own; mean defaults to their mean");
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

/// Reads and checks a study file, and fills in default names, titles and seeds. Throws Error(kUsage) with file, line and key.
StudyFile load_study_file(const std::filesystem::path& path);

/// A row's config: recipe or base, then its overlay, the overrides' files, its `set`, the overrides' `set`, and the seed, if any. The run
/// has the row's name unless one of the two `set` says otherwise. A row skips an override that names a stage or task which it lacks, unless
/// no row has it. Throws Error(kUsage).
ConfigTree row_config(const StudyFile& file, const StudyRow& row, const ConfigOverrides& overrides, const std::uint64_t* seed);

}  // namespace minbert
