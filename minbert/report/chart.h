// Charts of lines, points or bars as SVG; the page's style sheet gives their colours.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "minbert/report/html.h"

namespace minbert {

struct ChartPoint {
  double x = 0, y = 0;
  std::string tip = {};  ///< text of the tooltip; default: the coordinates
};

/// Styles differ in more than colour: solid lines have filled markers, dashed lines hollow ones. kPoints draws a faint dot for each point
/// and no line, for scatter plots.
enum class LineStyle { kSolid, kDashed, kFaint, kPoints };

/// How many models a chart can tell apart.
inline constexpr std::size_t kMostSeries = 6;

struct ChartLine {
  std::string name;
  LineStyle style = LineStyle::kSolid;
  std::vector<ChartPoint> points;  ///< sorted by x; points that are not finite are left out
  std::size_t series = 0;          ///< for solid lines of several models: below kMostSeries, each with a colour and dashes of its own
};

struct LineChart {
  std::string title;
  std::string x_name, y_name;          ///< names of the axes, with units
  std::vector<ChartLine> lines;        ///< later lines cover earlier ones; several lines get a legend
  std::vector<ChartPoint> marks = {};  ///< vertical rules at x
  bool whole_x = true;                 ///< only whole numbers on the horizontal axis
  bool legend = true;                  ///< false: series_legend() stands beside the charts
  bool log_y = false;                  ///< logarithmic vertical axis; only values above 0 are shown
};

/// A <figure> with axes, tooltips (for all points of short lines, for some of long ones) and a label for screen readers. Empty without a
/// finite point.
Html line_chart(LineChart chart);

/// A paragraph with the names of series 0, 1 ... beside their lines, for charts that share them. Names need not be short.
Html series_legend(const std::vector<std::string>& names);

/// A <figure> with one bar for each name, starting at 0, and its value above it and in a tooltip. Empty without names.
struct BarChart {
  std::string title;
  std::string x_name, y_name;
  std::vector<std::pair<std::string, double>> bars;  ///< values of at least 0
};
Html bar_chart(const BarChart& chart);

/// About `count` round values, 1, 2 or 5 times a power of ten apart. The first is at most `low`, the last at least `high`. `whole`: only
/// whole numbers.
std::vector<double> axis_ticks(double low, double high, int count, bool whole = false);

/// Two or more powers of ten, from at most `low` to at least `high`; both are above 0.
std::vector<double> log_ticks(double low, double high);

/// Cuts the points into `buckets` runs and keeps the lowest and the highest point of each, so that no spike is lost.
std::vector<ChartPoint> thin_out(const std::vector<ChartPoint>& points, std::size_t buckets);

/// Means over windows of `window` points (odd; fewer at the ends), at `count` evenly spaced points or at all if there are fewer.
std::vector<ChartPoint> running_mean(const std::vector<ChartPoint>& points, std::size_t window, std::size_t count);

}  // namespace minbert
