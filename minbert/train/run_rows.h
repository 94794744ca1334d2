// RunRows: all rows of a run's data files and text files.
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
  TokenizedRows train = {}, dev = {}, test = {};  ///< empty for a corpus, whose rows only mlm stages read

  bool has_dev() const { return !rows.dev.rows.empty(); }
  bool has_test() const { return !rows.test.rows.empty(); }
};

struct RunRows {
  std::vector<TaskData> tasks;                                 ///< tasks that stages train, not tokenised yet
  std::vector<TaskData> corpora;                               ///< all other tasks
  std::map<std::string, std::vector<Row>, std::less<>> files;  ///< text files of mlm stages by path, one row a line
};

/// Reads all files but those of model.vocabulary.corpus. Throws Error(kData).
RunRows read_run_rows(const RunConfig& config, TrainEvents& events);

/// The texts to train the vocabulary of a scratch model on: the lines of model.vocabulary.corpus if it is set, else all texts of the train
/// splits and of the files that mlm stages read. Throws Error(kData).
std::vector<std::string> vocabulary_texts(const RunConfig& config, const RunRows& rows);

/// The texts and probes of an mlm stage, as views of `rows`. A file is called by its name, or by its path if two files share the name.
std::vector<MlmTexts> stage_texts(const MlmSection& mlm, const RunRows& rows);

}  // namespace minbert
