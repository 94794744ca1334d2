// clean: frees the room that finished runs do not need.
#include <filesystem>
#include <memory>

#include "minbert/base/files.h"
#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/study/clean.h"

namespace minbert {
namespace {

struct CleanFlags {
  std::string folder;
  bool dry_run = false, json = false;
};

std::string megabytes(std::int64_t bytes) { return fmt::format("{:.1f}", static_cast<double>(bytes) / 1e6); }

int run_clean(const CleanFlags& flags, Session& session) {
  const std::vector<RunSurplus> runs = find_surplus(flags.folder);
  const bool is_run = std::filesystem::exists(std::filesystem::path(flags.folder) / "status.json");
  if (is_run && runs.front().state == "running")
    throw LockHeld(ErrorTag::kResources, flags.folder, "locked: another process is at work here");
  std::int64_t total = 0;
  TextTable table({"folder", "MB"});
  Json json = {{"dry_run", flags.dry_run}, {"bytes", 0}, {"runs", Json::array()}};
  for (const RunSurplus& run : runs) {
    Json& item = json["runs"].emplace_back(Json{{"run", run.run.string()}, {"state", run.state}, {"free", Json::array()}});
    for (const auto& [folder, bytes] : run.free) {
      item["free"].push_back({{"folder", folder.string()}, {"bytes", bytes}});
      table.add({folder.string(), megabytes(bytes)});
      total += bytes;
    }
    if (run.state != "done") session.console.info(fmt::format("{} is {}: nothing of it is removed", run.run.string(), run.state));
  }
  json["bytes"] = total;
  table.add({"all", megabytes(total)});
  if (flags.json)
    print_json(json);
  else
    print_text(table.text());
  if (flags.dry_run) return 0;
  for (const RunSurplus& run : runs)
    if (!run.free.empty()) free_surplus(run);
  session.console.info(fmt::format("freed {} MB", megabytes(total)));
  return 0;
}

}  // namespace

Action declare_clean(CLI::App& app, Session& session) {
  auto flags = std::make_shared<CleanFlags>();
  app.add_option("RUN", flags->folder, "folder of a run, a study, a search, or several seeds")->required()->type_name("");
  app.add_flag("--dry-run", flags->dry_run, "only print what would be removed");
  add_json(app, flags->json);
  add_examples(app, "  minbert clean runs/mine\n  minbert clean studies/paper --dry-run");
  return [flags, &session] { return run_clean(*flags, session); };
}

}  // namespace minbert
