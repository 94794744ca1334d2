// Bins of errors, counted by hand.
#include "minbert/report/similarity_errors.h"

#include <gtest/gtest.h>

namespace minbert {
namespace {

TEST(SimilarityErrors, BinsTakeTheirLowerEdge) {
  const std::vector<double> quantity = {0, 0.5, 1, 2, 2.5, -1}, gold = {1, 2, 3, 4, 5, 0}, predicted = {2, 1, 3, 2, 5, 9};
  const std::vector<double> edges = {0, 1, 2};
  const auto bins = error_bins(quantity, gold, predicted, edges);
  ASSERT_EQ(bins.size(), 2u);
  EXPECT_EQ(bins[0].rows, 2);
  EXPECT_DOUBLE_EQ(bins[0].error, 1);
  EXPECT_DOUBLE_EQ(bins[0].bias, 0);
  EXPECT_EQ(bins[1].rows, 2);  // 1 and the last edge itself; 2.5 and -1 lie outside
  EXPECT_DOUBLE_EQ(bins[1].error, 1);
  EXPECT_DOUBLE_EQ(bins[1].bias, -1);
  EXPECT_EQ(error_bins({}, {}, {}, edges)[0].error, 0);
}

TEST(SimilarityErrors, EvenEdgesAreDistinctQuantiles) {
  EXPECT_EQ(even_edges({5, 1, 2, 3, 4}, 2), (std::vector<double>{1, 3, 5}));
  EXPECT_EQ(even_edges({1, 1, 1, 1, 2}, 4), (std::vector<double>{1, 2}));
  EXPECT_EQ(even_edges({7, 7}, 3), (std::vector<double>{7, 8}));
  EXPECT_EQ(even_edges({}, 3), (std::vector<double>{0, 1}));
}

}  // namespace
}  // namespace minbert
