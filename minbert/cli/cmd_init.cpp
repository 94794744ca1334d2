// init: writes a commented config file to start from.
#include <filesystem>
#include <memory>

#include "minbert/cli/output.h"
#include "minbert/cli/presets.h"
#include "minbert/cli/verbs.h"

namespace minbert {
namespace {

struct InitFlags {
  std::string preset{presets().front().name}, output = "-";
};

int run_init(const InitFlags& flags, Session& session) {
  if (flags.output != "-" && std::filesystem::exists(flags.output))
    throw Error(ErrorTag::kUsage, flags.output, "expected a new file, got one that is there", "it may hold your changes; remove it first");
  Output out(flags.output);
  out.write(preset_named(flags.preset).text);
  out.commit();
  if (flags.output != "-") session.console.info(fmt::format("wrote {}; next: minbert data check {}", flags.output, flags.output));
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
  app.add_option("-o,--output", flags->output, "new file; - is standard output")->capture_default_str()->type_name("FILE");
  add_examples(app, "  minbert init --preset classify -o mine.toml");
  return [flags, &session] { return run_init(*flags, session); };
}

}  // namespace minbert
