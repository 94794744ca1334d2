// Drawn splits have the labels of the whole.
#include "minbert/data/division.h"

#include <gtest/gtest.h>

namespace minbert {
namespace {

TEST(Division, ASetCountsForTheRarestOfItsLabels) {
  std::vector<Row> rows(10);  // eight have the set {a}, two {a, b}
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].label = i < 8 ? 1 : 3;
  TaskLabels labels = TaskLabels::named({"a", "b"});
  labels.sets = true;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<Split> splits = divide_train(rows, labels, 0.5, 0, seed, "rows.csv");
    EXPECT_EQ(std::count(splits.begin(), splits.end(), Split::kDev), 5) << seed;
    EXPECT_NE(splits[8], splits[9]) << seed;
  }
}

}  // namespace
}  // namespace minbert
