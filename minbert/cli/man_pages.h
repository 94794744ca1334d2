// Manual pages for man(1), made from the declarations of the verbs.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace minbert {

struct ManPage {
  std::string file;  ///< "minbert-train.1"
  std::string roff;  ///< for man(7)'s macros
};

/// The page of the program and one for each verb; the verbs inside a verb stand on its page.
std::vector<ManPage> man_pages(const CLI::App& root);

}  // namespace minbert
