// The page: one HTML document that contains its style and its script.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minbert/report/html.h"

namespace minbert {

/// A part of the page with a heading, linked from the list of contents. A section without content is left out.
struct PageSection {
  std::string id, title;
  Html content;
};

/// A whole document, whose last line is `footer`. It loads nothing from elsewhere, and its content policy forbids that. Its script adds
/// search boxes to tables; without scripts, all rows are shown.
std::string page(std::string_view title, const Html& header, const std::vector<PageSection>& sections, std::string_view footer = {});

}  // namespace minbert
