// RunData: the contents of a run folder (docs/run_folder.md), read without the code that wrote it.
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
#include "minbert/data/run_status.h"
#include "minbert/report/config_view.h"
#include "minbert/stats/bootstrap.h"
#include "minbert/stats/calibration.h"

namespace minbert {

inline constexpr std::size_t kWorstErrors = 50;  ///< how many errors of a task are kept

/// Optimizer steps of one stage together.
struct StageCost {
  std::string stage;
  std::int64_t steps = 0, tokens = 0;
  double seconds = 0;
};

/// A token of an input and what it adds to the answer.
struct TokenShare {
  std::string token;
  int sequence = 0;  ///< 1 in the second text of a pair
  double attribution = 0;
};

/// A wrongly predicted row. A task that predicts numbers has no `confidence`.
struct ErrorRow {
  std::string id, text, text_pair, gold, predicted;
  std::string place;  ///< "dev.csv:17"; empty in runs of earlier versions
  std::optional<double> confidence;
  std::vector<TokenShare> tokens = {};  ///< why it was predicted so, if TASK.explanations.jsonl says it
};

/// One task's results in eval/SPLIT. Parts without a file are empty.
struct TaskResult {
  std::string task, metric;
  std::int64_t rows = 0;
  double score = 0;
  std::optional<Interval> interval;
  std::vector<std::pair<std::string, double>> figures;            ///< every metric in metrics.json, and calibration
  std::vector<std::pair<std::string, ClassScores>> class_scores;  ///< of each class or label; empty for a task that predicts numbers
  std::vector<double> thresholds;    ///< from which probability on each label of a set is answered, if dev chose them
  std::vector<std::string> classes;  ///< empty for a task that predicts numbers or sets, as the confusion
  bool sets = false;                 ///< answers are sets of labels
  ConfusionMatrix confusion;
  std::vector<ReliabilityBin> reliability;
  std::vector<ErrorRow> errors;  ///< the kWorstErrors worst
  std::size_t error_count = 0;
};

struct SplitResult {
  std::string split;
  std::vector<TaskResult> tasks;
  double mean = 0;
  double confidence = 0;  ///< of the intervals
  int resamples = 0;
};

/// Counts of the rows of one split of a task.
struct SplitRows {
  std::string task, split;
  std::int64_t read = 0, used = 0, skipped = 0, removed = 0, truncated = 0;
  std::int64_t aside = 0;  ///< filtered, over a limit, or moved to another split
  std::string labels;      ///< the distribution of labels, in words
  std::vector<std::pair<std::string, std::int64_t>> label_counts;
};

/// Counts of the texts that an mlm stage read from one source.
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
  std::string name;                   ///< the folder's name
  RunStatus status;                   ///< contents of status.json
  Json environment = Json::object();  ///< contents of env.json
  std::string config_text;            ///< contents of config.toml
  ConfigView config;
  std::optional<EncoderSizes> encoder;
  std::vector<std::string> tasks;  ///< tasks with a head, in the order of data.json
  std::vector<SplitRows> rows;     ///< of all tasks, those without a head included
  std::vector<TextRows> texts;     ///< of mlm stages
  std::vector<StepRecord> steps;   ///< empty for StepDetail::kSums
  std::vector<StageCost> costs;
  std::vector<EvalRecord> evals;
  std::vector<SplitResult> results;  ///< of dev and test, if scored
};

/// Whether to keep each optimizer step, or only the sums of each stage, which is enough for the many runs of a study.
enum class StepDetail { kEach, kSums };

/// Reads a run folder. An unfinished run may lack results, and its metrics.jsonl may end in an incomplete line. Throws Error(kData) for a
/// folder that holds no run, and for a broken file, naming file and line.
RunData read_run(const std::filesystem::path& folder, StepDetail steps = StepDetail::kEach);

/// The results of a split, or null.
const SplitResult* find_split(const RunData& run, std::string_view split);

/// The epoch whose weights a stage has kept so far; absent before its first evaluation.
std::optional<int> kept_epoch(const RunData& run, std::string_view stage);

/// The accuracy on `split` of always answering train's most frequent label (the split's own when train was not counted). Absent without
/// counts.
std::optional<double> majority_share(const RunData& run, std::string_view task, std::string_view split);

}  // namespace minbert
