// Charts: draws scales, ticks, lines, points, bars and tooltips.
#include "minbert/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "minbert/report/numbers.h"

namespace minbert {
namespace {

// Size of the view box, and edges of the plot in it. At the usual width of a figure, a unit is about a pixel.
constexpr double kWidth = 360, kHeight = 220, kLeft = 46, kRight = 342, kTop = 30, kBottom = 184;
constexpr std::size_t kMarkers = 20;   // a line with more points has no markers
constexpr std::size_t kTooltips = 60;  // a line with more points has only about so many tooltips
constexpr double kLetterWidth = 6.3;   // average width of a letter in the legend

/// Maps values between the first and last tick onto an axis.
struct Axis {
  std::vector<double> ticks;
  double from, to;
  bool log = false;

  double at(double value) const {
    return from + (scale(value) - scale(ticks.front())) / (scale(ticks.back()) - scale(ticks.front())) * (to - from);
  }
  double scale(double value) const { return log ? std::log10(value) : value; }
};

std::string coordinate(double value) { return fmt::format("{:.1f}", value); }

/// Prints as many decimals as neighbouring ticks need to differ.
std::string tick_label(double value, double step) {
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  return fmt::format("{:.{}f}", value == 0 ? 0.0 : value, decimals);
}

std::string style_class(const ChartLine& line) {
  constexpr std::array<std::string_view, 4> kNames = {"solid", "dashed", "faint", "point"};
  const std::string name(kNames[static_cast<std::size_t>(line.style)]);
  return line.style == LineStyle::kSolid && line.series > 0 ? fmt::format("{} series-{}", name, line.series) : name;
}

Html label(double x, double y, std::string_view anchor, std::string_view text) {
  return element("text", {{"x", coordinate(x)}, {"y", coordinate(y)}, {"text-anchor", std::string(anchor)}}, text);
}

Html rule(std::string_view kind, double x1, double y1, double x2, double y2) {
  return element(
      "line",
      {{"class", std::string(kind)}, {"x1", coordinate(x1)}, {"y1", coordinate(y1)}, {"x2", coordinate(x2)}, {"y2", coordinate(y2)}});
}

Html circle(const std::string& kind, double x, double y, std::string_view radius, const std::string& tip) {
  return element("circle", {{"class", kind}, {"cx", coordinate(x)}, {"cy", coordinate(y)}, {"r", std::string(radius)}},
                 tip.empty() ? Html() : element("title", {}, tip));
}

Html vertical_axis(const Axis& y, std::string_view name) {
  Html html;
  for (const double tick : y.ticks) {
    html += rule("grid", kLeft, y.at(tick), kRight, y.at(tick));
    html += label(kLeft - 6, y.at(tick) + 4, "end", tick_label(tick, y.log ? tick : y.ticks[1] - y.ticks[0]));
  }
  return html + label(kLeft, 12, "start", name);
}

Html horizontal_name(std::string_view name) { return label((kLeft + kRight) / 2, kHeight - 4, "middle", name); }

Html axes(const LineChart& chart, const Axis& x, const Axis& y) {
  Html html = vertical_axis(y, chart.y_name);
  for (const double tick : x.ticks) {
    html += rule("grid", x.at(tick), kBottom, x.at(tick), kBottom + 4);
    html += label(x.at(tick), kBottom + 16, "middle", tick_label(tick, x.ticks[1] - x.ticks[0]));
  }
  for (const ChartPoint& mark : chart.marks) html += rule("mark", x.at(mark.x), kTop, x.at(mark.x), kBottom);
  return html + horizontal_name(chart.x_name);
}

Html svg_figure(const std::string& title, const std::string& description, const Html& drawing) {
  const Html svg =
      element("svg", {{"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)}, {"role", "img"}, {"aria-label", description}}, drawing);
  return element("figure", {}, element("figcaption", {}, title) + svg) + "\n";
}

/// Stands at the right end of the top row; lines without a name are left out.
Html legend(const std::vector<ChartLine>& lines) {
  Html html;
  double x = kRight;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (line->name.empty()) continue;
    html += label(x, 12, "end", line->name);
    x -= static_cast<double>(line->name.size()) * kLetterWidth + 6;
    if (line->style == LineStyle::kPoints)
      html += circle("point", x - 4, 8, "3", "");
    else
      html += rule("line " + style_class(*line), x - 20, 8, x, 8);
    x -= 36;
  }
  return html;
}

std::string tip_of(const LineChart& chart, const ChartLine& line, const ChartPoint& point) {
  return point.tip.empty() ? fmt::format("{}, {} {}: {:.4f}", line.name, chart.x_name, number_text(point.x, 4), point.y) : point.tip;
}

Html draw(const LineChart& chart, const ChartLine& line, const Axis& x, const Axis& y) {
  Html html;
  const auto marker = [&](const std::string& kind, const ChartPoint& point, std::string_view radius) {
    html += circle(kind, x.at(point.x), y.at(point.y), radius, tip_of(chart, line, point));
  };
  if (line.style == LineStyle::kPoints) {
    for (const ChartPoint& point : line.points) marker("point", point, "2");
    return html;
  }
  std::string points;
  for (const ChartPoint& point : line.points) points += fmt::format("{:.1f},{:.1f} ", x.at(point.x), y.at(point.y));
  html += element("polyline", {{"class", "line " + style_class(line)}, {"points", points}});
  if (line.style == LineStyle::kFaint) return html;
  const bool few = line.points.size() <= kMarkers;
  for (std::size_t i = 0; i < line.points.size(); i += line.points.size() / kTooltips + 1)
    few ? marker("dot " + style_class(line), line.points[i], "3") : marker("hover", line.points[i], "6");
  return html;
}

/// Describes the chart in a sentence, for screen readers.
std::string description(const LineChart& chart) {
  std::string text = fmt::format("{}: {} by {}", chart.title, chart.y_name, chart.x_name);
  for (const ChartLine& line : chart.lines)
    if (line.style == LineStyle::kPoints)
      text += fmt::format("; {} points", line.points.size());
    else if (line.style != LineStyle::kFaint)
      text += fmt::format("; {} goes from {:.4f} to {:.4f}", line.name, line.points.front().y, line.points.back().y);
  return text;
}

}  // namespace

Html line_chart(LineChart chart) {
  ChartPoint low{std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()}, high{-low.x, -low.y};
  for (ChartLine& line : chart.lines) {
    std::erase_if(line.points, [&](const ChartPoint& point) {
      return !std::isfinite(point.x) || !std::isfinite(point.y) || (chart.log_y && point.y <= 0);
    });
    for (const ChartPoint& point : line.points) {
      low = {std::min(low.x, point.x), std::min(low.y, point.y)};
      high = {std::max(high.x, point.x), std::max(high.y, point.y)};
    }
  }
  std::erase_if(chart.lines, [](const ChartLine& line) { return line.points.empty(); });
  if (chart.lines.empty()) return {};
  const Axis x{axis_ticks(low.x, high.x, 5, chart.whole_x), kLeft, kRight},
      y{chart.log_y ? log_ticks(low.y, high.y) : axis_ticks(low.y, high.y, 5), kBottom, kTop, chart.log_y};
  Html drawing = axes(chart, x, y);
  for (const ChartLine& line : chart.lines) drawing += draw(chart, line, x, y);
  if (chart.legend && chart.lines.size() > 1) drawing += legend(chart.lines);
  return svg_figure(chart.title, description(chart), drawing);
}

Html series_legend(const std::vector<std::string>& names) {
  Html html;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const ChartLine line{.name = names[i], .points = {}, .series = i};
    const Html swatch = element("svg", {{"viewBox", "0 0 28 10"}, {"aria-hidden", "true"}}, rule("line " + style_class(line), 0, 5, 28, 5));
    html += element("span", {}, swatch + names[i]) + " ";
  }
  return element("p", {{"class", "legend"}}, html) + "\n";
}

Html bar_chart(const BarChart& chart) {
  if (chart.bars.empty()) return {};
  double high = 0;
  for (const auto& [name, value] : chart.bars) high = std::max(high, value);
  const Axis y{axis_ticks(0, std::max(high, 1e-9), 5), kBottom, kTop + 8};
  Html drawing = vertical_axis(y, chart.y_name) + horizontal_name(chart.x_name);
  std::string description = fmt::format("{}: {} by {}", chart.title, chart.y_name, chart.x_name);
  const double pitch = (kRight - kLeft) / static_cast<double>(chart.bars.size()), width = std::min(pitch * 0.7, 60.0);
  for (std::size_t i = 0; i < chart.bars.size(); ++i) {
    const auto& [name, value] = chart.bars[i];
    const double middle = kLeft + pitch * (static_cast<double>(i) + 0.5);
    drawing += element("rect",
                       {{"class", "bar"},
                        {"x", coordinate(middle - width / 2)},
                        {"y", coordinate(y.at(value))},
                        {"width", coordinate(width)},
                        {"height", coordinate(kBottom - y.at(value))}},
                       element("title", {}, fmt::format("{}: {}", name, number_text(value, 4))));
    drawing += label(middle, y.at(value) - 4, "middle", number_text(value, 3)) + label(middle, kBottom + 16, "middle", name);
    description += fmt::format("; {} {}", name, number_text(value, 4));
  }
  return svg_figure(chart.title, description, drawing);
}

std::vector<double> axis_ticks(double low, double high, int count, bool whole) {
  if (!(high > low)) {  // a single value gets room around it
    const double room = whole ? 1 : std::max(std::abs(low) * 0.1, 1e-3);
    low -= whole ? 0 : room;
    high += room;
  }
  const double rough = (high - low) / count, power = std::pow(10, std::floor(std::log10(rough)));
  const double mantissa = rough / power;
  double step = power * (mantissa <= 1 ? 1 : mantissa <= 2 ? 2 : mantissa <= 5 ? 5 : 10);
  if (whole) step = std::max(step, 1.0);
  // The 1e-9 keeps rounding errors from adding a tick before `low` or after `high` when they are ticks themselves.
  const auto first = static_cast<std::int64_t>(std::floor(low / step + 1e-9)),
             last = static_cast<std::int64_t>(std::ceil(high / step - 1e-9));
  std::vector<double> ticks;
  for (std::int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::vector<double> log_ticks(double low, double high) {
  const int first = static_cast<int>(std::floor(std::log10(low) + 1e-9));
  const int last = std::max(first + 1, static_cast<int>(std::ceil(std::log10(high) - 1e-9)));
  std::vector<double> ticks;
  for (int i = first; i <= last; ++i) ticks.push_back(std::pow(10, i));
  return ticks;
}

std::vector<ChartPoint> thin_out(const std::vector<ChartPoint>& points, std::size_t buckets) {
  if (points.size() <= 2 * buckets) return points;
  std::vector<ChartPoint> kept;
  for (std::size_t i = 0; i < buckets; ++i) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(i * points.size() / buckets);
    const auto end = points.begin() + static_cast<std::ptrdiff_t>((i + 1) * points.size() / buckets);
    auto [low, high] = std::minmax_element(begin, end, [](const ChartPoint& a, const ChartPoint& b) { return a.y < b.y; });
    if (high < low) std::swap(low, high);
    kept.push_back(*low);
    if (high != low) kept.push_back(*high);
  }
  return kept;
}

std::vector<ChartPoint> running_mean(const std::vector<ChartPoint>& points, std::size_t window, std::size_t count) {
  std::vector<double> sums = {0};
  for (const ChartPoint& point : points) sums.push_back(sums.back() + point.y);
  std::vector<ChartPoint> means;
  count = std::min(count, points.size());
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t i = count == 1 ? 0 : k * (points.size() - 1) / (count - 1);
    const std::size_t reach = std::min({window / 2, i, points.size() - 1 - i});  // windows are symmetric
    means.push_back({points[i].x, (sums[i + reach + 1] - sums[i - reach]) / static_cast<double>(2 * reach + 1)});
  }
  return means;
}

}  // namespace minbert
