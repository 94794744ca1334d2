// Reads tables as the program does and prints each as one line of JSON, for comparison with Python's csv module.
#include <fmt/format.h>

#include <cstdio>
#include <string_view>

#include "minbert/base/json.h"
#include "minbert/data/table.h"

using namespace minbert;

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    try {
      const Table table = read_table(argv[i], {.header = "yes"});
      Json rows = Json::array();
      for (std::size_t row = 0; row < table.rows(); ++row) {
        Json cells = Json::array();
        if (table.problem(row).empty())
          for (const std::string_view cell : table.row(row)) cells.push_back(cell);
        else
          cells = table.problem(row);
        rows.push_back(std::move(cells));
      }
      fmt::print("{}\n", dump_json({{"columns", table.columns()}, {"rows", rows}, {"repaired", table.repaired_lines()}}));
    } catch (const Error& error) {
      fmt::print("{}\n", dump_json({{"error", error.what()}}));
    }
  }
  return 0;
}
