// run_search(): random search for hyperparameters, which stops trials early when they do worse than others.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

#include "minbert/study/search_file.h"
#include "minbert/study/search_results.h"
#include "minbert/train/trainer.h"

namespace minbert {

struct Search {
  SearchFile file;
  ConfigOverrides overrides;
  std::filesystem::path folder;
};

struct SearchOptions {
  std::filesystem::path folder;                                ///< default: searches/NAME
  ConfigOverrides overrides;                                   ///< applied to every trial's config
  bool resume = false;                                         ///< go on with the search in the folder
  double max_hours = std::numeric_limits<double>::infinity();  ///< the search pauses after so long, with a checkpoint of the running trial
  /// Called after each step, as TrainOptions::should_stop.
  std::function<bool()> should_stop = [] { return false; };
};

/// Reads the file and the config of every trial. Throws what load_run_config throws, and Error(kUsage) for a metric without dev scores.
Search load_search(const std::filesystem::path& file, const SearchOptions& options);

/// Each trial's values and planned steps, for --dry-run. Writes nothing.
Json plan_search(Backend& backend, const Search& search);

/// Receives the events of a search.
class SearchEvents {
 public:
  virtual ~SearchEvents() = default;
  /// A trial begins or resumes. The returned object receives the events of its run.
  virtual TrainEvents& begin(const Trial& trial) = 0;
  virtual void end(const Trial& trial) = 0;
};

struct SearchOutcome {
  bool stopped = false;  ///< by should_stop, after a good checkpoint
  bool out_of_time = false;
  SearchResults results;
};

/// Draws and trains trials, each in a run folder DIR/trials/NNN, until there are enough or the budget is spent. Writes journal.jsonl,
/// results.{txt,csv,json} and best.toml. A trial that diverges counts as failed. A search that was killed at any point and resumed has
/// the results of one that was never killed. Throws Error(kUsage) when the folder holds something else, LockHeld, and what train() throws.
SearchOutcome run_search(Backend& backend, const Search& search, const SearchOptions& options, SearchEvents& events);

}  // namespace minbert
