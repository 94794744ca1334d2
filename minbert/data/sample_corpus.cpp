// Draws distinct rows and writes them as CSV (RFC 4180).
#include "minbert/data/sample_corpus.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "minbert/base/files.h"
#include "minbert/data/fields.h"
#include "minbert/data/sample_tasks.h"
#include "minbert/data/text.h"

namespace minbert {
namespace {

struct SampleTask {
  std::string_view name, header;
  SampleExample (*draw)(Rng&);
};
constexpr SampleTask kTasks[] = {
    {"sentiment", "id,sentence,label\n", draw_review},
    {"paraphrase", "id,sentence1,sentence2,label\n", draw_paraphrase},
    {"similarity", "id,sentence1,sentence2,label\n", draw_similarity},
};

// A key that two rows share if their texts differ only in order, case and punctuation.
std::pair<std::string, std::string> identity(const SampleExample& example) {
  const auto keys = std::pair(comparison_key(example.text), comparison_key(example.text_pair));
  return keys.second < keys.first ? std::pair(keys.second, keys.first) : keys;
}

}  // namespace

std::vector<std::filesystem::path> write_sample_data(const std::filesystem::path& folder, const SampleDataOptions& options) {
  make_directories(folder);
  const std::pair<std::string_view, std::int64_t> splits[] = {
      {"train", options.train_rows}, {"dev", options.dev_rows}, {"test", options.test_rows}};
  std::vector<std::filesystem::path> written;
  for (const SampleTask& task : kTasks) {
    Rng rng(options.seed, task.name);
    std::set<std::pair<std::string, std::string>> seen;
    for (const auto& [split, rows] : splits) {
      std::string csv(task.header);
      for (std::int64_t row = 0; row < rows;) {
        const SampleExample example = task.draw(rng);
        if (example.text == example.text_pair || !seen.insert(identity(example)).second) continue;
        csv += fmt::format("{}-{}-{},{},", task.name, split, row, csv_field(example.text));
        if (!example.text_pair.empty()) csv += csv_field(example.text_pair) + ',';
        csv += example.label + '\n';
        ++row;
      }
      written.push_back(folder / fmt::format("{}-{}.csv", task.name, split));
      write_file(written.back(), csv);
    }
  }
  return written;
}

}  // namespace minbert
