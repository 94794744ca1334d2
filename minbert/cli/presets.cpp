// Presets: their texts, complete enough to train as they are once the paths are right.
#include "minbert/cli/presets.h"

#include <array>

namespace minbert {
namespace {

constexpr std::string_view kMultitask = R"(# Three tasks on one encoder. The data is that of `minbert sample-data -o samples`.
# `minbert config show THIS.toml` lists every other key with its default.

[run]
name = "multitask"         # the run folder is runs/multitask, unless -o names another
seed = 11711

[model]
init = "models/all-MiniLM-L6-v2"   # Hugging Face folder, run folder, or "scratch"
max_length = 128           # tokens of a sequence; longer ones are cut
dtype = "f32"              # or "bf16" where the processor has it

[data]
root = "samples"           # joined before relative data paths

[[task]]
name = "sentiment"
type = "classify"          # one text, K classes
labels = 5                 # their count, a list of names, or "auto"
pool = "mean"              # the vector of a sequence: cls | pooler | mean
head = { dense = [], dropout = 0.1 }   # dense = ["H"] adds a hidden layer as wide as the encoder
[task.data]
train = "sentiment-train.csv"
dev = "sentiment-dev.csv"  # or a fraction of train: dev = 0.1
text = "sentence"          # columns
label = "label"
id = "id"

[[task]]
name = "paraphrase"
type = "pair_classify"     # two texts, K classes
labels = 2
encode = "joint"           # [CLS] a [SEP] b [SEP]; "separate" encodes each text on its own
pool = "mean"
head = { dense = [], dropout = 0.1 }
[task.data]
train = "paraphrase-train.csv"
dev = "paraphrase-dev.csv"
text = "sentence1"
text_pair = "sentence2"
label = "label"
id = "id"

[[task]]
name = "similarity"
type = "pair_regress"      # two texts, a number
encode = "joint"
pool = "mean"
head = { dense = [], dropout = 0.1 }
metric = "pearson"
[task.data]
train = "similarity-train.csv"
dev = "similarity-dev.csv"
text = "sentence1"
text_pair = "sentence2"
label = "label"
label_range = [0, 5]
id = "id"

[[stage]]
sampler = "proportional"   # which task each step trains
epochs = 3
batch = 16
lr = 1e-4                  # 2e-5 to 5e-5 suits larger encoders
schedule = "linear"        # up for warmup_ratio of the steps, then down to 0
warmup_ratio = 0.1
optimizer = "adamw"
weight_decay = 0.01
clip = 1.0
select = "mean"            # best/ is the epoch with the best mean of dev scores
)";

constexpr std::string_view kClassify = R"(# One text, one label: put in your own file and columns.
# `minbert data check THIS.toml` reads it, `minbert config show THIS.toml` lists every other key with its default.

[run]
name = "classify"

[model]
init = "models/all-MiniLM-L6-v2"

[[task]]
name = "mine"
type = "classify"
labels = "auto"            # from the train file, sorted; or a count, or a list of names
pool = "mean"
head = { dense = [], dropout = 0.1 }
[task.data]
train = "train.csv"        # CSV, TSV or JSON lines
dev = 0.1                  # a tenth of train; or a file
text = "text"
label = "label"

[[stage]]
epochs = 4
batch = 16
lr = 5e-5
schedule = "linear"
warmup_ratio = 0.1
optimizer = "adamw"
weight_decay = 0.01
clip = 1.0
)";

constexpr std::string_view kPairs = R"(# Two texts, one number or label: put in your own file and columns.
# `minbert data check THIS.toml` reads it, `minbert config show THIS.toml` lists every other key with its default.

[run]
name = "pairs"

[model]
init = "models/all-MiniLM-L6-v2"

[[task]]
name = "mine"
type = "pair_regress"      # for classes: "pair_classify" and labels = "auto"
encode = "joint"           # "separate" is faster where each text meets many others
pool = "mean"
head = { dense = [], dropout = 0.1 }
[task.data]
train = "train.csv"
dev = 0.1
text = "sentence1"
text_pair = "sentence2"
label = "score"
label_range = [0, 5]       # a row outside is an error

[[stage]]
epochs = 4
batch = 16
lr = 5e-5
schedule = "linear"
warmup_ratio = 0.1
optimizer = "adamw"
weight_decay = 0.01
clip = 1.0
)";

constexpr std::string_view kPretrain = R"(# Masked-LM further pretraining on texts without labels: `minbert pretrain THIS.toml -o runs/texts`.
# `minbert train OTHER.toml --set model.init=runs/texts` then fine-tunes the result.

[run]
name = "texts"

[model]
init = "models/all-MiniLM-L6-v2"

[[stage]]
kind = "mlm"
epochs = 3
batch = 16
lr = 5e-5
schedule = "linear"
warmup_ratio = 0.1
optimizer = "adamw"
weight_decay = 0.01
clip = 1.0
[stage.mlm]
texts = ["lines.txt"]      # files with a text a line, or "TASK.train" for the texts of a [[task]] of this file
probes = []                # texts to measure only: files, "TASK.dev" ...
pairs = "single"           # each text of a pair on its own, or "joined"
mask = 0.15                # share of the tokens to be predicted
head = "tied"              # "linear": one new layer; "tied": to the word embeddings; "pretrained": the checkpoint's, which must be there
held_out = 0.02            # share of the texts that is set aside: the epoch with the lowest loss on it is kept
)";

}  // namespace

std::span<const Preset> presets() {
  static constexpr std::array kPresets = {
      Preset{"multitask", "three tasks on one encoder, on the sample data", kMultitask},
      Preset{"classify", "one text, one label", kClassify},
      Preset{"pairs", "two texts, one number or label", kPairs},
      Preset{"pretrain", "texts without labels", kPretrain},
  };
  return kPresets;
}

}  // namespace minbert
