// Fingerprints: every key of a stage that can change a weight makes another key.
#include "minbert/study/fingerprint.h"

#include <functional>

#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

/// Collects the names of a struct's options.
struct OptionNames {
  std::vector<std::string> names;
  template <class... Rest>
  void field(std::string_view name, Rest&&...) {
    names.emplace_back(name);
  }
};

template <class Options>
std::vector<std::string> names_of() {
  OptionNames visitor;
  Options options;
  visit_options(visitor, options);
  return visitor.names;
}

template <class Options>
using Changes = std::map<std::string, std::function<void(Options&)>>;

const Changes<StageSpec>& stage_changes() {
  static const Changes<StageSpec> changes = {
      {"name", [](StageSpec& s) { s.name = "other"; }},
      {"kind", [](StageSpec& s) { s.kind = StageKind::kHeads; }},
      {"from", [](StageSpec& s) { s.from = "init"; }},
      {"tasks", [](StageSpec& s) { std::swap(s.tasks[0], s.tasks[1]); }},
      {"cache_features", [](StageSpec& s) { s.cache_features = false; }},
      {"sampler", [](StageSpec& s) { s.sampler = Sampler::kProportional; }},
      {"epochs", [](StageSpec& s) { s.epochs = 7; }},
      {"max_steps", [](StageSpec& s) { s.max_steps = 5; }},
      {"max_minutes", [](StageSpec& s) { s.max_minutes = 5; }},
      {"batch", [](StageSpec& s) { s.batch = 5; }},
      {"accumulate", [](StageSpec& s) { s.accumulate = 2; }},
      {"lr", [](StageSpec& s) { s.lr = 0.5; }},
      {"head_lr", [](StageSpec& s) { s.head_lr = 0.5; }},
      {"layer_decay", [](StageSpec& s) { s.layer_decay = 0.5; }},
      {"optimizer", [](StageSpec& s) { s.optimizer = AdamWForm::kTorch; }},
      {"schedule", [](StageSpec& s) { s.schedule = ScheduleKind::kCosine; }},
      {"warmup_ratio", [](StageSpec& s) { s.warmup_ratio = 0.5; }},
      {"warmup_steps", [](StageSpec& s) { s.warmup_steps = 3; }},
      {"weight_decay", [](StageSpec& s) { s.weight_decay = 0.5; }},
      {"decay_bias_and_norm", [](StageSpec& s) { s.decay_bias_and_norm = true; }},
      {"betas", [](StageSpec& s) { s.betas = {0.9, 0.5}; }},
      {"eps", [](StageSpec& s) { s.eps = 0.5; }},
      {"clip", [](StageSpec& s) { s.clip = 0.5; }},
      {"shuffle", [](StageSpec& s) { s.shuffle = false; }},
      {"select", [](StageSpec& s) { s.select = Selection::kLast; }},
      {"ties", [](StageSpec& s) { s.ties = Ties::kLast; }},
      {"early_stop_patience", [](StageSpec& s) { s.early_stop_patience = 3; }},
      {"log_every", [](StageSpec& s) { s.log_every = 3; }},
      {"checkpoint_every", [](StageSpec& s) { s.checkpoint_every = std::int64_t{3}; }},
      {"eval_train", [](StageSpec& s) { s.eval_train = std::int64_t{3}; }},
      {"freeze_layers", [](StageSpec& s) { s.freeze_layers = 1; }},
      {"lora", [](StageSpec& s) { s.lora.emplace(); }},
      {"contrastive", [](StageSpec& s) { s.contrastive.emplace().texts = {{.text = "near.train"}}; }},
      {"distill", [](StageSpec& s) { s.distill = DistillSection{.share = 0.25}; }},
      {"mlm", [](StageSpec& s) { s.mlm = MlmSection{.texts = {{.text = "near.train"}}}; }},
  };
  return changes;
}

const Changes<MlmSection>& mlm_changes() {
  static const Changes<MlmSection> changes = {
      {"texts", [](MlmSection& m) { m.texts.push_back({.text = "near.train"}); }},
      {"probes", [](MlmSection& m) { m.probes.push_back({.text = "mood.dev"}); }},
      {"pairs", [](MlmSection& m) { m.pairs = MlmPairs::kJoined; }},
      {"mask", [](MlmSection& m) { m.mask = 0.5; }},
      {"head", [](MlmSection& m) { m.head = MlmHeadChoice::kTied; }},
      {"dropout", [](MlmSection& m) { m.dropout = 0.5f; }},
      {"held_out", [](MlmSection& m) { m.held_out = 0.5; }},
  };
  return changes;
}

const Changes<ContrastiveSection>& contrastive_changes() {
  static const Changes<ContrastiveSection> changes = {
      {"texts", [](ContrastiveSection& c) { c.texts.push_back({.text = "near.train"}); }},
      {"labels", [](ContrastiveSection& c) { c.labels = false; }},
      {"positive", [](ContrastiveSection& c) { c.positive = "0"; }},
      {"temperature", [](ContrastiveSection& c) { c.temperature = 0.5; }},
      {"widths", [](ContrastiveSection& c) { c.widths = {8}; }},
  };
  return changes;
}

class FingerprintTest : public TinyRunTest {
 protected:
  std::string key_of(const RunConfig& run) { return fingerprint_of(run, "cpu", hashes_).stages.at(0).second; }

 private:
  FileHashes hashes_;
};

TEST_F(FingerprintTest, EveryKeyOfAStageCountsButThoseOfLogs) {
  const std::set<std::string> logs = {"log_every", "checkpoint_every", "eval_train"};
  const RunConfig run = config();
  const std::string key = key_of(run);
  EXPECT_EQ(key_of(run), key);
  for (const std::string& name : names_of<StageSpec>()) {
    ASSERT_TRUE(stage_changes().contains(name)) << "say how stage." << name << " is changed";
    RunConfig changed = run;
    stage_changes().at(name)(changed.stages[0]);
    EXPECT_EQ(key_of(changed) == key, logs.contains(name)) << name;
  }
}

TEST_F(FingerprintTest, ATeachersFilesCount) {
  train(config("[[stage]]\nepochs = 1\n"), "a");
  train(config("[run]\nseed = 3\n[[stage]]\nepochs = 1\n"), "b");
  RunConfig run = config();
  run.stages[0].kind = StageKind::kDistill;
  run.stages[0].distill = DistillSection{.teachers = {{.text = run_path("a").string()}}};
  const std::string key = key_of(run);
  run.stages[0].distill->teachers[0].text = run_path("b").string();
  EXPECT_NE(key_of(run), key);
  std::filesystem::copy(run_path("b") / "best", run_path("a") / "best",
                        std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  run.stages[0].distill->teachers[0].text = run_path("a").string();
  FileHashes fresh;
  EXPECT_NE(fingerprint_of(run, "cpu", fresh).stages.at(0).second, key);
}

TEST_F(FingerprintTest, EveryKeyOfMlmCounts) {
  RunConfig run = config();
  run.stages[0].kind = StageKind::kMlm;
  run.stages[0].tasks.clear();
  run.stages[0].mlm = MlmSection{.texts = {{.text = "same.train"}}};
  const std::string key = key_of(run);
  for (const std::string& name : names_of<MlmSection>()) {
    ASSERT_TRUE(mlm_changes().contains(name)) << "say how stage.mlm." << name << " is changed";
    RunConfig changed = run;
    mlm_changes().at(name)(*changed.stages[0].mlm);
    EXPECT_NE(key_of(changed), key) << name;
  }
}

TEST_F(FingerprintTest, EveryKeyOfContrastiveCounts) {
  RunConfig run = config();
  run.stages[0].kind = StageKind::kContrastive;
  run.stages[0].tasks.clear();
  run.stages[0].contrastive.emplace().texts = {{.text = "same.train"}};
  const std::string key = key_of(run);
  for (const std::string& name : names_of<ContrastiveSection>()) {
    ASSERT_TRUE(contrastive_changes().contains(name)) << "say how stage.contrastive." << name << " is changed";
    RunConfig changed = run;
    contrastive_changes().at(name)(*changed.stages[0].contrastive);
    EXPECT_NE(key_of(changed), key) << name;
  }
}

}  // namespace
}  // namespace minbert
