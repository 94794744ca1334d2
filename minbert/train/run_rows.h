// RunRows: all rows of a run's data files and text files.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/pipeline/tokens.h"
#include "minbert/train/config.h"
#include "minbert/train/events.h"

namespace minbert {

/// One [[task]] of a run.
struct TaskData {
  TaskSpec spec;  ///< with labels resolved
  TaskRows rows;
  TokenizedRows train = {}, dev = {}, test = {};  ///< empty for a corpus, which only lends its texts

  bool has_dev() const { return !rows.dev.rows.empty(); }
  bool has_test() const { return !rows.test.rows.empty(); }
};

struct RunRows {
  std::vector<TaskData> tasks;                                 ///< tasks that stages train, not tokenised yet
  std::vector<TaskData> corpora;                               ///< all other tasks
  std::map<std::string, std::vector<Row>, std::less<>> files;  ///< text files that stages name, by path; one row a line
};

/// Reads all files but those of model.vocabulary.corpus. Throws Error(kData).
RunRows read_run_rows(const RunConfig& config, TrainEvents& events);

/// The texts to train the vocabulary of a scratch model on: the lines of model.vocabulary.corpus if it is set, else all texts of the train
/// splits and of the files that stages read. Throws Error(kData).
std::vector<std::string> vocabulary_texts(const RunConfig& config, const RunRows& rows);

/// What an entry of a stage's texts or probes names.
struct NamedTexts {
  std::string name;  ///< "sst.train", or the file's name, or its path if two files share the name
  std::span<const Row> rows;
  const TaskSpec* task = nullptr;  ///< whose rows they are; null for a file
};
/// Finds such an entry in `rows`, which must outlive the result.
NamedTexts find_texts(const PathOption& text, const RunRows& rows);

}  // namespace minbert
