// Diagrams of boxes and arrows as SVG: the model's architecture, and the flow of stages.
#pragma once

#include <string>
#include <vector>

#include "minbert/report/html.h"
#include "minbert/report/model_row.h"

namespace minbert {

/// An <svg> of a run's model, drawn from its config: input, embeddings, encoder layers, heads with their widths (the paper's Figure 1).
/// Empty when the config has no task.
Html architecture_diagram(const RunData& run, const std::string& id);

/// An <svg> of the stages of all rows as a tree, in which a shared stage appears once (the paper's Figure 2). Empty without stages.
Html flow_diagram(const std::vector<ModelRow>& rows, const std::string& id);

}  // namespace minbert
