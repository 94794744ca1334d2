// Runs with masked-LM stages: what they write, that resumes and threads change no byte, and that they learn.
#include <algorithm>
#include <cmath>

#include "minbert/base/safetensors.h"
#include "minbert/data/corpus_records.h"
#include "minbert/train/objective.h"
#include "minbert/train/start.h"
#include "tests/base/error_matchers.h"
#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

class MlmRunTest : public TinyRunTest {
 protected:
  MlmRunTest() {
    std::string lines;
    constexpr std::array<std::string_view, 6> kThings = {"lamp", "river", "stone", "paper", "bread", "song"};
    for (std::size_t i = 0; i < 40; ++i) {
      const bool old = i % 2 == 0;
      lines += i % 9 == 0 ? "\n"
                          : fmt::format("the {} {} {} {}\n", old ? "old" : "new", kThings[i % 6], old ? "burns" : "shines", kThings[i / 7]);
    }
    write_file(folder / "lines.txt", lines);
  }

  /// Three stages on the tiny tasks, the middle one a pretraining stage with the keys `more`.
  RunConfig staged(std::string_view head, std::string_view more = {}) const {
    return config(fmt::format(R"(
[[stage]]
tasks = ["near", "mood"]
max_steps = 3
[[stage]]
name = "pretrain"
kind = "mlm"
epochs = 2
batch = 4
lr = 3e-3
{}
[stage.mlm]
texts = ["same.train", "near.train", "lines.txt"]
probes = ["mood.dev"]
held_out = 0.2
mask = 0.3
head = "{}"
[[stage]]
name = "heads"
kind = "heads"
tasks = ["near"]
max_steps = 2
)",
                              more, head));
  }

  /// A run without tasks.
  RunConfig alone(std::string_view overlay = {}) const {
    ConfigTree tree;
    tree.load_text(R"(
[model]
init = "scratch"
max_length = 24
config = { hidden_size = 16, num_hidden_layers = 1, num_attention_heads = 2, intermediate_size = 32, max_position_embeddings = 32 }
vocabulary = { size = 100 }
[[stage]]
name = "pretrain"
kind = "mlm"
epochs = 2
batch = 4
lr = 1e-2
eval_train = 0
[stage.mlm]
texts = ["lines.txt"]
held_out = 0.2
mask = 0.3
)",
                   "alone.toml", folder.path());
    tree.load_text(overlay, "overlay.toml", folder.path());
    return load_run_config(tree);
  }

  void expect_same(std::string_view a, std::string_view b, std::span<const std::string_view> files) const {
    for (const std::string_view file : files) EXPECT_TRUE(bytes(a, file) == bytes(b, file)) << file << " of " << a << " and " << b;
  }
};

constexpr std::string_view kStageFiles[] = {"checkpoints/stage-pretrain/best/model.safetensors",
                                            "checkpoints/stage-pretrain/best/mlm.safetensors"};
constexpr std::string_view kResults[] = {"best/model.safetensors", "best/heads.safetensors", "eval/mlm/corpora.csv",
                                         "eval/mlm/overlap.csv"};

TEST_F(MlmRunTest, LeavesAModelWithItsHeadAndWhatItRead) {
  train(alone(), "a");
  for (const char* file : {"best/model.safetensors", "best/mlm.safetensors", "best/vocab.txt", "best/minbert.json", "eval/mlm/corpora.csv",
                           "eval/mlm/overlap.csv", "checkpoints/stage-pretrain/best/mlm.safetensors"})
    EXPECT_TRUE(std::filesystem::exists(run_path("a") / file)) << file;
  EXPECT_FALSE(std::filesystem::exists(run_path("a") / "eval/dev"));
  EXPECT_EQ(read_json(run_path("a") / "status.json", ErrorTag::kData)["state"], "done");
  const Json texts = read_json(run_path("a") / "data.json", ErrorTag::kData)["mlm"]["pretrain"]["lines.txt"];
  EXPECT_EQ(texts["empty"], 5);
  EXPECT_EQ(texts["read"], texts["used"].get<int>() + 5 + texts["held_out"].get<int>() + texts["repeated"].get<int>());
  for (const StepEvent& step : events.steps) EXPECT_EQ(step.task, "mlm");
  ASSERT_EQ(events.evals.size(), 3u);
  for (const EvalEvent& eval : events.evals) {
    EXPECT_EQ(eval.split, "held_out");
    EXPECT_DOUBLE_EQ(eval.perplexity.at("lines.txt"), std::exp(eval.loss.at("lines.txt")));
  }
}

TEST_F(MlmRunTest, ResumesToTheSameBytes) {
  for (const char* head : {"linear", "tied"}) {
    SCOPED_TRACE(head);
    const RunConfig run = staged(head, "checkpoint_every = 4\neval_train = 3");
    const std::string whole = std::string(head) + "-whole";
    train(run, whole);
    const std::string metrics = without_times(bytes(whole, "metrics.jsonl"));
    const std::string name = std::string(head) + "-cut";
    int runs = 0;
    for (bool stopped = true; stopped; ++runs) {
      stopped = train(run, name, {.resume = runs > 0}, [&] { return std::ssize(events.steps) == 7; }).stopped;
      ASSERT_LT(runs, 100);
    }
    EXPECT_GT(runs, 4);
    expect_same(whole, name, kStageFiles);
    expect_same(whole, name, kResults);
    EXPECT_TRUE(metrics == without_times(bytes(name, "metrics.jsonl")));
  }
}

TEST_F(MlmRunTest, ThreadsChangeNothing) {
  for (const char* head : {"linear", "tied"}) {
    const RunConfig run = alone(fmt::format("[[stage]]\nmax_steps = 5\nselect = \"last\"\n[stage.mlm]\nhead = \"{}\"\n", head));
    set_num_threads(1);
    train(run, fmt::format("{}-one", head));
    set_num_threads(2);
    train(run, fmt::format("{}-two", head));
    expect_same(fmt::format("{}-one", head), fmt::format("{}-two", head), kStageFiles);
  }
}

TEST_F(MlmRunTest, AccumulationIsALargerBatch) {
  const std::string_view still = "[model]\nhidden_dropout = 0\nattention_dropout = 0\n[[stage]]\nmlm = { dropout = 0.0 }\n";
  train(alone(still), "whole");
  const auto whole = events.steps;
  train(alone(std::string(still) + "batch = 2\naccumulate = 2\n"), "halves");
  ASSERT_EQ(events.steps.size(), whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_NEAR(events.steps[i].loss, whole[i].loss, 2e-4 * whole[i].loss) << i;
    EXPECT_EQ(events.steps[i].tokens, whole[i].tokens);
  }
}

TEST_F(MlmRunTest, MasksAreFreshInEachEpochAndFixedWhenMeasured) {
  train(alone("[model]\nhidden_dropout = 0\nattention_dropout = 0\n[[stage]]\nlr = 0.0\nshuffle = false\n[stage.mlm]\ndropout = 0.0\n"),
        "a");
  ASSERT_EQ(events.evals.size(), 3u);
  EXPECT_EQ(events.evals[0].loss, events.evals[2].loss);
  const auto half = static_cast<std::ptrdiff_t>(events.steps.size() / 2);
  EXPECT_FALSE(std::equal(events.steps.begin(), events.steps.begin() + half, events.steps.begin() + half,
                          [](const StepEvent& a, const StepEvent& b) { return a.loss == b.loss; }));
}

TEST_F(MlmRunTest, KeepsTheEpochWithTheLowestHeldOutLoss) {
  // At this rate the loss falls first and rises later.
  train(alone("[[stage]]\nepochs = 6\nlr = 0.1\n"), "a");
  const auto loss = [](const EvalEvent& eval) { return eval.loss.at("lines.txt"); };
  const auto best = std::ranges::min_element(events.evals, {}, loss);
  ASSERT_NE(best, events.evals.end() - 1) << "the last epoch is the best one: the rules cannot be told apart";
  double lowest = INFINITY;
  for (const EvalEvent& eval : events.evals) {
    EXPECT_EQ(eval.best, loss(eval) < lowest) << eval.epoch;
    lowest = std::min(lowest, loss(eval));
  }
  const CorpusRecord lines = read_corpora(run_path("a") / "eval/mlm/corpora.csv").front();
  EXPECT_EQ(lines.loss.before, loss(events.evals.front()));
  EXPECT_EQ(lines.loss.after, lowest);
  train(alone(fmt::format("[model]\ninit = \"{}\"\n[[stage]]\nlr = 0.0\nepochs = 1\n", run_path("a").string())), "b");
  EXPECT_DOUBLE_EQ(loss(events.evals.front()), lowest) << "the head of the earlier run was not taken up";
}

TEST_F(MlmRunTest, ProbesTakeNoPartInSelection) {
  const ShouldStop never = [] { return false; };
  const auto objective_of = [&](RunSetup& setup, const RunConfig& run, std::size_t stage) {
    set_initial_weights(setup, run, events);
    auto objective = make_objective(setup, run, stage, events, never);
    objective->prepare();
    return objective;
  };
  const RunConfig run = staged("linear");
  Comm ranks;
  RunSetup setup = prepare_run(*backend, run, events, ranks);
  const auto objective = objective_of(setup, run, 1);
  const EvalEvent event = objective->score(0).value();
  EXPECT_TRUE(event.loss.contains("mood.dev"));
  const Scores expected = {{"lines.txt", -event.loss.at("lines.txt")},
                           {"near.train", -event.loss.at("near.train")},
                           {"same.train", -event.loss.at("same.train")}};
  EXPECT_EQ(objective->ranking(event), expected);
  EXPECT_TRUE(objective->can_select());

  write_file(folder / "other.txt", "the old lamp burns stone\nthe new song shines river\n");
  const RunConfig probing = alone("[[stage]]\n[stage.mlm]\nheld_out = 0.0\nprobes = [\"other.txt\"]\nmask = 0.9\n");
  RunSetup probes = prepare_run(*backend, probing, events, ranks);
  const auto measured = objective_of(probes, probing, 0);
  EXPECT_TRUE(measured->ranking(measured->score(0).value()).empty());
  EXPECT_FALSE(measured->can_select());
}

TEST_F(MlmRunTest, CorporaHaveNoHeadAndAreNotEvaluated) {
  const RunConfig run = staged("linear");
  train(run, "a");
  const Json folder_tasks = read_json(run_path("a") / "best/minbert.json", ErrorTag::kModel)["tasks"];
  ASSERT_EQ(folder_tasks.size(), 2u);  // mood, near; same is a corpus
  EXPECT_FALSE(std::filesystem::exists(run_path("a") / "eval/dev/same.predictions.tsv"));
  EXPECT_TRUE(std::filesystem::exists(run_path("a") / "eval/dev/near.predictions.tsv"));
  EXPECT_FALSE(std::filesystem::exists(run_path("a") / "best/mlm.safetensors"));
  const Json data = read_json(run_path("a") / "data.json", ErrorTag::kData);
  EXPECT_EQ(data["same"]["train"]["used"], 13);
  EXPECT_EQ(data["mlm"]["pretrain"]["same.train"]["read"], 26);
  EXPECT_EQ(data["mlm"]["pretrain"]["mood.dev"]["used"], 0);
  const auto eval = std::ranges::find(events.evals, "held_out", &EvalEvent::split);
  ASSERT_NE(eval, events.evals.end());
  std::vector<std::string> measured;
  for (const auto& [name, score] : eval->scores) measured.push_back(name);
  EXPECT_EQ(measured, (std::vector<std::string>{"lines.txt", "mood.dev", "near.train", "same.train"}));
  EXPECT_DOUBLE_EQ(eval->mean, (eval->scores.at("lines.txt") + eval->scores.at("near.train") + eval->scores.at("same.train")) / 3);
}

TEST_F(MlmRunTest, AScratchVocabularyIsOfAllTextsThatAreRead) {
  // Letters that stand nowhere else: in the second texts of a task and of a corpus, and in a file.
  write_file(folder / "near-train.csv", "a,b,number\nwarm,q,1\ncold river,stone,4\nlamp,slow,0\n");
  write_file(folder / "same-train.csv", "a,b,binary\nj,z,1\ngreen,stone,0\nlamp,slow,0\n");
  write_file(folder / "lines.txt", read_file(folder / "lines.txt") + "v x\n");
  Comm ranks;
  const RunSetup setup = prepare_run(*backend, staged("linear"), events, ranks);
  ASSERT_EQ(setup.corpora.size(), 1u);
  for (const char* letter : {"q", "j", "z", "v", "x"})
    EXPECT_EQ(std::ranges::count(setup.tokenizer.encode(letter).ids, setup.tokenizer.unk_id()), 0) << letter;
  EXPECT_EQ(std::ranges::count(setup.tokenizer.encode("\u00E6").ids, setup.tokenizer.unk_id()), 1);
}

TEST_F(MlmRunTest, AScratchVocabularyHasTheSizeThatIsAskedFor) {
  std::string words;
  for (char a = 'a'; a < 'k'; ++a)
    for (char b = 'a'; b < 'k'; ++b) words += fmt::format("{0}{1} {0}{1}\n", a, b);
  write_file(folder / "words.txt", words);
  Comm ranks;
  const auto size = [&](int asked) {
    const RunConfig run = alone(fmt::format("[model.vocabulary]\nsize = {}\n[[stage]]\n[stage.mlm]\ntexts = [\"words.txt\"]\n", asked));
    return prepare_run(*backend, run, events, ranks).tokenizer.vocab_size();
  };
  EXPECT_EQ(size(100), 100);
  EXPECT_EQ(size(110), 110);
  EXPECT_EQ(size(1000), 125) << "5 special tokens, 10 letters at both places of a word, and 100 words";
}

TEST_F(MlmRunTest, MeasuresCorporaAndTheirOverlap) {
  write_file(folder / "lines.txt", "lamp lamp stone\nstone bread\n");
  write_file(folder / "other.txt", "stone\n");
  const std::string_view probing =
      "[model.vocabulary]\ncorpus = [\"words.txt\"]\n[[stage]]\nepochs = 1\n[stage.mlm]\nheld_out = 0.0\nprobes = [\"other.txt\"]\nmask = "
      "0.9\n";
  std::string words;
  for (int i = 0; i < 50; ++i) words += "lamp stone bread\n";  // often enough for each to become one piece
  write_file(folder / "words.txt", words);
  train(alone(probing), "a");
  EXPECT_EQ(bytes("a", "eval/mlm/overlap.csv"),
            "stage,corpus,other,tokens,pieces\n"
            "pretrain,lines.txt,other.txt,0.400000,0.333333\n"
            "pretrain,other.txt,lines.txt,1.000000,1.000000\n");
  const std::string corpora = bytes("a", "eval/mlm/corpora.csv");
  EXPECT_NE(corpora.find("pretrain,lines.txt,text,2,0,5,3,0,,,,,,\n"), std::string::npos) << corpora;
  EXPECT_NE(corpora.find("pretrain,other.txt,probe,1,1,1,1,0,"), std::string::npos) << corpora;
  ASSERT_EQ(events.evals.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_NE(corpora.find(fmt::format("{}", events.evals[i].loss.at("other.txt"))), std::string::npos) << corpora;
}

TEST_F(MlmRunTest, WithoutHeldOutTextsTheLastEpochIsKept) {
  train(alone("[[stage]]\n[stage.mlm]\nheld_out = 0.0\n"), "a");
  EXPECT_TRUE(events.evals.empty());
  EXPECT_TRUE(std::filesystem::exists(run_path("a") / "best/mlm.safetensors"));
  const std::string corpora = bytes("a", "eval/mlm/corpora.csv");
  EXPECT_TRUE(corpora.ends_with(",,,,,\n")) << corpora;
}

TEST_F(MlmRunTest, APretrainedHeadMustBeThere) {
  train(alone("[[stage]]\nepochs = 1\n"), "linear");
  const auto from = [&](std::string_view run, std::string_view head) {
    return alone(fmt::format("[model]\ninit = \"{}\"\n[[stage]]\nepochs = 1\n[stage.mlm]\nhead = \"{}\"\n", run_path(run).string(), head));
  };
  expect_error(ErrorTag::kModel, {"MLM head", "cls.predictions", "tied"}, [&] { train(from("linear", "pretrained"), "refused"); });
  EXPECT_FALSE(std::filesystem::exists(run_path("refused")));
  train(from("linear", "tied"), "tied");
  train(from("tied", "pretrained"), "again");
  const SafetensorsFile file(run_path("again") / "best/mlm.safetensors");
  EXPECT_NE(file.find("cls.predictions.transform.dense.weight"), nullptr);
  EXPECT_EQ(file.entries().size(), 5u);
}

TEST_F(MlmRunTest, OtherTextsDoNotResume) {
  train(alone(), "a", {}, [&] { return events.steps.size() == 3; });
  write_file(folder / "lines.txt", read_file(folder / "lines.txt") + "one more lamp\n");
  expect_error(ErrorTag::kData, {"state.json", "rows"}, [&] { train(alone(), "a", kResume); });
}

TEST_F(MlmRunTest, OverfitsABatchAndPlans) {
  const RunConfig run = alone("[[stage]]\nlr = 3e-2\n[stage.mlm]\nhead = \"tied\"\n");
  TrainOptions options;
  options.folder = run_path("overfit");
  options.overfit_batch = true;
  minbert::train(*backend, run, options, events);
  EXPECT_GT(events.steps.front().loss, 1);
  EXPECT_LT(events.steps.back().loss, 0.05);

  const Json plan = plan_training(*backend, run);
  train(run, "real");
  EXPECT_EQ(plan["stages"][0]["planned_steps"], events.steps.size());
  EXPECT_EQ(plan["stages"][0]["texts"]["lines.txt"]["empty"], 5);
  EXPECT_GT(plan["stages"][0]["activation_bytes"].get<std::int64_t>(), 0);
  EXPECT_GT(plan["parameters"]["mlm"].get<std::int64_t>(), 0);
}

TEST_F(MlmRunTest, HeldOutLossFalls) {
  for (const char* head : {"linear", "tied"}) {
    train(alone(fmt::format("[[stage]]\nepochs = 8\nselect = \"last\"\n[stage.mlm]\nhead = \"{}\"\n", head)), head);
    const double before = events.evals.front().loss.at("lines.txt"), after = events.evals.back().loss.at("lines.txt");
    EXPECT_LT(after, 0.6 * before) << head;
  }
}

}  // namespace
}  // namespace minbert
