// Numbers and names as text: formatting.
#include "minbert/report/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "minbert/base/unicode.h"

namespace minbert {

std::string fixed_text(double value, int decimals) { return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : ""; }

std::string score_text(double value) { return fixed_text(value, 4); }

std::string number_text(double value, int decimals) {
  std::string text = fixed_text(value, decimals);
  if (text.find('.') != std::string::npos) text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

std::string share_text(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? "" : fixed_text(static_cast<double>(part) / static_cast<double>(whole), 3);
}

std::string count_text(std::int64_t value) {
  std::string text = std::to_string(value);
  for (std::int64_t i = std::ssize(text) - 3; i > (value < 0 ? 1 : 0); i -= 3) text.insert(static_cast<std::size_t>(i), ",");
  return text;
}

std::string counted(std::int64_t value, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count_text(value), value == 1 ? one : many);
}

std::string list_text(const std::vector<std::string>& names, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > most ? fmt::format("{} and {} more", text, names.size() - most) : text;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{:.1f} s", seconds);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string memory_text(std::int64_t bytes) {
  const auto amount = static_cast<double>(bytes);
  return amount < 1e9 ? fmt::format("{:.0f} MB", amount / 1e6) : fmt::format("{:.2f} GB", amount / 1e9);
}

std::string spoken(std::string_view key) {
  if (key == "brier_score") return "Brier score";
  if (key == "f1") return "F1";
  if (key == "macro_f1") return "macro F1";
  if (key == "micro_f1") return "micro F1";
  if (key == "mcc") return "Matthews' correlation";
  if (key == "pearson") return "Pearson's r";
  if (key == "spearman") return "Spearman's rho";
  std::string text(key);
  std::ranges::replace(text, '_', ' ');
  return text;
}

std::string json_text(const Json& object, std::string_view key) {
  const auto value = object.find(key);
  if (value == object.end() || value->is_null()) return "";
  return value->is_string() ? value->get<std::string>() : dump_json(*value);
}

std::string shortened(const std::string& text, std::size_t length) {
  std::size_t position = 0;
  for (std::size_t i = 0; i < length && position < text.size(); ++i) next_code_point(text, position);
  return position < text.size() ? text.substr(0, position) + "…" : text;
}

}  // namespace minbert
