// Run configurations: defaults that are filled in, and the error for each mistake.
#include "minbert/train/config.h"

#include "tests/base/error_matchers.h"

namespace minbert {
namespace {

constexpr std::string_view kBase = R"([run]
name = "base"
[model]
init = "encoder"
[[task]]
name = "mood"
type = "classify"
labels = 3
data = { train = "mood.csv", text = "a", label = "b" }
[[task]]
name = "near"
type = "pair_regress"
data = { train = "near.csv", text = "a", text_pair = "b", label = "c" }
[[stage]]
lr = 1e-4
[[stage]]
name = "second"
kind = "heads"
tasks = ["near"]
)";

RunConfig load(std::string_view overlay = {}) {
  ConfigTree tree;
  tree.load_text(kBase, "base.toml", "/recipes");
  tree.load_text(overlay, "more.toml", "/recipes/mine");
  return load_run_config(tree);
}

TEST(RunConfig, FillsInWhatFollowsFromOtherKeys) {
  const RunConfig config = load();
  EXPECT_EQ(config.model.init.text, "/recipes/encoder");
  EXPECT_EQ(config.tasks[0].data.train[0].path, "/recipes/mood.csv");
  EXPECT_EQ(config.stages[0].name, "0");
  EXPECT_EQ(config.stages[0].tasks, (std::vector<std::string>{"mood", "near"}));
  EXPECT_FALSE(config.stages[0].head_lr.has_value());
  EXPECT_EQ(config.stages[1].tasks, std::vector<std::string>{"near"});
  EXPECT_EQ(load("data = { root = \"rows\" }\n").tasks[0].data.train[0].path, "/recipes/mine/rows/mood.csv");
}

TEST(RunConfig, ResolvedReadsBack) {
  const RunConfig config = load(
      "[[stage]]\ncheckpoint_every = 5\neval_train = \"all\"\nselect = \"last\"\n"
      "[[stage]]\nname = \"third\"\nkind = \"mlm\"\nmlm = { texts = [\"near.train\", \"a.txt\"], head = \"tied\" }\n");
  const std::string text = print_toml(write_options(config), false);
  ConfigTree tree;
  tree.load_text(text, "config.toml", "/elsewhere");
  EXPECT_EQ(print_toml(write_options(load_run_config(tree)), false), text);
}

TEST(RunConfig, ExcludeNamesSplitsOfTasks) {
  constexpr std::string_view kOverlay = R"([[task]]
name = "mood"
data = { exclude = ["near.dev", "near.txt", "mood.dev"], dev = "mood-dev.csv", encoding = "latin-1" }
[[task]]
name = "near"
data = { dev = [{ path = "all.csv", where = { part = "DEV" }, limit = 9 }] }
)";
  const auto exclude = load(kOverlay).tasks[0].data.exclude;
  ASSERT_EQ(exclude.size(), 3u);
  EXPECT_EQ(exclude[0].path, "/recipes/mine/all.csv");
  EXPECT_EQ(exclude[0].where, (std::map<std::string, std::string>{{"part", "DEV"}}));
  EXPECT_EQ(exclude[0].limit, 9);
  EXPECT_EQ(exclude[0].text + exclude[0].text_pair, "ab");
  EXPECT_EQ(exclude[0].encoding, "");
  EXPECT_EQ(exclude[1].path, "/recipes/mine/near.txt");
  EXPECT_EQ(exclude[1].text, "");
  EXPECT_EQ(exclude[2].path, "/recipes/mine/mood-dev.csv");
  EXPECT_EQ(exclude[2].encoding, "latin-1");
  const auto with_near = [](std::string_view keys) {
    return fmt::format("[[task]]\nname = \"mood\"\ndata = {{ exclude = \"near.dev\" }}\n[[task]]\nname = \"near\"\ndata = {{ {} }}\n",
                       keys);
  };
  expect_error(ErrorTag::kUsage, {"more.toml:3", "task.mood.data.exclude", "\"near.dev\" has no files"},
               [&] { load(with_near("dev = 0.1")); });
  EXPECT_EQ(load(with_near("dev = [{ path = \"d.csv\", limit = 9 }], on_bad_row = \"skip\"")).tasks[0].data.exclude[0].limit, 0)
      << "which rows the limit keeps depends on the broken ones";
  expect_error(ErrorTag::kUsage, {"\"near.dev\"", "dialect"}, [&] { load(with_near("dev = \"d.csv\", quote = \"none\"")); });
}

TEST(RunConfig, RecipesOfDataStandAlone) {
  int recipes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(MINBERT_SOURCE_DIR) / "recipes" / "data")) {
    ConfigTree tree;
    tree.load(entry.path());
    tree.set("model.init=scratch");
    tree.set("data.root=/rows");
    const RunConfig config = load_run_config(tree);
    EXPECT_EQ(config.run.name, entry.path().stem()) << entry.path();
    EXPECT_EQ(config.tasks.size(), 1u) << entry.path();
    ++recipes;
  }
  EXPECT_GE(recipes, 7);
}

TEST(RunConfig, MistakesNamePlaceKeyAndWayOut) {
  struct Mistake {
    std::string_view overlay;
    std::initializer_list<std::string_view> parts;
  };
  const Mistake mistakes[] = {
      {"[model]\nini = \"x\"\n", {"more.toml:2", "ini", "did you mean \"init\"?"}},
      {"[[task]]\nname = \"mood\"\ncalibrate = true\n", {"more.toml:3", "task.mood.calibrate", "dev rows decide"}},
      {"[study]\nname = \"x\"\n", {"more.toml:1", "study", "the config of one run", "minbert study FILE"}},
      {"[search]\nname = \"x\"\n", {"more.toml:1", "search", "the config of one run", "minbert search FILE"}},
      {"[model]\ninit = \"\"\n", {"more.toml:2", "model.init", "scratch"}},
      {"[model]\ndtype = \"f16\"\n", {"more.toml:2", "model.dtype", "f32", "bf16"}},
      {"[model]\nmax_length = 2\n", {"more.toml:2", "model.max_length", "at least 3"}},
      {"[model]\ninit = \"scratch\"\nconfig = { hidden_size = 100, num_attention_heads = 7 }\n",
       {"more.toml:3", "model.config.hidden_size", "multiple of", "(7)"}},
      {"[model]\ninit = \"scratch\"\nconfig.num_hidden_layers = 100000\n", {"more.toml:3", "model.config.num_hidden_layers", "1..1024"}},
      {"[model]\ninit = \"scratch\"\nconfig.max_position_embeddings = 100000\n",
       {"more.toml:3", "model.config.max_position_embeddings", "1..65536"}},
      {"[data]\nfold = 5\n", {"more.toml:2", "data.fold", "below data.folds, which is 0"}},
      {"[[stage]]\nbatch = 4611686018427387904\n", {"more.toml:2", "stage.0.batch", "16777216"}},
      {"[[stage]]\nkind = \"mlm\"\nearly_stop_patience = 1\nmlm = { texts = [\"a.txt\"], held_out = 0 }\n",
       {"more.toml:3", "early_stop_patience", "no epoch", "held_out"}},
      {"[run]\nname = \"a/b\"\n", {"more.toml:2", "run.name", "letters", "a/b"}},
      {"[[task]]\nname = \"mood\"\nweight = -1\n", {"more.toml:3", "weight", "at least 0"}},
      {"[[task]]\nname = \"mood\"\nlabels = 1\n", {"labels", "more.toml"}},
      {"[[task]]\nname = \"mood\"\ntype = \"pair_classify\"\n", {"task.mood.data.text_pair", "second"}},
      {"[[task]]\nname = \"near\"\nmetric = \"f1\"\n", {"more.toml:3", "task.near.metric", "f1"}},
      {"[[task]]\nname = \"mood\"\nhead = { kind = \"cosine\" }\n", {"more.toml:3", "task.mood.head.kind", "pair"}},
      {"[[task]]\nname = \"m d\"\n", {"more.toml:2", "name", "letters", "m d"}},
      {"[[task]]\nname = \"mean\"\n", {"more.toml:2", "name", "expected another name", "\"mean\""}},
      {"[[task]]\nname = \"near\"\nlabels = 3\n", {"more.toml:3", "task.near.labels", "label_range"}},
      {"[[task]]\nname = \"third\"\n", {"more.toml:1", "task.third", "train"}},
      {"[[stage]]\ntasks = [\"mood\", \"nera\"]\n", {"more.toml:2", "stage.0.tasks", "nera", "did you mean \"near\"?"}},
      {"[[stage]]\ntasks = [\"mood\", \"mood\"]\n", {"more.toml:2", "stage.0.tasks", "twice"}},
      {"[[stage]]\nkind = \"fintune\"\n", {"more.toml:2", "stage.0.kind", "did you mean \"finetune\"?"}},
      {"[[stage]]\nname = \"second\"\nfrom = \"secnd\"\n", {"more.toml:3", "stage.second.from", "no earlier stage"}},
      {"[[stage]]\nname = \"second\"\nfrom = \"second\"\n", {"more.toml:3", "stage.second.from", "no earlier stage"}},
      {"[[stage]]\n[[stage]]\nfrom = [\"0\", \"b\"]\n", {"more.toml:3", "stage.second.from", "a mean is that of earlier stages", "\"b\""}},
      {"[[stage]]\n[[stage]]\nfrom = [\"0\", \"init\"]\n",
       {"more.toml:3", "stage.second.from", "a mean is that of earlier stages", "\"init\""}},
      {"[[stage]]\n[[stage]]\nfrom = [\"0\"]\n", {"more.toml:3", "stage.second.from", "at least 2", "from = \"NAME\""}},
      {"[[stage]]\nselect = \"per_task\"\n", {"more.toml:2", "stage.0.select", "frozen", "kind = \"heads\""}},
      {"[[stage]]\nselect = \"last\"\nearly_stop_patience = 2\n", {"more.toml:3", "early_stop_patience", "last"}},
      {"[[stage]]\ncheckpoint_every = \"hour\"\n", {"more.toml:2", "stage.0.checkpoint_every", "epoch", "hour"}},
      {"[[stage]]\ncheckpoint_every = 0\n", {"more.toml:2", "stage.0.checkpoint_every", "at least 1"}},
      {"[[stage]]\neval_train = \"most\"\n", {"more.toml:2", "stage.0.eval_train", "all", "last", "most"}},
      {"[[stage]]\nmax_minutes = -1\n", {"more.toml:2", "stage.0.max_minutes", "at least 0"}},
      {"[run]\nkeep = \"none\"\n", {"more.toml:2", "run.keep", "best", "all"}},
      {"[[stage]]\nbetas = [0.9, 1.0]\n", {"more.toml:2", "stage.0.betas", "below 1"}},
      {"[[stage]]\nlr = \"fast\"\n", {"more.toml:2", "stage.0.lr", "number", "fast"}},
      {"[[stage]]\nname = \"init\"\n", {"more.toml:2", "init", "from"}},
      {"[[stage]]\naccumulate = 5000\n", {"more.toml:2", "stage.0.accumulate"}},
      {"[[stage]]\nkind = \"mlm\"\n", {"stage.0.mlm.texts", "expected texts"}},
      {"[[stage]]\n[stage.mlm]\ntexts = [\"mood.train\"]\n", {"more.toml:2", "stage.0.mlm", "finetune"}},
      {"[[stage]]\nkind = \"mlm\"\ntasks = [\"mood\"]\nmlm = { texts = [\"mood.train\"] }\n", {"more.toml:3", "stage.0.tasks"}},
      {"[[stage]]\nkind = \"mlm\"\nmlm = { texts = [\"moot.train\"] }\n", {"more.toml:3", "moot.train", "did you mean \"mood\"?"}},
      {"[[stage]]\nkind = \"mlm\"\nmlm = { texts = [\"mood.test\"] }\n", {"more.toml:3", "mood.test", "train splits", "probes"}},
      {"[[stage]]\nkind = \"mlm\"\nmlm = { texts = [\"mood.train\"], probes = [\"mood.dev\"] }\n", {"stage.0.mlm.probes", "no dev split"}},
      {"[[stage]]\nkind = \"mlm\"\nmlm = { texts = [\"a.txt\", \"b/../a.txt\"] }\n", {"stage.0.mlm.texts", "twice"}},
      {"[[stage]]\nkind = \"mlm\"\nmlm = { texts = [\"a.txt\"], probes = [\"a.txt\"] }\n", {"stage.0.mlm.probes", "twice"}},
      {"[[stage]]\nkind = \"mlm\"\nmlm = { texts = [\"a.txt\"], mask = 0 }\n", {"mask", "above 0"}},
      {"[[stage]]\nkind = \"mlm\"\nmlm = { texts = [\"a.txt\"], head = \"tide\" }\n", {"head", "did you mean \"tied\"?"}},
      {"[[stage]]\nkind = \"mlm\"\nselect = \"per_task\"\nmlm = { texts = [\"a.txt\"] }\n", {"stage.0.select", "frozen"}},
      {"[[stage]]\nkind = \"mlm\"\nmlm = { texts = [\"a.txt\"] }\n[[stage]]\nname = \"third\"\nkind = \"mlm\"\n"
       "mlm = { texts = [\"a.txt\"], head = \"tied\" }\n",
       {"stage.third", "share their head"}},
      {"[model]\ninit = \"scratch\"\n[[stage]]\nkind = \"mlm\"\nmlm = { texts = [\"a.txt\"], head = \"pretrained\" }\n",
       {"more.toml:5", "stage.0.mlm.head", "scratch"}},
      {"[[task]]\nname = \"mlm\"\n", {"more.toml:2", "a kind of training"}},
      {"[[task]]\nname = \"contrastive\"\n", {"more.toml:2", "a kind of training"}},
  };
  for (const Mistake& mistake : mistakes) {
    SCOPED_TRACE(mistake.overlay);
    expect_error(ErrorTag::kUsage, mistake.parts, [&] { load(mistake.overlay); });
  }
}

TEST(RunConfig, TasksThatNoStageTrainsAreCorpora) {
  const RunConfig config = load("[[stage]]\nkind = \"pretrain\"\nmlm = { texts = [\"mood.train\", \"near.train\", \"lines.txt\"] }\n");
  EXPECT_EQ(config.stages[0].kind, StageKind::kMlm);
  EXPECT_EQ(config.heads(), std::vector<std::string>{"near"});
  EXPECT_EQ(config.mlm_head(), MlmHeadKind::kLinear);
  EXPECT_EQ(config.stages[0].mlm->texts[0].text, "mood.train");
  EXPECT_EQ(config.stages[0].mlm->texts[2].text, "/recipes/mine/lines.txt");
  EXPECT_EQ(config.stages[0].mlm->dropout_rate(), 0.3f);
  EXPECT_EQ(load().heads(), (std::vector<std::string>{"mood", "near"}));
  EXPECT_EQ(load().mlm_head(), MlmHeadKind::kNone);
}

TEST(RunConfig, MlmStagesAloneNeedNoTasks) {
  ConfigTree tree;
  tree.load_text("[model]\ninit = \"encoder\"\n[[stage]]\nkind = \"mlm\"\n[stage.mlm]\ntexts = [\"a.txt\"]\n", "mlm.toml", "/recipes");
  EXPECT_TRUE(load_run_config(tree).tasks.empty());
  tree.load_text("[[stage]]\n[[stage]]\nname = \"tune\"\n", "more.toml", "/recipes");
  expect_error(ErrorTag::kUsage, {"task", "at least one"}, [&] { load_run_config(tree); });
}

TEST(RunConfig, NamesAreUnique) {
  ConfigTree tree;
  tree.load_text(kBase, "base.toml", "/recipes");
  tree.set("stage.0.name=second");
  expect_error(ErrorTag::kUsage, {"stage", "second", "two stages"}, [&] { load_run_config(tree); });
}

}  // namespace
}  // namespace minbert
