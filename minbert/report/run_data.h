// RunData: what a run folder holds, read without the code that wrote it (docs/run_folder.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/data/run_records.h"
#include "minbert/report/config_view.h"
#include "minbert/stats/bootstrap.h"
#include "minbert/stats/calibration.h"

namespace minbert {

inline constexpr std::size_t kWorstErrors = 50;  ///< of a task, as many are kept

/// Optimizer steps of one stage together.
struct StageCost {
  std::string stage;
  std::int64_t steps = 0, tokens = 0;
  double seconds = 0;
};

/// A wrongly predicted row. `confidence` is absent for numbers.
struct ErrorRow {
  std::string id, text, text_pair, gold, predicted;
  std::optional<double> confidence;
};

/// eval/SPLIT of one task. Parts without a file are empty.
struct TaskResult {
  std::string task, metric;
  std::int64_t rows = 0;
  double score = 0;
  std::optional<Interval> interval;
  std::vector<std::pair<std::string, double>> figures;  ///< every metric of the file, and calibration
  std::vector<std::string> classes;
  ConfusionMatrix confusion;                ///< of `classes`
  std::vector<ReliabilityBin> reliability;  ///< of classes
  std::vector<ErrorRow> errors;             ///< the worst kWorstErrors
  std::size_t error_count = 0;
};

struct SplitResult {
  std::string split;
  std::vector<TaskResult> tasks;
  double mean = 0;
  double confidence = 0;  ///< of the intervals
  int resamples = 0;
};

/// What was read of one split of a task.
struct SplitRows {
  std::string task, split;
  std::int64_t read = 0, used = 0, skipped = 0, removed = 0, truncated = 0;
  std::int64_t aside = 0;  ///< filtered, over a limit, or moved to another split
  std::string labels;      ///< how they are spread, in words
  std::vector<std::pair<std::string, std::int64_t>> label_counts;
};

/// What an mlm stage read of one of its texts.
struct TextRows {
  std::string stage, texts;
  bool probe = false;  ///< measured, never trained on
  std::int64_t read = 0, used = 0, empty = 0, held_out = 0, repeated = 0, truncated = 0, tokens = 0;
};

/// Sizes of the encoder, from the config.json of a model that the run has saved.
struct EncoderSizes {
  std::int64_t layers = 0, hidden = 0, heads = 0, intermediate = 0, vocabulary = 0, positions = 0;
  double hidden_dropout = 0, attention_dropout = 0;
};

struct RunData {
  std::filesystem::path folder;
  std::string name;              ///< of the folder
  Json status = Json::object();  ///< status.json and env.json as they are
  Json environment = Json::object();
  std::string config_text;  ///< config.toml
  ConfigView config;
  std::optional<EncoderSizes> encoder;
  std::vector<std::string> tasks;  ///< in the order of data.json, corpora of mlm stages left out
  std::vector<SplitRows> rows;     ///< corpora too
  std::vector<TextRows> texts;     ///< of mlm stages
  std::vector<StepRecord> steps;   ///< none where they were not asked for
  std::vector<StageCost> costs;
  std::vector<EvalRecord> evals;
  std::vector<SplitResult> results;  ///< dev and test, where they were scored
};

/// Whether each optimizer step is kept, or only what stages cost: a study has many runs.
enum class StepDetail { kEach, kSums };

/// Reads what is there: a young run has no results yet, and the last line of metrics.jsonl may be torn. Throws Error(kData) for a folder
/// that holds no run, and for a broken file, naming file and line.
RunData read_run(const std::filesystem::path& folder, StepDetail steps = StepDetail::kEach);

/// The results of a split, or null.
const SplitResult* find_split(const RunData& run, std::string_view split);

/// The epoch that a stage has kept so far; absent before its first evaluation.
std::optional<int> kept_epoch(const RunData& run, std::string_view stage);

/// The share of `split`'s rows that carry the most frequent label of train (of the split itself where train was not counted): the accuracy
/// of always answering that label. Absent without counts.
std::optional<double> majority_share(const RunData& run, std::string_view task, std::string_view split);

}  // namespace minbert
