// RunFixture: a small run folder, written file by file as docs/run_folder.md describes it.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "minbert/base/files.h"
#include "tests/base/temp_folder.h"

namespace minbert {

class RunFixture {
 public:
  /// A finished run of two tasks: "mood" with three classes, one of which has a hostile name, and "likeness" with numbers.
  RunFixture() {
    start();
    write("metrics.jsonl",
          step(1, "mood", "1.25") + step(2, "likeness", "8.5") + step(3, "mood", "null") +
              R"({"event":"eval","stage":"0","epoch":0,"split":"dev","scores":{"likeness":-0.1,"mood":0.25},"mean":0.075,"loss":{}})"
              "\n"
              R"({"event":"eval","stage":"0","epoch":1,"split":"dev","scores":{"likeness":0.5,"mood":0.625},"mean":0.5625,"loss":{}})"
              "\n");
    write("data.json", R"j({"mood": {"train": {"read": 12, "used": 10, "skipped": 2, "label_counts": {"bad": 2, "fair": 3, "<i>": 5}},
                                    "dev": {"read": 8, "used": 8, "label_counts": {"bad": 4, "fair": 3, "<i>": 1, "(none)": 7}}},
                           "likeness": {"train": {"read": 4, "used": 4, "label_counts": {"0": 3, "5": 1}}}})j");
    write("env.json", R"({"format": 1, "minbert": "0.1.0", "cpu": "A & B", "threads": 2, "libraries": {"fmt": "9"}})");
    write("eval/dev/metrics.json", R"({"split": "dev", "scores": {"mood": 0.61234567, "likeness": 0.512345}, "mean": 0.562345335,
      "tasks": {"mood": {"metric": "accuracy", "rows": 8, "accuracy": 0.61234567, "macro_f1": 0.45678,
                         "classes": {"bad": {"precision": 0.6, "recall": 0.75, "f1": 0.6667, "gold": 4, "predicted": 5},
                                     "fair": {"precision": 0.6667, "recall": 0.6667, "f1": 0.6667, "gold": 3, "predicted": 3},
                                     "<i>": {"precision": 0, "recall": 0, "f1": 0, "gold": 1, "predicted": 0}},
                         "interval": {"confidence": 0.95, "resamples": 1000, "low": 0.34567, "high": 0.81239},
                         "calibration": {"expected_calibration_error": 0.0321, "brier_score": 0.1234}},
                "likeness": {"metric": "pearson", "rows": 4, "pearson": 0.512345, "spearman": null}}})");
    write("eval/dev/mood.confusion.csv", "gold,bad,fair,<i>\nbad,3,1,0\nfair,1,2,0\n<i>,1,0,0\n");
    write("eval/dev/mood.errors.tsv",
          "id\ttext\tgold\tpred\tscore\tp_0\tp_1\tp_2\n"
          "r1\t<script>alert('x')</script>\\tand more\t<i>\tbad\t0.912345\t0.9\t0.1\t0\n"
          "r2\tA plain day & night\tbad\tfair\t0.500000\t0.4\t0.5\t0.1\n");
    write("eval/dev/likeness.errors.tsv",
          "id\ttext\ttext_pair\tgold\tpred\tscore\n"
          "s1\tA boat sails.\tThe boat is at sea.\t4\t1.23456789\t\n");
  }

  /// The files of a run that has only begun.
  void start() {
    write("status.json", R"({"format": 1, "state": "done", "started": "2024-05-01T10:00:00Z", "resumes": 1})");
    write("config.toml", "format = 1\n\n[run]\nname = \"<b>tidy</b>\"\n");
  }

  /// A run of three stages (masked words, multitask, heads) with two more tasks: "stars", five numbered classes, and "same", two classes of
  /// pairs.
  void make_whole() {
    write("config.toml", config());
    write("best/config.json",
          R"({"num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 500,
      "max_position_embeddings": 64, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1})");
    write("status.json", R"({"format": 1, "state": "done", "started": "2024-05-01T10:00:00Z", "peak_memory_bytes": 1234567890})");
    std::string events;
    for (int epoch = 0; epoch < 3; ++epoch) {
      events += fmt::format(R"({{"event":"eval","stage":"pretrain","epoch":{},"split":"held_out","scores":{{"tales":0.1}},"mean":0.1,)"
                            R"("loss":{{"tales":5}},"perplexity":{{"tales":{}}}}})"
                            "\n",
                            epoch, 90 - epoch);
      for (const char* stage : {"multi", "single"})
        for (const char* split : {"dev", "train"})
          events +=
              fmt::format(R"({{"event":"eval","stage":"{}","epoch":{},"split":"{}","scores":{{"stars":0.{},"same":0.5,"likeness":0.25}},)"
                          R"("mean":0.4,"loss":{{}}}})"
                          "\n",
                          stage, epoch, split, epoch + 3);
    }
    write("metrics.jsonl", events + step(1, "stars", "1.25") + step(2, "same", "0.5"));
    write("data.json", R"j({"stars": {"train": {"read": 12, "used": 10, "skipped": 1, "filtered": 1, "label_counts": {"0": 4, "1": 6}}},
      "same": {"dev": {"read": 6, "used": 6, "label_counts": {"0": 3, "1": 3}}},
      "likeness": {"dev": {"read": 4, "used": 4, "label_counts": {"0": 3, "5": 1}, "label_mean": 1.25, "label_min": 0, "label_max": 5}},
      "tales": {"train": {"read": 9, "used": 9, "label_counts": {"0": 9}}},
      "mlm": {"pretrain": {"tales.train": {"read": 9, "used": 6, "empty": 0, "held_out": 2, "repeated": 1, "truncated": 0, "tokens": 70},
                           "notes.txt": {"probe": true, "read": 3, "used": 0, "empty": 0, "held_out": 3, "repeated": 0}}}})j");
    write("eval/mlm/corpora.csv",
          "stage,corpus,role,texts,held_out,word_pieces,distinct,unknown,loss_before,loss_after,perplexity_before,perplexity_after,"
          "accuracy_before,accuracy_after\n"
          "pretrain,tales.train,text,8,2,60,31,0,4.5,4,90.017131,54.598150,0.1,0.25\n"
          "pretrain,same.train,task,12,,80,40,1,,,,,,\n");
    write("eval/mlm/overlap.csv",
          "stage,corpus,other,tokens,pieces\npretrain,tales.train,same.train,0.75,0.5\npretrain,same.train,tales.train,0.66667,0.4\n");
    write("eval/dev/metrics.json", R"({"split": "dev", "scores": {"stars": 0.25, "same": 0.5, "likeness": 0.5}, "mean": 0.41,
      "tasks": {"stars": {"metric": "accuracy", "rows": 4, "accuracy": 0.25,
                          "classes": {"0": {"precision": 0, "recall": 0, "f1": 0, "gold": 2, "predicted": 1},
                                      "1": {"precision": 0.5, "recall": 1, "f1": 0.6667, "gold": 1, "predicted": 2},
                                      "2": {"precision": 0, "recall": 0, "f1": 0, "gold": 0, "predicted": 1},
                                      "3": {"precision": 0, "recall": 0, "f1": 0, "gold": 0, "predicted": 0},
                                      "4": {"precision": 0, "recall": 0, "f1": 0, "gold": 1, "predicted": 0}},
                          "calibration": {"expected_calibration_error": 0.2, "brier_score": 0.6,
                                          "bins": [{"low": 0, "high": 0.5, "rows": 0, "confidence": 0, "accuracy": 0},
                                                   {"low": 0.5, "high": 1, "rows": 4, "confidence": 0.75, "accuracy": 0.25}]}},
                "same": {"metric": "accuracy", "rows": 6, "accuracy": 0.5,
                         "classes": {"0": {"precision": 0.5, "recall": 0.6667, "f1": 0.5714, "gold": 3, "predicted": 4},
                                     "1": {"precision": 0.5, "recall": 0.3333, "f1": 0.4, "gold": 3, "predicted": 2}}},
                "likeness": {"metric": "pearson", "rows": 4, "pearson": 0.5}}})");
    write("eval/dev/stars.confusion.csv", "gold,0,1,2,3,4\n0,0,1,1,0,0\n1,0,1,0,0,0\n2,0,0,0,0,0\n3,0,0,0,0,0\n4,1,0,0,0,0\n");
    write("eval/dev/stars.predictions.tsv",
          "id\ttext\tgold\tpred\tscore\n"
          "1\tA plain, \"warm\" tale\t1\t1\t0.9\n"
          "2\tA soggy tale\t0\t1\t0.8\n"
          "3\tZesty quaint <humdrum>\t0\t2\t0.7\n"
          "4\tA warm tale\t4\t0\t0.6\n");
    write("eval/words/stars.tsv", "word\tcount\na\t9\ntale\t5\nplain\t4\nwarm\t4\nsoggy\t2\n");
    write("eval/dev/same.confusion.csv", "gold,0,1\n0,2,1\n1,2,1\n");
    write("eval/dev/same.predictions.tsv",
          "id\ttext\ttext_pair\tgold\tpred\tscore\n"
          "1\tWhere does the ferry land?\tWhen does the ferry land?\t0\t1\t0.9\n"
          "2\tWhere does the ferry land?\tWho paints the lighthouse in spring?\t0\t0\t0.9\n"
          "3\tIs the old pier safe?\tIs the new pier safe?\t0\t0\t0.6\n"
          "4\tCan a person swim in the lake?\tCan you swim in the lake?\t1\t0\t0.7\n"
          "5\tWho leads the LOF?\tWho leads the League of Fishers?\t1\t0\t0.8\n"
          "6\tWho sails today?\tWho is sailing today?\t1\t1\t0.8\n");
    write("eval/dev/likeness.predictions.tsv",
          "id\ttext\ttext_pair\tgold\tpred\tscore\n"
          "1\tA boat sails.\tA boat sails.\t5\t4.5\t\n"
          "2\tA boat sails.\tA ship is at sea.\t4\t1.25\t\n"
          "3\tBirds sing.\tA dog barks.\t0\t0.5\t\n"
          "4\tTwo cats sleep.\tA cat sleeps.\t3\t3\t\n");
  }

  static std::string config() {
    const auto task = [](std::string_view name, std::string_view type, std::string_view labels, std::string_view dense) {
      return fmt::format(
          "[[task]]\nname = \"{}\"\ntype = \"{}\"\nlabels = {}\nencode = \"separate\"\npool = \"cls\"\n[task.head]\ndense = {}\n"
          "dropout = 0.3\nkind = \"dense\"\n[task.data]\nlabel_range = [0, 5]\n",
          name, type, labels, dense);
    };
    const auto stage = [](std::string_view name, std::string_view kind, std::string_view more) {
      return fmt::format(
          "[[stage]]\nname = \"{}\"\nkind = \"{}\"\nfrom = \"previous\"\nsampler = \"sequential\"\nepochs = 2\nbatch = 8\nlr = 1e-5\n{}\n",
          name, kind, more);
    };
    constexpr std::string_view kTasks = "tasks = [\"stars\", \"same\", \"likeness\"]";
    return "format = 1\n[run]\nname = \"whole\"\nseed = 7\n[model]\ninit = \"models/tiny\"\nmax_length = 64\ndtype = \"f32\"\n" +
           task("stars", "classify", "5", "[\"4H\", \"4H\"]") + task("same", "pair_classify", "2", "[]") +
           task("likeness", "pair_regress", "\"auto\"", "[\"H\"]") + task("tales", "classify", "2", "[]") +
           stage("pretrain", "mlm", "[stage.mlm]\ntexts = [\"tales.train\"]\nmask = 0.15\nhead = \"linear\"") +
           stage("multi", "finetune", kTasks) + stage("single", "heads", kTasks);
  }

  static std::string step(int number, std::string_view task, std::string_view loss, std::string_view stage = "0") {
    return fmt::format(R"({{"event":"step","stage":"{}","step":{},"epoch":1,"task":"{}","loss":{},"tokens":100,"wall_s":{}.5}})"
                       "\n",
                       stage, number, task, loss, number);
  }

  void write(std::string_view name, std::string_view text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;  // write_file would sync to disk, which is slow
  }
  void remove(std::string_view name) const { std::filesystem::remove_all(folder_ / name); }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TempFolder folder_;
};

}  // namespace minbert
