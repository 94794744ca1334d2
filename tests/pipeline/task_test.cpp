// Tasks: what follows from a spec, its TOML and JSON forms, refused combinations.
#include "minbert/pipeline/task.h"

#include "minbert/base/config_tree.h"
#include "tests/base/error_matchers.h"
#include "tests/pipeline/text_fixture.h"

namespace minbert {
namespace {

TaskSpec read(const std::string& text) {
  ConfigTree tree;
  tree.load_text(text, "task.toml", "/data");
  return read_options<TaskSpec>(tree.node());
}

TEST(Task, ReadsEveryKindOfValue) {
  const TaskSpec task = read(R"(
name = "para"
type = "pair_classify"
labels = ["no", "yes"]
pool = "mean"
metric = "f1"
head = { dense = ["4H", "H", 100], dropout = 0.1 }
[data]
train = ["a.csv", { path = "b.csv", label = "yes", where = { part = "TRAIN" }, limit = 5 }]
dev = 0.25
)");
  EXPECT_EQ(task.labels, TaskLabels::named({"no", "yes"}));
  EXPECT_EQ(task.scored_by(), Metric::kF1);
  EXPECT_EQ(task.head_shape(6).dense, (std::vector<std::int64_t>{24, 6, 100}));
  EXPECT_EQ(task.head_shape(6).features, Features::kPair);
  EXPECT_EQ(task.head_shape(6).outputs, 1);
  ASSERT_EQ(task.data.train.size(), 2u);
  EXPECT_EQ(task.data.train[1].where.at("part"), "TRAIN");
  EXPECT_EQ(task.data.dev.fraction, 0.25);

  DataSpec data = task.data;
  data.make_absolute({});
  EXPECT_EQ(data.train[0].path, "/data/a.csv");
  data = task.data;
  data.make_absolute("/elsewhere");
  EXPECT_EQ(data.train[1].path, "/elsewhere/b.csv");
}

TEST(Task, WrittenTomlReadsBack) {
  const TaskSpec task = read("name = 'x'\nhead = { dense = ['4H'] }\n[data]\ntrain = ['a', { path = 'b', limit = 3 }]\ndev = 'c'\n");
  const TaskSpec again = read(print_toml(write_options(task), false));
  EXPECT_EQ(print_toml(write_options(again), false), print_toml(write_options(task), false));
  EXPECT_EQ(again.head.dense, task.head.dense);
  EXPECT_EQ(again.data.train[1].limit, 3);
}

TEST(Task, LossesAndFeaturesFollowFromTypeAndLabels) {
  const auto tasks = three_tasks();
  EXPECT_EQ(tasks[0].trained_by(), Loss::kCrossEntropy);
  EXPECT_EQ(tasks[0].outputs(), 3);
  EXPECT_EQ(tasks[1].trained_by(), Loss::kBce);
  EXPECT_EQ(tasks[1].outputs(), 1);
  EXPECT_EQ(tasks[2].trained_by(), Loss::kMse);
  EXPECT_EQ(tasks[2].head_shape(6).features, Features::kSingle);
  TaskSpec bi = tasks[2];
  bi.encode = PairEncoding::kSeparate;
  EXPECT_EQ(bi.head_shape(6).features, Features::kPairDifference);
  bi.head.kind = HeadKind::kCosine;
  EXPECT_EQ(bi.head_shape(6).features, Features::kCosine);
  EXPECT_EQ(bi.head_shape(6).outputs, 0);
  TaskSpec classes = tasks[1];
  classes.encode = PairEncoding::kSeparate;
  EXPECT_EQ(classes.head_shape(6).features, Features::kPair);
  classes.head.features = PairFeatures::kComparison;
  EXPECT_EQ(classes.head_shape(6).features, Features::kPairComparison);
  EXPECT_EQ(parse_task({task_json(classes), "minbert.json", ErrorTag::kModel}).head.features, PairFeatures::kComparison);
  EXPECT_FALSE(task_json(tasks[1])["head"].contains("features"));
  TaskSpec softmax = tasks[1];
  softmax.loss = LossName::kCrossEntropy;
  EXPECT_EQ(softmax.outputs(), 2);
}

TEST(Task, MultiLabelHasASigmoidForEachLabel) {
  TaskSpec task = read("name = 'x'\ntype = 'multi_label'\nlabels = ['a', 'b', 'c']\n");
  task.labels.sets = true;
  EXPECT_EQ(task.trained_by(), Loss::kBce);
  EXPECT_EQ(task.outputs(), 3);
  EXPECT_EQ(task.scored_by(), Metric::kMicroF1);
  EXPECT_EQ(task.label_text(5), "[\"a\",\"c\"]");
  task.thresholds = {0.5, 0.25, 0.75};
  task.temperature = 1.5;
  task.data.label_columns = {"a", "b", "c"};
  task.data.label_separator = "|";
  const TaskSpec again = parse_task({task_json(task), "minbert.json", ErrorTag::kModel});
  EXPECT_EQ(task_json(again), task_json(task));
  EXPECT_EQ(again.thresholds, task.thresholds);
  EXPECT_EQ(again.data.label_separator, "|");
  EXPECT_TRUE(again.labels.sets);
  Json json = task_json(task);
  json["thresholds"] = {0.5};
  expect_error(ErrorTag::kModel, {"thresholds", "each label"}, [&] { parse_task({json, "minbert.json", ErrorTag::kModel}); });
}

TEST(Task, ClassWeightsFollowFromTrain) {
  TaskSpec task = read("name = 'x'\nlabels = ['a', 'b', 'c']\nclass_weights = 'balanced'\nlabel_smoothing = 0.1\n");
  std::vector<Row> rows;
  for (const double label : {0, 0, 0, 1}) rows.push_back(make_row("", "", label));
  task.resolve_class_weights(rows);
  EXPECT_EQ(task.class_factors, (std::vector<double>{4.0 / 6, 2, 1}));  // as sklearn's; "c" does not occur
  task = read("name = 'x'\nlabels = ['a', 'b']\nclass_weights = { b = 2.5 }\n");
  task.resolve_class_weights(rows);
  EXPECT_EQ(task.class_factors, (std::vector<double>{1, 2.5}));
  EXPECT_EQ(print_toml(write_options(read(print_toml(write_options(task), false))), false), print_toml(write_options(task), false));
  task.class_weights.by_label = {{"bb", 2}};
  expect_error(ErrorTag::kUsage, {"task.x.class_weights", "bb", "did you mean"}, [&] { task.resolve_class_weights(rows); });
  expect_error(ErrorTag::kUsage, {"class_weights", "above 0"}, [] { read("class_weights = { a = 0 }\n"); });
  expect_error(ErrorTag::kUsage, {"class_weights", "balanced"}, [] { read("class_weights = 'equal'\n"); });
}

TEST(Task, OnlyJointPairsAreSymmetric) {
  auto tasks = three_tasks();
  for (TaskSpec& task : tasks) task.symmetric = true;
  EXPECT_TRUE(parse_task({task_json(tasks[2]), "minbert.json", ErrorTag::kModel}).symmetric);
  for (const std::size_t other : {0, 1})
    expect_error(ErrorTag::kModel, {"symmetric", tasks[other].name},
                 [&] { parse_task({task_json(tasks[other]), "minbert.json", ErrorTag::kModel}); });
}

TEST(Task, JsonReadsBack) {
  for (TaskSpec task : three_tasks()) {
    task.head = {.dense = {{.fixed = 0, .multiple = 4}, {.fixed = 7, .multiple = 1}}, .dropout = 0.3f, .kind = HeadKind::kDense};
    task.data.label_range = {1, 4};
    task.data.id = "key";
    task.data.label_map = {{"NEG", "0"}};
    task.data.label_from = {1, 5};
    const Json json = task_json(task);
    const TaskSpec again = parse_task({json, "minbert.json", ErrorTag::kModel});
    EXPECT_EQ(again.data.label_map, task.data.label_map);
    EXPECT_EQ(again.data.label_from, task.data.label_from);
    EXPECT_EQ(task_json(again), json);
    EXPECT_EQ(json["head"]["dropout"].dump(), "0.3");
  }
}

TEST(Task, AnyNumberIsNullInJson) {
  TaskSpec task = three_tasks()[2];
  task.data.label_range = kAnyNumber;
  const Json json = task_json(task);
  EXPECT_TRUE(json["label_range"].is_null());
  EXPECT_EQ(parse_task({json, "minbert.json", ErrorTag::kModel}).data.label_range, kAnyNumber);
}

TEST(Task, BrokenJsonIsAModelError) {
  const Json good = task_json(three_tasks()[2]);
  const auto broken = [&](const char* key, const Json& value) {
    Json json = good;
    json[key] = value;
    expect_error(ErrorTag::kModel, {"minbert.json", key}, [&] { parse_task({json, "minbert.json", ErrorTag::kModel}); });
    json.erase(key);
    expect_error(ErrorTag::kModel, {"minbert.json", key}, [&] { parse_task({json, "minbert.json", ErrorTag::kModel}); });
  };
  for (const char* key : {"name", "type", "encode", "pool", "loss", "metric"}) broken(key, 3);
  broken("label_range", {1});
  for (const char* key : {"label_map", "label_from"}) {
    Json json = good;
    json[key] = 3;
    expect_error(ErrorTag::kModel, {"minbert.json", key}, [&] { parse_task({json, "minbert.json", ErrorTag::kModel}); });
  }
  expect_error(ErrorTag::kModel, {"one of", "cls"}, [&] {
    Json json = good;
    json["pool"] = "max";
    parse_task({json, "minbert.json", ErrorTag::kModel});
  });
}

TEST(Task, RefusesCombinationsWithoutMeaning) {
  const auto refuse = [](std::string_view key, const std::string& message) { throw Error(ErrorTag::kUsage, std::string(key), message); };
  const auto refused = [&](std::string_view key, TaskSpec task) { expect_error(ErrorTag::kUsage, {key}, [&] { task.validate(refuse); }); };
  const auto tasks = three_tasks();
  for (const TaskSpec& task : tasks) EXPECT_NO_THROW(task.validate(refuse));
  TaskSpec task = tasks[0];
  task.name = "a b";
  refused("name", task);
  task = tasks[0];
  task.encode = PairEncoding::kJoint;
  refused("encode", task);
  task = tasks[0];
  task.head.kind = HeadKind::kCosine;
  refused("head.kind", task);
  task = tasks[0];
  task.loss = LossName::kBce;
  refused("loss", task);
  task = tasks[0];
  task.metric = Metric::kF1;
  refused("metric", task);
  task = tasks[2];
  task.metric = Metric::kAccuracy;
  refused("metric", task);
  task = tasks[2];
  task.loss = LossName::kCrossEntropy;
  refused("loss", task);
  task = tasks[2];
  task.data.label_range = {5, 0};
  refused("label_range", task);
  task.data.label_range = {0, kAnyNumber[1]};
  refused("label_range", task);
  task.data.label_range = kAnyNumber;
  EXPECT_NO_THROW(task.validate(refuse));
  task.data.label_from = {1, 5};
  refused("label_from", task);
  task.data.label_from = {0, 0};
  task.loss = LossName::kBce;
  refused("loss", task);
  task = tasks[0];
  task.labels = TaskLabels::named({"bad", "good", "bad"});
  refused("labels", task);
}

TEST(Task, BadTomlNamesTheKey) {
  const auto refused = [](const std::string& text, std::initializer_list<std::string_view> parts) {
    expect_error(ErrorTag::kUsage, parts, [&] { read(text); });
  };
  refused("labels = 1", {"task.toml:1", "labels", "at least 2"});
  refused("pool = 'cl'", {"task.toml:1", "cls"});
  refused("head = { dense = ['HH'] }", {"dense", "4H"});
  refused("[data]\ndev = 1.5", {"task.toml:2", "fraction"});
  refused("[data]\ntrain = [{ pth = 'x' }]", {"pth", "path"});
}

}  // namespace
}  // namespace minbert
