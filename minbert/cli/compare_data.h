// Comparing models on a file of rows that none of them need have seen, whatever their tasks are called.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "minbert/base/files.h"
#include "minbert/cli/file_task.h"
#include "minbert/cli/session.h"

namespace minbert {

/// A folder with the results of several models on one file, each as a run folder leaves them in eval/SPLIT. It ends with the object.
class ScoredOnFile {
 public:
  /// Scores each model on the labelled rows of `file`. A model with several tasks answers by the one named `task`, or else by the only one
  /// of the file's kind. Classes are matched by name: one that a model does not know is never its answer. Throws Error(kUsage) if a model
  /// has no such task, Error(kData) for a broken file.
  ScoredOnFile(const std::vector<std::string>& models, const std::string& file, const std::string& task, const ColumnFlags& columns,
               const std::string& split, Session& session);

  /// One for each model, in their order.
  const std::vector<std::filesystem::path>& runs() const { return runs_; }

 private:
  TemporaryFolder folder_;
  std::vector<std::filesystem::path> runs_;
};

}  // namespace minbert
