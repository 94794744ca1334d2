// Laws of several ranks: masks, losses and scores are those of one rank; runs repeat themselves to the byte; checkpoints fit any number.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

#include "minbert/base/safetensors.h"
#include "minbert/train/step_share.h"
#include "tests/base/error_matchers.h"
#include "tests/train/thread_comm.h"
#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

/// Buckets so small that even these models have several.
constexpr ExchangeOptions kSmallBuckets = {.bucket_bytes = 2000};

class RanksTest : public TinyRunTest {
 protected:
  /// What rank 0 tells of a run.
  struct Told {
    TrainResult result;
    RecordedEvents events;
  };
  /// `stop_rank` stops after `stop_after` steps' questions. With `stop_step` rank 0 stops after that step; several ranks ask before they
  /// record it.
  Told train_on(int size, const RunConfig& run, std::string_view name, const OpenRun& open = {}, int stop_rank = -1, int stop_after = 0,
                std::ptrdiff_t stop_step = 0) {
    Told told;
    for_ranks(size, kSmallBuckets, [&](Comm& ranks) {
      set_num_threads(1);
      const auto own_backend = make_backend("cpu");
      TrainOptions options;
      options.folder = run_path(name);
      options.open = open;
      options.config_text = print_toml(write_options(run), false);
      options.ranks = &ranks;
      int asked = 0;
      RecordedEvents own_events;
      options.should_stop = [&] {
        if (stop_step > 0) return ranks.is_first() && std::ssize(own_events.steps) + (ranks.is_alone() ? 0 : 1) >= stop_step;
        return ranks.rank() == stop_rank && ++asked > stop_after;
      };
      const TrainResult result = minbert::train(*own_backend, run, options, own_events);
      if (ranks.is_first()) told = {result, own_events};
      EXPECT_EQ(ranks.is_first() ? 0u : own_events.warnings.size(), 0u);
    });
    return told;
  }

  static std::size_t lines(const std::string& text) { return static_cast<std::size_t>(std::ranges::count(text, '\n')); }

  static void expect_close(const Told& got, const Told& expected, const std::string& what) {
    ASSERT_EQ(got.events.steps.size(), expected.events.steps.size()) << what;
    for (std::size_t i = 0; i < got.events.steps.size(); ++i) {
      const StepEvent &a = got.events.steps[i], &b = expected.events.steps[i];
      EXPECT_LE(std::abs(a.loss - b.loss), 1e-6 * std::abs(b.loss)) << what << " step " << i << ": " << a.loss << " " << b.loss;
      EXPECT_LE(std::abs(a.grad_norm - b.grad_norm), 1e-5 * b.grad_norm) << what << " step " << i;
      EXPECT_EQ(a.tokens, b.tokens) << what;
    }
    ASSERT_EQ(got.events.evals.size(), expected.events.evals.size()) << what;
    for (std::size_t i = 0; i < got.events.evals.size(); ++i) {
      const EvalEvent &a = got.events.evals[i], &b = expected.events.evals[i];
      EXPECT_EQ(a.best, b.best) << what;
      // The correlation of predictions that are still nearly the same for all rows feels the last bits of the weights.
      for (const auto& [task, score] : b.scores) EXPECT_NEAR(a.scores.at(task), score, i == 0 ? 0 : 1e-3) << what << " " << task;
      for (const auto& [task, loss] : b.loss) EXPECT_NEAR(a.loss.at(task), loss, 1e-5 * (1 + loss)) << what << " " << task;
    }
    EXPECT_EQ(got.result.dev_scores.size(), expected.result.dev_scores.size()) << what;
  }
};

struct Kind {
  const char *name, *overlay;
};
constexpr Kind kRankKinds[] = {
    {"finetune", "[[stage]]\nlr = 1e-4\n"},
    {"tiny_steps", "[[stage]]\nlr = 1e-4\nbatch = 1\nepochs = 1\n"},
    {"clip_decay_accumulate", "[[stage]]\nlr = 1e-4\nclip = 0.5\nweight_decay = 0.01\naccumulate = 3\nbatch = 2\n"},
    {"r_drop_layer_decay",
     "[[task]]\nr_drop = 1.0\n[[task]]\nr_drop = 0.5\n[[task]]\nr_drop = 2.0\n[[stage]]\nlr = 1e-4\nlayer_decay = 0.8\n"},
    {"per_task",
     "[run]\nbest = \"per_task\"\n[[stage]]\nlr = 1e-4\nepochs = 1\n[[stage]]\nname = \"own\"\ntasks = [\"mood\"]\nlr = 1e-4\nepochs = "
     "1\n"},
    {"mean",
     "[[stage]]\nlr = 1e-4\nepochs = 1\n[[stage]]\nname = \"own\"\ntasks = [\"mood\"]\nlr = 1e-4\nepochs = 1\n"
     "[[stage]]\nname = \"mean\"\nfrom = [\"0\", \"own\"]\nepochs = 0\n"},
    {"distill",
     "[[stage]]\nlr = 1e-4\nepochs = 1\n[[stage]]\nname = \"student\"\nkind = \"distill\"\nlr = 1e-4\nepochs = 1\n"
     "distill = { teachers = [\"0\"], unlabelled = { same = [\"near.train\"] } }\n"},
    {"multi_label", "[[task]]\ntype = \"multi_label\"\nlabels = [\"0\", \"1\", \"2\"]\n[[stage]]\nlr = 1e-4\n"},
    {"windows", "[model]\nmax_length = 6\n[[task]]\nwindows = \"mean\"\n[[stage]]\nlr = 1e-4\n"},
    {"heads", "[[stage]]\nkind = \"heads\"\nselect = \"per_task\"\nlr = 1e-3\n"},
    {"heads_uncached", "[[stage]]\nkind = \"heads\"\ncache_features = false\nlr = 1e-3\n"},
    {"mlm", "[[stage]]\nkind = \"mlm\"\nlr = 1e-4\nmlm = { texts = [\"same.train\"], mask = 0.4, held_out = 0.2 }\n"},
    {"mlm_tied", "[[stage]]\nkind = \"mlm\"\nlr = 1e-4\nmlm = { texts = [\"same.train\"], mask = 0.1, head = \"tied\", held_out = 0.2 }\n"},
    {"early_stop", "[[stage]]\nlr = 0.0\nepochs = 5\nearly_stop_patience = 2\n"},
};

TEST_F(RanksTest, AreOneRankWithTheSameBatches) {
  for (const Kind& kind : kRankKinds) {
    const RunConfig run = config(kind.overlay);
    const Told one = train_on(1, run, fmt::format("{}-1", kind.name));
    const bool first = &kind == &kRankKinds[0];
    for (const int size : first ? std::vector{2, 3, 4} : run.stages[0].batch == 1 ? std::vector{4} : std::vector{3}) {
      const std::string what = fmt::format("{} on {} ranks", kind.name, size), name = fmt::format("{}-{}", kind.name, size);
      expect_close(train_on(size, run, name), one, what);
    }
  }
}

TEST_F(RanksTest, ASetHasTheProbabilityOfItsLikeliestLabel) {
  const std::string dev = read_file(folder / "mood-dev.csv");
  std::string many = dev;  // batches for each rank
  for (int i = 1; i < 30; ++i) many += dev.substr(dev.find('\n') + 1);
  write_file(folder / "many.csv", many);
  const RunConfig run = config(
      "[[task]]\ntype = \"multi_label\"\nlabels = [\"0\", \"1\", \"2\"]\ndata = { test = \"many.csv\" }\n[[stage]]\nmax_steps = 1\n");
  train_on(3, run, "sets");
  const std::string table = bytes("sets", "eval/test/mood.predictions.tsv");
  EXPECT_EQ(lines(table), 301u);
  for (std::size_t begin = table.find('\n') + 1, end = 0; begin < table.size(); begin = end + 1) {
    end = table.find('\n', begin);
    std::vector<std::string> cells;  // id, text, gold, pred, score, p_0, p_1, p_2
    for (std::size_t at = begin; at <= end; at = std::min(table.find('\t', at), end) + 1)
      cells.push_back(table.substr(at, std::min(table.find('\t', at), end) - at));
    ASSERT_EQ(cells.size(), 8u);
    EXPECT_EQ(cells[4], std::max({cells[5], cells[6], cells[7]})) << cells[3];
  }
}

TEST_F(RanksTest, RepeatThemselvesToTheByte) {
  const RunConfig run = config("[[stage]]\nclip = 1.0\n");
  for (const int size : {2, 3}) {
    train_on(size, run, fmt::format("a{}", size));
    train_on(size, run, fmt::format("b{}", size));
    for (const char* file : {"best/model.safetensors", "best/heads.safetensors", "eval/dev/metrics.json"})
      EXPECT_EQ(bytes(fmt::format("a{}", size), file), bytes(fmt::format("b{}", size), file)) << file;
  }
}

TEST_F(RanksTest, AStopOfOneRankIsAStopOfAllAndResumesToTheByte) {
  const RunConfig run = config(
      "[[stage]]\nclip = 1.0\n[[stage]]\nname = \"heads\"\nkind = \"heads\"\n[[stage]]\nname = \"mean\"\nfrom = [\"0\", \"heads\"]\nepochs "
      "= 1\n");
  train_on(3, run, "unbroken");
  for (const int stop_after : {0, 3, 11, 26}) {
    const std::string name = fmt::format("stopped-{}", stop_after);
    EXPECT_TRUE(train_on(3, run, name, {}, 1, stop_after).result.stopped);
    train_on(3, run, name, {.resume = true}, 2, stop_after);  // again, at a later step
    train_on(3, run, name, {.resume = true});
    for (const char* file : {"best/model.safetensors", "best/heads.safetensors"})
      EXPECT_EQ(bytes(name, file), bytes("unbroken", file)) << name;
    EXPECT_EQ(without_times(bytes(name, "metrics.jsonl")), without_times(bytes("unbroken", "metrics.jsonl"))) << name;
  }
}

TEST_F(RanksTest, ACheckpointFitsAnyNumberOfRanks) {
  const RunConfig run = config("[[stage]]\nlr = 1e-4\nweight_decay = 0.01\n");
  const Told one = train_on(1, run, "one");
  const auto moments = [&](const std::string& name) {
    std::map<std::string, std::vector<float>> values;
    const SafetensorsFile file(run_path(name) / "checkpoints/last/optimizer.safetensors");
    for (const SafetensorsEntry& entry : file.entries()) {
      auto& floats = values[entry.name];
      floats.resize(entry.bytes.size() / sizeof(float));
      std::ranges::copy(entry.bytes, std::as_writable_bytes(std::span(floats)).begin());
    }
    EXPECT_FALSE(file.metadata().empty());
    return values;
  };
  ASSERT_TRUE(train_on(1, run, "stopped-1", {}, -1, 0, 9).result.stopped);
  const auto expected = moments("stopped-1");
  for (const auto& [first, then] : {std::pair(3, 2), {2, 3}, {4, 1}, {1, 2}}) {
    const std::string name = fmt::format("from-{}-to-{}", first, then);
    ASSERT_TRUE(train_on(first, run, name, {}, first - 1, 4).result.stopped);
    const std::size_t done = lines(bytes(name, "metrics.jsonl"));
    EXPECT_LT(done, lines(bytes("one", "metrics.jsonl")));
    train_on(then, run, name, {.resume = true});
    const auto losses = [&](const std::string& which) {
      std::vector<double> values;
      const std::string text = bytes(which, "metrics.jsonl");
      for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
        end = text.find('\n', begin);
        const Json line = parse_json(text.substr(begin, end - begin), "metrics", ErrorTag::kInternal);
        if (line["event"] == "step") values.push_back(line["loss"]);
      }
      return values;
    };
    const auto got = losses(name), want = losses("one");
    ASSERT_EQ(got.size(), want.size()) << name;
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_LE(std::abs(got[i] - want[i]), 1e-6 * want[i]) << name << " step " << i;
  }
  for (const int size : {2, 3}) {
    const std::string name = fmt::format("stopped-{}", size);
    const Told stopped = train_on(size, run, name, {}, -1, 0, 9);
    ASSERT_TRUE(stopped.result.stopped);
    ASSERT_EQ(stopped.events.steps.size(), 9u);
    const auto got = moments(name);
    ASSERT_EQ(got.size(), expected.size());
    for (const auto& [tensor, values] : expected) {
      ASSERT_EQ(got.at(tensor).size(), values.size()) << tensor;
      for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_NEAR(got.at(tensor)[i], values[i], 1e-5 * (std::abs(values[i]) + 1e-3)) << tensor << " on " << size;
    }
  }
}

TEST_F(RanksTest, ARankThatReadsOtherFilesIsNamed) {
  const RunConfig run = config(), other = config("[[task]]\n[task.data]\ntrain = \"same-train.csv\"\n");
  expect_error(ErrorTag::kData, {"rank 1", "not those of rank 0"}, [&] {
    for_ranks(2, kSmallBuckets, [&](Comm& ranks) {
      set_num_threads(1);
      const auto own_backend = make_backend("cpu");
      TrainOptions options{.folder = run_path("other"), .open = {}, .config_text = "", .input_text = "", .adopt = {}, .fingerprint = {}};
      options.ranks = &ranks;
      TrainEvents silent;
      minbert::train(*own_backend, ranks.is_first() ? run : other, options, silent);
    });
  });
}

TEST(Ranks, DealTokensEvenly) {
  Rng rng(7, "deal");
  for (int round = 0; round < 200; ++round) {
    std::vector<std::int64_t> tokens(rng.below(12));
    for (std::int64_t& n : tokens) n = 1 + static_cast<std::int64_t>(rng.below(50));
    const std::int64_t all = std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0});
    const std::int64_t longest = tokens.empty() ? 0 : *std::ranges::max_element(tokens);
    for (int size = 1; size <= 5; ++size) {
      std::size_t at = 0;
      for (int rank = 0; rank < size; ++rank) {
        const Part part = deal_rows(tokens, rank, size);
        EXPECT_EQ(part.begin, at);
        at = part.end;
        const auto first = tokens.begin() + static_cast<std::ptrdiff_t>(part.begin);
        const std::int64_t own = std::accumulate(first, first + static_cast<std::ptrdiff_t>(part.size()), std::int64_t{0});
        EXPECT_LE(std::abs(static_cast<double>(own) - static_cast<double>(all) / size), static_cast<double>(longest));
      }
      EXPECT_EQ(at, tokens.size());
    }
  }
}

TEST(Ranks, PartsAreEqual) {
  for (const std::size_t elements : {0u, 1u, 16u, 17u, 1000u, 1024u})
    for (int size = 1; size <= 5; ++size) {
      std::size_t at = 0;
      for (int rank = 0; rank < size; ++rank) {
        const Part part = part_of(elements, rank, size);
        EXPECT_EQ(part.begin, at);
        EXPECT_TRUE(part.begin % 16 == 0 || part.begin == elements);
        EXPECT_LE(part.size(), elements / static_cast<std::size_t>(size) + 32);
        at = part.end;
      }
      EXPECT_EQ(at, elements);
    }
}

}  // namespace
}  // namespace minbert
