// Search files: reads and checks them, and draws values.
#include "minbert/study/search_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "minbert/base/number.h"
#include "minbert/base/rng.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// Calls refuse(key, message), which throws, at the first mistake in a dimension.
template <class Refuse>
void check_dimension(const SearchDimension& dimension, const Refuse& refuse) {
  if (dimension.key.empty()) refuse("key", "expected a key of the config");
  if (dimension.kind == DrawKind::kChoice) {
    if (dimension.values.empty()) refuse("values", "expected at least one value to choose from");
    if (dimension.low || dimension.high) refuse("low", "a choice has values, no ends");
    return;
  }
  if (!dimension.values.empty()) refuse("values", "only a choice has values", "kind = \"choice\"");
  if (!dimension.low || !dimension.high) refuse(dimension.low ? "high" : "low", "expected a number");
  const double low = *dimension.low, high = *dimension.high;
  if (!(low < high) || !std::isfinite(low) || !std::isfinite(high))
    refuse("high", fmt::format("expected low < high, got {} and {}", low, high));
  if (dimension.kind == DrawKind::kLog && !(low > 0)) refuse("low", fmt::format("expected a number above 0, got {}", low));
  constexpr double kLargest = 1e15;  // whole numbers up to here are exact
  const auto is_whole = [](double value) { return value == std::floor(value) && std::fabs(value) <= kLargest; };
  if (dimension.kind == DrawKind::kInt && !(is_whole(low) && is_whole(high)))
    refuse("low", fmt::format("expected whole numbers, got {} and {}", low, high));
}

/// Rounds to four significant digits without leaving [low, high].
double rounded(double value, double low, double high) {
  return std::clamp(number_from<double>(fmt::format("{:.3e}", value)).value_or(value), low, high);
}

TomlValue draw(const SearchDimension& dimension, Rng& rng) {
  if (dimension.kind == DrawKind::kChoice) return dimension.values[rng.below(dimension.values.size())];
  const double low = *dimension.low, high = *dimension.high;
  switch (dimension.kind) {
    case DrawKind::kInt: {
      const auto first = static_cast<std::int64_t>(low), last = static_cast<std::int64_t>(high);
      return first + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(last - first) + 1));
    }
    case DrawKind::kLog: return rounded(low * std::pow(high / low, rng.uniform()), low, high);
    default: return rounded(low + (high - low) * rng.uniform(), low, high);
  }
}

/// A key that is in the tree, with its blocks by their names: stage.finetune.lr for stage.0.lr.
std::string name_in(const ConfigTree& tree, std::string_view key) {
  TomlNode node = tree.node();
  for (const std::string& part : split_key(key, key)) {
    if (!node.is<TomlArray>()) {
      node = node.find(part).value();
      continue;
    }
    const std::vector<TomlNode> items = node.items();
    const auto by_name = std::ranges::find(items, join_key(node.key(), part), &TomlNode::key);
    node = by_name != items.end() ? *by_name : items.at(std::stoul(part));
  }
  return node.key();
}

}  // namespace

SearchFile load_search_file(const fs::path& path) {
  ConfigTree tree;
  tree.load(path);
  auto file = read_options<SearchFile>(tree.node());
  file.source = source_file(tree, path, "search", file.search.name);
  const auto refuse = [&](const std::string& key, const std::string& message, std::string hint = {}) {
    throw Error(ErrorTag::kUsage, tree.place(key), fmt::format("key \"{}\": {}", key, message), std::move(hint));
  };
  if (files_of(file.search.recipe).empty()) refuse("search.recipe", "expected a config file");
  if (file.space.empty()) throw Error(ErrorTag::kUsage, file.source.place, "expected at least one [[space]]");
  std::set<std::string> keys;
  for (std::size_t i = 0; i < file.space.size(); ++i) {
    const std::string key = fmt::format("space.{}", i);
    check_dimension(file.space[i], [&](const std::string& part, const std::string& message, std::string hint = {}) {
      refuse(join_key(key, part), message, std::move(hint));
    });
    if (!keys.insert(file.space[i].key).second) refuse(key + ".key", fmt::format("\"{}\" appears twice", file.space[i].key));
  }
  return file;
}

DrawnValues draw_values(const SearchFile& file, std::int64_t trial) {
  DrawnValues values;
  for (const SearchDimension& dimension : file.space) {
    Rng rng(file.search.seed, fmt::format("search.{}.{}", trial, dimension.key));
    values.emplace_back(dimension.key, draw(dimension, rng));
  }
  return values;
}

ConfigTree trial_config(const SearchFile& file, const ConfigOverrides& overrides, std::int64_t trial) {
  const TomlOrigin here{file.source.place, file.source.folder};
  ConfigTree tree = merge_files({&file.search.recipe}, overrides);
  for (const std::string& assignment : file.search.set) tree.set(assignment, here);
  for (const std::string& assignment : overrides.sets) tree.set(assignment);
  if (!overrides.dtype.empty()) tree.set("model.dtype", overrides.dtype, "--dtype");
  const auto run = tree.node().find("run");
  const auto name = run ? run->find("name") : std::nullopt;
  tree.set("run.name", fmt::format("{}-{:03}", name ? name->as_string() : file.search.name, trial), here);
  std::map<std::string, std::string> drawn;  // as the tree names them, and as the file does
  for (const auto& [key, value] : draw_values(file, trial)) {
    tree.set(key, value, TomlOrigin{fmt::format("{}, trial {}", here.place, trial), here.folder});
    if (const auto [same, is_new] = drawn.emplace(name_in(tree, key), key); !is_new)
      throw Error(ErrorTag::kUsage, here.place, fmt::format("\"{}\" and \"{}\" are names of one key", same->second, key));
  }
  return tree;
}

}  // namespace minbert
