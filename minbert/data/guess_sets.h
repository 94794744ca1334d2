// Guesses whether label cells hold several labels each, as in "Billing;Delivery".
#pragma once

#include <optional>
#include <span>
#include <string>

namespace minbert {

/// The separator of label cells that list several labels (";" for JSON lists, which need none), or nothing if each cell is one label.
/// Cells list labels if most parts of those with a separator occur in other cells too, alone or beside other parts.
std::optional<std::string> guess_label_separator(std::span<const std::string> cells);

}  // namespace minbert
