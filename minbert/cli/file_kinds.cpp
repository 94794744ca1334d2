// Kinds of files: the struct that each is read into gives its schema.
#include "minbert/cli/file_kinds.h"

#include <algorithm>
#include <array>

#include "minbert/base/json.h"
#include "minbert/hub/data_manifest.h"
#include "minbert/study/search_file.h"
#include "minbert/study/study_file.h"
#include "minbert/train/config.h"

namespace minbert {
namespace {

/// A kind of TOML file.
struct FileKind {
  std::string_view name, title;
  TomlValue (*schema)();
};
constexpr std::array kFileKinds = {
    FileKind{"run", "Configuration of a training run: one file, or several of which later ones win",
             [] { return options_schema<RunConfig>(); }},
    FileKind{"study", "A study: runs that go into one table", [] { return options_schema<StudyFile>(); }},
    FileKind{"search", "A search: values of hyperparameters to be drawn for a recipe", [] { return options_schema<SearchFile>(); }},
    FileKind{"data", "Manifest of data sets for minbert fetch --data", [] { return options_schema<DataManifest>(); }},
};

}  // namespace

std::vector<std::string> file_kinds() {
  std::vector<std::string> names;
  for (const FileKind& kind : kFileKinds) names.emplace_back(kind.name);
  return names;
}

std::string file_schema(std::string_view kind) {
  const auto found = std::ranges::find(kFileKinds, kind, &FileKind::name);
  MINBERT_CHECK(found != kFileKinds.end(), "kind {}", kind);
  const TomlValue described = found->schema();
  TomlTable schema;
  schema.set("$schema", "https://json-schema.org/draft/2020-12/schema");
  schema.set("title", found->title);
  for (const auto& [key, value] : *described.get_if<TomlTable>()) schema.set(key, value);
  return toml_to_json(TomlValue(std::move(schema))) + "\n";
}

}  // namespace minbert
