// A run on a backend whose memory the host cannot read: training, scores, checkpoints and resumes reach tensors by ops and copies only, and
// give the bytes of the same run in host memory.
#include <algorithm>
#include <string>

#include "tests/ops/remote_backend.h"
#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

class RemoteRunTest : public TinyRunTest {
 protected:
  /// All kinds of stages: all tasks, masked-LM pretraining with a head tied to the word embeddings, heads on a cached encoder.
  RunConfig all_kinds() const {
    return config(R"(
[[stage]]
epochs = 1
clip = 1.0
checkpoint_every = 3
[[stage]]
name = "pretrain"
kind = "mlm"
epochs = 1
batch = 4
lr = 3e-3
[stage.mlm]
texts = ["same.train", "near.train"]
held_out = 0.2
mask = 0.3
head = "tied"
[[stage]]
name = "heads"
kind = "heads"
tasks = ["near", "mood"]
max_steps = 4
select = "per_task"
)");
  }
};

TEST_F(RemoteRunTest, GivesTheSameBytes) {
  backend = make_backend("ref");
  train(all_kinds(), "near");

  backend = make_remote_backend(make_backend("ref"));
  backend->set_checking_outputs(true);
  int runs = 0;
  for (bool stopped = true; stopped; ++runs) {
    stopped = train(all_kinds(), "remote", {.resume = runs > 0}, [&] { return std::ssize(events.steps) == 7; }).stopped;
    ASSERT_LT(runs, 20);
  }
  EXPECT_GT(runs, 2);
  for (const std::string_view file :
       {"best/model.safetensors", "best/heads.safetensors", "checkpoints/stage-pretrain/best/mlm.safetensors"})
    EXPECT_TRUE(bytes("near", file) == bytes("remote", file)) << file;
  EXPECT_EQ(without_times(bytes("near", "metrics.jsonl")), without_times(bytes("remote", "metrics.jsonl")));
}

}  // namespace
}  // namespace minbert
