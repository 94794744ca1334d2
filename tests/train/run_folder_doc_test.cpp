// docs/run_folder.md names every file, key and column that a run leaves.
#include <cctype>
#include <regex>
#include <set>
#include <utility>

#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

using Names = std::set<std::string>;

/// Adds keys at any depth, except names of tasks, splits, labels and libraries.
void add_keys(const Json& json, Names& keys) {
  static const std::regex data("mood|same|near|train|dev|test|[0-9]*|pretrain|.*\\.(train|dev|txt)");
  for (const auto& [key, value] : json.items()) {
    if (json.is_object() && !std::regex_match(key, data)) keys.insert(key);
    if (value.is_structured() && key != "libraries" && key != "label_counts") add_keys(value, keys);
  }
}

/// Adds the column names of TSV, or CSV without quotes, except classes.
void add_columns(std::string_view text, Names& columns) {
  text = text.substr(0, text.find('\n'));
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\t,"), text.size());
    columns.emplace(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  for (const char* of_class : {"p_1", "p_2"}) columns.erase(of_class);
}

/// Words, with their dots, between backticks.
Names words_in_code(const std::string& markdown) {
  Names words;
  bool code = false;
  std::string word;
  for (const char c : markdown) {
    const bool part = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
    if (code && part) word += c;
    if (!part && !word.empty()) words.insert(std::exchange(word, {}));
    if (c == '`') code = !code;
  }
  return words;
}

class RunFolderDocTest : public TinyRunTest {
 protected:
  /// Names of a run's files, with TASK for a task's name, and of their keys and columns; files of Hugging Face's formats are left out.
  Names files_and_keys(std::string_view run) const {
    Names names;
    for (const auto& entry : fs::recursive_directory_iterator(run_path(run))) {
      const std::string name = entry.path().filename().string(), parent = entry.path().parent_path().filename().string();
      if (!entry.is_regular_file() || parent == "tb") continue;
      names.insert(std::regex_replace(name, std::regex("^(mood|same|near)\\."), "TASK."));
      if (name.ends_with(".jsonl")) {
        std::string text = read_file(entry.path());
        while (!text.empty()) {
          const std::size_t end = text.find('\n');
          add_keys(parse_json(text.substr(0, end), name, ErrorTag::kData), names);
          text.erase(0, end + 1);
        }
      } else if (name.ends_with(".json") && (parent != "best" || name == "minbert.json") && parent != "1_Pooling") {
        add_keys(read_json(entry.path(), ErrorTag::kData), names);
      } else if (name.ends_with(".tsv") || name == "metrics.csv" || parent == "mlm") {
        add_columns(read_file(entry.path()), names);
      }
    }
    return names;
  }

  void expect_documented(const Names& names) const {
    for (const std::string& name : names) EXPECT_TRUE(documented.contains(name)) << name << " is not in docs/run_folder.md";
  }

  const Names documented = words_in_code(read_file(MINBERT_SOURCE_DIR "/docs/run_folder.md"));
};

TEST_F(RunFolderDocTest, NamesWhatARunLeaves) {
  const RunConfig run = config(
      "[[stage]]\neval_train = 3\n[[stage]]\nname = \"pretrain\"\nkind = \"mlm\"\nepochs = 1\n"
      "mlm = { texts = [\"mood.train\", \"same.train\"], held_out = 0.3, mask = 0.5 }\n");
  train(run, "a", {}, [&] { return events.steps.size() == 20; });
  const Names stopped = files_and_keys("a");
  for (const char* expected : {"optimizer.safetensors", "best_epoch"}) EXPECT_TRUE(stopped.contains(expected)) << expected;
  expect_documented(stopped);
  train(run, "a", {.resume = true});
  const Names done = files_and_keys("a");
  for (const char* expected :
       {"TASK.errors.tsv", "grad_norm", "wall_s", "text_pair", "p_0", "label_counts", "brier_score", "TASK.tsv", "count",
        "peak_memory_bytes", "mlm.safetensors", "repeated", "perplexity", "perplexity_after", "overlap.csv"})
    EXPECT_TRUE(done.contains(expected)) << expected;
  expect_documented(done);
}

}  // namespace
}  // namespace minbert
