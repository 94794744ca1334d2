// run_study(): trains the runs of a study one after the other, and each stage that several runs share only once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/study/fingerprint.h"
#include "minbert/study/study_file.h"
#include "minbert/study/study_folder.h"
#include "minbert/train/trainer.h"

namespace minbert {

/// A row with one seed. Its folder is a complete run folder, as train() writes it, with a fingerprint.json.
struct StudyRun {
  std::size_t row = 0;  ///< index into StudyFile::rows
  std::uint64_t seed = 0;
  std::filesystem::path folder = {};  ///< STUDY/rows/NAME/seed-N
  RunConfig config;
  std::string config_text, input_text;  ///< texts of config.toml and config.input.toml
  Fingerprint fingerprint;
  bool selected = true;  ///< false: the run is not trained, and its results are shown
};

struct Study {
  StudyFile file;
  std::filesystem::path folder;
  std::vector<StudyRun> runs;  ///< in the order of training: every row with its first seed, then every row with its second ...
};

struct StudyOptions {
  std::filesystem::path folder = {};  ///< default: studies/NAME
  ConfigOverrides overrides = {};
  std::vector<std::string> rows = {};     ///< names of the rows to train; empty: all
  std::vector<std::uint64_t> seeds = {};  ///< replaces the seeds of file and configs, unless empty
  bool overwrite = false;                 ///< train runs again that failed or whose folder differs from the config
  /// Called after each step, as TrainOptions::should_stop.
  std::function<bool()> should_stop = [] { return false; };
};

/// Throws Error(kUsage) at `place` if a seed is repeated: both would share one run, and their deviation would be 0.
void expect_different_seeds(std::span<const std::uint64_t> seeds, const std::string& place);

/// Reads all configs, and hashes all files that they name. A row that is not selected is included if its results exist and are up to date.
/// Throws what load_run_config and fingerprint_of throw, and Error(kUsage) for an unknown row.
Study load_study(const std::filesystem::path& file, std::string_view backend, const StudyOptions& options);

/// Rows, seeds, states, planned steps of each stage and shared stages, for --dry-run. Writes nothing.
Json plan_study(Backend& backend, const Study& study, const StudyOptions& options);

/// Receives the events of a study.
class StudyEvents {
 public:
  virtual ~StudyEvents() = default;
  /// Run `number` (from 1) of `total` begins. The returned object receives its events.
  virtual TrainEvents& begin(const StudyRun& run, std::size_t number, std::size_t total) = 0;
  /// The run is done, stopped or failed. `kept`: it was so before, and nothing was trained.
  virtual void end(const StudyRun& run, const SeedResult& result, bool kept) = 0;
  virtual void message(std::string_view text) = 0;
};

struct StudyOutcome {
  bool stopped = false;       ///< by should_stop, after a good checkpoint
  int exit_code = 0;          ///< of the first failed run
  std::size_t elsewhere = 0;  ///< runs that other processes are training
  StudyResults results;
};

/// Trains the selected runs that are not done: resumes unfinished runs, skips runs that another process is training, and goes on after a
/// run fails. Throws Error(kUsage) when the folder is not a study's, and when a run in it has another config, other files or another
/// program; the error names the difference.
StudyOutcome run_study(Backend& backend, const Study& study, const StudyOptions& options, StudyEvents& events);

}  // namespace minbert
