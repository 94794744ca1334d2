// Search files: their keys and mistakes, and the values drawn from them.
#include "minbert/study/search_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "minbert/base/files.h"
#include "minbert/train/config.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

constexpr std::string_view kSpace = R"(
[search]
recipe = "base.toml"
[[space]]
key = "stage.0.lr"
kind = "log"
low = 1e-6
high = 1e-2
[[space]]
key = "model.hidden_dropout"
low = 0.1
high = 0.3
[[space]]
key = "stage.0.epochs"
kind = "int"
low = 2
high = 4
[[space]]
key = "task.mood.head.dense"
kind = "choice"
values = [[], ["H"], ["4H", "H"]]
)";

class SearchFileTest : public testing::Test {
 protected:
  SearchFile load(std::string_view text) const {
    write_file(folder_ / "mine.toml", text);
    return load_search_file(folder_ / "mine.toml");
  }
  TempFolder folder_;
};

const TomlValue& value_of(const DrawnValues& values, std::string_view key) {
  return std::ranges::find(values, key, &DrawnValues::value_type::first)->second;
}

TEST_F(SearchFileTest, DefaultsAndNames) {
  const SearchFile file = load(kSpace);
  EXPECT_EQ(file.search.name, "mine");
  EXPECT_EQ(file.search.trials, 20);
  EXPECT_EQ(file.search.stop, StopRule::kMedian);
  EXPECT_EQ(file.space.size(), 4u);
}

TEST_F(SearchFileTest, DrawsAreAsTheirKindSays) {
  const SearchFile file = load(kSpace);
  constexpr int kTrials = 4000;
  std::array<int, 4> decades{};
  std::array<int, 2> halves{};
  std::map<std::int64_t, int> epochs;
  std::map<std::string, int> heads;
  for (int trial = 0; trial < kTrials; ++trial) {
    const DrawnValues values = draw_values(file, trial);
    const double lr = *value_of(values, "stage.0.lr").get_if<double>();
    ASSERT_GE(lr, 1e-6);
    ASSERT_LE(lr, 1e-2);
    ++decades[std::min<std::size_t>(3, static_cast<std::size_t>(std::log10(lr) + 6))];
    const double dropout = *value_of(values, "model.hidden_dropout").get_if<double>();
    ASSERT_GE(dropout, 0.1);
    ASSERT_LE(dropout, 0.3);
    ++halves[dropout < 0.2 ? 0 : 1];
    ++epochs[*value_of(values, "stage.0.epochs").get_if<std::int64_t>()];
    ++heads[print_toml_value(value_of(values, "task.mood.head.dense"))];
  }
  // The tolerance is four standard deviations of a binomial share.
  const auto expect_share = [&](int count, double share) {
    EXPECT_NEAR(count / double{kTrials}, share, 4 * std::sqrt(share * (1 - share) / kTrials)) << "seed " << file.search.seed;
  };
  for (const int count : decades) expect_share(count, 0.25);
  for (const int count : halves) expect_share(count, 0.5);
  ASSERT_EQ(epochs.size(), 3u);
  for (const auto& [value, count] : epochs) expect_share(count, 1 / 3.0);
  ASSERT_EQ(heads.size(), 3u) << heads.begin()->first;
  for (const auto& [value, count] : heads) expect_share(count, 1 / 3.0);
}

TEST_F(SearchFileTest, AValueDependsOnSeedTrialAndItsOwnSpaceAlone) {
  const SearchFile file = load(kSpace);
  const auto lr = [](const SearchFile& of, std::int64_t trial) { return *value_of(draw_values(of, trial), "stage.0.lr").get_if<double>(); };
  SearchFile other = file;
  std::swap(other.space[0], other.space[3]);
  other.space.erase(other.space.begin() + 1);
  other.search.trials = 3;
  std::set<double> seen;
  for (const std::int64_t trial : {7, 0, 12, 3}) {
    EXPECT_EQ(lr(other, trial), lr(file, trial));
    seen.insert(lr(file, trial));
  }
  EXPECT_EQ(seen.size(), 4u) << "trials differ";
  other.search.seed = 1;
  EXPECT_NE(lr(other, 7), lr(file, 7));
  EXPECT_EQ(lr(file, 7), std::stod(fmt::format("{:.3e}", lr(file, 7)))) << "four digits";
}

TEST_F(SearchFileTest, ValuesGoIntoTheConfig) {
  write_file(folder_ / "base.toml",
             "[run]\nname = \"base\"\n[model]\ninit = \"scratch\"\n[[task]]\nname = \"mood\"\nlabels = 2\ndata = { train = \"a.csv\" "
             "}\n[[stage]]\nlr = 1\n");
  const SearchFile file = load(kSpace);
  ConfigOverrides overrides;
  overrides.sets = {"stage.0.batch=3", "stage.0.lr=7"};
  const RunConfig config = load_run_config(trial_config(file, overrides, 5));
  const DrawnValues values = draw_values(file, 5);
  EXPECT_EQ(config.stages[0].lr, *value_of(values, "stage.0.lr").get_if<double>());
  EXPECT_EQ(config.stages[0].epochs, *value_of(values, "stage.0.epochs").get_if<std::int64_t>());
  EXPECT_EQ(config.stages[0].batch, 3);
  EXPECT_EQ(config.run.name, "base-005");
  EXPECT_EQ(print_toml_value(OptionType<std::vector<DenseWidth>>::write(config.tasks[0].head.dense)),
            print_toml_value(value_of(values, "task.mood.head.dense")));
}

TEST_F(SearchFileTest, OneKeyIsNotDrawnUnderTwoNames) {
  write_file(folder_ / "base.toml", "[[task]]\nname = \"mood\"\n[[stage]]\nname = \"a\"\nlr = 1\n");
  SearchFile file = load(kSpace);
  trial_config(file, {}, 0);
  std::ranges::find(file.space, "stage.0.epochs", &SearchDimension::key)->key = "stage.a.lr";
  expect_error(ErrorTag::kUsage, {"\"stage.0.lr\" and \"stage.a.lr\" are names of one key"}, [&] { trial_config(file, {}, 0); });
}

TEST_F(SearchFileTest, MistakesNamePlaceAndKey) {
  const std::string head = "[search]\nrecipe = \"base.toml\"\n";
  struct Mistake {
    std::string text;
    std::initializer_list<std::string_view> expected;
  };
  const Mistake mistakes[] = {
      {"[search]\n[[space]]\nkey = \"a\"\nlow = 0\nhigh = 1\n", {"mine.toml:1", "search.recipe"}},
      {head, {"mine.toml", "[[space]]"}},
      {head + "[[space]]\nlow = 0\nhigh = 1\n", {"space.0.key"}},
      {head + "[[space]]\nkey = \"a\"\nlow = 0\n", {"space.0.high", "expected a number"}},
      {head + "[[space]]\nkey = \"a\"\nlow = 1\nhigh = 1\n", {"mine.toml:6", "space.0.high", "low < high"}},
      {head + "[[space]]\nkey = \"a\"\nkind = \"log\"\nlow = 0\nhigh = 1\n", {"space.0.low", "above 0"}},
      {head + "[[space]]\nkey = \"a\"\nkind = \"int\"\nlow = 0.5\nhigh = 1\n", {"space.0.low", "whole numbers"}},
      {head + "[[space]]\nkey = \"a\"\nkind = \"choice\"\n", {"space.0.values", "at least one"}},
      {head + "[[space]]\nkey = \"a\"\nlow = 0\nhigh = 1\nvalues = [1]\n", {"space.0.values", "only a choice"}},
      {head + "[[space]]\nkey = \"a\"\nlow = 0\nhigh = 1\n[[space]]\nkey = \"a\"\nlow = 0\nhigh = 1\n", {"space.1.key", "twice"}},
      {head + "stop = \"mean\"\n[[space]]\nkey = \"a\"\nlow = 0\nhigh = 1\n", {"mine.toml:3", "did you mean \"median\"?"}},
      {head + "trials = 0\n[[space]]\nkey = \"a\"\nlow = 0\nhigh = 1\n", {"mine.toml:3", "search.trials"}},
  };
  for (const auto& [text, expected] : mistakes) {
    SCOPED_TRACE(text);
    expect_error(ErrorTag::kUsage, expected, [&] { load(text); });
  }
}

}  // namespace
}  // namespace minbert
