// The sample tasks: files as documented, and paraphrases that shared words do not give away.
#include "minbert/data/sample_corpus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <span>

#include "minbert/base/files.h"
#include "minbert/base/rng.h"
#include "minbert/data/dataset.h"
#include "minbert/data/text.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

constexpr double kCeiling = .65;
const SampleDataOptions kDefaults;

TaskRows load(const std::filesystem::path& folder, const std::string& name) {
  const bool single = name == "sentiment";
  DataSpec spec;
  spec.train = {{.path = (folder / (name + "-train.csv")).string()}};
  spec.dev.files = {{.path = (folder / (name + "-dev.csv")).string()}};
  spec.test.files = {{.path = (folder / (name + "-test.csv")).string()}};
  spec.text = single ? "sentence" : "sentence1";
  spec.text_pair = single ? "" : "sentence2";
  spec.label = "label";
  spec.id = "id";
  const auto labels = name == "similarity" ? TaskLabels::range() : TaskLabels::classes(single ? 5 : 2);
  return load_task(spec, labels, 1);
}

/// Writes and reads the default files once.
const std::map<std::string, TaskRows>& tasks() {
  static const auto all = [] {
    const TempFolder folder;
    write_sample_data(folder.path());
    std::map<std::string, TaskRows> out;
    for (const char* name : {"sentiment", "paraphrase", "similarity"}) out[name] = load(folder.path(), name);
    return out;
  }();
  return all;
}

using WordSet = std::set<std::string>;
WordSet words(std::string_view text) {
  WordSet out;
  std::string word;
  for (const char c : lower_case(text) + " ") {
    if (c == ' ') {
      if (const auto key = comparison_key(word); !key.empty()) out.insert(key);
      word.clear();
    } else {
      word += c;
    }
  }
  return out;
}

double jaccard(const Row& row) {
  const WordSet a = words(row.text), b = words(row.text_pair);
  const auto common = std::ranges::count_if(a, [&](const std::string& word) { return b.contains(word); });
  return static_cast<double>(common) / static_cast<double>(a.size() + b.size() - static_cast<std::size_t>(common));
}

using Binary = std::function<bool(const Row&)>;
bool is_one(const Row& row) { return row.label == 1; }

/// Best accuracy of a rule "at or above a threshold", or its opposite, over all thresholds.
double best_jaccard_accuracy(const std::vector<Row>& rows, const Binary& positive) {
  std::vector<std::pair<double, bool>> scored;
  for (const Row& row : rows) scored.emplace_back(jaccard(row), positive(row));
  double best = 0;
  for (const auto& [threshold, ignored] : scored) {
    const auto right =
        static_cast<double>(std::ranges::count_if(scored, [&](const auto& s) { return (s.first >= threshold) == s.second; }));
    best = std::max({best, right, static_cast<double>(scored.size()) - right});
  }
  return best / static_cast<double>(scored.size());
}

/// Logistic regression on bags of words: each word has features for being in the first text, the second, both, or only one.
class BagOfWords {
 public:
  BagOfWords(const std::vector<Row>& rows, const Binary& positive) {
    std::vector<std::pair<std::vector<std::string>, double>> examples;
    for (const Row& row : rows) examples.emplace_back(features(row), positive(row) ? 1 : 0);
    Rng rng(1, "bag of words");
    constexpr double kRate = .1, kDecay = 1e-3;
    for (int epoch = 0; epoch < 20; ++epoch) {
      rng.shuffle(std::span(examples));
      for (const auto& [names, target] : examples) {
        const double error = 1 / (1 + std::exp(-logit(names))) - target;
        for (const auto& name : names) weights_[name] -= kRate * (error + kDecay * weights_[name]);
      }
    }
  }

  double accuracy(const std::vector<Row>& rows, const Binary& positive) const {
    const auto right = std::ranges::count_if(rows, [&](const Row& row) { return (logit(features(row)) > 0) == positive(row); });
    return static_cast<double>(right) / static_cast<double>(rows.size());
  }

 private:
  static std::vector<std::string> features(const Row& row) {
    const WordSet a = words(row.text), b = words(row.text_pair);
    std::vector<std::string> out = {"bias"};
    for (const auto& word : a) out.insert(out.end(), {"1 " + word, (b.contains(word) ? "both " : "one ") + word});
    for (const auto& word : b) {
      out.push_back("2 " + word);
      if (!a.contains(word)) out.push_back("one " + word);
    }
    return out;
  }
  double logit(const std::vector<std::string>& names) const {
    double sum = 0;
    for (const auto& name : names) {
      if (const auto found = weights_.find(name); found != weights_.end()) sum += found->second;
    }
    return sum;
  }

  std::map<std::string, double> weights_;
};

TEST(SampleCorpus, EveryRowLoads) {
  for (const auto& [name, task] : tasks()) {
    EXPECT_EQ(static_cast<std::int64_t>(task.train.rows.size()), kDefaults.train_rows) << name;
    EXPECT_EQ(static_cast<std::int64_t>(task.dev.rows.size()), kDefaults.dev_rows) << name;
    EXPECT_EQ(static_cast<std::int64_t>(task.test.rows.size()), kDefaults.test_rows) << name;
    for (const auto& [split, report] : task.reports) {
      EXPECT_EQ(report.read, report.used) << name << " " << split;
      EXPECT_TRUE(report.repaired.empty()) << name << " " << split;
    }
    EXPECT_TRUE(task.test.labelled()) << name;
  }
}

TEST(SampleCorpus, LabelsAreSpread) {
  const auto share = [](const TaskRows& task, double from, double below) {
    const auto n = std::ranges::count_if(task.train.rows, [&](const Row& row) { return row.label >= from && row.label < below; });
    return static_cast<double>(n) / static_cast<double>(task.train.rows.size());
  };
  for (int grade = 0; grade < 5; ++grade) EXPECT_NEAR(share(tasks().at("sentiment"), grade, grade + 1), .2, .04) << grade;
  EXPECT_NEAR(share(tasks().at("paraphrase"), 1, 2), .5, .04);
  const double bounds[] = {0, .5, 1.5, 2.5, 3.5, 4.5, 5.1};
  for (std::size_t i = 0; i + 1 < std::size(bounds); ++i)
    EXPECT_NEAR(share(tasks().at("similarity"), bounds[i], bounds[i + 1]), 1. / 6, .07) << i;
}

TEST(SampleCorpus, NoRowTwice) {
  for (const auto& [name, task] : tasks()) {
    std::set<std::set<std::string>> seen;
    std::set<std::string> ids;
    for (const Rows* rows : {&task.train, &task.dev, &task.test}) {
      for (const Row& row : rows->rows) {
        EXPECT_TRUE(seen.insert({comparison_key(row.text), comparison_key(row.text_pair)}).second) << name << ": " << row.text;
        EXPECT_TRUE(ids.insert(row.id).second) << row.id;
        EXPECT_NE(row.text, row.text_pair);
      }
    }
  }
}

TEST(SampleCorpus, SentencesAreWhole) {
  for (const auto& [name, task] : tasks()) {
    for (const Row& row : task.train.rows) {
      for (const std::string_view text : {std::string_view(row.text), std::string_view(row.text_pair)}) {
        if (text.empty()) continue;
        EXPECT_TRUE(text.back() == '.' || text.back() == '?') << text;
        EXPECT_TRUE(text[0] < 'a' || text[0] > 'z') << text;
        EXPECT_EQ(text.find_first_of("{}[]|/+"), text.npos) << text;
        EXPECT_EQ(text.find("  "), text.npos) << text;
      }
    }
  }
}

TEST(SampleCorpus, SeedAloneDecides) {
  const TempFolder a, b, c;
  const SampleDataOptions few{.seed = 3, .train_rows = 50, .dev_rows = 10, .test_rows = 10};
  const auto first = write_sample_data(a.path(), few), again = write_sample_data(b.path(), few);
  const auto other = write_sample_data(c.path(), {.seed = 4, .train_rows = 50, .dev_rows = 10, .test_rows = 10});
  ASSERT_EQ(first.size(), 9u);
  EXPECT_EQ(a.count(), 9);
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(read_file(first[i]), read_file(again[i]));
    EXPECT_NE(read_file(first[i]), read_file(other[i]));
  }
}

TEST(SampleCorpus, ParaphrasesAreNotWordOverlap) {
  const TaskRows& task = tasks().at("paraphrase");
  EXPECT_LE(best_jaccard_accuracy(task.dev.rows, is_one), kCeiling);
  EXPECT_LE(best_jaccard_accuracy(task.test.rows, is_one), kCeiling);
  const BagOfWords bag(task.train.rows, is_one);
  EXPECT_GE(bag.accuracy(task.train.rows, is_one), .75) << "the words of train are not even learnt by heart";
  EXPECT_LE(bag.accuracy(task.dev.rows, is_one), kCeiling);
  EXPECT_LE(bag.accuracy(task.test.rows, is_one), kCeiling);
}

// Both baselines must succeed where words do tell; else the ceiling above would prove nothing.
TEST(SampleCorpus, BaselinesLearnWhereWordsTell) {
  const TaskRows& reviews = tasks().at("sentiment");
  const Binary good = [](const Row& row) { return row.label >= 3; };
  EXPECT_GE(BagOfWords(reviews.train.rows, good).accuracy(reviews.dev.rows, good), .8);
  const Binary similar = [](const Row& row) { return row.label >= 2.5; };
  EXPECT_GE(best_jaccard_accuracy(tasks().at("similarity").dev.rows, similar), .7);
}

}  // namespace
}  // namespace minbert
