// Study files: the configs of their rows, mistakes, and the changes that fingerprints notice.
#include "minbert/study/study_file.h"

#include "minbert/study/fingerprint.h"
#include "tests/base/error_matchers.h"
#include "tests/study/tiny_study.h"

namespace minbert {
namespace {

class StudyFileTest : public TinyStudyTest {
 protected:
  StudyFile file(std::string_view text) const {
    write("s.toml", text);
    return load_study_file(folder.path() / "s.toml");
  }
  void expect_refused(std::string_view text, std::initializer_list<std::string_view> parts) const {
    expect_error(ErrorTag::kUsage, parts, [&] { file(text); });
  }
};

TEST_F(StudyFileTest, LaterPartsOfARowWin) {
  const auto lr = [](double value) { return fmt::format("[[stage]]\nlr = {}\n", value); };
  write("recipe.toml", lr(0.01));
  write("overlay.toml", lr(0.02));
  write("flag.toml", lr(0.03));
  const auto rate = [&](const std::string& row, const ConfigOverrides& overrides = {}) {
    const StudyFile study = file("[study]\nbase = \"base.toml\"\n[[row]]\nname = \"r\"\n" + row);
    const RunConfig config = load_run_config(row_config(study, study.rows[0], overrides, nullptr));
    EXPECT_EQ(config.run.name, "r");
    return config.stages[0].lr;
  };
  const std::string recipe = "recipe = [\"base.toml\", \"recipe.toml\"]\n", overlay = "overlay = [\"overlay.toml\"]\n",
                    set = "set = [\"stage.0.lr=0.04\"]\n";
  const std::string flag = (folder.path() / "flag.toml").string();
  EXPECT_EQ(rate(""), 1e-3);
  EXPECT_EQ(rate(recipe), 0.01);
  EXPECT_EQ(rate(recipe + overlay), 0.02);
  EXPECT_EQ(rate(recipe + overlay, {.overlays = {flag}}), 0.03);
  EXPECT_EQ(rate(recipe + overlay + set, {.overlays = {flag}}), 0.04);
  EXPECT_EQ(rate(recipe + overlay + set, {.overlays = {flag}, .sets = {"stage.0.lr=0.05"}}), 0.05);
}

TEST_F(StudyFileTest, PathsStartAtTheFileThatNamesThem) {
  make_directories(folder.path() / "below");
  write("below/s.toml", "[study]\nbase = \"../base.toml\"\n[[row]]\nname = \"r\"\nset = [\"task.mood.data.dev=own.csv\"]\n");
  const StudyFile study = load_study_file(folder.path() / "below/s.toml");
  const ConfigTree tree = row_config(study, study.rows[0], {}, nullptr);
  const RunConfig config = load_run_config(tree);
  EXPECT_EQ(config.tasks[0].data.dev.files[0].path, (folder.path() / "below/own.csv").string());
  EXPECT_EQ(config.tasks[0].data.train[0].path, (folder.path() / "mood-train.csv").string());
  EXPECT_NE(tree.place("task.mood.data.dev").find("s.toml row r"), std::string::npos) << tree.place("task.mood.data.dev");
}

TEST_F(StudyFileTest, RefusesWhatHasNoMeaning) {
  expect_refused("[study]\nbase = \"base.toml\"\n", {"s.toml", "expected at least one [[row]]"});
  expect_refused("[[row]]\nname = \"r\"\n", {"s.toml:1", "row.r.recipe", "[study] has no base"});
  expect_refused("[study]\nbase = \"base.toml\"\n[[row]]\ntitle = \"T\"\n", {"s.toml:3", "row.0.name"});
  expect_refused("[study]\nbase = \"base.toml\"\n[[row]]\nname = \"a/b\"\n", {"s.toml:4", "got \"a/b\""});
  expect_refused("[study]\nbase = \"base.toml\"\n[[row]]\nname = \"a\"\n[[row]]\nname = \"a\"\n", {"s.toml:5", "the name \"a\" is taken"});
  expect_refused("[study]\nbase = \"base.toml\"\n[[row]]\nname = \"a\"\noverlays = \"b.toml\"\n", {"s.toml:5", "overlays", "overlay"});
  write("s.toml", "[study]\nbase = \"base.toml\"\n[[row]]\nname = \"mtft\"\nseeds = [1, 1]\n");
  write("p.toml", "[study]\nbase = \"base.toml\"\n[[row]]\nname = \"r\"\npublished = { mean = 0.5, moood = 0.5 }\n");
  expect_error(ErrorTag::kUsage, {"p.toml", "row.r.published", "moood"}, [&] { load("p"); });
  const auto load_with = [&](const StudyOptions& options) { return [&] { load("s", options); }; };
  expect_error(ErrorTag::kUsage, {"row mtft", "seeds", "1, 1"}, load_with({}));
  expect_error(ErrorTag::kUsage, {"--rows", "mtfd"}, load_with({.rows = {"mtfd"}}));
}

TEST_F(StudyFileTest, KeysOfStagesTakeNoteOfWhatChangesWeights) {
  constexpr std::string_view kStages = "[[stage]]\nname = \"0\"\ntasks = [\"mood\", \"same\"]\n[[stage]]\nname = \"b\"\nkind = \"heads\"\n";
  FileHashes hashes;
  const auto print = [&](const std::string& more) {
    write("more.toml", more);
    const StudyFile study = file(fmt::format("[study]\nbase = [\"base.toml\", \"stages.toml\", \"more.toml\"]\n[[row]]\nname = \"r\"\n"));
    return fingerprint_of(load_run_config(row_config(study, study.rows[0], {}, nullptr)), "cpu", hashes);
  };
  write("stages.toml", kStages);
  const Fingerprint first = print("");
  ASSERT_EQ(first.stages.size(), 2u);
  const auto shared = [&](const std::string& more) { return shared_stages(first, print(more)); };
  EXPECT_EQ(shared(""), 2u);
  for (const char* same : {"log_every = 7\n", "checkpoint_every = 3\n", "eval_train = 5\n"})
    EXPECT_EQ(shared(fmt::format("[[stage]]\nname = \"0\"\n{}", same)), 2u) << same;
  for (const char* second : {"[[stage]]\nname = \"b\"\nlr = 0.5\n", "[[task]]\nname = \"near\"\nhead = { dense = [\"4H\"] }\n"})
    EXPECT_EQ(shared(second), 1u) << second;
  for (const char* differs : {"[[stage]]\nname = \"0\"\nlr = 0.5\n", "[[task]]\nname = \"mood\"\nhead = { dense = [\"4H\"] }\n",
                              "[run]\nseed = 4\n", "[model]\nmax_length = 20\n", "[[task]]\nname = \"mood\"\nbatch = 3\n"})
    EXPECT_EQ(shared(differs), 0u) << differs;
  EXPECT_EQ(shared("[run]\nname = \"else\"\n"), 2u);

  write_file(folder.path() / "near-train.csv", read_file(folder.path() / "near-train.csv") + "warm,cold,0,0,0\n");
  EXPECT_EQ(shared(""), 0u) << "the vocabulary comes from all tasks";
}

/// A run's stages with epochs and learning rates, and the dense layers of SST's head: "mlm 10 1e-05, finetune 10 1e-05, dense H".
std::string in_brief(const RunConfig& config) {
  std::string line;
  for (const StageSpec& stage : config.stages) line += fmt::format("{} {} {:g}, ", option_name(stage.kind), stage.epochs, stage.lr);
  line += "dense";
  for (const TaskSpec& task : config.tasks)
    if (task.name == "sst")
      for (const DenseWidth& width : task.head.dense) line += " " + width.text();
  return line;
}

TEST(PaperStudy, RowsAreTheModelsOfThePaper) {
  const StudyFile study = load_study_file(MINBERT_SOURCE_DIR "/recipes/paper/study.toml");
  const ConfigOverrides overrides = {.sets = {"model.init=some-bert", "data.root=some-data"}};
  std::map<std::string, RunConfig> rows;
  for (const StudyRow& row : study.rows) rows[row.name] = load_run_config(row_config(study, row, overrides, nullptr));

  // The eight models of Table 3: their stages (10 epochs; learning rate 1e-5, or 1e-3 for heads alone) and dense layers.
  EXPECT_EQ(in_brief(rows.at("stft")), "heads 10 0.001, dense");
  EXPECT_EQ(in_brief(rows.at("mtft")), "finetune 10 1e-05, dense");
  EXPECT_EQ(in_brief(rows.at("mtft-d")), "finetune 10 1e-05, dense H");
  EXPECT_EQ(in_brief(rows.at("mtft-dd")), "finetune 10 1e-05, dense 4H 4H");
  EXPECT_EQ(in_brief(rows.at("fp1-mtft-d")), "mlm 10 1e-05, finetune 10 1e-05, dense H");
  EXPECT_EQ(in_brief(rows.at("fp2-mtft-d")), "mlm 10 1e-05, finetune 10 1e-05, dense H");
  EXPECT_EQ(in_brief(rows.at("mtft-d-stft")), "finetune 10 1e-05, heads 10 0.001, dense H");
  EXPECT_EQ(in_brief(rows.at("mtft-dd-stft")), "finetune 10 1e-05, heads 10 0.001, dense 4H 4H");
  std::size_t published = 0;
  for (const StudyRow& row : study.rows) published += row.published.empty() ? 0 : 1;
  EXPECT_EQ(published, 8u);

  const auto texts = [&](const std::string& row) {
    std::string names;
    for (const PathOption& text : rows.at(row).stages.front().mlm.value().texts) names += text.text + " ";
    return names;
  };
  EXPECT_EQ(texts("fp1-mtft-d"), "rt.train paws.train sick.train ");
  EXPECT_EQ(texts("fp2-mtft-d"), "rt.train paws.train sick.train sst.train para.train sts.train ");
  EXPECT_EQ(texts("fp-downstream-mtft-d"), "sst.train para.train sts.train ");
  EXPECT_EQ(texts("fp-sst-mtft-d"), "sst.train ");
  for (const auto& [name, config] : rows) {
    EXPECT_EQ(config.heads(), (std::vector<std::string>{"para", "sst", "sts"})) << name;
    for (const StageSpec& stage : config.stages)
      EXPECT_EQ(stage.select, stage.kind == StageKind::kHeads ? Selection::kPerTask : Selection::kMean) << name;
  }

  // The added rows differ from one of the eight in what their name says.
  EXPECT_EQ(rows.at("mtft-shuffled").stages[0].sampler, Sampler::kShuffled);
  EXPECT_EQ(rows.at("mtft-d-shuffled").stages[0].sampler, Sampler::kShuffled);
  EXPECT_EQ(in_brief(rows.at("mtft-dd-narrow")), "finetune 3 1e-05, dense H H");
  EXPECT_EQ(in_brief(rows.at("fp1-stft")), "mlm 10 1e-05, heads 10 0.001, dense");
  EXPECT_EQ(rows.at("mtft-d-accumulate").stages[0].accumulate, 4);
  EXPECT_EQ(in_brief(rows.at("mtft-d-literal")), "finetune 3 0.001, dense H");
  EXPECT_EQ(rows.at("mtft-d-literal").model.hidden_dropout, 0.3f);
  EXPECT_FALSE(rows.at("stft-dropout").stages[0].cache_features);
  const auto excluded = [&](const std::string& row) { return rows.at(row).tasks.front().data.exclude.size(); };
  EXPECT_EQ(excluded("fp1-mtft-d"), 0u);
  EXPECT_EQ(excluded("fp1-deduplicated-mtft-d"), 2u);
}

TEST(AblationStudy, RowsOfATaskDifferFromItsFirstInOneThing) {
  const StudyFile study = load_study_file(MINBERT_SOURCE_DIR "/recipes/ablations/study.toml");
  EXPECT_EQ(study.study.seeds.size(), 3u);
  const ConfigOverrides overrides = {.sets = {"model.init=some-bert", "data.root=some-data"}};
  std::map<std::string, std::string> bases;  // the text of each task's first row
  for (const StudyRow& row : study.rows) {
    const ConfigTree tree = row_config(study, row, overrides, nullptr);
    const RunConfig config = load_run_config(tree);
    ASSERT_EQ(config.tasks.size(), 1u) << row.name;
    EXPECT_EQ(config.tasks[0].data.train[0].limit, 1000) << row.name;
    EXPECT_EQ(config.stages[0].epochs, 3) << row.name;
    EXPECT_TRUE(row.name.starts_with(config.tasks[0].name)) << row.name;
    std::string text = tree.print_resolved(write_options(config));
    text.erase(text.find("[run]"), text.find("[model]") - text.find("[run]"));
    const auto [first, is_first] = bases.emplace(config.tasks[0].name, text);
    EXPECT_EQ(is_first, row.set.empty()) << row.name;
    EXPECT_EQ(is_first, row.name == config.tasks[0].name) << row.name;
    EXPECT_EQ(is_first, first->second == text) << row.name;
  }
  EXPECT_EQ(bases.size(), 3u);
}

TEST(PaperStudy, TheControlIsAnEncoderThatOnlyReadTheTrainTexts) {
  const ConfigOverrides overrides = {.sets = {"model.init=control", "data.root=some-data"}};
  const StudyFile study = load_study_file(MINBERT_SOURCE_DIR "/recipes/paper/control-study.toml");
  std::map<std::string, std::string> rows;
  for (const StudyRow& row : study.rows) {
    EXPECT_EQ(row.seeds.size(), 2u);
    rows[row.name] = in_brief(load_run_config(row_config(study, row, overrides, nullptr)));
  }
  EXPECT_EQ(rows, (std::map<std::string, std::string>{{"stft", "heads 6 0.001, dense"},
                                                      {"mtft", "finetune 6 5e-05, dense"},
                                                      {"mtft-d", "finetune 6 5e-05, dense H"},
                                                      {"mtft-d-stft", "finetune 6 5e-05, heads 6 0.001, dense H"}}));

  ConfigTree tree;
  tree.load(MINBERT_SOURCE_DIR "/recipes/paper/control-encoder.toml");
  tree.set("data.root=some-data");
  const RunConfig encoder = load_run_config(tree);
  EXPECT_TRUE(encoder.model.from_scratch());
  EXPECT_EQ(encoder.heads(), std::vector<std::string>());
  ASSERT_EQ(encoder.stages.size(), 1u);
  EXPECT_EQ(encoder.stages[0].epochs, 10);
  EXPECT_EQ(encoder.stages[0].max_minutes, 0);  // the weights do not depend on the clock
  EXPECT_EQ(encoder.stages[0].mlm.value().texts.size(), 7u);
  for (const TaskSpec& task : encoder.tasks) EXPECT_EQ(task.data.exclude.size(), task.name == "rt" ? 2u : 0u) << task.name;
}

}  // namespace
}  // namespace minbert
