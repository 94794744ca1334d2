// Lists of config files resolved and merged, and the checks that study files and search files share.
#include "minbert/study/config_files.h"

#include <fmt/format.h>

#include "minbert/base/input_bytes.h"
#include "minbert/pipeline/task.h"

namespace minbert {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const PathList& list) {
  std::vector<fs::path> files;
  if (const auto* one = std::get_if<PathOption>(&list)) {
    if (!one->empty()) files.push_back(one->resolve());
  } else {
    for (const PathOption& file : std::get<std::vector<PathOption>>(list)) files.push_back(file.resolve());
  }
  return files;
}

ConfigTree merge_files(std::initializer_list<const PathList*> lists, const ConfigOverrides& overrides) {
  ConfigTree tree;
  for (const PathList* list : lists)
    for (const fs::path& path : files_of(*list)) tree.load(path);
  for (const std::string& path : overrides.overlays) tree.load(path);
  return tree;
}

SourceFile source_file(const ConfigTree& tree, const fs::path& path, const std::string& section, std::string& name) {
  const bool is_input = is_read_once(path);
  if (name.empty()) name = is_input ? section : path.stem().string();
  if (!is_plain_name(name))
    throw Error(ErrorTag::kUsage, tree.place(section + ".name"),
                fmt::format("key \"{}.name\": expected letters, digits, - and _, got \"{}\"", section, name));
  return {.text = tree.given(), .place = path.string(), .folder = is_input ? fs::current_path() : fs::absolute(path).parent_path()};
}

}  // namespace minbert
