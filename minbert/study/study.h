// run_study(): the runs of a study, one after the other; stages that several of them share are trained once.
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

/// A row with one seed. Its folder is that of a whole run, as train() leaves it, with a fingerprint.json.
struct StudyRun {
  std::size_t row = 0;  ///< index into StudyFile::rows
  std::uint64_t seed = 0;
  std::filesystem::path folder = {};  ///< STUDY/rows/NAME/seed-N
  RunConfig config;
  std::string config_text, input_text;  ///< config.toml, config.input.toml
  Fingerprint fingerprint;
  bool selected = true;  ///< false: only its results are shown
};

struct Study {
  StudyFile file;
  std::filesystem::path folder;
  std::vector<StudyRun> runs;  ///< in the order in which they are trained: all rows with their first seeds, then their second ones ...
};

struct StudyOptions {
  std::filesystem::path folder = {};  ///< default: studies/NAME
  ConfigOverrides overrides = {};
  std::vector<std::string> rows = {};     ///< names; empty: all
  std::vector<std::uint64_t> seeds = {};  ///< in place of all others
  bool overwrite = false;                 ///< train again what differs from its config, or failed
  /// Asked as TrainOptions::should_stop is.
  std::function<bool()> should_stop = [] { return false; };
};

/// Reads all configs, and all files that they name, for their hashes. Rows that are not selected are in it where their results are there
/// and up to date. Throws Error: what load_run_config and fingerprint_of throw, and kUsage for an unknown row.
Study load_study(const std::filesystem::path& file, std::string_view backend, const StudyOptions& options);

/// What --dry-run prints, nothing is written: rows, seeds, states, planned steps of each stage, which stages are shared with whom.
Json plan_study(Backend& backend, const Study& study, const StudyOptions& options);

/// What a study tells while it goes on.
class StudyEvents {
 public:
  virtual ~StudyEvents() = default;
  /// A run begins, the `number`th of `of`; what it tells itself goes to the events returned.
  virtual TrainEvents& begin(const StudyRun& run, std::size_t number, std::size_t of) = 0;
  /// It ended: done, stopped or failed. `kept`: it had before, and nothing was trained.
  virtual void end(const StudyRun& run, const SeedResult& result, bool kept) = 0;
  virtual void message(std::string_view text) = 0;
};

struct StudyOutcome {
  bool stopped = false;       ///< by should_stop, after a good checkpoint
  int exit_code = 0;          ///< of the first run that failed
  std::size_t elsewhere = 0;  ///< runs left to other processes
  StudyResults results;
};

/// Trains the selected runs that are not done. Takes up what an earlier call, or a killed one, has left; leaves alone what other processes
/// are at. A run that fails does not keep the others. Throws Error(kUsage) for a folder that is no study's, and for a run there whose
/// config, files or program differ, naming what differs.
StudyOutcome run_study(Backend& backend, const Study& study, const StudyOptions& options, StudyEvents& events);

}  // namespace minbert
