// Sections: the parts of a report. Each turns the data that was read into HTML, and keeps its tables in `sheets`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minbert/data/answers.h"
#include "minbert/report/html.h"
#include "minbert/report/model_row.h"
#include "minbert/report/sheet.h"

namespace minbert {

using ModelRows = std::vector<ModelRow>;
struct SearchData;

// Models, settings and data (sections_models.cpp).
Html architecture_and_flow(const ModelRows& rows, const RunData& run, const Sheets& sheets);  ///< of `run`, and the stages of all rows
Html features_table(const ModelRows& rows, Sheets& sheets);
Html settings_table(const ModelRows& rows, Sheets& sheets);
Html data_table(const ModelRows& rows, Sheets& sheets);
Html differences_table(const ModelRows& rows, Sheets& sheets);  ///< keys in which the configs of the rows differ; empty for one row

// Scores (sections_scores.cpp, sections_curves.cpp).
/// Scores of one run with intervals, in a table and file named `file`.
Html run_scores(const RunData& run, std::string_view file, std::string_view caption, Sheets& sheets);
Html study_scores(const ModelRows& rows, Sheets& sheets);  ///< with published scores
/// Scores by epoch, the models' dev scores overlaid; beside the paper its figures 3 to 5.
Html score_curves(const ModelRows& rows, Sheets& sheets);
Html masked_word_curves(const ModelRows& rows, Sheets& sheets);
/// Losses by step of each row's first run; those of several rows overlaid.
Html loss_curves(const ModelRows& rows);
/// The trials of a search, and which hyperparameters mattered (sections_search.cpp).
Html search_section(const SearchData& search, Sheets& sheets);
Html pretraining_section(const ModelRows& rows, Sheets& sheets);  ///< curves and corpora of masked words (sections_pretraining.cpp)

/// The model whose errors are analysed: its runs, one for each seed. The first is shown in detail, all count in mean shares.
struct Analysed {
  std::vector<const RunData*> seeds;

  const RunData& run() const { return *seeds.front(); }
};
/// The predictions of a task for the labelled rows of a split.
std::vector<Answer> answers_of(const RunData& run, const SplitResult& split, const TaskResult& result);

// Errors (sections_errors.cpp, sections_pairs.cpp) on the first split with results, which is dev unless only test was scored.
Html classes_section(const RunData& run, Sheets& sheets);  ///< confusion, and precision, recall, F1 and support of each class
Html worst_errors_section(const RunData& run);
Html confidence_section(const RunData& run, Sheets& sheets);         ///< accuracy by coverage, and calibration
Html ordered_errors_section(const Analysed& model, Sheets& sheets);  ///< errors among numbered classes
Html pair_errors_section(const Analysed& model, Sheets& sheets);
Html similarity_errors_section(const RunData& run, Sheets& sheets);

// Costs, config and environment (sections_costs.cpp).
Html run_costs(const RunData& run, Sheets& sheets);
Html study_costs(const ModelRows& rows, Sheets& sheets);
Html anomalies_section(Sheets& sheets);  ///< errors in the paper (sections_paper.cpp)
Html config_text(const RunData& run);
Html environment(const RunData& run);

}  // namespace minbert
