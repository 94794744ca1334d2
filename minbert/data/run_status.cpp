// Reads status.json.
#include "minbert/data/run_status.h"

#include <algorithm>
#include <array>

#include "minbert/base/json_node.h"
#include "minbert/base/number.h"

namespace minbert {
namespace {

PhaseSeconds phases_from(const JsonNode& json) {
  PhaseSeconds seconds;
  for (std::size_t i = 0; i < kPhaseNames.size(); ++i) seconds.by_phase[i] = json.at(kPhaseNames[i]).as_number(0);
  return seconds;
}

}  // namespace

RunStatus read_run_status(const std::filesystem::path& file) {
  constexpr std::array<std::string_view, 4> kStates = {"running", "done", "stopped", "failed"};
  const JsonNode json = JsonNode::read(file, ErrorTag::kData);
  json.expect_format(kRunFormat);
  RunStatus status;
  status.state = json.at("state").as_text();
  if (std::ranges::find(kStates, status.state) == kStates.end()) json.at("state").fail("running, done, stopped or failed");
  for (const auto& [key, text] : {std::pair("started", &status.started), {"updated", &status.updated}, {"error", &status.error}})
    if (const auto member = json.find(key)) *text = member->as_text();
  if (const auto resumes = json.find("resumes")) status.resumes = resumes->as_whole(0, 1'000'000'000);
  if (const auto code = json.find("exit_code")) status.exit_code = code->as_whole(0, 255);
  if (const auto scores = json.find("scores")) status.scores = scores->as_numbers();
  if (const auto mean = json.find_set("mean")) status.mean = mean->as_number();
  if (const auto seconds = json.find("seconds")) status.seconds = seconds->as_number(0);
  if (const auto epoch = json.find_set("best_epoch")) status.best_epoch = epoch->as_whole<int>(-1);
  if (const auto bytes = json.find("peak_memory_bytes")) status.peak_memory_bytes = bytes->as_whole<std::int64_t>(0);
  if (const auto phases = json.find("phase_seconds")) status.phases = phases_from(*phases);
  return status;
}

std::optional<RunStatus> find_run_status(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  return read_run_status(file);
}

std::optional<std::uint64_t> number_among_runs(std::string_view folder_name) {
  for (const std::string_view kind : {"seed-", "fold-"})
    if (folder_name.starts_with(kind)) return number_from<std::uint64_t>(folder_name.substr(kind.size()));
  return std::nullopt;
}

bool is_fold(std::string_view folder_name) { return folder_name.starts_with("fold-"); }

std::vector<std::filesystem::path> numbered_runs(const std::filesystem::path& folder) {
  std::vector<std::pair<std::uint64_t, std::filesystem::path>> runs;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (const auto number = number_among_runs(entry.path().filename().string())) runs.emplace_back(*number, entry.path());
  std::ranges::sort(runs);
  std::vector<std::filesystem::path> folders;
  for (auto& [number, path] : runs) folders.push_back(std::move(path));
  return folders;
}

}  // namespace minbert
