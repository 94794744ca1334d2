// Results of a search: sorts the trials, and writes them as text, CSV and JSON.
#include "minbert/study/search_results.h"

#include <fmt/format.h>

#include <algorithm>

#include "minbert/base/text_table.h"
#include "minbert/data/fields.h"

namespace minbert {
namespace {

constexpr int kSearchFormat = 1;

std::string value_text(const Json& value) { return value.is_string() ? value.get<std::string>() : dump_json(value); }

std::string score_text(const std::optional<double>& score) { return score ? fmt::format("{:.4f}", *score) : "-"; }

std::string saved_text(const SearchFile& file, const SearchResults& results) {
  if (results.planned_steps == 0) return "";
  std::string text = fmt::format("{} optimizer steps of {} planned", results.steps, results.planned_steps);
  if (file.search.stop != StopRule::kNone)
    text += fmt::format(": stopping early ({}) saved {}, {:.0f}%", option_name(file.search.stop), results.saved_steps,
                        100 * static_cast<double>(results.saved_steps) / static_cast<double>(results.planned_steps));
  return text + ".\n";
}

std::string importance_text(const SearchResults& results) {
  if (results.importance.empty()) return fmt::format("The importance of hyperparameters is estimated from {} trials on.\n", kFewestTrials);
  TextTable table({"hyperparameter", "share", "trend"});
  for (const Importance& row : results.importance)
    table.add({row.key, fmt::format("{:.2f}", row.share), row.trend ? fmt::format("{:+.2f}", *row.trend) : ""});
  return fmt::format("{}{}\n", table.text(), fmt::join(kImportanceMethod, "\n"));
}

}  // namespace

const Trial* SearchResults::best() const {
  const auto found = std::ranges::find_if(trials, [](const Trial& trial) { return trial.ended() && trial.score; });
  return found == trials.end() ? nullptr : &*found;
}

SearchResults search_results(const SearchFile& file, const std::vector<Trial>& trials, std::string state) {
  SearchResults results{.state = std::move(state), .trials = trials, .importance = importance_of(file, trials)};
  std::ranges::stable_sort(results.trials, [](const Trial& a, const Trial& b) { return a.score && (!b.score || *a.score > *b.score); });
  for (const Trial& trial : trials) {
    results.steps += trial.steps;
    results.planned_steps += trial.planned_steps;
    if (trial.state == TrialState::kStopped) results.saved_steps += trial.planned_steps - trial.steps;
  }
  return results;
}

std::string results_text(const SearchFile& file, const SearchResults& results, std::size_t rows) {
  std::vector<std::string> header = {"rank", "trial", "score"};
  for (const SearchDimension& dimension : file.space) header.push_back(dimension.key);
  header.insert(header.end(), {"steps", "of", "wall seconds", "state"});
  TextTable table(header);
  for (std::size_t i = 0; i < std::min(rows, results.trials.size()); ++i) {
    const Trial& trial = results.trials[i];
    std::vector<std::string> cells = {std::to_string(i + 1), std::to_string(trial.number), score_text(trial.score)};
    for (const SearchDimension& dimension : file.space) cells.push_back(value_text(trial.values.at(dimension.key)));
    for (const std::string& cell :
         {std::to_string(trial.steps), std::to_string(trial.planned_steps),
          trial.phases ? fmt::format("{:.0f}", trial.phases->total()) : "-", std::string(option_name(trial.state))})
      cells.push_back(cell);
    table.add(std::move(cells));
  }
  std::string text = fmt::format("{}: {} of {} trials, by {} on dev\n\n{}", file.search.name, results.trials.size(), file.search.trials,
                                 file.search.metric == "mean" ? "the mean" : file.search.metric, table.text());
  if (rows < results.trials.size()) text += fmt::format("... and {} more in results.csv\n", results.trials.size() - rows);
  return text + "\n" + saved_text(file, results) + "\n" + importance_text(results);
}

std::string results_csv(const SearchFile& file, const SearchResults& results) {
  std::string text = "rank,trial,state,score";
  for (const SearchDimension& dimension : file.space) text += "," + csv_field(dimension.key);
  text += fmt::format(",steps,planned_steps,evaluations,reason,{}\n", fmt::join(wall_columns(), ","));
  for (std::size_t i = 0; i < results.trials.size(); ++i) {
    const Trial& trial = results.trials[i];
    text += fmt::format("{},{},{},{}", i + 1, trial.number, option_name(trial.state), trial.score ? fmt::format("{}", *trial.score) : "");
    for (const SearchDimension& dimension : file.space) text += "," + csv_field(value_text(trial.values.at(dimension.key)));
    text += fmt::format(",{},{},{},{}", trial.steps, trial.planned_steps, trial.evals.size(), csv_field(trial.reason));
    for (const auto& seconds : wall_cells(trial.phases)) text += seconds ? fmt::format(",{}", *seconds) : ",";
    text += "\n";
  }
  return text;
}

Json results_json(const SearchFile& file, const SearchResults& results) {
  Json json = {{"format", kSearchFormat},
               {"name", file.search.name},
               {"metric", file.search.metric},
               {"stop", option_name(file.search.stop)},
               {"state", results.state},
               {"trials", Json::array()},
               {"steps", results.steps},
               {"planned_steps", results.planned_steps},
               {"saved_steps", results.saved_steps},
               {"best", results.best() == nullptr ? Json() : Json(results.best()->number)},
               {"importance", {{"method", fmt::format("{}", fmt::join(kImportanceMethod, " "))}, {"parameters", Json::array()}}}};
  for (std::size_t i = 0; i < results.trials.size(); ++i) {
    Json row = {{"rank", i + 1}};
    row.update(trial_json(results.trials[i]));
    json["trials"].push_back(std::move(row));
  }
  for (const Importance& row : results.importance)
    json["importance"]["parameters"].push_back({{"key", row.key}, {"share", row.share}, {"trend", row.trend ? Json(*row.trend) : Json()}});
  return json;
}

Json trial_json(const Trial& trial) {
  Json json = {{"trial", trial.number},
               {"folder", trial_folder(trial.number).string()},
               {"state", option_name(trial.state)},
               {"reason", trial.reason},
               {"score", trial.score ? Json(*trial.score) : Json()},
               {"scores", trial.scores},
               {"values", trial.values},
               {"steps", trial.steps},
               {"planned_steps", trial.planned_steps},
               {"curve", Json::array()}};
  if (trial.phases) json.update(wall_json(*trial.phases));
  for (const TrialEval& eval : trial.evals) json["curve"].push_back({{"step", eval.step}, {"score", eval.score}});
  return json;
}

std::filesystem::path trial_folder(std::int64_t trial) { return std::filesystem::path("trials") / fmt::format("{:03}", trial); }

}  // namespace minbert
