// Config files of studies and searches: lists of files, overrides from the command line, and the study or search file itself.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <variant>
#include <vector>

#include "minbert/base/config_tree.h"
#include "minbert/base/options.h"

namespace minbert {

/// "file.toml", or a list of files that are merged.
using PathList = std::variant<PathOption, std::vector<PathOption>>;
/// Absolute paths; an empty PathOption gives none.
std::vector<std::filesystem::path> files_of(const PathList& list);

/// Changes from the command line to every config.
struct ConfigOverrides {
  std::vector<std::string> overlays = {};  ///< files, merged on top of the config's own
  std::vector<std::string> sets = {};      ///< key=value
  std::string dtype = {};                  ///< model.dtype, unless empty
};

/// Merges the files of the lists, in order, and then the overlays.
ConfigTree merge_files(std::initializer_list<const PathList*> lists, const ConfigOverrides& overrides);

/// A study file or search file as it was read.
struct SourceFile {
  std::string text;              ///< as given
  std::string place;             ///< what errors call it
  std::filesystem::path folder;  ///< relative paths in the file's `set` start here
};

/// `tree` holds the file. An empty `name`, the value of `section`.name, becomes the file's name, or the section's for standard input.
/// Throws Error(kUsage) for a name that could not be a folder's.
SourceFile source_file(const ConfigTree& tree, const std::filesystem::path& path, const std::string& section, std::string& name);

}  // namespace minbert
