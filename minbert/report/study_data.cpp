// StudyData: reads study.json and the run folders.
#include "minbert/report/study_data.h"

#include <algorithm>

#include "minbert/report/numbers.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;

/// rows/NAME/seed-1 -> NAME
std::string row_of(const std::string& folder) { return fs::path(folder).parent_path().filename().string(); }

bool has_begun(const fs::path& run) { return fs::exists(run / "status.json") || fs::exists(run / "config.toml"); }

void read_seed(const fs::path& folder, const Json& seed, ModelRow& row, StudyData& study) {
  const auto path = seed.at("folder").get<std::string>();
  const std::string state = json_text(seed, "state");
  ++study.runs;
  study.done += state == "done";
  if (const std::string error = json_text(seed, "error"); !error.empty())
    study.failures.push_back(fmt::format("{}, seed {}: {}", row.title, json_text(seed, "seed"), error));
  if (!has_begun(folder / path)) return;
  row.runs.push_back(read_run(folder / path, StepDetail::kSums));
  if (const auto shared = seed.find("shared"); shared != seed.end() && row.runs.size() == 1)
    for (const Json& stage : *shared) row.shared[stage.at("stage").get<std::string>()] = row_of(stage.at("from").get<std::string>());
}

void read_row(const fs::path& folder, const Json& json, StudyData& study) {
  ModelRow row{.name = json.at("name").get<std::string>(), .title = json_text(json, "title")};
  if (row.title.empty()) row.title = row.name;
  if (const auto published = json.find("published"); published != json.end() && published->is_object())
    row.published = published->get<std::map<std::string, double>>();
  for (const Json& seed : json.at("seeds")) read_seed(folder, seed, row, study);
  study.rows.push_back(std::move(row));
}

}  // namespace

const ModelRow* StudyData::best() const {
  const ModelRow* best = nullptr;
  double mean = 0;
  for (const ModelRow& row : rows) {
    const Spread scores = dev_scores(row, "");
    if (scores.count == 0 || (best != nullptr && scores.mean <= mean)) continue;
    best = &row;
    mean = scores.mean;
  }
  return best;
}

bool StudyData::published() const {
  return std::ranges::any_of(rows, [](const ModelRow& row) { return !row.published.empty(); });
}

bool is_study(const fs::path& folder) { return fs::exists(folder / "study.json"); }

StudyData read_study(const fs::path& folder) {
  const fs::path path = folder / "study.json";
  const Json json = read_json(path, ErrorTag::kData);
  if (!json.is_object() || json.value("format", Json()) != kFormat)
    throw Error(ErrorTag::kData, path.string(), fmt::format("expected a study of format {}", kFormat));
  StudyData study;
  study.name = json_text(json, "name");
  study.title = json_text(json, "title");
  study.caption = json_text(json, "caption");
  study.state = json_text(json, "state");
  try {
    for (const Json& row : json.at("rows")) read_row(folder, row, study);
  } catch (const Json::exception& error) {
    throw Error(ErrorTag::kData, path.string(), fmt::format("not as docs/study_folder.md describes it: {}", error.what()));
  }
  return study;
}

}  // namespace minbert
