// Rows from files: columns, labels, bad rows, filters, fractions, exclusion and the report about them.
#include "minbert/data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "minbert/base/files.h"
#include "minbert/data/guess.h"
#include "minbert/data/guess_sets.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

class Dataset : public testing::Test {
 protected:
  std::string file(std::string_view name, std::string_view content) {
    write_file(folder_ / name, content);
    return (folder_ / name).string();
  }
  DataSpec single(std::string_view content, std::string_view name = "train.csv") {
    DataSpec spec;
    spec.train = {{.path = file(name, content)}};
    spec.text = "text";
    spec.label = "label";
    return spec;
  }
  Rows train(const DataSpec& spec, const TaskLabels& labels = TaskLabels::classes(3)) {
    return load_rows(spec, Split::kTrain, labels, 7, &report_);
  }
  TempFolder folder_;
  SplitReport report_;
};

std::vector<std::string> texts(const Rows& rows) {
  std::vector<std::string> out;
  for (const Row& row : rows.rows) out.push_back(row.text);
  return out;
}

std::vector<double> labels(const Rows& rows) {
  std::vector<double> out;
  for (const Row& row : rows.rows) out.push_back(row.label);
  return out;
}

using Texts = std::vector<std::string>;
using Labels = std::vector<double>;

TEST_F(Dataset, ReadsTextLabelIdAndLine) {
  DataSpec spec = single("key,text,label\nx1,\"two\nlines\",1.0\nx2,b,2\n");
  spec.id = "key";
  const Rows rows = train(spec);
  ASSERT_EQ(rows.rows.size(), 2u);
  EXPECT_EQ(rows.rows[0].id, "x1");
  EXPECT_EQ(rows.rows[0].text, "two\nlines");
  EXPECT_EQ(labels(rows), (Labels{1, 2}));
  EXPECT_EQ(rows.rows[1].line, 4);
  EXPECT_EQ(rows.place(rows.rows[1]), spec.train[0].path + ":4");
  EXPECT_TRUE(rows.labelled());
}

TEST_F(Dataset, ColumnsByNumberAndRowNumbersAsIds) {
  DataSpec spec = single("first one,0\nsecond one,1\n");
  spec.text = "0";
  spec.label = "1";
  const Rows rows = train(spec);
  EXPECT_EQ(texts(rows), (Texts{"first one", "second one"}));
  EXPECT_EQ(rows.rows[1].id, "1");
}

TEST_F(Dataset, NamedLabelsMapsAndAuto) {
  DataSpec spec = single("text,label\na,pos\nb,NEG \nc,neg\n");
  spec.label_map = {{"NEG", "neg"}};
  EXPECT_EQ(labels(train(spec, TaskLabels::named({"neg", "pos"}))), (Labels{1, 0, 0}));
  EXPECT_EQ(report_.label_counts, (std::map<std::string, std::int64_t>{{"neg", 2}, {"pos", 1}}));
  EXPECT_EQ(resolve_labels(spec, TaskLabels::from_train()), TaskLabels::named({"neg", "pos"}));
}

TEST_F(Dataset, AutoLabelsThatCountAreACount) {
  EXPECT_EQ(resolve_labels(single("text,label\na,1.0\nb,0.0\nc,2\n"), TaskLabels::from_train()), TaskLabels::classes(3));
  EXPECT_EQ(resolve_labels(single("text,label\na,10\nb,9\n"), TaskLabels::from_train()), TaskLabels::named({"9", "10"}));
  expect_error(ErrorTag::kData, {"train.csv", "two different labels", "got \"1\" in each of 2 rows"},
               [&] { resolve_labels(single("text,label\na,1\nb,1\n"), TaskLabels::from_train()); });
}

TEST_F(Dataset, NumbersAreCheckedAndRescaled) {
  DataSpec spec = single("text,label\na,1\nb,3\nc,5\n");
  spec.label_from = {1, 5};
  EXPECT_EQ(labels(train(spec, TaskLabels::range())), (Labels{0, 2.5, 5}));
  EXPECT_DOUBLE_EQ(report_.label_mean, 2.5);
  EXPECT_EQ(report_.label_min, 0);
  EXPECT_EQ(report_.label_max, 5);
  DataSpec shifted = single("text,label\na,0\nb,2\nc,4\n", "shifted.csv");
  shifted.label_range = {1, 5};
  shifted.label_from = {0, 4};
  EXPECT_EQ(labels(train(shifted, TaskLabels::range())), (Labels{1, 3, 5}));
  spec.label_from = {2, 5};
  expect_error(ErrorTag::kData, {"train.csv:2: column \"label\": expected a number in 2..5, got \"1\""},
               [&] { train(spec, TaskLabels::range()); });
}

TEST_F(Dataset, PairsAndCoursePreprocessing) {
  DataSpec spec = single("a,b,label\nIs it? ,It  is.,1\n");
  spec.text = "a";
  spec.text_pair = "b";
  spec.preprocess = "cs224n";
  const Rows rows = train(spec);
  EXPECT_EQ(rows.rows[0].text, "is it ?");
  EXPECT_EQ(rows.rows[0].text_pair, "it is .");
  spec = single("text,label\n Fine. Really ,1\n");
  spec.preprocess = "cs224n";
  EXPECT_EQ(train(spec).rows[0].text, "fine. really");
}

TEST_F(Dataset, SkippedRowsAreListedWithReasonAndLine) {
  DataSpec spec = single("text,label\na,0\nb,\n,1\nc,7\nd\n\"e,1\nf,x\ng,2\n");
  spec.on_bad_row = "skip";
  const Rows rows = train(spec);
  EXPECT_EQ(texts(rows), (Texts{"a", "\"e", "g"}));
  EXPECT_EQ(rows.rows[2].id, "7");  // the record's number counts skipped records too
  EXPECT_EQ(report_.read, 8);
  EXPECT_EQ(report_.used, 3);
  std::vector<std::pair<std::int64_t, std::string>> skipped;
  for (const SkippedRow& row : report_.skipped) skipped.emplace_back(row.line, row.reason);
  EXPECT_EQ(skipped, (decltype(skipped){{3, "column \"label\": expected 0..2, got nothing"},
                                        {4, "column \"text\": expected a text, got an empty one"},
                                        {5, "column \"label\": expected 0..2, got \"7\""},
                                        {6, "expected 2 fields, got 1"},
                                        {8, "column \"label\": expected 0..2, got \"x\""}}));
  ASSERT_EQ(report_.repaired.size(), 1u);
  EXPECT_EQ(report_.repaired[0].line, 7);
  const Json json = report_;
  EXPECT_EQ(json["skipped"], 5);
  EXPECT_EQ(json["skipped_rows"][0]["line"], 3);
  EXPECT_EQ(json["label_counts"]["2"], 1);
}

TEST_F(Dataset, SeveralFilesWithTheirOwnLabelFilterAndLimit) {
  DataSpec spec = single("text,label,part\na,0,TRAIN\nb,1,TEST\nc,1,TRAIN\nd,2,TRAIN\n", "a.csv");
  spec.train[0].where = {{"part", "TRAIN"}};
  spec.train[0].limit = 2;
  spec.train[0].first = true;
  spec.train.push_back({.path = file("b.txt", "caf\xE9\nplain\n"), .label = "2", .encoding = "latin-1"});
  const Rows rows = train(spec);
  EXPECT_EQ(texts(rows), (Texts{"a", "c", "café", "plain"}));
  EXPECT_EQ(labels(rows), (Labels{0, 1, 2, 2}));
  ASSERT_EQ(rows.rows.size(), 4u);
  EXPECT_EQ(rows.rows[3].id, "5");
  EXPECT_EQ(report_.filtered, 1);
  EXPECT_EQ(report_.over_limit, 1);
  EXPECT_EQ(report_.read, report_.used + report_.filtered + report_.over_limit);
}

TEST_F(Dataset, TestSplitsMayLackLabelsAndTexts) {
  DataSpec spec = single("text,label\na,0\n");
  spec.test.files = {{.path = file("test.csv", "id,text\n1,a\n2,\n")}};
  const Rows rows = load_rows(spec, Split::kTest, TaskLabels::classes(2), 7, &report_);
  EXPECT_EQ(texts(rows), (Texts{"a", ""}));
  EXPECT_FALSE(rows.labelled());
  EXPECT_EQ(report_.label_counts, (std::map<std::string, std::int64_t>{{"(none)", 2}}));
  spec.test.files[0].path = file("half.csv", "text,label\na,1\nb,\n");
  EXPECT_FALSE(load_rows(spec, Split::kTest, TaskLabels::classes(2), 7).labelled());
  spec.test.files[0].path = file("wrong.csv", "text,label\na,5\n");
  expect_error(ErrorTag::kData, {"wrong.csv:2", "expected 0..1, got \"5\""},
               [&] { load_rows(spec, Split::kTest, TaskLabels::classes(2), 7); });
}

TEST_F(Dataset, DevAsAFractionOfTrain) {
  std::string content = "text,label\n";
  for (int i = 0; i < 50; ++i) content += fmt::format("text {},{}\n", i, i % 2);
  DataSpec spec = single(content);
  spec.dev.fraction = 0.2;
  const TaskRows task = load_task(spec, TaskLabels::from_train(), 3);
  EXPECT_EQ(task.train.rows.size(), 40u);
  EXPECT_EQ(task.dev.rows.size(), 10u);
  std::set<std::string> seen;
  for (const auto& rows : {task.train, task.dev}) {
    EXPECT_TRUE(std::is_sorted(rows.rows.begin(), rows.rows.end(), [](const Row& a, const Row& b) { return a.line < b.line; }));
    for (const Row& row : rows.rows) EXPECT_TRUE(seen.insert(row.text).second) << row.text;
  }
  EXPECT_EQ(task.reports.at("train").moved_to_dev, 10);
  EXPECT_EQ(texts(load_task(spec, TaskLabels::classes(2), 3).dev), texts(task.dev));
  EXPECT_NE(texts(load_task(spec, TaskLabels::classes(2), 4).dev), texts(task.dev));
}

/// How many rows have each label.
std::map<double, int> counts(const Rows& rows) {
  std::map<double, int> out;
  for (const Row& row : rows.rows) ++out[row.label];
  return out;
}

TEST_F(Dataset, FractionsAreStratifiedAndRareLabelsReachDev) {
  std::string content = "text,label\n";
  for (int i = 0; i < 200; ++i) content += fmt::format("text {},{}\n", i, i < 150 ? 0 : i < 197 ? 1 : i < 199 ? 2 : 3);
  DataSpec spec = single(content);
  spec.dev.fraction = 0.1;
  spec.test.fraction = 0.2;
  const TaskRows task = load_task(spec, TaskLabels::classes(4), 3);
  EXPECT_EQ(counts(task.dev), (std::map<double, int>{{0, 15}, {1, 5}, {2, 1}}));  // one row of label 2's two, and none of label 3's one
  EXPECT_EQ(counts(task.test)[0], 30);
  EXPECT_EQ(task.test.rows.size(), 40u);
  std::set<std::string> seen;
  for (const Rows* rows : {&task.train, &task.dev, &task.test})
    for (const Row& row : rows->rows) EXPECT_TRUE(seen.insert(row.text).second) << row.text;
  EXPECT_EQ(seen.size(), 200u);
  EXPECT_GE(counts(task.train)[3], 1);
  spec.test = {};
  EXPECT_EQ(texts(load_task(spec, TaskLabels::classes(4), 3).dev), texts(task.dev));  // a test split does not change dev
}

TEST_F(Dataset, FractionsOfNumbersAreStratifiedByQuantile) {
  std::string content = "text,label\n";
  for (int i = 0; i < 100; ++i) content += fmt::format("text {},{}\n", i, i < 90 ? 0.01 * i : 4 + 0.1 * (i - 90));
  DataSpec spec = single(content);
  spec.dev.fraction = 0.2;
  for (const int seed : {1, 2, 3}) {
    const TaskRows task = load_task(spec, TaskLabels::range(), static_cast<std::uint64_t>(seed));
    EXPECT_EQ(task.dev.rows.size(), 20u);
    EXPECT_EQ(std::ranges::count_if(task.dev.rows, [](const Row& row) { return row.label >= 4; }), 2) << "seed " << seed;
  }
}

TEST_F(Dataset, FoldsTestEachRowOnce) {
  std::string content = "text,label\n";
  for (int i = 0; i < 53; ++i) content += fmt::format("text {},{}\n", i, i % 10 == 0 ? 1 : 0);
  DataSpec spec = single(content);
  spec.dev.fraction = 0.1;
  std::set<std::string> seen;
  for (int fold = 0; fold < 5; ++fold) {
    const TaskRows task = load_task(spec, TaskLabels::classes(2), {3, 5, fold});
    EXPECT_GE(task.test.rows.size(), 10u);
    EXPECT_LE(task.test.rows.size(), 11u);
    EXPECT_GE(counts(task.test)[1], 1);
    EXPECT_LE(counts(task.test)[1], 2);
    EXPECT_EQ(task.train.rows.size() + task.dev.rows.size() + task.test.rows.size(), 53u);
    for (const Row& row : task.test.rows) EXPECT_TRUE(seen.insert(row.text).second) << row.text;
  }
  EXPECT_EQ(seen.size(), 53u);
  expect_error(ErrorTag::kUsage, {"data.fold", "0 to 4", "5"}, [&] { load_task(spec, TaskLabels::classes(2), {3, 5, 5}); });
  spec.test.fraction = 0.1;
  expect_error(ErrorTag::kUsage, {"test", "folds"}, [&] { load_task(spec, TaskLabels::classes(2), {3, 5, 0}); });
}

TEST_F(Dataset, ALimitDrawsRowsUnlessItAsksForTheFirst) {
  std::string content = "text,label\n";
  for (int i = 0; i < 40; ++i) content += fmt::format("text {},{}\n", i, i % 2);
  DataSpec spec = single(content);
  spec.train[0].limit = 10;
  const Rows drawn = train(spec);
  EXPECT_EQ(drawn.rows.size(), 10u);
  EXPECT_EQ(report_.over_limit, 30);
  EXPECT_GT(drawn.rows.back().line, 12);
  EXPECT_TRUE(std::is_sorted(drawn.rows.begin(), drawn.rows.end(), [](const Row& a, const Row& b) { return a.line < b.line; }));
  EXPECT_EQ(texts(train(spec)), texts(drawn));
  EXPECT_NE(texts(load_rows(spec, Split::kTrain, TaskLabels::classes(2), 8)), texts(drawn));
  spec.train[0].first = true;
  EXPECT_EQ(train(spec).rows.back().line, 11);
}

TaskLabels sets_of(TaskLabels labels) {
  labels.sets = true;
  return labels;
}

TEST_F(Dataset, SetsOfLabelsInOneCell) {
  const TaskLabels found = sets_of(TaskLabels::from_train());
  DataSpec spec = single("text,label\na,Billing;Delivery\nb,Other\nc,\nd, Delivery ; Billing \n");
  const TaskRows task = load_task(spec, found, 1);
  EXPECT_EQ(task.labels.names, (Texts{"Billing", "Delivery", "Other"}));
  EXPECT_TRUE(task.labels.sets);
  EXPECT_EQ(labels(task.train), (Labels{3, 4, 0, 3}));
  EXPECT_EQ(classes_of(5), (std::vector<int>{0, 2}));
  EXPECT_EQ(task.reports.at("train").label_counts,
            (std::map<std::string, std::int64_t>{{"(none)", 1}, {"Billing", 2}, {"Delivery", 2}, {"Other", 1}}));
  spec.test.files = {{.path = file("none.csv", "text,label\na,\nb,\n")}};
  EXPECT_FALSE(load_rows(spec, Split::kTest, task.labels, 1).labelled()) << "no label anywhere: the rows are predicted alone";
  spec.test.files = {{.path = file("one.csv", "text,label\na,\nb,Other\n")}};
  EXPECT_TRUE(load_rows(spec, Split::kTest, task.labels, 1).labelled());
  spec.label_map = {{"Billing", "Delivery"}, {"Delivery", "Later"}};
  EXPECT_EQ(load_task(spec, found, 1).labels.names, (Texts{"Delivery", "Later", "Other"})) << "labels are mapped once";
  spec.label_map.clear();
  spec.test.files.clear();
  spec.label_separator = "|";
  spec.train[0].path = file("bars.csv", "text,label\na,x|y\nb,z\n");
  EXPECT_EQ(labels(load_task(spec, found, 1).train), (Labels{3, 4}));
  spec.train[0].path = file("wrong.csv", "text,label\na,x|w\n");
  expect_error(ErrorTag::kData, {"wrong.csv:2", "\"x\", \"y\"", "x|w"}, [&] { train(spec, sets_of(TaskLabels::named({"x", "y"}))); });
  spec.train[0].path = file("lists.jsonl", "{\"text\": \"a\", \"label\": [\"x\", \"y\"]}\n{\"text\": \"b\", \"label\": []}\n");
  EXPECT_EQ(labels(load_task(spec, found, 1).train), (Labels{3, 0}));
}

TEST_F(Dataset, SetsOfLabelsInColumns) {
  DataSpec spec = single("text,late,broken\na,1,no\nb,0,False\nc,true,Yes\n");
  spec.label = "";
  spec.label_columns = {"broken", "late"};
  const TaskRows task = load_task(spec, sets_of(TaskLabels::from_train()), 1);
  EXPECT_EQ(task.labels.names, spec.label_columns);
  EXPECT_EQ(labels(task.train), (Labels{2, 0, 3}));
  // An order of the labels' own keeps each column's name.
  EXPECT_EQ(labels(train(spec, sets_of(TaskLabels::named({"late", "broken"})))), (Labels{1, 0, 3}));
  const auto test_rows = [&](const char* name, const char* text) {
    spec.test.files = {{.path = file(name, text)}};
    return load_rows(spec, Split::kTest, task.labels, 1);
  };
  EXPECT_FALSE(test_rows("none.csv", "text,late,broken\na,,\nb,,\n").labelled());
  EXPECT_FALSE(test_rows("words.csv", "text,late,broken\na,NA,-1\nb,-1,NA\n").labelled());
  EXPECT_TRUE(test_rows("some.csv", "text,late,broken\na,,\nb,1,\n").labelled());
  spec.train[0].path = file("wrong.csv", "text,late,broken\na,2,0\n");
  expect_error(ErrorTag::kData, {"wrong.csv:2", "late", "0 or 1", "2"}, [&] { train(spec, task.labels); });
  std::vector<std::string> many;
  for (int k = 0; k < 54; ++k) many.push_back(fmt::format("l{}", k));
  expect_error(ErrorTag::kUsage, {"53 labels", "54"}, [&] { train(spec, sets_of(TaskLabels::named(many))); });
}

TEST(SplitLabels, ReadsListsAsJsonPythonAndNumpyWriteThem) {
  const std::vector<std::string> ab = {"a", "b's"};
  for (const char* cell : {R"(["a", "b's"])", R"(['a', "b's"])", R"(['a' "b's"])", R"(('a', 'b\'s'))", R"({'a', "b's"})", "a;b's"})
    EXPECT_EQ(split_labels(cell, ";"), ab) << cell;
  EXPECT_EQ(split_labels("[1 2]", ";"), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(split_labels("[]", ";"), std::vector<std::string>());
  for (const char* whole : {"[sic]", "(see below)", "['a", "[a, b]"}) EXPECT_EQ(split_labels(whole, ";"), std::vector<std::string>{whole});
}

TEST(ClassesAmong, IdsThatADoubleCannotHoldStayApart) {
  const TaskLabels labels = classes_among(std::vector<std::string>{"9007199254740993", "9007199254740992", "3", "3.0"});
  EXPECT_EQ(labels.names, (std::vector<std::string>{"3", "9007199254740992", "9007199254740993"}));
}

TEST(GuessSets, SeparatorsAreThoseWhosePartsRecombine) {
  using Column = std::vector<std::string>;
  EXPECT_EQ(guess_label_separator(Column{"Billing", "Delivery", "Billing;Delivery", "Other"}), ";");
  EXPECT_EQ(guess_label_separator(Column{"a|b", "b|c", "a|c"}), "|");
  EXPECT_EQ(guess_label_separator(Column{"drama, comedy", "comedy", "drama, horror", "horror"}), ",");
  EXPECT_EQ(guess_label_separator(Column{"[\"a\"]", "[]"}), ";");
  EXPECT_EQ(guess_label_separator(Column{"['a', 'b']", "('b',)", "{'c'}"}), ";");
  EXPECT_EQ(guess_label_separator(Column{"[sic]", "(so)"}), std::nullopt);
  EXPECT_EQ(guess_label_separator(Column{"bad", "mid, or so", "good"}), std::nullopt);
  EXPECT_EQ(guess_label_separator(Column{"Toys, games", "Books, music", "Home"}), std::nullopt);
  EXPECT_EQ(guess_label_separator(Column{"0", "1", "2"}), std::nullopt);
  EXPECT_EQ(guess_label_separator(Column{}), std::nullopt);
}

TEST_F(Dataset, ExcludedTextsLeaveTrainOnly) {
  DataSpec spec = single("text,label\nCan't stop .,0\nkeep me,1\nodd one,1\n");
  const std::string dev = file("dev.tsv", "id\tsentence\tlabel\n1\tcan 't STOP\t1\n");
  spec.dev.files = {{.path = file("dev.csv", "text,label\nCan't stop .,0\n")}};
  spec.exclude = {{.path = dev}, {.path = file("more.csv", "a,b\nx y,Odd one!\n"), .text = "b"}};
  EXPECT_EQ(texts(train(spec)), (Texts{"keep me"}));
  EXPECT_EQ(report_.removed, 2);
  EXPECT_EQ(load_rows(spec, Split::kDev, TaskLabels::classes(3), 7).rows.size(), 1u);
  spec.exclude.push_back({.path = file("unclear.csv", "p,q\nx y,z w\n")});
  expect_error(ErrorTag::kData, {"unclear.csv", "expected a column"}, [&] { train(spec); });
}

TEST_F(Dataset, ExcludedPairsAreRemovedByEitherTextOrByBoth) {
  DataSpec spec = single("a,b,label\none,two,0\nthree,four,1\nfive,six,1\nsix,seven,0\n");
  spec.text = "a";
  spec.text_pair = "b";
  spec.exclude = {{.path = file("dev.csv", "a,b\nTWO,x\ny,three\nfour,z\n")}};
  EXPECT_EQ(texts(train(spec)), (Texts{"five", "six"}));
  spec.exclude_pairs = "both";
  EXPECT_EQ(texts(train(spec)), (Texts{"one", "five", "six"}));
  EXPECT_EQ(report_.removed, 1);
  spec.exclude_pairs = "all";
  expect_error(ErrorTag::kUsage, {"exclude_pairs", "either or both", "\"all\""}, [&] { train(spec); });
}

// The task reads plain Latin-1 lines; the exclude files have every other format.
TEST_F(Dataset, ExcludeFilesKeepTheirOwnFormat) {
  DataSpec spec;
  spec.train = {{.path = file("a.pos", "caf\xE9 , open late\nthe soup was cold .\na fine evening\n"), .label = "1"},
                {.path = file("a.neg", "never again !\nit's late , and dark\nwe left early\nsecond text here\n"), .label = "0"}};
  spec.encoding = "latin-1";
  spec.exclude = {
      {.path = file("course.csv", "\tid\tsentence\tsentiment\n0\tq1\tCafé, open late\t3\n1\tq2\t\"It's late, and \"\"dark\"\"\"\t2\n")},
      {.path = file("rows.jsonl", "{\"text\":\"Never again!\"}\n{\"other\":1}\n")},
      {.path = file("parts.txt", "n\ts\tt\tpart\r\n1\tthe soup was cold\tSecond text here.\tTEST\r\n2\ta fine evening\tx\tTRAIN\r\n"),
       .where = {{"part", "TEST"}},
       .text = "s",
       .text_pair = "t"},
      {.path = file("plain.txt", "we left early\na fine evening\n"), .limit = 1, .first = true}};
  EXPECT_EQ(texts(train(spec, TaskLabels::classes(2))), (Texts{"a fine evening"}));
  EXPECT_EQ(report_.removed, 6);
  std::vector<std::array<std::int64_t, 2>> counts;
  for (const ExcludeReport& source : report_.excluded) counts.push_back({source.texts, source.removed});
  EXPECT_EQ(counts, (decltype(counts){{2, 2}, {1, 1}, {2, 2}, {1, 1}}));
  EXPECT_EQ(Json(report_)["excluded"][2], (Json{{"file", spec.exclude[2].path}, {"texts", 2}, {"removed", 2}}));
}

TEST_F(Dataset, ColumnNumbersAreNotLookedUpInExcludeFiles) {
  DataSpec spec = single("7,first one\n8,second one\n");
  spec.text = "1";
  spec.label.clear();
  spec.train[0].label = "0";
  spec.exclude = {{.path = file("dev.csv", "text,second\nfirst one,second one\n")}};
  EXPECT_EQ(texts(train(spec)), (Texts{"second one"}));
}

TEST_F(Dataset, JsonLinesWithMissingKeys) {
  const DataSpec spec = single("{\"text\":\"a\",\"label\":true}\n{\"label\":1}\n", "train.jsonl");
  expect_error(ErrorTag::kData, {"train.jsonl:2: column \"text\": expected a text, got none"},
               [&] { train(spec, TaskLabels::named({"1", "true"})); });
}

TEST_F(Dataset, AMissingFileSaysWhereItsPathStarted) {
  DataSpec spec = single("id,text,label\n1,fine,0\n");
  spec.train[0].path = spec.train[0].path + ".gone";
  spec.train[0].folder = std::filesystem::path(spec.train[0].path).parent_path();
  expect_error(ErrorTag::kData, {"train.csv.gone", "--set data.root=FOLDER"}, [&] { train(spec); });
}

TEST_F(Dataset, NumbersWithoutALabelHaveNoRange) {
  DataSpec spec = single("id,text\n1,fine\n");
  spec.test.files = spec.train;
  spec.label = "label";
  SplitReport report;
  load_rows(spec, Split::kTest, TaskLabels::range(), 1, &report);
  EXPECT_FALSE(Json(report).contains("label_mean"));
}

struct BadSpec {
  const char* title;
  std::function<void(DataSpec&)> spoil;
  ErrorTag tag;
  std::vector<const char*> parts;
};

TEST_F(Dataset, BadInputs) {
  const std::string path = file("train.csv", "id,text,label\n1,fine,0\n2,good,1\n");
  const auto content = [&](std::string text) { return [this, text](DataSpec& spec) { spec.train[0].path = file("bad.csv", text); }; };
  const std::vector<BadSpec> table = {
      {"missing file", [](DataSpec& s) { s.train[0].path += ".gone"; }, ErrorTag::kData, {"train.csv.gone"}},
      {"empty file", content(""), ErrorTag::kData, {"bad.csv", "empty file"}},
      {"header only", content("id,text,label\n"), ErrorTag::kData, {"bad.csv", "expected usable rows, got none (0 read"}},
      {"nothing left", [](DataSpec& s) { s.train[0].where = {{"id", "9"}}; }, ErrorTag::kData, {"got none (2 read, 0 skipped, 2 filtered"}},
      {"text column",
       [](DataSpec& s) { s.text = "texts"; },
       ErrorTag::kData,
       {"train.csv", "text: expected a column \"texts\"", "\"id\", \"text\", \"label\"", "did you mean \"text\"?"}},
      {"label column",
       [](DataSpec& s) { s.label = "lable"; },
       ErrorTag::kData,
       {"label: expected a column \"lable\"", "did you mean \"label\"?"}},
      {"id column", [](DataSpec& s) { s.id = "key"; }, ErrorTag::kData, {"id: expected a column \"key\""}},
      {"pair column", [](DataSpec& s) { s.text_pair = "b"; }, ErrorTag::kData, {"text_pair: expected a column \"b\""}},
      {"where column", [](DataSpec& s) { s.train[0].where = {{"part", "x"}}; }, ErrorTag::kData, {"where: expected a column \"part\""}},
      {"column number", [](DataSpec& s) { s.text = "3"; }, ErrorTag::kData, {"text: expected a column \"3\""}},
      {"label",
       content("id,text,label\n1,a,0\n2,b,7\n"),
       ErrorTag::kData,
       {"bad.csv:3: column \"label\": expected 0..1, got \"7\"", "on_bad_row = \"skip\""}},
      {"fraction of a class", content("text,label\na,0.5\n"), ErrorTag::kData, {"bad.csv:2", "got \"0.5\""}},
      {"negative class", content("text,label\na,-1\nb,0\n"), ErrorTag::kData, {"bad.csv:2", "got \"-1\""}},
      {"missing label", content("text,label\na,\n"), ErrorTag::kData, {"bad.csv:2: column \"label\": expected 0..1, got nothing"}},
      {"fields", content("text,label\na,1,2\n"), ErrorTag::kData, {"bad.csv:2: expected 2 fields, got 3"}},
      {"line after a field of several lines", content("text,label\n\"a\n\nb\",1\nc,9\n"), ErrorTag::kData, {"bad.csv:5"}},
      {"lines without a label",
       [this](DataSpec& s) { s.train[0].path = file("a.txt", "one\n"); },
       ErrorTag::kData,
       {"a.txt", "expected a label", "label = "}},
      {"label of the file",
       [](DataSpec& s) { s.train[0].label = "5"; },
       ErrorTag::kData,
       {"train.csv:2: label of the file: expected 0..1, got \"5\""}},
      {"no file", [](DataSpec& s) { s.train.clear(); }, ErrorTag::kUsage, {"train", "at least one file"}},
      {"on_bad_row", [](DataSpec& s) { s.on_bad_row = "ignore"; }, ErrorTag::kUsage, {"on_bad_row", "error or skip"}},
      {"preprocess", [](DataSpec& s) { s.preprocess = "lower"; }, ErrorTag::kUsage, {"preprocess", "none or cs224n"}},
      {"label_map", [](DataSpec& s) { s.label_map = {{"a", "2"}}; }, ErrorTag::kUsage, {"label_map.a", "expected 0..1, got \"2\""}},
      {"fraction", [](DataSpec& s) { s.dev.fraction = 1.5; }, ErrorTag::kUsage, {"dev", "between 0 and 1", "1.5"}},
      {"small fraction", [](DataSpec& s) { s.dev.fraction = 0.1; }, ErrorTag::kData, {"dev", "0 of 2 usable rows"}},
  };
  for (const BadSpec& bad : table) {
    SCOPED_TRACE(bad.title);
    DataSpec spec;
    spec.train = {{.path = path}};
    spec.text = "text";
    spec.label = "label";
    bad.spoil(spec);
    for (const char* part : bad.parts) expect_error(bad.tag, {part}, [&] { train(spec, TaskLabels::classes(2)); });
  }
  DataSpec spec = single("text,label\na,1\n");
  spec.label_range = {5, 5};
  expect_error(ErrorTag::kUsage, {"label_range", "[low, high]"}, [&] { train(spec, TaskLabels::range()); });
}

TEST_F(Dataset, SaysWhyClassesMayBeWrong) {
  const auto warning = [&](const std::string& rows) { return guess_labels(single("text,label\n" + rows)).warning; };
  EXPECT_NE(warning("a,Neg\nb,neg\nc,pos\n").find("\"Neg\" and \"neg\" differ in case only"), std::string::npos);
  EXPECT_EQ(warning("a,neg\nb,pos\nc,pos\n"), "");
  std::string many;
  for (int i = 0; i < 200; ++i) many += fmt::format("text {},tag{};tag{}\n", i, i % 60, (7 * i + 1) % 60);
  const LabelGuess classes = guess_labels(single("text,label\n" + many));
  EXPECT_FALSE(classes.labels.sets);
  EXPECT_NE(classes.warning.find("several of 60 labels, of which multi_label takes 53"), std::string::npos) << classes.warning;
}

TEST_F(Dataset, DigestsTellRowsApart) {
  const Rows rows = train(single("text,label\na,1\nb,0\n"), TaskLabels::classes(2));
  EXPECT_EQ(rows_digest(rows), rows_digest(train(single("label,text\n1,a\n0,b\n"), TaskLabels::classes(2))));
  for (const char* other : {"text,label\na,1\nb,1\n", "text,label\nb,0\na,1\n", "text,label\na,1\nbb,0\n", "text,label\na,1\n"})
    EXPECT_NE(rows_digest(rows), rows_digest(train(single(other), TaskLabels::classes(2)))) << other;
}

TEST_F(Dataset, GuessesColumnsAndLabels) {
  const DataSpec spec = guess_spec(file("q.csv", "pair_ID,question1,question2,is_duplicate\n1,a b,c d,1.0\n2,e f,g h,0.0\n")).spec;
  EXPECT_EQ(spec.text, "question1");
  EXPECT_EQ(spec.text_pair, "question2");
  EXPECT_EQ(spec.label, "is_duplicate");
  EXPECT_EQ(spec.id, "pair_ID");
  EXPECT_EQ(guess_labels(spec).labels, TaskLabels::classes(2));
  EXPECT_EQ(guess_spec(file("one.csv", "utterances\nx y\nz w\n")).spec.text, "");
  const std::string none = file("none.csv", "p,q\nx,z w\n");
  expect_error(ErrorTag::kData, {"expected a column \"text\"", "\"p\", \"q\"", "--text q"}, [&] { guess_spec(none); });
  EXPECT_EQ(guess_spec(none, {}, true).spec.text, "q");

  DataSpec numbered;
  numbered.text = "1";
  const SpecGuess bare = guess_spec(file("bare.csv", "4,a fine film\n1,so so\n"), numbered);
  EXPECT_FALSE(bare.dialect.header);
  EXPECT_EQ(bare.spec.text, "1");
  EXPECT_EQ(guess_spec(file("named.csv", "stars,review\n4,a fine film\n1,so so\n"), numbered).spec.text, "review")
      << "in a file with other columns before it, the number would be another column's";
}

/// The labels that are guessed for a column of these cells, a row each.
LabelGuess guessed(const DataSpec& spec, LabelKind kind = LabelKind::kAny) { return guess_labels(spec, kind); }

std::string column_of(const std::vector<std::string>& cells) {
  std::string content = "text\tlabel\n";
  for (std::size_t i = 0; i < cells.size(); ++i) content += fmt::format("text {}\t{}\n", i, cells[i]);
  return content;
}

/// Whole numbers low, low + step ..., each in `rows` rows.
std::vector<std::string> whole_numbers(int low, int step, int count, int rows) {
  std::vector<std::string> cells;
  for (int i = 0; i < count * rows; ++i) cells.push_back(std::to_string(low + step * (i % count)));
  return cells;
}

TEST_F(Dataset, CellsThatListLabelsAreSets) {
  DataSpec spec = single(column_of({"a;b", "a", "b", "c"}), "g.tsv");
  const LabelGuess guess = guessed(spec);
  EXPECT_TRUE(guess.labels.sets);
  EXPECT_EQ(guess.labels.names, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(guess.separator, ";");
  EXPECT_FALSE(guessed(spec, LabelKind::kClasses).labels.sets) << "--type says so";
  EXPECT_TRUE(guessed(single(column_of({"a", "b"}), "g.tsv"), LabelKind::kSets).labels.sets);
  spec.text_pair = "label";
  EXPECT_FALSE(guessed(spec).labels.sets) << "pairs have one label";
}

TEST_F(Dataset, WholeNumbersAreClassesUnlessTheyAreAScale) {
  const auto labels_for = [&](const std::vector<std::string>& cells) { return guessed(single(column_of(cells), "g.tsv")).labels; };
  EXPECT_EQ(labels_for({"good", "bad", "good"}), TaskLabels::named({"bad", "good"}));
  EXPECT_EQ(labels_for({"1", "2", "3"}), TaskLabels::named({"1", "2", "3"}));
  EXPECT_EQ(labels_for(whole_numbers(0, 1, 77, 3)), TaskLabels::classes(77));
  EXPECT_EQ(labels_for(whole_numbers(1, 1, 30, 1)).count, 30) << "numbered from 1";
  EXPECT_EQ(labels_for(whole_numbers(1000, 7, 40, 12)).count, 40) << "keys of a catalogue, with many rows each";
  EXPECT_EQ(labels_for(whole_numbers(0, 10, 11, 1)).count, 11) << "few";
  EXPECT_EQ(labels_for({"0.0", "2.75", "5.0"}), TaskLabels::range());
  EXPECT_EQ(labels_for({"-1.5", "2", "3"}), TaskLabels::range());
  EXPECT_EQ(labels_for(whole_numbers(18, 1, 60, 2)), TaskLabels::range()) << "ages";
  EXPECT_EQ(labels_for(whole_numbers(1200, 37, 50, 1)), TaskLabels::range()) << "prices";
  const DataSpec spec = single(column_of(whole_numbers(0, 1, 25, 2)), "g.tsv");
  EXPECT_EQ(guessed(spec).basis, "25 different whole numbers, 0 to 24");
  EXPECT_EQ(guessed(spec, LabelKind::kNumbers).labels, TaskLabels::range());
  EXPECT_EQ(guessed(single(column_of({"0.5", "1.5"}), "g.tsv"), LabelKind::kClasses).labels, TaskLabels::named({"0.5", "1.5"}));
}

TEST_F(Dataset, AColumnOfNumbersHoldsNothingElse) {
  const auto refused = [&](const std::vector<std::string>& cells, std::initializer_list<std::string_view> parts) {
    SCOPED_TRACE(cells.back());
    expect_error(ErrorTag::kData, parts, [&] { guessed(single(column_of(cells), "g.tsv")); });
  };
  refused({"3,50", "4,20", "12,00"}, {"g.tsv:2: column \"label\": expected a number", "got \"3,50\""});
  refused({"950", "1,250", "830"}, {"g.tsv:3", "as 3 of 3 labels look like", "\"1,250\""});
  for (const char* other : {"?", "unknown", "4 or 5", "\u22123,5", "\u20AC 5", "12 %", "1 234", "inf", "NONE"})
    refused({"3", "4", other}, {"g.tsv:4"});
  expect_error(ErrorTag::kData, {"g.tsv:2", "expected a number, got \"good\""},
               [&] { guessed(single(column_of({"good", "1", "2"}), "g.tsv"), LabelKind::kNumbers); });
  EXPECT_EQ(guessed(single(column_of({"1", "one", "two", "three"}), "g.tsv")).labels.count, 4) << "mostly words";
  EXPECT_EQ(guessed(single(column_of({"18-24", "25-34", "65+"}), "g.tsv")).labels.count, 3);
  EXPECT_EQ(guessed(single(column_of({"3,5", "3,5", "4"}), "g.tsv"), LabelKind::kClasses).labels.count, 2);
}

TEST_F(Dataset, LabelsThatTeachNothingNameTheFile) {
  const auto refused = [&](std::string_view content, std::initializer_list<std::string_view> parts) {
    SCOPED_TRACE(content);
    expect_error(ErrorTag::kData, parts, [&] { guessed(single(content, "g.csv")); });
    expect_error(ErrorTag::kData, parts, [&] { resolve_labels(single(content, "g.csv"), TaskLabels::from_train()); });
  };
  refused("text,label\n", {"g.csv: expected rows, got a header alone"});
  refused("text,label\na,1\nb,1.0\n", {"g.csv: expected at least two different labels", "\"1\" in each of 2 rows"});
  refused("text,label\na,b,1\nc,d,0\n", {"g.csv:2: expected 2 fields, got 3"});
  refused("text,label\na,NA\nb,\n", {"g.csv: expected rows with a label, got none"});
  refused("text,label\na,-1\nb,-1\n", {"g.csv", "\"-1\" in each"});
  EXPECT_NE(
      guessed(single(column_of({"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u"}),
                     "g.tsv"))
          .warning.find("one row only"),
      std::string::npos);
}

TEST_F(Dataset, WordsForMissingValuesAreNoClass) {
  const std::string_view content = "text,label\na,0\nb,None\nc,1\nd,n/a\n";
  for (const TaskLabels& found : {guessed(single(content)).labels, resolve_labels(single(content), TaskLabels::from_train())})
    EXPECT_EQ(found, TaskLabels::classes(2));
  expect_error(ErrorTag::kData, {"train.csv:3: column \"label\": expected 0..1, got \"None\", which stands for a missing value"},
               [&] { train(single(content), TaskLabels::classes(2)); });
  DataSpec spec = single(content);
  spec.on_bad_row = "skip";
  EXPECT_EQ(labels(train(spec, TaskLabels::classes(2))), (Labels{0, 1}));
  EXPECT_EQ(bad_rows_text(report_), "2 of 4 rows are skipped");
  spec = single("text,label\na,NA\nb,None\nc,yes\n");
  EXPECT_EQ(labels(train(spec, TaskLabels::named({"NA", "None", "yes"}))), (Labels{0, 1, 2})) << "a config may name such a class";
  spec.label_map = {{"NA", "no"}, {"None", "no"}};
  EXPECT_EQ(resolve_labels(spec, TaskLabels::from_train()), TaskLabels::named({"no", "yes"}));
  spec = single("text,label\na,0\n");
  spec.test.files = {{.path = file("test.csv", "text,label\na,nan\nb,<NA>\n")}};
  EXPECT_EQ(load_rows(spec, Split::kTest, TaskLabels::classes(2), 7, &report_).rows.size(), 2u);
  EXPECT_EQ(report_.label_counts.at("(none)"), 2);
}

TEST_F(Dataset, MinusOneThroughoutMeansNoLabel) {
  DataSpec spec = single("text,label\na,0\nb,1\n");
  const auto test_rows = [&](std::string_view content, const TaskLabels& labels) {
    spec.test.files = {{.path = file("test.csv", content)}};
    return load_rows(spec, Split::kTest, labels, 7);
  };
  const std::string_view placeholders = "text,label\na,-1\nb,\nc,-1.0\n", mixed = "text,label\na,1\nb,-1\n";
  EXPECT_FALSE(test_rows(placeholders, TaskLabels::classes(2)).rows[0].labelled());
  EXPECT_FALSE(test_rows(placeholders, TaskLabels::named({"no", "yes"})).rows[0].labelled());
  EXPECT_EQ(test_rows("text,label\na,-1\nb,-1\n", TaskLabels::named({"-1", "0", "1"})).rows[1].label, 0) << "a class of that name";
  expect_error(ErrorTag::kData, {"test.csv:3", "expected 0..1, got \"-1\""}, [&] { test_rows(mixed, TaskLabels::classes(2)); });
  EXPECT_FALSE(test_rows(placeholders, TaskLabels::range()).rows[0].labelled()) << "outside label_range";
  spec.label_range = {-1, 1};
  EXPECT_EQ(test_rows("text,label\na,-1\nb,-1\n", TaskLabels::range()).rows[0].label, -1);
  spec.label_range = kAnyNumber;
  EXPECT_FALSE(test_rows(placeholders, TaskLabels::range()).rows[0].labelled());
  EXPECT_EQ(test_rows(mixed, TaskLabels::range()).rows[1].label, -1);
  spec = single(placeholders);
  expect_error(ErrorTag::kData, {"train.csv: column \"label\": expected labels", "-1 stands for none"},
               [&] { train(spec, TaskLabels::classes(2)); });
}

TEST_F(Dataset, TheLabelColumnHasOneDefaultForAllSplits) {
  DataSpec spec = single("text,label\na,0\nb,1\n");
  spec.label.clear();
  spec.test.files = {{.path = file("test.csv", "label,text\n1,a\n0,b\n")}};
  EXPECT_EQ(labels(train(spec)), (Labels{0, 1}));
  EXPECT_EQ(labels(load_rows(spec, Split::kTest, TaskLabels::classes(2), 7)), (Labels{1, 0}));
}

TEST_F(Dataset, AnyNumberMayBeALabel) {
  DataSpec spec = single("text,label\na,-1e9\nb,3.5\n");
  spec.label_range = kAnyNumber;
  EXPECT_EQ(labels(train(spec, TaskLabels::range())), (Labels{-1e9, 3.5}));
  EXPECT_EQ(only_label(report_), "");
  spec.train[0].path = file("bad.csv", "text,label\na,1\nb,\"3,5\"\n");
  expect_error(ErrorTag::kData, {"bad.csv:3: column \"label\": expected a number, got \"3,5\""}, [&] { train(spec, TaskLabels::range()); });
}

TEST_F(Dataset, TheOnlyLabelOfAllRowsIsNamed) {
  train(single("text,label\na,3.5\nb,3.5\n"), TaskLabels::range());
  EXPECT_EQ(only_label(report_), "3.5");
  train(single("text,label\na,1\nb,1\n"), TaskLabels::named({"0", "1"}));
  EXPECT_EQ(only_label(report_), "1");
  train(single("text,label\na,1\nb,0\n"), TaskLabels::named({"0", "1"}));
  EXPECT_EQ(only_label(report_), "");
}

}  // namespace
}  // namespace minbert
