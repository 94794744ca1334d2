// StudyData: reads study.json or results.json, and the run folders.
#include "minbert/report/study_data.h"

#include <algorithm>

#include "minbert/base/json_node.h"
#include "minbert/data/run_status.h"
#include "minbert/report/chart.h"
#include "minbert/report/numbers.h"

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

/// A folder below that of the study or search.
std::string folder_in(const JsonNode& object, std::string_view key) {
  const JsonNode node = object.at(key);
  const fs::path path = fs::path(node.as_text()).lexically_normal();
  if (path.empty() || path.is_absolute() || *path.begin() == "..") node.fail("a folder below this one");
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

/// Adds a run to a row and to the counts. `name` is what a failure is called.
void add_run(const fs::path& folder, const std::string& name, StepDetail steps, ModelRow& row, StudyData& study) {
  RunData run = read_run(folder, steps);
  ++study.runs;
  study.done += run.status.state == "done";
  if (!run.status.error.empty()) study.failures.push_back(name + ": " + run.status.error);
  row.runs.push_back(std::move(run));
}

/// For folds, which are tested on the rows that they leave out.
void score_on_test(ModelRow& row) {
  row.split = "test";
  for (RunData& run : row.runs)  // sections look at the first
    std::ranges::stable_partition(run.results, [](const SplitResult& result) { return result.split == "test"; });
}

bool are_tested_folds(const ModelRow& row) {
  return !row.runs.empty() &&
         std::ranges::all_of(row.runs, [](const RunData& run) { return is_fold(run.name) && find_split(run, "test") != nullptr; });
}

/// The runs in seed-N or fold-N that have begun, by N.
std::vector<fs::path> seed_folders(const fs::path& folder) {
  std::vector<fs::path> runs = numbered_runs(folder);
  std::erase_if(runs, [](const fs::path& run) { return !has_begun(run); });
  return runs;
}

/// The folder's name as people know it: "runs/mine/" is "mine".
std::string name_of(const fs::path& folder) {
  std::error_code error;
  const fs::path whole = fs::canonical(folder, error);
  return (error ? folder : whole).filename().string();
}

std::optional<double> number_in(const JsonNode& object, std::string_view key) {
  const auto number = object.find_set(key);
  return number ? std::optional(number->as_number()) : std::nullopt;
}

SearchTrial read_trial(const JsonNode& json) {
  SearchTrial trial{.rank = json.at("rank").as_whole(),
                    .number = json.at("trial").as_whole(),
                    .steps = json.at("steps").as_whole(),
                    .state = json.at("state").as_text(),
                    .score = number_in(json, "score")};
  for (const auto& [key, value] : json.at("values").members()) trial.values.emplace_back(key, value.json());
  return trial;
}

SearchData read_search_results(const JsonNode& json) {
  SearchData search{
      .metric = json.at("metric").as_text(), .steps = json.at("steps").as_whole(), .planned_steps = json.at("planned_steps").as_whole()};
  for (const JsonNode& trial : json.at("trials").items()) search.trials.push_back(read_trial(trial));
  for (const JsonNode& row : json.at("importance").at("parameters").items())
    search.importance.push_back({row.at("key").as_text(), row.at("share").as_number(), number_in(row, "trend")});
  return search;
}

}  // namespace

const ModelRow* StudyData::best() const {
  const ModelRow* best = nullptr;
  double mean = 0;
  for (const ModelRow& row : rows) {
    const Spread scores = scores_of(row, "");
    if (scores.count == 0 || (best != nullptr && scores.mean <= mean)) continue;
    if (search) return &row;
    best = &row;
    mean = scores.mean;
  }
  return best;
}

bool StudyData::published() const {
  return std::ranges::any_of(rows, [](const ModelRow& row) { return !row.published.empty(); });
}

bool StudyData::same_tasks() const {
  return std::ranges::all_of(rows, [&](const ModelRow& row) {
    return row.first() == nullptr || rows.front().first() == nullptr || row.first()->tasks == rows.front().first()->tasks;
  });
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

bool is_seeds(const fs::path& folder) { return !has_begun(folder) && !is_study(folder) && !seed_folders(folder).empty(); }

StudyData read_seeds(const fs::path& folder) {
  StudyData study;
  study.name = study.title = name_of(folder);
  const std::vector<fs::path> seeds = seed_folders(folder);
  for (const fs::path& seed : seeds) {
    ModelRow row{.name = seed.filename().string(), .title = seed.filename().string()};
    std::ranges::replace(row.title, '-', ' ');
    add_run(seed, row.title, seeds.size() > kMostSeries ? StepDetail::kSums : StepDetail::kEach, row, study);
    if (is_fold(row.name)) score_on_test(row);
    study.rows.push_back(std::move(row));
  }
  return study;
}

bool is_search(const fs::path& folder) { return fs::exists(folder / "journal.jsonl") && fs::exists(folder / "results.json"); }

StudyData read_search(const fs::path& folder) {
  const JsonNode json = JsonNode::read(folder / "results.json", ErrorTag::kData);
  json.expect_format(kFormat);
  StudyData study;
  study.search = read_search_results(json);
  study.name = study.title = text_in(json, "name");
  study.state = text_in(json, "state");
  for (const JsonNode& trial : json.at("trials").items()) {
    const fs::path run = folder / folder_in(trial, "folder");
    if (study.rows.size() == kMostSeries || !has_begun(run)) continue;
    ModelRow row{.name = run.filename().string(), .title = fmt::format("trial {}", trial.at("trial").as_whole())};
    add_run(run, row.title, StepDetail::kSums, row, study);
    study.rows.push_back(std::move(row));
  }
  study.runs = study.search->trials.size();
  study.done = static_cast<std::size_t>(std::ranges::count(study.search->trials, "done", &SearchTrial::state));
  return study;
}

StudyData read_models(std::span<const fs::path> folders) {
  StudyData study;
  const StepDetail steps = folders.size() > kMostSeries ? StepDetail::kSums : StepDetail::kEach;
  for (const fs::path& folder : folders) {
    if (is_search(folder)) throw Error(ErrorTag::kData, folder.string(), "is a search", "name its trials, trials/NNN, or report it alone");
    if (is_study(folder)) {
      StudyData other = read_study(folder);
      std::ranges::move(other.rows, std::back_inserter(study.rows));
      std::ranges::move(other.failures, std::back_inserter(study.failures));
      study.runs += other.runs;
      study.done += other.done;
      continue;
    }
    const auto same = [&](const fs::path& other) { return name_of(other) == name_of(folder); };
    const std::string name = std::ranges::count_if(folders, same) > 1 ? folder.lexically_normal().string() : name_of(folder);
    ModelRow row{.name = name, .title = name};
    if (is_seeds(folder))
      for (const fs::path& seed : seed_folders(folder)) add_run(seed, name + ", " + seed.filename().string(), steps, row, study);
    else
      add_run(folder, name, steps, row, study);
    study.rows.push_back(std::move(row));
  }
  if (std::ranges::all_of(study.rows, are_tested_folds)) std::ranges::for_each(study.rows, score_on_test);  // else all are scored on dev
  std::vector<std::string> titles;
  for (const ModelRow& row : study.rows) titles.push_back(row.title);
  study.name = study.title = list_text(titles, 3);
  return study;
}

}  // namespace minbert
