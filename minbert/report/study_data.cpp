// StudyData: reads study.json and the run folders.
#include "minbert/report/study_data.h"

#include <algorithm>

#include "minbert/base/json_node.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;

/// rows/NAME/seed-1 -> NAME
std::string row_of(const std::string& folder) { return fs::path(folder).parent_path().filename().string(); }

bool has_begun(const fs::path& run) { return fs::exists(run / "status.json") || fs::exists(run / "config.toml"); }

/// A text that is empty where the object lacks it.
std::string text_in(const JsonNode& object, std::string_view key) {
  const auto text = object.find_set(key);
  return text ? text->as_text() : "";
}

/// A folder below the study's.
std::string folder_in(const JsonNode& object, std::string_view key) {
  const JsonNode node = object.at(key);
  const fs::path path = fs::path(node.as_text()).lexically_normal();
  if (path.empty() || path.is_absolute() || *path.begin() == "..") node.fail("a folder of the study");
  return path.string();
}

void read_seed(const fs::path& folder, const JsonNode& seed, ModelRow& row, StudyData& study) {
  const std::string path = folder_in(seed, "folder");
  ++study.runs;
  study.done += seed.at("state").as_text() == "done";
  if (const std::string error = text_in(seed, "error"); !error.empty())
    study.failures.push_back(fmt::format("{}, seed {}: {}", row.title, seed.at("seed").as_whole<std::int64_t>(0), error));
  if (!has_begun(folder / path)) return;
  row.runs.push_back(read_run(folder / path, StepDetail::kSums));
  if (const auto shared = seed.find("shared"); shared && row.runs.size() == 1)
    for (const JsonNode& stage : shared->items()) row.shared[stage.at("stage").as_text()] = row_of(stage.at("from").as_text());
}

void read_row(const fs::path& folder, const JsonNode& json, StudyData& study) {
  ModelRow row{.name = json.at("name").as_text(), .title = text_in(json, "title")};
  if (row.title.empty()) row.title = row.name;
  if (const auto published = json.find_set("published"))
    for (const auto& [task, score] : published->members()) row.published[task] = score.as_number();
  for (const JsonNode& seed : json.at("seeds").items()) read_seed(folder, seed, row, study);
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
  const JsonNode json = JsonNode::read(path, ErrorTag::kData);
  json.expect_format(kFormat);
  StudyData study;
  study.name = text_in(json, "name");
  study.title = text_in(json, "title");
  study.caption = text_in(json, "caption");
  study.state = text_in(json, "state");
  for (const JsonNode& row : json.at("rows").items()) read_row(folder, row, study);
  return study;
}

}  // namespace minbert
