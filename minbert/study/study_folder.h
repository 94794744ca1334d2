// StudyFolder: what the runs of a study have come to, read from their folders; study.json and the table are written from it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "minbert/base/json.h"

namespace minbert {

struct Study;

/// One run: a row with one seed.
struct SeedResult {
  std::uint64_t seed = 0;
  std::string folder = {};        ///< relative to the study's
  std::string state = "waiting";  ///< waiting | running | stopped | done | failed
  std::map<std::string, double> scores = {};
  std::optional<double> mean = {};  ///< absent without scores
  double seconds = 0;               ///< of training, stages of others included
  std::optional<int> best_epoch = {};  ///< of the last stage
  std::string error = {};              ///< of a failed run
  int exit_code = 0;                   ///< the same
  std::vector<std::pair<std::string, std::string>> shared = {};  ///< stages taken over: name, and the run's folder

  bool done() const { return state == "done"; }
};

struct RowResult {
  std::string name, title;
  std::map<std::string, double> published;  ///< with "mean", when there is any
  std::vector<SeedResult> seeds;
};

struct StudyTask {
  std::string name, metric;
};

struct StudyResults {
  std::string name, title, caption, state;
  std::vector<StudyTask> tasks;  ///< in the order of the configs
  std::vector<RowResult> rows;
};

/// How a run ended that may not have come as far as to have a folder.
struct RunFailure {
  std::string error;
  int exit_code = 1;
};
using RunFailures = std::map<std::filesystem::path, RunFailure>;  ///< by the run's folder

/// Reads the folders of the study's runs. `active`: this process goes on with it. Throws Error(kData) for a broken file.
StudyResults collect_results(const Study& study, const RunFailures& failures, bool active);

/// Writes study.json and results.{txt,csv,md,tex,json}, each complete or not at all.
void write_results(const std::filesystem::path& folder, const StudyResults& results);

}  // namespace minbert
