// train(): a training run, for programs that link the library. docs/library.md shows it in use.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/error.h"

namespace minbert::api {

/// What `minbert train` takes: files, then texts, then assignments; later ones win (docs/config.md).
struct TrainConfig {
  std::vector<std::filesystem::path> files = {};  ///< TOML
  std::vector<std::string> texts = {};            ///< TOML; relative paths in it start at the working directory
  std::vector<std::string> set = {};              ///< "stage.0.lr=3e-5"
};

struct TrainOptions {
  std::filesystem::path output = {};  ///< the run folder; empty: runs/NAME, NAME being run.name
  bool resume = false;                ///< go on where the folder's last checkpoint stands
  bool overwrite = false;             ///< remove the run that is there
  int threads = 0;                    ///< 0: MINBERT_THREADS, else as many as cores, affinity mask and CPU quota allow
  /// Gets each event as a JSON object: those of metrics.jsonl (docs/run_folder.md), steps with "stage_step" and "stage_steps" too, and
  /// {"event":"pass","what","rows","of"} and {"event":"message","level","text"}. It is called on the thread that trains.
  std::function<void(std::string_view json)> on_event = {};
  /// Asked after each step; true saves a checkpoint and ends the run, which `resume` goes on with.
  std::function<bool()> should_stop = {};
};

struct TrainResult {
  std::filesystem::path folder;              ///< the run folder; best/ in it opens as a Pipeline
  bool stopped = false;                      ///< should_stop ended it
  std::map<std::string, double> dev_scores;  ///< of best/ by task; empty without dev data
  std::optional<double> dev_mean;            ///< nothing without dev data
};

/// Trains as `minbert train` does, to the same bits. Throws Error; what on_event throws ends the run without a checkpoint.
MINBERT_API TrainResult train(const TrainConfig& config, const TrainOptions& options = {});

struct UsualTask {
  std::string name;
  bool is_pair = false, is_regression = false;
  double rows = 0;  ///< train rows
  /// true: always fine-tunes the encoder. false: a task of few pairs, on an encoder made for sentence vectors, trains its head alone.
  bool tunes = false;
};
/// What `minbert train --init MODEL --train FILE` writes into its config, as TOML, beside the task's type and data: [[task]] and [[stage]]
/// tables that follow from the encoder `init`, a folder or "scratch", and from the task. A text to begin TrainConfig::texts with.
MINBERT_API std::string usual_config(const std::string& init, const UsualTask& task);

}  // namespace minbert::api
