// sample-data: writes the three sample tasks as files.
#include <memory>

#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/sample_corpus.h"

namespace minbert {
namespace {

struct SampleFlags {
  std::string folder = "samples";
  SampleDataOptions options;
};

int run_sample_data(const SampleFlags& flags) {
  for (const auto& file : write_sample_data(flags.folder, flags.options)) print(file.string() + "\n");
  return 0;
}

}  // namespace

Action declare_sample_data(CLI::App& app, Session&) {
  auto flags = std::make_shared<SampleFlags>();
  app.add_option("-o,--output", flags->folder, "folder to write into")->capture_default_str()->type_name("DIR");
  app.add_option("--seed", flags->options.seed, "seed of the sentences")->capture_default_str()->type_name("N");
  const auto rows = whole_number(1, 1'000'000);
  app.add_option("--train-rows", flags->options.train_rows, "rows of each task")->check(rows)->capture_default_str()->type_name("N");
  app.add_option("--dev-rows", flags->options.dev_rows, "rows of each task")->check(rows)->capture_default_str()->type_name("N");
  app.add_option("--test-rows", flags->options.test_rows, "rows of each task")->check(rows)->capture_default_str()->type_name("N");
  add_examples(app, "  minbert sample-data -o samples && minbert data stats samples/sentiment-train.csv");
  return [flags] { return run_sample_data(*flags); };
}

}  // namespace minbert
