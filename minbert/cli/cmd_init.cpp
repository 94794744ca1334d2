// init: writes a commented config file to start from.
#include <filesystem>
#include <memory>

#include "minbert/base/files.h"
#include "minbert/cli/file_kinds.h"
#include "minbert/cli/output.h"
#include "minbert/cli/presets.h"
#include "minbert/cli/verbs.h"

namespace minbert {
namespace {

struct InitFlags {
  std::string preset{presets().front().name}, output = "-";
};

/// Beside the config: editors with a TOML language server read it, complete keys and mark mistakes.
std::string schema_name(const Preset& preset) { return fmt::format("minbert-{}.schema.json", preset.kind); }

int run_init(const InitFlags& flags, Session& session) {
  const Preset& preset = preset_named(flags.preset);
  if (flags.output == "-") {
    print(preset.text);
    return 0;
  }
  const std::filesystem::path path = flags.output;
  if (std::filesystem::exists(path))
    throw Error(ErrorTag::kUsage, flags.output, "expected a new file, got one that is there", "it may hold your changes; remove it first");
  Output out(flags.output);
  out.write(fmt::format("#:schema ./{}\n{}", schema_name(preset), preset.text));
  out.commit();
  const std::filesystem::path schema = path.parent_path() / schema_name(preset);
  write_file(schema, file_schema(preset.kind));
  const std::string next = preset.kind == "run" ? "data check" : std::string(preset.kind) + " --dry-run";
  session.console.info(fmt::format("wrote {}, and {} for editors; next: minbert {} {}", flags.output, schema.string(), next, flags.output));
  return 0;
}

}  // namespace

Action declare_init(CLI::App& app, Session& session) {
  auto flags = std::make_shared<InitFlags>();
  std::vector<std::string> names;
  std::string help;
  for (const Preset& preset : presets()) {
    names.emplace_back(preset.name);
    help += fmt::format("{}{} ({})", help.empty() ? "" : ", ", preset.name, preset.summary);
  }
  app.add_option("--preset", flags->preset, help)->check(one_of(names))->capture_default_str()->type_name("NAME");
  app.add_option("-o,--output", flags->output, "new file, with the schema of its keys beside it; - is standard output")
      ->capture_default_str()
      ->type_name("FILE");
  add_examples(app, "  minbert init --preset classify -o mine.toml\n  minbert init --preset study -o study.toml");
  return [flags, &session] { return run_init(*flags, session); };
}

}  // namespace minbert
