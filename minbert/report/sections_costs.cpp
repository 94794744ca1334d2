// Costs of runs, and the config and environment that reproduce them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "minbert/base/json_node.h"
#include "minbert/report/numbers.h"
#include "minbert/report/sections.h"

namespace minbert {
namespace {

constexpr std::size_t kMostOps = 12;  // rows of the profile table

/// A list of names and values; pairs without a value are left out.
Html facts(const std::vector<std::pair<std::string, std::string>>& pairs) {
  Html list;
  for (const auto& [name, value] : pairs)
    if (!value.empty()) list += element("dt", {}, name) + element("dd", {}, value);
  return list.empty() ? list : element("dl", {{"class", "facts"}}, list) + "\n";
}

Html profile_table(const RunData& run, Sheets& sheets) {
  const std::filesystem::path path = run.folder / "profile.json";
  if (!std::filesystem::exists(path)) return {};
  Sheet sheet{
      .file = "profile", .caption = "Where the time went, op by op.", .columns = {"op", "calls", "seconds", "share", "GFLOP/s", "GB/s"}};
  const auto ops = JsonNode::read(path, ErrorTag::kData).find("ops");
  for (const JsonNode& op : ops ? ops->items() : std::vector<JsonNode>()) {
    if (sheet.rows.size() == kMostOps) break;
    const auto number = [&](const char* key, int decimals) {
      const auto value = op.find_set(key);
      return value ? number_text(value->as_number(0), decimals) : std::string();
    };
    sheet.rows.push_back({op.at("op").as_text(), std::to_string(op.at("calls").as_whole<std::int64_t>(0)), number("seconds", 3),
                          number("share", 3), number("gflop_per_s", 1), number("gb_per_s", 1)});
  }
  return sheet.rows.empty() ? Html() : sheets.show(sheet);
}

std::string rate(std::int64_t tokens, double seconds) {
  return seconds > 0 ? std::to_string(std::llround(static_cast<double>(tokens) / seconds)) : "";
}

Html wall_table(const PhaseSeconds& seconds, Sheets& sheets) {
  Sheet sheet{.file = "wall-clock",
              .caption = "Wall-clock time of the whole run, over all its processes.",
              .columns = {"phase", "seconds", "share"}};
  const double total = seconds.total();
  const auto add = [&](std::string_view phase, double part) {
    sheet.rows.push_back({std::string(phase), number_text(part, 1), total > 0 ? number_text(part / total, 3) : ""});
  };
  for (std::size_t i = 0; i < kPhaseNames.size(); ++i) add(kPhaseNames[i], seconds.by_phase[i]);
  add("all", total);
  return sheets.show(sheet);
}

}  // namespace

Html run_costs(const RunData& run, Sheets& sheets) {
  if (run.costs.empty()) return {};
  Sheet sheet{.file = "timing",
              .caption = "Time of training steps, evaluations left out.",
              .columns = {"stage", "steps", "tokens", "seconds", "tokens per second"}};
  StageCost all{.stage = "all"};
  const auto add = [&](const StageCost& cost) {
    sheet.rows.push_back({cost.stage, std::to_string(cost.steps), std::to_string(cost.tokens), number_text(cost.seconds, 1),
                          rate(cost.tokens, cost.seconds)});
  };
  for (const StageCost& cost : run.costs) {
    add(cost);
    all.steps += cost.steps;
    all.tokens += cost.tokens;
    all.seconds += cost.seconds;
  }
  if (run.costs.size() > 1) add(all);
  const std::int64_t memory = run.status.peak_memory_bytes;
  const std::optional<PhaseSeconds>& wall = run.status.phases;
  return facts({{"training", duration_text(all.seconds)},
                {"wall clock", wall ? duration_text(wall->total()) : ""},
                {"largest memory", memory > 0 ? memory_text(memory) : ""}}) +
         sheets.show(sheet) + (wall ? wall_table(*wall, sheets) : Html()) + profile_table(run, sheets);
}

Html study_costs(const ModelRows& rows, Sheets& sheets) {
  Sheet sheet{
      .file = "timing",
      .caption =
          "Time of training steps, largest memory, and wall-clock seconds of each run by phase; stages that another row computed "
          "cost nothing here.",
      .columns = {"model", "run", "state", "steps", "seconds", "tokens per second", "memory, MB", "epochs kept", "stages from other rows"},
      .words = 3};
  for (const std::string& column : wall_columns()) sheet.columns.push_back(spoken(column));
  for (const ModelRow& row : rows) {
    std::string shared;
    for (const auto& [stage, from] : row.shared) shared += fmt::format("{}{} from {}", shared.empty() ? "" : ", ", stage, from);
    for (const RunData& run : row.runs) {
      StageCost all{.stage = {}};
      for (const StageCost& cost : run.costs) {
        if (row.shared.contains(cost.stage)) continue;
        all.steps += cost.steps;
        all.tokens += cost.tokens;
        all.seconds += cost.seconds;
      }
      std::string kept;
      for (const StageConfig& stage : run.config.stages)
        if (const auto epoch = kept_epoch(run, stage.name)) kept += fmt::format("{}{} {}", kept.empty() ? "" : ", ", stage.name, *epoch);
      const std::int64_t memory = run.status.peak_memory_bytes;
      sheet.rows.push_back({row.title, run.name, run.status.state, std::to_string(all.steps), number_text(all.seconds, 1),
                            rate(all.tokens, all.seconds), memory > 0 ? std::to_string(memory / 1'000'000) : "", kept, shared});
      for (const auto& seconds : wall_cells(run.status.phases)) sheet.rows.back().push_back(seconds ? number_text(*seconds, 1) : "");
    }
  }
  return sheet.rows.empty() ? Html() : sheets.show(sheet);
}

Html config_text(const RunData& run) {
  if (run.config_text.empty()) return {};
  return element("details", {},
                 element("summary", {}, "The resolved config.toml, with the origin of each value") +
                     element("pre", {{"tabindex", "0"}}, run.config_text)) +
         "\n";
}

Html environment(const RunData& run) {
  std::vector<std::pair<std::string, std::string>> pairs;
  pairs.emplace_back("started", run.status.started);
  pairs.emplace_back("updated", run.status.updated);
  if (!run.status.state.empty()) pairs.emplace_back("resumes", std::to_string(run.status.resumes));
  for (const char* key : {"minbert", "backend_description", "cpu", "cores", "threads", "system", "compiler"})
    pairs.emplace_back(key == std::string_view("backend_description") ? "backend" : key, json_text(run.environment, key));
  if (const auto libraries = run.environment.find("libraries"); libraries != run.environment.end() && libraries->is_object()) {
    std::string text;
    for (const auto& [name, version] : libraries->items())
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, json_text(*libraries, name));
    pairs.emplace_back("libraries", text);
  }
  return facts(pairs);
}

}  // namespace minbert
