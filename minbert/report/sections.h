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

// Models, settings and data (sections_models.cpp).
Html architecture_and_flow(const ModelRows& rows, const RunData& run);  ///< fig-1 for `run`, fig-2 for all rows
Html features_table(const ModelRows& rows, Sheets& sheets);             ///< table-3
Html settings_table(const ModelRows& rows, Sheets& sheets);             ///< table-2
Html data_table(const ModelRows& rows, Sheets& sheets);                 ///< table-1

// Scores (sections_scores.cpp, sections_curves.cpp).
/// Scores of one run with intervals, in a table and file named `id`.
Html run_scores(const RunData& run, std::string_view id, std::string_view caption, Sheets& sheets);
Html study_scores(const ModelRows& rows, Sheets& sheets);  ///< table-4, with published scores
Html score_curves(const ModelRows& rows, Sheets& sheets);  ///< fig-3, fig-4, fig-5
Html masked_word_curves(const ModelRows& rows, Sheets& sheets);
Html loss_curves(const RunData& run);
Html pretraining_section(const ModelRows& rows, Sheets& sheets);  ///< curves and corpora of masked words (sections_pretraining.cpp)

/// The model whose errors are analysed: its runs, one for each seed. The first is shown in detail, all count in mean shares.
struct Analysed {
  std::vector<const RunData*> seeds;
  bool beside_paper = false;  ///< whether tables also have the paper's numbers

  const RunData& run() const { return *seeds.front(); }
};
/// The predictions of a task for the labelled rows of a split.
std::vector<Answer> answers_of(const RunData& run, const SplitResult& split, const TaskResult& result);

// Errors (sections_errors.cpp, sections_pairs.cpp) on the first split with results, which is dev unless only test was scored.
Html class_errors_section(const Analysed& model, Sheets& sheets);  ///< table-5
Html pair_errors_section(const Analysed& model, Sheets& sheets);   ///< table-6
Html similarity_errors_section(const RunData& run, Sheets& sheets);
Html calibration_section(const RunData& run, Sheets& sheets);
Html worst_errors_section(const RunData& run);

// Costs, config and environment (sections_costs.cpp).
Html run_costs(const RunData& run, Sheets& sheets);
Html study_costs(const ModelRows& rows, Sheets& sheets);
Html anomalies_section(Sheets& sheets);  ///< errors in the paper (sections_paper.cpp)
Html config_text(const RunData& run);
Html environment(const RunData& run);

/// A sentence that stands for an element which the data cannot fill.
Html absent(std::string_view id, std::string_view why);

}  // namespace minbert
