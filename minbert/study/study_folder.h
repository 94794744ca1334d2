// Study folders: the state and scores of a study's runs, read from the run folders and written to study.json and the tables.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/data/phase_seconds.h"
#include "minbert/stats/student.h"

namespace minbert {

struct Study;

/// The result of one run: a row with one seed.
struct SeedResult {
  std::uint64_t seed = 0;
  std::string folder = {};        ///< relative to the study's folder
  std::string state = "waiting";  ///< waiting | running | stopped | done | failed
  std::map<std::string, double> scores = {};
  std::map<std::string, std::string> dev_rows = {};              ///< by task: a hash of the rows that it is scored on (rows_digest)
  std::optional<double> mean = {};                               ///< absent without scores
  double seconds = 0;                                            ///< of training steps, adopted stages included
  std::optional<PhaseSeconds> phases = {};                       ///< wall-clock time of the run itself
  std::optional<int> best_epoch = {};                            ///< of the last stage
  std::string error = {};                                        ///< why a run failed
  int exit_code = 0;                                             ///< of a failed run
  std::vector<std::pair<std::string, std::string>> shared = {};  ///< adopted stages: name, and folder of the run that trained them

  bool done() const { return state == "done"; }
};

struct RowResult {
  std::string name, title;
  std::map<std::string, double> published;  ///< by task, and "mean"; empty when there are none
  std::vector<SeedResult> seeds;
};

struct StudyTask {
  std::string name, metric;
};

struct StudyResults {
  std::string name, title, caption, state;
  std::vector<StudyTask> tasks;  ///< every task with a score, in the order of the configs
  std::vector<RowResult> rows;
};

/// How two rows differ over the seeds that both have finished.
struct RowDifference {
  std::string a, b;                                        ///< names of the rows
  std::vector<std::uint64_t> seeds;                        ///< at least two
  std::vector<std::pair<std::string, PairedSeeds>> tasks;  ///< by task, those that both rows have, and then "mean"
};
/// Every two rows with at least two seeds in common, the earlier row as `a`.
std::vector<RowDifference> row_differences(const StudyResults& results);

/// How a run of this process failed; it may have failed before it had a folder.
struct RunFailure {
  std::string error;
  int exit_code = 1;
};
using RunFailures = std::map<std::filesystem::path, RunFailure>;  ///< by the run's folder

/// Reads the folders of the study's runs. `active`: this process is still training. Throws Error(kData) for a broken file.
StudyResults collect_results(const Study& study, const RunFailures& failures, bool active);

/// Writes study.json, results.{txt,csv,md,tex,json} and differences.csv. Each file appears only when complete.
void write_results(const std::filesystem::path& folder, const StudyResults& results);

}  // namespace minbert
