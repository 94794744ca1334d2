// Diagrams: boxes and arrows as SVG, the model's architecture and the flow of stages.
#pragma once

#include <string>
#include <vector>

#include "minbert/report/html.h"
#include "minbert/report/model_row.h"

namespace minbert {

/// What a run's model is made of, from its config: input, embeddings, encoder layers, heads with their widths (the paper's Figure 1).
/// An <svg>, empty where the config has no task.
Html architecture_diagram(const RunData& run, const std::string& id);

/// The stages of all rows as a tree: a stage that several rows share stands once (the paper's Figure 2). An <svg>, empty without stages.
Html flow_diagram(const std::vector<ModelRow>& rows, const std::string& id);

}  // namespace minbert
