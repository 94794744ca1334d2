// RunFixture: a small run folder, written file by file as docs/run_folder.md describes them.
#pragma once

#include <string>
#include <string_view>

#include "minbert/base/files.h"
#include "tests/base/temp_folder.h"

namespace minbert {

class RunFixture {
 public:
  /// A finished run of two tasks: "mood" in three classes, one with a hostile name, and "likeness" in numbers.
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

  static std::string step(int number, std::string_view task, std::string_view loss) {
    return fmt::format(R"({{"event":"step","stage":"0","step":{},"epoch":1,"task":"{}","loss":{},"tokens":100,"wall_s":{}.5}})"
                       "\n",
                       number, task, loss, number);
  }

  void write(std::string_view name, std::string_view text) const {
    make_directories((folder_ / name).parent_path());
    write_file(folder_ / name, text);
  }
  void remove(std::string_view name) const { std::filesystem::remove_all(folder_ / name); }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TempFolder folder_;
};

}  // namespace minbert
