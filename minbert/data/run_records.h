// RunRecords: the lines of a run's metrics.jsonl (docs/run_folder.md), for all who write or read them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "minbert/base/files.h"

namespace minbert {

/// One optimizer step. NaN stands in the file as null.
struct StepRecord {
  std::string stage, task;
  std::int64_t step = 0;  ///< optimizer steps from 1 over the whole run
  int epoch = 0;          ///< of the stage, from 1
  double loss = 0, lr = 0, grad_norm = 0;
  std::int64_t tokens = 0;
  double tokens_per_s = 0, wall_s = 0;  ///< wall_s: seconds of training so far over the run, resumes included
};

/// Scores of one split before the first epoch of a stage (0) or after one.
struct EvalRecord {
  std::string stage, split;
  int epoch = 0;
  std::map<std::string, double> scores = {}, loss = {};  ///< by task; in an mlm stage by source of texts, scores being accuracies
  std::map<std::string, double> perplexity = {};         ///< of mlm stages
  double mean = 0;                                       ///< of the scores; in an mlm stage without probes
  bool best = false;                                     ///< the stage's best so far
};

using RunRecord = std::variant<StepRecord, EvalRecord>;

/// A line of metrics.jsonl without its line end.
std::string record_line(const StepRecord& step);
std::string record_line(const EvalRecord& eval);

/// Reads such a line. `place` is its file and line. Throws Error(kData) naming the key that is missing, of another type or out of range;
/// only lr, grad_norm and tokens_per_s may be absent, and are NaN then.
RunRecord parse_record(std::string_view line, const std::string& place);

/// Reads a metrics.jsonl from its start.
class RunRecordReader {
 public:
  /// Throws Error(kData) when there is no such file.
  explicit RunRecordReader(const std::filesystem::path& file) : file_(file), path_(file.string()) {}

  /// The next record; nothing at the end. A last line without its line end is left out: it is being written, or its writer died.
  /// Throws as parse_record does.
  std::optional<RunRecord> next();
  /// Bytes of the lines that next() returned.
  std::size_t bytes() const { return bytes_; }

 private:
  MappedFile file_;
  std::string path_;
  std::size_t bytes_ = 0, line_ = 0;
};

}  // namespace minbert
