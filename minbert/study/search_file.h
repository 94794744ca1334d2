// SearchFile: a TOML file that says which hyperparameters to draw for a recipe; and the draws themselves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "minbert/study/config_files.h"
#include "minbert/train/config.h"

namespace minbert {

enum class StopRule : std::uint8_t { kNone, kMedian, kHalving };
constexpr std::array<OptionName<StopRule>, 3> option_names(StopRule) {
  return {{{StopRule::kNone, "none"}, {StopRule::kMedian, "median"}, {StopRule::kHalving, "halving"}}};
}

struct SearchSection {
  std::string name;
  PathList recipe;
  std::vector<std::string> set;
  std::int64_t trials = 20;
  std::int64_t budget = 0;
  std::uint64_t seed = 11711;
  std::string metric = "mean";
  StopRule stop = StopRule::kMedian;
  std::int64_t warmup_trials = 4;
  std::int64_t min_evals = 1;
  std::int64_t eta = 3;
  KeptModels keep = KeptModels::kBest;
};
template <class V>
void visit_options(V& v, SearchSection& o) {
  v.field("name", o.name, "name of the search and its folder; default: the file's name");
  v.field("recipe", o.recipe, "config of every trial: a file, or files that are merged");
  v.field("set", o.set, "changes of single keys, written as for --set");
  v.field("trials", o.trials, "number of configs to draw and train", between(1, 100000));
  v.field("budget", o.budget, "largest number of optimizer steps of all trials together; 0 = no limit", at_least(0));
  v.field("seed", o.seed, "seed of the draws; the runs use the recipe's run.seed");
  v.field("metric", o.metric, "the dev score that ranks trials: mean (over the tasks of the last stage), or the name of one task");
  v.field("stop", o.stop,
          "which trials stop early: none; median: those below the others' median; halving: those not among the best 1/eta at a rung");
  v.field("warmup_trials", o.warmup_trials, "median: a trial is judged once so many others have come as far", at_least(1));
  v.field("min_evals", o.min_evals, "a trial is judged from this evaluation on (the one before training is not counted); the first rung",
          at_least(1));
  v.field("eta", o.eta, "halving: rungs are at min_evals, min_evals * eta, min_evals * eta^2 ... evaluations", between(2, 100));
  v.field("keep", o.keep, "whose weights are kept: best (of the best trial only) or all");
}

enum class DrawKind : std::uint8_t { kUniform, kLog, kInt, kChoice };
constexpr std::array<OptionName<DrawKind>, 4> option_names(DrawKind) {
  return {{{DrawKind::kUniform, "uniform"}, {DrawKind::kLog, "log"}, {DrawKind::kInt, "int"}, {DrawKind::kChoice, "choice"}}};
}

/// One [[space]]: a key of the config, and how its values are drawn.
struct SearchDimension {
  std::string key;
  DrawKind kind = DrawKind::kUniform;
  std::optional<double> low, high;
  std::vector<TomlValue> values;
};
template <class V>
void visit_options(V& v, SearchDimension& o) {
  v.field("key", o.key, "key of the config, written as for --set: stage.0.lr");
  v.field("kind", o.kind,
          "uniform from low to high; log: uniform in the logarithm; int: whole numbers from low to high, both included; choice");
  v.field("low", o.low, "lowest value");
  v.field("high", o.high, "highest value");
  v.field("values", o.values, "choice: the values to choose from");
}

struct SearchFile {
  std::int64_t format = 1;
  SearchSection search;
  std::vector<SearchDimension> space;
  SourceFile source;
};
template <class V>
void visit_options(V& v, SearchFile& o) {
  v.field("format", o.format, "version of this file's format", between(1, 1));
  v.field("search", o.search, "");
  v.field("space", o.space, "");
}

/// Reads and checks a search file. Throws Error(kUsage) with file, line and key.
SearchFile load_search_file(const std::filesystem::path& path);

/// Values by key, in the order of the file.
using DrawnValues = std::vector<std::pair<std::string, TomlValue>>;

/// The values of a trial, counted from 0. Each value depends only on search.seed, the trial and its own [[space]]. Numbers have four
/// significant digits.
DrawnValues draw_values(const SearchFile& file, std::int64_t trial);

/// A trial's config. Later ones win: the recipe, the overrides' files, the file's `set`, the overrides' `set`, the drawn values. run.name
/// gets the trial's number. Throws Error(kUsage).
ConfigTree trial_config(const SearchFile& file, const ConfigOverrides& overrides, std::int64_t trial);

}  // namespace minbert
