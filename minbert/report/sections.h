// Sections: the parts of a report, each from what was read to HTML, its tables kept as sheets.
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

// What was trained, on what (sections_models.cpp).
Html architecture_and_flow(const ModelRows& rows, const RunData& run);  ///< fig-1 of `run`, fig-2 of all rows
Html features_table(const ModelRows& rows, Sheets& sheets);             ///< table-3
Html settings_table(const ModelRows& rows, Sheets& sheets);             ///< table-2
Html data_table(const ModelRows& rows, Sheets& sheets);                 ///< table-1

// How well (sections_scores.cpp, sections_curves.cpp).
/// Scores of one run with intervals, as a table of this id and file.
Html run_scores(const RunData& run, std::string_view id, std::string_view caption, Sheets& sheets);
Html study_scores(const ModelRows& rows, Sheets& sheets);  ///< table-4, beside what is published
Html score_curves(const ModelRows& rows, Sheets& sheets);  ///< fig-3, fig-4, fig-5
Html masked_word_curves(const ModelRows& rows, Sheets& sheets);
Html loss_curves(const RunData& run);
Html pretraining_section(const ModelRows& rows, Sheets& sheets);  ///< masked words: curves, corpora (sections_pretraining.cpp)

/// The runs of a model by seed whose errors are looked at: the first in detail, counts of all.
struct Analysed {
  std::vector<const RunData*> seeds;
  bool beside_paper = false;  ///< with the paper's numbers

  const RunData& run() const { return *seeds.front(); }
};
/// The predictions of a task for the labelled rows of a split.
std::vector<Answer> answers_of(const RunData& run, const SplitResult& split, const TaskResult& result);

// Which errors remain (sections_errors.cpp, sections_pairs.cpp), on the split that has results, dev where there is one.
Html class_errors_section(const Analysed& model, Sheets& sheets);  ///< table-5
Html pair_errors_section(const Analysed& model, Sheets& sheets);   ///< table-6
Html similarity_errors_section(const RunData& run, Sheets& sheets);
Html calibration_section(const RunData& run, Sheets& sheets);
Html worst_errors_section(const RunData& run);

// At what cost, and how it can be made again (sections_costs.cpp).
Html run_costs(const RunData& run, Sheets& sheets);
Html study_costs(const ModelRows& rows, Sheets& sheets);
Html anomalies_section(Sheets& sheets);  ///< of the paper (sections_paper.cpp)
Html config_text(const RunData& run);
Html environment(const RunData& run);

/// A sentence in the place of an element that a report always has.
Html absent(std::string_view id, std::string_view why);

}  // namespace minbert
