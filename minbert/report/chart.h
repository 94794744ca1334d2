// Charts as SVG that takes its colours from the page: lines, points, bars.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "minbert/report/html.h"

namespace minbert {

struct ChartPoint {
  double x = 0, y = 0;
  std::string tip = {};  ///< what the tooltip says in place of the coordinates
};

/// How a line is told from its neighbours, in colour and without: markers are full on solid lines, hollow on dashed ones. kPoints has no
/// line, a faint dot for each point and is meant for clouds.
enum class LineStyle { kSolid, kDashed, kFaint, kPoints };

struct ChartLine {
  std::string name;
  LineStyle style = LineStyle::kSolid;
  std::vector<ChartPoint> points;  ///< by x; those that are not finite are left out
};

struct LineChart {
  std::string title;
  std::string x_name, y_name;          ///< with units where there are any
  std::vector<ChartLine> lines;        ///< later ones on top; a legend where there are several
  std::vector<ChartPoint> marks = {};  ///< vertical rules at x
  bool whole_x = true;                 ///< no fractions on the horizontal axis
  bool log_y = false;                  ///< the vertical axis in powers of ten; only values above 0 are shown
};

/// A <figure> with axes, a tooltip for each point (of long lines, for some) and a label for screen readers. Empty without a finite point.
Html line_chart(LineChart chart);

/// A <figure> of one bar a name, from 0 upwards, with its value above it and in a tooltip. Empty without names.
struct BarChart {
  std::string title;
  std::string x_name, y_name;
  std::vector<std::pair<std::string, double>> bars;  ///< values of at least 0
};
Html bar_chart(const BarChart& chart);

/// Round values (1, 2 or 5 times a power of ten apart) of which the first is at most `low` and the last at least `high`: about `count`
/// of them. `whole`: no fractions.
std::vector<double> axis_ticks(double low, double high, int count, bool whole = false);

/// The powers of ten from at most `low` to at least `high`, two or more; both above 0.
std::vector<double> log_ticks(double low, double high);

/// At most 2 * `buckets` of the points: the lowest and the highest of each of `buckets` runs, so that no spike is lost.
std::vector<ChartPoint> thin_out(const std::vector<ChartPoint>& points, std::size_t buckets);

/// The mean of each point and its neighbours, `window` (odd) points in all, fewer at the ends. At most `count` of them, evenly spaced.
std::vector<ChartPoint> running_mean(const std::vector<ChartPoint>& points, std::size_t window, std::size_t count);

}  // namespace minbert
