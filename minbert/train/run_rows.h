// RunRows: the rows that a run's data files and text files hold.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/pipeline/mlm.h"
#include "minbert/train/config.h"
#include "minbert/train/events.h"

namespace minbert {

/// One [[task]] of a run.
struct TaskData {
  TaskSpec spec;  ///< with labels resolved
  TaskRows rows;
  TokenizedRows train = {}, dev = {}, test = {};  ///< empty for a corpus: mlm stages read its rows

  bool has_dev() const { return !rows.dev.rows.empty(); }
  bool has_test() const { return !rows.test.rows.empty(); }
};

struct RunRows {
  std::vector<TaskData> tasks;    ///< those that stages train, not tokenised yet
  std::vector<TaskData> corpora;  ///< the others
  std::map<std::string, std::vector<Row>, std::less<>> files;  ///< texts of mlm stages by path, a row a line
};

/// Reads all files but those of model.vocabulary.corpus. Throws Error(kData).
RunRows read_run_rows(const RunConfig& config, TrainEvents& events);

/// What the vocabulary of a scratch model is trained on: the lines of model.vocabulary.corpus, else every text of the train splits and of
/// the files that mlm stages read. Throws Error(kData).
std::vector<std::string> vocabulary_texts(const RunConfig& config, const RunRows& rows);

/// The texts that an mlm stage names; they refer to `rows`. A file is called by its name, or by its path where two have the same name.
std::vector<MlmTexts> stage_texts(const MlmSection& mlm, const RunRows& rows);

}  // namespace minbert
