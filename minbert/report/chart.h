// Line charts as SVG that takes its colours from the page.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "minbert/report/html.h"

namespace minbert {

struct ChartPoint {
  double x = 0, y = 0;
};

/// How a line is told from its neighbours, in colour and without: markers are full on solid lines, hollow on dashed ones.
enum class LineStyle { kSolid, kDashed, kFaint };

struct ChartLine {
  std::string name;
  LineStyle style = LineStyle::kSolid;
  std::vector<ChartPoint> points;  ///< by x; those that are not finite are left out
};

struct LineChart {
  std::string title;
  std::string x_name, y_name;     ///< with units where there are any
  std::vector<ChartLine> lines;   ///< later ones on top; a legend where there are several
  std::vector<ChartPoint> marks;  ///< vertical rules at x
};

/// A <figure> with axes, a tooltip for each point (of long lines, for some) and a label for screen readers. Empty without a finite point.
Html line_chart(const LineChart& chart);

/// Round values (1, 2 or 5 times a power of ten apart) of which the first is at most `low` and the last at least `high`: about `count`
/// of them. `whole`: no fractions.
std::vector<double> axis_ticks(double low, double high, int count, bool whole = false);

/// At most 2 * `buckets` of the points: the lowest and the highest of each of `buckets` runs, so that no spike is lost.
std::vector<ChartPoint> thin_out(const std::vector<ChartPoint>& points, std::size_t buckets);

/// The mean of each point and its neighbours, `window` (odd) points in all, fewer at the ends. At most `count` of them, evenly spaced.
std::vector<ChartPoint> running_mean(const std::vector<ChartPoint>& points, std::size_t window, std::size_t count);

}  // namespace minbert
