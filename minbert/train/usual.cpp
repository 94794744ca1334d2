// Chooses the head, the encoding of pairs and the stages.
#include "minbert/train/usual.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "minbert/pipeline/model_folder.h"
#include "minbert/pipeline/predict.h"
#include "minbert/pipeline/sentence_folder.h"

namespace minbert {

namespace {

/// The vectors that an encoder starts with.
struct Vectors {
  Pool pool;
  bool trained;  ///< the encoder was trained for them
};

/// Tells which vectors `init`, a folder or "scratch", starts with. An encoder without vectors of its own starts with those of BERT's
/// pooler, as transformers' classifiers do.
Vectors vectors_of(const std::string& init) {
  if (init == "scratch") return {Pool::kPooler, false};
  const ModelFolder folder = read_model_folder(init);
  if (folder.modules.empty()) return {has_pooler(folder) ? Pool::kPooler : Pool::kMean, false};
  std::vector<std::string> warnings;  // the run says them when it reads the folder
  // A model of ours has modules too, whatever it was trained for.
  return {pool_of_model(read_sentence_modules(folder, warnings).pooling).value_or(Pool::kMean), !folder.is_own};
}

std::string usual_task(Pool pool, const api::UsualTask& task, bool compares) {
  std::string_view why = "as the encoder's own vectors; \"pooler\" makes a head that transformers' classifiers have too";
  const std::string pooler = fmt::format("`minbert export --as seqcls:{}` makes a transformers classifier of it", task.name);
  if (pool == Pool::kPooler) why = pooler;
  if (compares) why = "as the encoder's own vectors";
  std::string text = fmt::format("pool = \"{}\"            # {}\n", option_name(pool), why);
  text += fmt::format("head = {{ dense = [], dropout = 0.1{} }}\n", compares ? ", features = \"comparison\"" : "");
  if (compares)
    text += "encode = \"separate\"        # the head compares two vectors; with thousands of pairs, \"joint\" is better\n";
  else if (task.is_pair)
    text += "encode = \"joint\"           # [CLS] a [SEP] b [SEP]: slower than \"separate\", and better\n";
  return text;
}

std::string usual_stages(double rows, bool tunes) {
  // Each stage makes about this many steps at least, so that few rows are not left undertrained.
  constexpr double kBatch = 16, kHeadSteps = 300, kSteps = 120, kEpochs = 4, kMostEpochs = 50;
  const double steps = std::max(1.0, rows / kBatch);  // of an epoch
  const auto epochs = [&](double wanted, double least) {
    return static_cast<std::int64_t>(std::clamp(std::ceil(wanted / steps), least, kMostEpochs));
  };
  return fmt::format(
      R"(# The encoder stays as it is, and every text is encoded once: seconds.
[[stage]]
name = "heads"
kind = "heads"
epochs = {}
batch = 16
lr = 1e-2
optimizer = "adamw"
weight_decay = 0.01
schedule = "linear"
select = "last"
checkpoint_every = 1000    # steps; a checkpoint for each of many short epochs would take longer than they do

{}
[[stage]]
name = "finetune"
epochs = {}
batch = 16
lr = 5e-5
schedule = "linear"
warmup_ratio = 0.1
optimizer = "adamw"
weight_decay = 0.01
clip = 1.0
checkpoint_every = 1000
ties = "last"              # among equally good epochs; a small dev split has many
)",
      epochs(kHeadSteps, 10),
      !tunes ? "# Few pairs: to train the encoder too made answers worse, so that it stays as it is. epochs = 4 would train it."
             : "# Then all is trained from there. Epoch 0 is the result of the stage before: it is kept if dev prefers no later one.\n"
               "# The learning rate rises for a tenth of the steps, then falls to 0.",
      tunes ? epochs(kSteps, kEpochs) : 0);
}

}  // namespace

UsualSettings usual_settings(const std::string& init, const api::UsualTask& task) {
  // Vectors that were trained to be compared tell pairs apart from the first row on. To read two texts as one sequence has to be learnt.
  constexpr double kFewPairs = 2000;
  const Vectors vectors = vectors_of(init);
  const bool compares = task.is_pair && vectors.trained && task.rows < kFewPairs;
  return {usual_task(vectors.pool, task, compares), usual_stages(task.rows, !compares || task.is_regression || task.tunes)};
}

}  // namespace minbert
