// Runs small enough for a test: three tasks of a few made-up rows, and an encoder from scratch with C = 16.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/files.h"
#include "minbert/base/parallel.h"
#include "minbert/base/rng.h"
#include "minbert/train/selection.h"
#include "minbert/train/trainer.h"
#include "tests/base/temp_folder.h"
#include "tests/ops/tested_backend.h"

namespace minbert {

inline constexpr OpenRun kResume{.resume = true};

/// Records the events of a run.
struct RecordedEvents final : TrainEvents {
  std::vector<StepEvent> steps;
  std::vector<EvalEvent> evals;
  std::vector<std::string> passes;  ///< progress events, as "dev sst 8 of 12"
  std::vector<std::string> warnings;
  void step(const StepEvent& event) override { steps.push_back(event); }
  void eval(const EvalEvent& event) override { evals.push_back(event); }
  void pass(const PassEvent& event) override { passes.push_back(fmt::format("{} {} of {}", event.what, event.rows, event.of)); }
  void message(MessageLevel level, std::string_view text) override {
    if (level == MessageLevel::kWarning) warnings.emplace_back(text);
  }
};

/// Data files of three tasks, and runs on them in one temporary folder.
class TinyRunTest : public testing::Test {
 protected:
  TinyRunTest() {
    set_num_threads(1);  // two threads would only wait for each other
    write_rows("mood-train.csv", 22, 1);
    write_rows("mood-dev.csv", 10, 2);
    write_rows("same-train.csv", 13, 3);
    write_rows("same-dev.csv", 9, 4);
    write_rows("near-train.csv", 17, 5);
    write_rows("near-dev.csv", 8, 6);
  }

  /// kBase with `overlay` on top, as config files merge.
  RunConfig config(std::string_view overlay = {}) const {
    ConfigTree tree;
    tree.load_text(kBase, "base.toml", folder.path());
    tree.load_text(overlay, "overlay.toml", folder.path());
    return load_run_config(tree);
  }

  /// Trains in runs/`name`; afterwards `events` holds the events of this call.
  TrainResult train(const RunConfig& run, std::string_view name, const OpenRun& open = {}, std::function<bool()> should_stop = {}) {
    TrainOptions options;
    options.folder = run_path(name);
    options.open = open;
    options.config_text = print_toml(write_options(run), false);
    if (should_stop) options.should_stop = std::move(should_stop);
    events = {};
    return minbert::train(*backend, run, options, events);
  }

  std::filesystem::path run_path(std::string_view name) const { return folder.path() / "runs" / name; }
  std::string bytes(std::string_view name, std::string_view file) const { return read_file(run_path(name) / file); }

  /// Lines of metrics.jsonl without the keys that depend on the clock.
  static std::string without_times(const std::string& metrics) {
    std::string text;
    for (std::size_t begin = 0, end = 0; begin < metrics.size(); begin = end + 1) {
      end = metrics.find('\n', begin);
      Json line = parse_json(metrics.substr(begin, end - begin), "metrics", ErrorTag::kInternal);
      line.erase("tokens_per_s");
      line.erase("wall_s");
      text += dump_json(line) + "\n";
    }
    return text;
  }

  static constexpr std::string_view kBase = R"(
[run]
name = "tiny"
[model]
init = "scratch"
max_length = 24
[model.config]
hidden_size = 16
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 32
max_position_embeddings = 32
[model.vocabulary]
size = 100
[[task]]
name = "mood"
type = "classify"
labels = 3
head = { dense = [] }
data = { train = "mood-train.csv", dev = "mood-dev.csv", text = "a", label = "class" }
[[task]]
name = "same"
type = "pair_classify"
labels = 2
data = { train = "same-train.csv", dev = "same-dev.csv", text = "a", text_pair = "b", label = "binary" }
[[task]]
name = "near"
type = "pair_regress"
pool = "pooler"
data = { train = "near-train.csv", dev = "near-dev.csv", text = "a", text_pair = "b", label = "number" }
[[stage]]
epochs = 2
batch = 4
lr = 1e-3
sampler = "shuffled"
eval_train = 0
)";
  /// An overlay of kBase that switches dropout off.
  static constexpr std::string_view kNoDropout =
      "[model]\nhidden_dropout = 0\nattention_dropout = 0\n[[task]]\nhead = { dropout = 0.0 }\n[[task]]\nhead = { dropout = 0.0 }\n"
      "[[task]]\nhead = { dropout = 0.0 }\n";

  const ThreadGuard thread_guard;
  TempFolder folder;
  std::unique_ptr<Backend> backend = make_backend("cpu");
  RecordedEvents events;

  /// Writes random texts of a few words; the labels follow from the first words.
  void write_rows(const std::string& name, int rows, std::uint64_t seed) const {
    constexpr std::array<std::string_view, 12> kWords = {"warm",  "cold", "river", "stone", "green", "walks",
                                                         "sings", "slow", "paper", "lamp",  "under", "bread"};
    Rng rng(seed, "rows");
    std::string csv = "a,b,class,binary,number\n";
    for (int i = 0; i < rows; ++i) {
      std::array<std::string, 2> texts;
      std::array<std::uint64_t, 2> first{};
      for (std::size_t t = 0; t < 2; ++t) {
        first[t] = rng.below(kWords.size());
        texts[t] = kWords[first[t]];
        for (std::uint64_t words = rng.below(6); words > 0; --words) texts[t] += fmt::format(" {}", kWords[rng.below(kWords.size())]);
      }
      csv += fmt::format("{},{},{},{},{}\n", texts[0], texts[1], first[0] % 3, (first[0] + first[1]) % 2,
                         static_cast<double>(first[1] % 6) * 0.9);
    }
    write_file(folder / name, csv);
  }
};

}  // namespace minbert
