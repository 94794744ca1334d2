// Finds runs, and the weights in their checkpoints/ that nothing needs any more.
#include "minbert/study/clean.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "minbert/base/files.h"
#include "minbert/base/json_node.h"
#include "minbert/data/run_status.h"
#include "minbert/pipeline/model_folder.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStatusFile = "status.json";

/// The run folders in `folder`, at any depth.
std::vector<fs::path> runs_below(const fs::path& folder) {
  if (fs::exists(folder / kStatusFile)) return {folder};
  std::vector<fs::path> runs;
  for (auto at = fs::recursive_directory_iterator(folder); at != fs::recursive_directory_iterator(); ++at) {
    if (!at->is_directory() || !fs::exists(at->path() / kStatusFile)) continue;
    runs.push_back(at->path());
    at.disable_recursion_pending();
  }
  std::ranges::sort(runs);
  return runs;
}

/// Bytes that are gone when the folder is; a file that has another name elsewhere stays.
std::int64_t freed_bytes(const fs::path& folder) {
  std::int64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.hard_link_count() == 1) bytes += static_cast<std::int64_t>(entry.file_size());
  return bytes;
}

/// The study.json of the study that this folder is, or of which it is a part: rows/, a row, or a run of one.
std::optional<fs::path> find_study(const fs::path& folder) {
  fs::path at = fs::absolute(folder / "study.json").lexically_normal();
  for (int up = 0; up < 4; ++up, at = at.parent_path().parent_path() / "study.json")
    if (fs::exists(at)) return at;
  return std::nullopt;
}

RunSurplus surplus_of(const fs::path& run, bool shares_stages) {
  RunSurplus surplus{.run = run, .state = read_run_status(run / kStatusFile).state, .free = {}};
  if (FileLock::is_held(run / ".lock"))
    surplus.state = "running";
  else if (surplus.state == "running")
    surplus.state = "stopped";  // its process was killed
  const fs::path checkpoints = run / "checkpoints";
  if (surplus.state != "done" || !fs::exists(run / "best" / "model.safetensors") || !fs::exists(checkpoints)) return surplus;
  std::vector<fs::path> folders = {checkpoints / "last"};
  for (const auto& entry : fs::directory_iterator(checkpoints))
    if (!shares_stages && entry.path().filename() != "last") folders.push_back(entry.path() / "best");
  std::ranges::sort(folders);
  for (const fs::path& folder : folders)
    if (const std::int64_t bytes = fs::is_directory(folder) ? freed_bytes(folder) : 0; bytes > 0) surplus.free.emplace_back(folder, bytes);
  return surplus;
}

}  // namespace

std::vector<RunSurplus> find_surplus(const fs::path& folder) {
  const std::optional<fs::path> study = find_study(folder);
  const auto has = [&](std::string_view file) { return fs::exists(folder / file); };
  if (!has(kStatusFile) && !has("study.json") && !has("journal.jsonl") && runs_inside(folder).empty())
    throw Error(ErrorTag::kUsage, folder.string(), "expected the folder of a run, a study, a search, several seeds or folds, got none",
                "runs have a status.json, studies a study.json, searches a journal.jsonl");
  const bool shares_stages = study && JsonNode::read(*study, ErrorTag::kData).at("state").as_text() != "done";
  std::vector<RunSurplus> runs;
  for (const fs::path& run : runs_below(folder)) runs.push_back(surplus_of(run, shares_stages));
  return runs;
}

void free_surplus(const RunSurplus& run) {
  const FileLock lock(run.run / ".lock");
  for (const auto& [folder, bytes] : run.free) {
    std::error_code error;
    fs::remove_all(folder, error);
    if (error) throw Error(ErrorTag::kResources, folder.string(), fmt::format("cannot remove: {}", error.message()));
  }
}

}  // namespace minbert
