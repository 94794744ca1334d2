// Study files: reads and checks them, and makes the config of each row.
#include "minbert/study/study_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "minbert/pipeline/task.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// The files that a row's config starts from.
const PathList& start_of(const StudyFile& file, const StudyRow& row) { return files_of(row.recipe).empty() ? file.study.base : row.recipe; }

void check_row(const ConfigTree& tree, const StudyFile& file, const StudyRow& row, std::size_t index) {
  const auto refuse = [&](const std::string& part, const std::string& message) {
    const std::string key = join_key(join_key("row", row.name.empty() ? std::to_string(index) : row.name), part);
    throw Error(ErrorTag::kUsage, tree.place(key), fmt::format("key \"{}\": {}", key, message));
  };
  if (!is_plain_name(row.name)) refuse("name", fmt::format("expected letters, digits, - and _, got \"{}\"", row.name));
  if (files_of(start_of(file, row)).empty()) refuse("recipe", "expected a file, because [study] has no base");
}

ConfigTree row_files(const StudyFile& file, const StudyRow& row, const ConfigOverrides& overrides) {
  return merge_files({&start_of(file, row), &row.overlay}, overrides);
}

bool any_row_takes(const StudyFile& file, const ConfigOverrides& overrides, std::string_view assignment) {
  return std::ranges::any_of(file.rows, [&](const StudyRow& row) { return row_files(file, row, overrides).can_set(assignment); });
}

}  // namespace

StudyFile load_study_file(const fs::path& path) {
  ConfigTree tree;
  tree.load(path);
  auto file = read_options<StudyFile>(tree.node());
  file.source = source_file(tree, path, "study", file.study.name);
  if (file.study.title.empty()) file.study.title = file.study.name;
  if (file.rows.empty()) throw Error(ErrorTag::kUsage, file.source.place, "expected at least one [[row]]");
  for (std::size_t i = 0; i < file.rows.size(); ++i) {
    StudyRow& row = file.rows[i];
    if (row.seeds.empty()) row.seeds = file.study.seeds;
    if (row.title.empty()) row.title = row.name;
    check_row(tree, file, row, i);
  }
  return file;
}

ConfigTree row_config(const StudyFile& file, const StudyRow& row, const ConfigOverrides& overrides, const std::uint64_t* seed) {
  const TomlOrigin here{fmt::format("{} row {}", file.source.place, row.name), file.source.folder};
  ConfigTree tree = row_files(file, row, overrides);
  tree.set("run.name", row.name, here.place);
  for (const std::string& assignment : row.set) tree.set(assignment, here);
  for (const std::string& assignment : overrides.sets)
    if (tree.can_set(assignment) || !any_row_takes(file, overrides, assignment)) tree.set(assignment);
  if (!overrides.dtype.empty()) tree.set("model.dtype", overrides.dtype, "--dtype");
  if (seed != nullptr) tree.set("run.seed", static_cast<std::int64_t>(*seed), here.place);
  return tree;
}

}  // namespace minbert
