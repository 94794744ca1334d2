// StudyData: the contents of a study folder (docs/study_folder.md), read without the code that wrote it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "minbert/report/model_row.h"

namespace minbert {

struct StudyData {
  std::string name, title, caption, state;
  std::vector<ModelRow> rows;         ///< in the order of study.json, with the runs that have begun
  std::size_t runs = 0, done = 0;     ///< runs of all rows, and how many of them are done
  std::vector<std::string> failures;  ///< "row, seed 1: error"

  /// The row with the best mean over its finished runs, or null.
  const ModelRow* best() const;
  /// Whether a row has published scores.
  bool published() const;
};

/// Whether the folder is a study's.
bool is_study(const std::filesystem::path& folder);

/// Reads study.json, and every run that has begun with StepDetail::kSums. Throws Error(kData) for a broken file.
StudyData read_study(const std::filesystem::path& folder);

}  // namespace minbert
