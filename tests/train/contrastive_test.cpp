// Laws of contrastive stages, of losses that compare rows, and of layers that stay or start anew.
#include <algorithm>
#include <cmath>

#include "minbert/base/safetensors.h"
#include "minbert/train/setup.h"
#include "tests/base/error_matchers.h"
#include "tests/train/thread_comm.h"
#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

class ContrastiveTest : public TinyRunTest {
 protected:
  ContrastiveTest() {
    write_file(folder / "near-train.csv",
               "a,b,number\nwarm river,cold river,4.5\nslow paper,paper lamp,4\ngreen stone,stone walks,5\nunder bread,bread sings,4.2\n"
               "warm lamp,green bread,3.9\nslow river,under stone,0\ncold walks,walks,4.9\n");
  }

  /// kBase with its stage as a contrastive stage; `settings` are keys of stage.contrastive, `keys` more of the stage, `before` and `after`
  /// an overlay without that stage.
  RunConfig contrastive(std::string_view settings, std::string_view keys = {}, std::string_view before = {},
                        std::string_view after = {}) const {
    return config(
        fmt::format("{}\n[[stage]]\nkind = \"contrastive\"\nlr = 5e-3\n{}\ncontrastive = {{ {} }}\n{}", before, keys, settings, after));
  }
  std::string encoder(std::string_view name) const { return bytes(name, "best/model.safetensors"); }
  std::vector<double> losses() const {
    std::vector<double> out;
    for (const StepEvent& event : events.steps) out.push_back(event.loss);
    return out;
  }
  ContrastiveTexts read(const RunConfig& run) {
    TrainEvents silent;
    Comm alone;
    return prepare_run(*backend, run, silent, alone).contrastive.at(0).at(0);
  }
};

TEST_F(ContrastiveTest, LearnsWhatBelongsTogether) {
  for (const char* texts : {"mood", "same", "near"}) {
    train(contrastive(fmt::format("texts = [\"{}.train\"]", texts), "epochs = 20", kNoDropout), texts);
    const std::vector<double> steps = losses();
    const auto mean = [](auto begin, auto end) { return std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin); };
    EXPECT_LT(mean(steps.end() - 3, steps.end()), 0.9 * mean(steps.begin(), steps.begin() + 3)) << texts;
    EXPECT_TRUE(events.evals.empty()) << "nothing is scored";
  }
}

TEST_F(ContrastiveTest, OfPairsThePositiveOnesAreRead) {
  write_file(folder / "same-train.csv", "a,b,binary\nwarm,river,1\ncold,stone,0\ngreen,walks,1\nsings,slow,0\npaper,lamp,1\n");
  const ContrastiveTexts same = read(contrastive("texts = [\"same.train\"]"));
  EXPECT_EQ(same.rows.per_row, 2);
  EXPECT_EQ(same.rows.labels, (std::vector<double>{1, 1, 1}));
  EXPECT_EQ(read(contrastive("texts = [\"same.train\"], positive = \"0\"")).rows.labels, (std::vector<double>{0, 0}));
  const ContrastiveTexts near = read(contrastive("texts = [\"near.train\"]"));
  EXPECT_EQ(near.rows.labels, (std::vector<double>{4.5, 4, 5, 4.2, 4.9})) << "of 0..5 the top fifth begins at 4";
  EXPECT_EQ(near.groups.size(), 5u);
  write_file(folder / "near-train.csv", "a,b,number\nwarm,river,4.5\ncold,stone,4.1\ngreen,walks,5\nsings,slow,1\n");
  write_file(folder / "near-dev.csv", "a,b,number\npaper,lamp,3\nbread,under,1\n");
  const std::string_view from_one = "[[task]]\n[[task]]\n[[task]]\ndata = { label_range = [1, 5] }\n";
  EXPECT_EQ(read(contrastive("texts = [\"near.train\"]", {}, from_one)).rows.labels, (std::vector<double>{4.5, 5}))
      << "of 1..5 it begins at 4.2";
}

TEST_F(ContrastiveTest, RowsThatShareATextAreOneGroup) {
  write_file(folder / "same-train.csv", "a,b,binary\nx one,y,1\ny,z three,1\nz three,w,1\nunder,lamp,1\nbread,paper,0\n");
  const ContrastiveTexts same = read(contrastive("texts = [\"same.train\"]"));
  ASSERT_EQ(same.groups.size(), 4u);
  EXPECT_EQ(same.groups[0], same.groups[1]);
  EXPECT_EQ(same.groups[0], same.groups[2]);
  EXPECT_NE(same.groups[0], same.groups[3]);
  write_file(folder / "lines.txt", "one\ntwo\none\n");
  const ContrastiveTexts lines = read(contrastive("texts = [\"lines.txt\"]"));
  EXPECT_EQ(lines.name, "lines.txt");
  EXPECT_EQ(lines.rows.per_row, 1);
  EXPECT_EQ(lines.groups[0], lines.groups[2]);
  EXPECT_NE(lines.groups[0], lines.groups[1]);
}

TEST_F(ContrastiveTest, WithoutLabelsEachTextStandsAlone) {
  EXPECT_EQ(read(contrastive("texts = [\"same.train\"], labels = false")).rows.rows(), 26);
  const ContrastiveTexts mood = read(contrastive("texts = [\"mood.train\"]"));
  EXPECT_EQ(std::ranges::max(mood.groups), 2);
  EXPECT_GT(std::ranges::max(read(contrastive("texts = [\"mood.train\"], labels = false")).groups), 2);
  // Two passes with other masks: with dropout off all texts of a batch are as near to themselves as can be.
  train(contrastive("texts = [\"mood.train\"], labels = false"), "on");
  const double with_dropout = losses().front();
  train(contrastive("texts = [\"mood.train\"], labels = false", {}, kNoDropout), "off");
  EXPECT_GT(with_dropout, losses().front());
}

TEST_F(ContrastiveTest, TheWholeWidthIsTheDefault) {
  train(contrastive("texts = [\"same.train\"]"), "default");
  train(contrastive("texts = [\"same.train\"], widths = [16]"), "named");
  train(contrastive("texts = [\"same.train\"], widths = [4]"), "short-too");
  EXPECT_EQ(encoder("default"), encoder("named"));
  EXPECT_NE(encoder("default"), encoder("short-too"));
}

TEST_F(ContrastiveTest, TrainsTheEncoderAloneAndAStageAfterItStartsThere) {
  const std::string then_heads = R"(
[[stage]]
kind = "heads"
tasks = ["mood"]
epochs = 1
)";
  train(contrastive("texts = [\"mood.train\"]", {}, {}, then_heads), "both");
  EXPECT_EQ(events.warnings, std::vector<std::string>{"stage 0 trains mean vectors, task mood reads pool = \"cls\""});
  EXPECT_FALSE(std::filesystem::exists(run_path("both") / "best/mlm.safetensors"));
  EXPECT_EQ(events.evals.back().stage, "1");
  const std::string after_first = bytes("both", "checkpoints/stage-0/best/model.safetensors");
  EXPECT_EQ(encoder("both"), after_first);
}

TEST_F(ContrastiveTest, ADryRunTellsOfItsTexts) {
  const Json plan = plan_training(*backend, contrastive("texts = [\"same.train\"]"));
  const Json& stage = plan.at("stages").at(0);
  EXPECT_EQ(stage.at("texts").at("same.train").at("pairs"), true);
  EXPECT_GT(stage.at("seconds").at("steps").get<double>(), 0);
}

TEST_F(ContrastiveTest, BlankLinesAreLeftOut) {
  write_file(folder / "lines.txt", "one\n\n  \ntwo\n");
  EXPECT_EQ(read(contrastive("texts = [\"lines.txt\"]")).rows.rows(), 2);
}

TEST_F(ContrastiveTest, ResumesToTheSameBytes) {
  const RunConfig run = contrastive("texts = [\"same.train\", \"mood.train\"], widths = [8]");
  train(run, "whole");
  int asked = 0;
  EXPECT_TRUE(train(run, "parts", {}, [&] { return ++asked == 7; }).stopped);
  EXPECT_FALSE(train(run, "parts", kResume).stopped);
  EXPECT_EQ(encoder("whole"), encoder("parts"));
}

TEST_F(ContrastiveTest, WhatDoesNotFitIsRefused) {
  const auto refused = [&](std::initializer_list<std::string_view> parts, const std::string& settings, const std::string& keys = {},
                           const std::string& before = {}) {
    expect_error(ErrorTag::kUsage, parts, [&] { read(contrastive(settings, keys, before)); });
  };
  refused({"contrastive.texts", "expected texts"}, "temperature = 0.1");
  refused({"contrastive.texts", "only train splits"}, "texts = [\"mood.dev\"]");
  refused({"contrastive.texts", "twice"}, "texts = [\"mood.train\", \"mood.train\"]");
  refused({"contrastive.widths", "at most 16", "17"}, "texts = [\"mood.train\"], widths = [17]");
  refused({"contrastive.positive", "one of 0, 1", "got \"2\""}, "texts = [\"same.train\"], positive = \"2\"");
  for (const char* texts : {"texts = [\"near.train\"]", "texts = [\"mood.train\"]", "texts = [\"same.train\"], labels = false"})
    refused({"contrastive.positive", "no classes of pairs"}, fmt::format("{}, positive = \"1\"", texts));
  refused({"contrastive.widths", "twice"}, "texts = [\"mood.train\"], widths = [4, 4]");
  refused({"early_stop_patience"}, "texts = [\"mood.train\"]", "early_stop_patience = 1");
  refused({"head_lr"}, "texts = [\"mood.train\"]", "head_lr = 1.0");
  refused({"batch", "at least 2"}, "texts = [\"mood.train\"]", "batch = 1");
  refused({"freeze_layers", "at most 1"}, "texts = [\"mood.train\"]", "freeze_layers = 2");
  refused({"trains no tasks"}, "texts = [\"mood.train\"]", "tasks = [\"mood\"]");
  expect_error(ErrorTag::kUsage, {"is for stages of kind \"contrastive\""},
               [&] { config("[[stage]]\ncontrastive = { texts = [\"mood.train\"] }\n"); });
  refused({"contrastive.texts", "expected classes", "regress"}, "texts = [\"near.train\"]", {},
          "[[task]]\n[[task]]\n[[task]]\ntype = \"regress\"\n[task.data]\ntext_pair = \"\"\n");
  write_file(folder / "same-train.csv", "a,b,binary\nx,y,1\ny,z,1\nunder,lamp,0\n");
  expect_error(ErrorTag::kData, {"same.train", "do not all belong together", "2 positive pairs"},
               [&] { read(contrastive("texts = [\"same.train\"]")); });
}

// ---- losses of numbers that compare rows ----

constexpr std::string_view kCosine =
    "[[task]]\n[[task]]\n[[task]]\npool = \"mean\"\nhead = { kind = \"cosine\", dropout = 0.0 }\nloss = \"cosent\"\n";

TEST_F(ContrastiveTest, ComparingLossesAreForCosinesOfOneProcess) {
  train(config(kCosine), "cosent");
  EXPECT_EQ(events.evals.size(), 3u);
  expect_error(ErrorTag::kUsage, {"task.near.loss", "cosine"}, [&] { config("[[task]]\n[[task]]\n[[task]]\nloss = \"pearson\"\n"); });
  expect_error(ErrorTag::kUsage, {"stage.0.batch", "at least 2, got 1"}, [&] { config(std::string(kCosine) + "[[stage]]\nbatch = 1\n"); });
  expect_error(ErrorTag::kUsage, {"task.mood.loss", "pearson is for numbers"}, [&] { config("[[task]]\nloss = \"pearson\"\n"); });
  expect_error(ErrorTag::kUsage, {"task.near.loss", "one process", "2 ranks"}, [&] {
    for_ranks(2, {}, [&](Comm& comm) {
      TrainEvents silent;
      prepare_run(*backend, config(kCosine), silent, comm);
    });
  });
}

// ---- ordinal labels ----

TEST_F(ContrastiveTest, OrdinalTargetsFallWithDistance) {
  TaskSpec task;
  task.labels = TaskLabels::classes(4);
  task.ordinal = 0.5;
  TokenizedRows rows;
  rows.labels = {1};
  BatchTargets targets;
  targets.fill(task, rows, std::vector<std::uint32_t>{0});
  const auto shares = targets.targets().values;
  ASSERT_EQ(shares.size(), 4u);
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-6);
  for (const auto& [k, distance] : {std::pair(0u, 1.0), {2u, 1.0}, {3u, 2.0}})
    EXPECT_NEAR(shares[k] / shares[1], std::exp(-0.5 * distance), 1e-6) << k;
  expect_error(ErrorTag::kUsage, {"task.near.ordinal", "has none"}, [&] { config("[[task]]\n[[task]]\n[[task]]\nordinal = 1\n"); });
  write_file(folder / "same-train.csv", "a,b,binary\nx,y,1\nunder,lamp,0\n");
  const RunConfig two = config("[[task]]\n[[task]]\nlabels = \"auto\"\nordinal = 1\n");
  expect_error(ErrorTag::kUsage, {"task same", "ordinal", "has two"}, [&] { train(two, "two"); });
  expect_error(ErrorTag::kUsage, {"task.mood.ordinal"}, [&] { config("[[task]]\nordinal = 1\nlabel_smoothing = 0.1\n"); });
}

// ---- layers that stay, and layers that start anew ----

class LayersTest : public ContrastiveTest {
 protected:
  static bool is_below(const std::string& name, int layers) {
    if (name.starts_with("embeddings.")) return true;
    for (int layer = 0; layer < layers; ++layer)
      if (name.starts_with(fmt::format("encoder.layer.{}.", layer))) return true;
    return false;
  }
  /// Expects that of the encoder's tensors of two runs those for which same(name) holds are equal, and the matrices among the others not.
  void expect_same(std::string_view a, std::string_view b, const std::function<bool(const std::string&)>& same) {
    const SafetensorsFile first(run_path(a) / "best/model.safetensors"), second(run_path(b) / "best/model.safetensors");
    for (const SafetensorsEntry& entry : first.entries()) {
      if (entry.name.starts_with("pooler.")) continue;
      const bool equal = std::ranges::equal(entry.bytes, second.find(entry.name)->bytes);
      if (same(entry.name) || entry.shape.size() == 2) {
        EXPECT_EQ(equal, same(entry.name)) << entry.name;
      }
    }
  }
};

TEST_F(LayersTest, FrozenLayersStay) {
  train(config("[[stage]]\nepochs = 0\n"), "start");
  for (const int frozen : {1, 2}) {
    const std::string name = fmt::format("frozen-{}", frozen);
    train(config(fmt::format("[[stage]]\nfreeze_layers = {}\nweight_decay = 0.1\nlr = 1e-2\n", frozen)), name);
    expect_same("start", name, [&](const std::string& tensor) { return is_below(tensor, frozen); });
  }
  expect_error(ErrorTag::kUsage, {"freeze_layers", "at most 2"}, [&] { train(config("[[stage]]\nfreeze_layers = 3\n"), "three"); });
  expect_error(ErrorTag::kUsage, {"stage.0.freeze_layers", "heads"}, [&] { config("[[stage]]\nkind = \"heads\"\nfreeze_layers = 1\n"); });
}

TEST_F(LayersTest, NewLayersAreTheHighest) {
  const std::string pooled = "[[task]]\npool = \"pooler\"\n";
  train(config(pooled + "[[stage]]\nepochs = 1\n"), "first");
  const auto from_there = [&](int layers) {
    ConfigTree tree;
    tree.load_text(kBase, "base.toml", folder.path());
    tree.load_text(
        fmt::format("[run]\nseed = 9\n[model]\ninit = \"runs/first\"\nreinit_layers = {}\n{}[[stage]]\nepochs = 0\n", layers, pooled),
        "overlay.toml", folder.path());
    return load_run_config(tree);
  };
  train(from_there(0), "kept");
  train(from_there(1), "one-new");
  expect_same("first", "kept", [](const std::string&) { return true; });
  expect_same("first", "one-new", [](const std::string& tensor) { return is_below(tensor, 1); });
  const auto pooler = [&](std::string_view run) {
    const SafetensorsFile file(run_path(run) / "best/model.safetensors");
    const auto weight = file.find("pooler.dense.weight")->bytes;
    return std::vector(weight.begin(), weight.end());
  };
  EXPECT_EQ(pooler("kept"), pooler("first"));
  EXPECT_NE(pooler("one-new"), pooler("first"));
  expect_error(ErrorTag::kUsage, {"model.reinit_layers", "at most 2"}, [&] { train(from_there(3), "three"); });
  RunConfig frozen_and_new = from_there(1);
  frozen_and_new.stages[0].freeze_layers = 2;
  expect_error(ErrorTag::kUsage, {"freeze_layers", "at most 1", "start anew"}, [&] { train(frozen_and_new, "both"); });
  expect_error(ErrorTag::kUsage, {"model.reinit_layers", "scratch"}, [&] { config("[model]\nreinit_layers = 1\n"); });
}

}  // namespace
}  // namespace minbert
