// Writes three sample tasks with every kind of label, and an encoder 16 wide.
#include "tests/cli/project.h"

namespace minbert {
namespace {

constexpr std::string_view kConfig = R"([run]
name = "tiny"
[model]
init = "scratch"
max_length = 48
[model.config]
hidden_size = 16
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 32
max_position_embeddings = 128
[model.vocabulary]
size = 300
[data]
root = "samples"
[[task]]
name = "sentiment"
type = "classify"
labels = ["awful", "bad", "fair", "good", "great"]
[task.data]
train = "sentiment-train.csv"
dev = "sentiment-dev.csv"
text = "sentence"
id = "id"
label_map = { 0 = "awful", 1 = "bad", 2 = "fair", 3 = "good", 4 = "great" }
[[task]]
name = "paraphrase"
type = "pair_classify"
labels = 2
encode = "joint"
pool = "pooler"
head = { dense = [] }
[task.data]
train = "paraphrase-train.csv"
dev = "paraphrase-dev.csv"
test = "paraphrase-test.csv"
text = "sentence1"
text_pair = "sentence2"
[[task]]
name = "similarity"
type = "pair_regress"
[task.data]
train = "similarity-train.csv"
dev = "similarity-dev.csv"
text = "sentence1"
text_pair = "sentence2"
label_range = [0, 5]
[[stage]]
epochs = 1
batch = 4
lr = 1e-3
)";

}  // namespace

ProjectTest::ProjectTest() {
  write("tiny.toml", kConfig);
  expect_success(minbert({"sample-data", "-o", "samples", "--train-rows", "16", "--dev-rows", "12", "--test-rows", "4"}));
}

void ProjectTest::write(std::string_view name, std::string_view text) const {
  make_directories(path(name).parent_path());
  write_file(path(name), text);
}

RunOptions ProjectTest::options(const std::string& input) const {
  return {.input = input, .folder = folder_.path(), .environment = {"MINBERT_THREADS=1"}};
}

Finished ProjectTest::minbert(const std::vector<std::string>& arguments, const std::string& input) const {
  return run(arguments, options(input));
}

void ProjectTest::train() { expect_success(minbert({"train", "tiny.toml", "-o", "run"})); }

}  // namespace minbert
