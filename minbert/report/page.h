// The page: one document with its style and its script in it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minbert/report/html.h"

namespace minbert {

/// A part with a heading, which the list of contents links to. One without content is left out.
struct PageSection {
  std::string id, title;
  Html content;
};

/// A whole document: nothing is loaded from elsewhere, and its content policy forbids it. The script adds boxes that search in tables;
/// without it all rows are there.
std::string page(std::string_view title, const Html& header, const std::vector<PageSection>& sections);

}  // namespace minbert
