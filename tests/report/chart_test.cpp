// Charts: ticks, thinning, running means, and texts.
#include "minbert/report/chart.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>

namespace minbert {
namespace {

TEST(Chart, TicksAreRoundAndCoverTheValues) {
  EXPECT_EQ(axis_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(axis_ticks(0, 3, 5, true), (std::vector<double>{0, 1, 2, 3}));
  for (const auto& [low, high] :
       {std::pair(-0.137, 0.81), {0.5, 0.5}, {0.0, 0.0}, {1e-7, 3e-7}, {-3.0, -3.0}, {1.0, 36000.0}, {0.1, 0.7}}) {
    for (const bool whole : {false, true}) {
      const auto ticks = axis_ticks(low, high, 5, whole);
      ASSERT_GE(ticks.size(), 2u) << low;
      EXPECT_LE(ticks.size(), 8u) << low;
      EXPECT_LE(ticks.front(), low + 1e-9);
      EXPECT_GE(ticks.back(), high - 1e-9);
      if (low == high || ticks.size() == 2) continue;
      EXPECT_GT(ticks[1], low);  // no unneeded tick
      EXPECT_LT(ticks[ticks.size() - 2], high);
      for (const double tick : ticks) EXPECT_TRUE(!whole || tick == std::round(tick));
    }
  }
}

TEST(Chart, LogarithmicTicksArePowersOfTen) {
  EXPECT_EQ(log_ticks(100, 59000), (std::vector<double>{100, 1000, 10000, 100000}));
  EXPECT_EQ(log_ticks(5, 5), (std::vector<double>{1, 10}));
  EXPECT_EQ(log_ticks(0.02, 1).size(), 3u);
  const std::string html = line_chart({.title = "t",
                                       .x_name = "x",
                                       .y_name = "y",
                                       .lines = {{"a", LineStyle::kSolid, {{0, 1}, {1, 100}, {2, 10}, {3, 0}}}},
                                       .log_y = true})
                               .markup();
  const std::regex circle("<circle[^>]* cy=\"([0-9.]+)\"");
  std::vector<double> y;
  for (std::sregex_iterator at(html.begin(), html.end(), circle), end; at != end; ++at) y.push_back(std::stod((*at)[1]));
  ASSERT_EQ(y.size(), 3u);
  EXPECT_NEAR(y[2], (y[0] + y[1]) / 2, 0.1);
}

TEST(Chart, ThinningKeepsTheExtremes) {
  std::vector<ChartPoint> points;
  for (int i = 0; i < 1000; ++i) points.push_back({static_cast<double>(i), std::sin(i * 0.1)});
  points[371].y = 9;
  points[372].y = -9;
  const auto thin = thin_out(points, 50);
  EXPECT_LE(thin.size(), 100u);
  double low = 0, high = 0, x = -1;
  for (const ChartPoint& point : thin) {
    EXPECT_GT(point.x, x);
    x = point.x;
    low = std::min(low, point.y);
    high = std::max(high, point.y);
  }
  EXPECT_EQ(low, -9);
  EXPECT_EQ(high, 9);
  EXPECT_EQ(thin_out(points, 500).size(), 1000u);
}

TEST(Chart, RunningMeanIsTheMeanOfNeighbours) {
  const std::vector<ChartPoint> points = {{1, 1}, {2, 5}, {3, 3}, {4, 10}, {5, 2}};
  const auto means = running_mean(points, 3, 5);
  ASSERT_EQ(means.size(), 5u);
  const std::vector<double> expected = {1, 3, 6, 5, 2};
  for (std::size_t i = 0; i < 5; ++i) EXPECT_DOUBLE_EQ(means[i].y, expected[i]);
  const auto few = running_mean(points, 1, 2);
  ASSERT_EQ(few.size(), 2u);
  EXPECT_EQ(few[0].x, 1);
  EXPECT_EQ(few[1].x, 5);
  EXPECT_TRUE(running_mean({}, 3, 5).empty());
}

TEST(Chart, SaysWhatItShowsAndSkipsWhatIsNotFinite) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const LineChart chart{
      .title = "a<b",
      .x_name = "epoch",
      .y_name = "accuracy",
      .lines = {{"train", LineStyle::kDashed, {{0, 0.25}, {1, nan}, {2, 0.75}}}, {"dev", LineStyle::kSolid, {{0, 0.2}, {2, 0.5}}}},
      .marks = {{1, 0}}};
  const std::string html = line_chart(chart).markup();
  EXPECT_NE(
      html.find("role=\"img\" aria-label=\"a&lt;b: accuracy by epoch; train goes from 0.2500 to 0.7500; dev goes from 0.2000 to 0.5000\""),
      std::string::npos)
      << html;
  EXPECT_NE(html.find("<title>dev, epoch 2: 0.5000</title>"), std::string::npos);
  EXPECT_EQ(html.find("nan"), std::string::npos);
  const std::regex circle("<circle");
  EXPECT_EQ(std::distance(std::sregex_iterator(html.begin(), html.end(), circle), {}), 4);
  EXPECT_TRUE(line_chart({.title = "", .x_name = "", .y_name = "", .lines = {{"", LineStyle::kSolid, {{0, nan}}}}, .marks = {}}).empty());
}

TEST(Chart, SeriesDifferInStyleAndShareALegend) {
  LineChart chart{
      .title = "sst",
      .x_name = "epoch",
      .y_name = "accuracy",
      .lines = {{.name = "first", .points = {{0, 0.1}, {1, 0.2}}}, {.name = "second", .points = {{0, 0.3}, {1, 0.4}}, .series = 1}},
      .legend = false};
  const std::string markup = line_chart(chart).markup();
  EXPECT_NE(markup.find("class=\"line solid\""), std::string::npos);
  EXPECT_NE(markup.find("class=\"line solid series-1\""), std::string::npos);
  EXPECT_NE(markup.find("class=\"dot solid series-1\""), std::string::npos);
  EXPECT_EQ(markup.find(">second</text>"), std::string::npos) << "names may be too long for the chart";
  EXPECT_NE(markup.find("second goes from 0.3000 to 0.4000"), std::string::npos) << "for screen readers";
  const std::string legend = series_legend({"a", "b & c"}).markup();
  EXPECT_NE(legend.find("class=\"line solid series-1\""), std::string::npos);
  EXPECT_NE(legend.find("b &amp; c</span>"), std::string::npos);
}

}  // namespace
}  // namespace minbert
