// A separator is one whose parts recombine: a label such as "so, so" never meets its parts again.
#include "minbert/data/guess_sets.h"

#include <algorithm>
#include <map>
#include <set>

#include "minbert/data/labels.h"

namespace minbert {
namespace {

bool recombines(const std::set<std::string>& cells, const std::string& separator) {
  std::map<std::string, int> occurrences;  // of each part, in different cells
  std::set<std::string> joined;            // parts of cells with several
  for (const std::string& cell : cells) {
    const std::vector<std::string> parts = split_labels(cell, separator);
    const std::set<std::string> different(parts.begin(), parts.end());
    for (const std::string& part : different) ++occurrences[part];
    if (different.size() > 1) joined.insert(different.begin(), different.end());
  }
  const auto met_again = std::ranges::count_if(joined, [&](const std::string& part) { return occurrences[part] > 1; });
  return !joined.empty() && 3 * met_again >= 2 * std::ssize(joined);
}

}  // namespace

std::optional<std::string> guess_label_separator(std::span<const std::string> cells) {
  const std::set<std::string> different(cells.begin(), cells.end());
  const auto is_list = [](const std::string& cell) { return read_label_list(cell).has_value(); };
  if (!different.empty() && std::ranges::all_of(different, is_list)) return ";";
  for (const char* separator : {";", "|", ","})
    if (recombines(different, separator)) return separator;
  return std::nullopt;
}

}  // namespace minbert
