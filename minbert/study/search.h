// run_search(): random search for hyperparameters, in which trials that do worse than others are stopped early.
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
  ConfigOverrides overrides;                                      ///< of every trial's config
  bool resume = false;                                         ///< go on with what is there
  double max_hours = std::numeric_limits<double>::infinity();  ///< after which the running trial is put aside
  /// Asked as TrainOptions::should_stop is.
  std::function<bool()> should_stop = [] { return false; };
};

/// Reads the file and the config of every trial. Throws Error: what load_run_config throws, and kUsage for a metric without dev scores.
Search load_search(const std::filesystem::path& file, const SearchOptions& options);

/// What --dry-run prints, nothing is written: each trial's values and planned steps.
Json plan_search(Backend& backend, const Search& search);

/// What a search tells while it goes on.
class SearchEvents {
 public:
  virtual ~SearchEvents() = default;
  /// A trial begins, or goes on; what its run tells goes to the events returned.
  virtual TrainEvents& begin(const Trial& trial) = 0;
  virtual void end(const Trial& trial) = 0;
};

struct SearchOutcome {
  bool stopped = false;  ///< by should_stop, after a good checkpoint
  bool out_of_time = false;
  SearchResults results;
};

/// Draws and trains trials, each a run folder DIR/trials/NNN, until there are enough of them or the budget is spent, and writes
/// journal.jsonl, results.{txt,csv,json} and best.toml. A trial that diverges counts as failed. Killed at any time, it goes on as if
/// nothing had been. Throws Error(kUsage) for a folder that is no search's or holds another search, LockHeld, and what train() throws.
SearchOutcome run_search(Backend& backend, const Search& search, const SearchOptions& options, SearchEvents& events);

}  // namespace minbert
