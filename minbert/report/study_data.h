// StudyData: several models: a study (docs/study_folder.md), a search, or runs, read without the code that wrote them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/report/model_row.h"

namespace minbert {

/// A trial of results.json.
struct SearchTrial {
  std::int64_t rank = 0, number = 0, steps = 0;
  std::string state;
  std::optional<double> score;
  std::vector<std::pair<std::string, Json>> values = {};  ///< by key of the space
};

/// The results.json of a search (docs/search_folder.md).
struct SearchData {
  struct Importance {
    std::string key;
    double share = 0;
    std::optional<double> trend;
  };
  std::string metric;
  std::int64_t steps = 0, planned_steps = 0;
  std::vector<SearchTrial> trials = {};  ///< by rank
  std::vector<Importance> importance = {};
};

struct StudyData {
  std::string name, title, caption, state;
  std::vector<ModelRow> rows;         ///< in the order of study.json, with the runs that have begun; of a search the best trials, by rank
  std::size_t runs = 0, done = 0;     ///< runs of all rows, and how many of them are done
  std::vector<std::string> failures;  ///< "row, seed 1: error"
  std::optional<SearchData> search;   ///< of a search

  /// The row with the best mean over its finished runs, or null; of a search the best trial that has scores.
  const ModelRow* best() const;
  /// Whether a row has published scores.
  bool published() const;
  /// Whether all rows have the same tasks, so that their means can be compared.
  bool same_tasks() const;
};

/// Whether the folder is a study's.
bool is_study(const std::filesystem::path& folder);

/// Reads study.json, and every run that has begun with StepDetail::kSums. Throws Error(kData) for a broken file.
StudyData read_study(const std::filesystem::path& folder);

/// Whether the folder holds the runs of several seeds or folds: seed-N or fold-N beside summary.json, which is written when all are done.
bool is_seeds(const std::filesystem::path& folder);
/// A row for each seed or fold. Throws what read_run() throws.
StudyData read_seeds(const std::filesystem::path& folder);

/// Whether the folder is a search's.
bool is_search(const std::filesystem::path& folder);
/// A row for each of the best trials. Throws Error(kData) for a broken results.json.
StudyData read_search(const std::filesystem::path& folder);

/// A row for each folder: a run, or the runs of several seeds. A study gives all its rows. Throws Error(kData) for a search and for a
/// folder that is none of these.
StudyData read_models(std::span<const std::filesystem::path> folders);

}  // namespace minbert
