// Chooses the usual pooling and the usual stages.
#include "minbert/train/usual.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "minbert/pipeline/model_folder.h"
#include "minbert/pipeline/predict.h"
#include "minbert/pipeline/sentence_folder.h"

namespace minbert {

Pool usual_pool(const std::string& init) {
  if (init == "scratch") return Pool::kPooler;
  const ModelFolder folder = read_model_folder(init);
  if (folder.modules.empty()) return has_pooler(folder) ? Pool::kPooler : Pool::kMean;
  std::vector<std::string> warnings;  // the run says them when it reads the folder
  return pool_of_model(read_sentence_modules(folder, warnings).pooling).value_or(Pool::kMean);
}

std::string usual_stages(double rows) {
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

# Then all is trained from there. Epoch 0 is the result of the stage before: it is kept if dev prefers no later one.
# The learning rate rises for a tenth of the steps, then falls to 0.
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
      epochs(kHeadSteps, 10), epochs(kSteps, kEpochs));
}

}  // namespace minbert
