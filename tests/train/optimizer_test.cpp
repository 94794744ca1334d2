// Optimizer against plain loops: which parameters move, by which rate, and their step counts.
#include "minbert/train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "minbert/train/stage.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"
#include "tests/model/tiny_model.h"

namespace minbert {
namespace {

constexpr std::string_view kWords = "embeddings.word_embeddings.weight";

using StepHead = Optimizer::StepHead;
constexpr StepHead kMlm;

/// Two tasks, the second with a head that reads the pooler, and an MLM head tied to the word embeddings.
ModelShape two_tasks() {
  ModelShape shape = tiny_shape();
  shape.mlm = MlmHeadKind::kTied;
  shape.heads = {{.task = "a", .dense = {3}, .outputs = 2}, {.task = "b", .pool = Pool::kPooler, .outputs = 1}};
  return shape;
}

bool everything(const ParamInfo&) { return true; }

/// Whether a step for `head` uses the parameter.
bool uses(const ModelShape& shape, StepHead head, const ParamInfo& info) {
  switch (info.role) {
    case Role::kEncoder: return true;
    case Role::kPooler: return head && shape.heads[*head].pool == Pool::kPooler;
    case Role::kHead: return head && shape.heads[*head].task == info.task;
    case Role::kMlm: return !head;
  }
  return false;
}

/// Matrices decay; biases and the parameters of LayerNorm do not (google-research/bert, optimization.py).
bool is_matrix(std::string_view name) { return !name.ends_with("bias") && name.find("LayerNorm") == std::string_view::npos; }

/// How often layer_decay counts for a parameter: once for each layer of the encoder above it.
int layers_above(const Params& params, const ParamInfo& info) {
  if (info.role != Role::kEncoder) return 0;
  constexpr std::string_view kLayer = "encoder.layer.";
  const auto layers = static_cast<int>(params.config().num_hidden_layers);
  return info.name.starts_with(kLayer) ? layers - 1 - std::stoi(info.name.substr(kLayer.size())) : layers;
}

/// AdamW in doubles, one parameter after the other.
struct PlainAdamW {
  struct State {
    std::vector<double> value, m, v;
    int step = 0;
  };
  const Params& params;
  StageSpec stage;
  std::map<std::string, State> states;

  PlainAdamW(const Params& parameters, const StageSpec& spec) : params(parameters), stage(spec) {
    for (const ParamInfo& info : params.table()) {
      const auto now = values(params, info.name);
      const std::vector<double> zeros(now.size());
      states[info.name] = {{now.begin(), now.end()}, zeros, zeros, 0};
    }
  }

  void step(StepHead head, const std::map<std::string, std::vector<float>>& gradients, double factor) {
    double squares = 0;
    for (const auto& [name, gradient] : gradients)
      for (const float g : gradient) squares += static_cast<double>(g) * static_cast<double>(g);
    const double scale = stage.clip > 0 ? std::min(1.0, stage.clip / (std::sqrt(squares) + 1e-6)) : 1.0;
    for (const ParamInfo& info : params.table())
      if (uses(params.shape(), head, info)) update(info, gradients.at(info.name), scale, factor);
  }

  void update(const ParamInfo& info, const std::vector<float>& gradient, double scale, double factor) {
    State& s = states[info.name];
    const double rate = factor * (info.role == Role::kHead || info.role == Role::kMlm ? stage.head_lr.value() : stage.lr) *
                        std::pow(stage.layer_decay, layers_above(params, info));
    const double decay = is_matrix(info.name) || stage.decay_bias_and_norm ? stage.weight_decay : 0;
    const double c1 = 1 - std::pow(stage.betas[0], ++s.step), c2 = 1 - std::pow(stage.betas[1], s.step);
    for (std::size_t i = 0; i < s.value.size(); ++i) {
      const double g = scale * static_cast<double>(gradient[i]);
      s.m[i] = stage.betas[0] * s.m[i] + (1 - stage.betas[0]) * g;
      s.v[i] = stage.betas[1] * s.v[i] + (1 - stage.betas[1]) * g * g;
      s.value[i] -= rate * std::sqrt(c2) / c1 * s.m[i] / (std::sqrt(s.v[i]) + stage.eps);
      s.value[i] -= rate * decay * s.value[i];
    }
  }
};

class OptimizerTest : public testing::Test {
 protected:
  StageSpec stage() const {
    StageSpec spec;
    spec.lr = 0.01;
    spec.head_lr = 0.03;
    return spec;
  }

  /// Makes a step with the gradients as they are. Says of every other layer that its gradient is final before the others'. Returns the
  /// norm.
  double update(Optimizer& optimizer, StepHead head, double lr_factor = 1) {
    const auto ready = optimizer.begin_step(head, lr_factor);
    const auto table = params.table();
    for (std::size_t begin = 0, end = 0; ready && begin < table.size(); begin = end) {
      const auto is_other = [&](const ParamInfo& info) { return info.role != table[begin].role || info.layer != table[begin].layer; };
      end =
          static_cast<std::size_t>(std::find_if(table.begin() + static_cast<std::ptrdiff_t>(begin), table.end(), is_other) - table.begin());
      if (table[begin].role == Role::kEncoder && table[begin].layer % 2 == 0) ready({begin, end});
    }
    const double norm = optimizer.gradient_norm(head);
    optimizer.step(lr_factor);
    return norm;
  }

  /// Draws gradients N(0, gradient_scale^2) for all parameters that a step for `head` uses; among the word embeddings only for the rows
  /// `words`, except that the MLM head has gradients for all rows.
  std::map<std::string, std::vector<float>> give_gradients(Optimizer& optimizer, StepHead head, std::span<const std::int32_t> words) {
    std::map<std::string, std::vector<float>> given;
    optimizer.touch(words);
    if (!head) optimizer.touch_all_words();
    for (std::size_t i = 0; i < params.table().size(); ++i) {
      const ParamInfo& info = params.table()[i];
      if (!uses(params.shape(), head, info)) continue;
      const auto gradient = optimizer.gradients()[i].span<float>();
      for (std::size_t j = 0; j < gradient.size(); ++j) {
        const auto row = static_cast<std::int32_t>(j) / static_cast<std::int32_t>(params.config().hidden_size);
        if (info.name == kWords && head && std::ranges::find(words, row) == words.end()) continue;
        EXPECT_EQ(gradient[j], 0) << info.name << ": an earlier step left its gradient";
        gradient[j] = static_cast<float>(rng.normal()) * gradient_scale;
      }
      given[info.name].assign(gradient.begin(), gradient.end());
    }
    return given;
  }

  /// Compares steps of both tasks and the MLM head on changing words with the plain loops.
  void expect_plain_updates(const StageSpec& spec) {
    Optimizer optimizer(params, spec, everything, 1);
    PlainAdamW plain(params, spec);
    const std::vector<std::int32_t> words[] = {{3, 1, 3}, {7, 8}, {2}, {1}, {4}, {9, 2, 1}};
    constexpr StepHead kHeads[] = {0, 1, kMlm, 0, kMlm, 0};
    for (std::size_t step = 0; step < std::size(words); ++step) {
      const StepHead head = kHeads[step];
      const double factor = 1.0 / static_cast<double>(step + 1);
      const auto gradients = give_gradients(optimizer, head, words[step]);
      double squares = 0;
      for (const auto& [name, gradient] : gradients)
        for (const float g : gradient) squares += static_cast<double>(g) * static_cast<double>(g);
      EXPECT_NEAR(update(optimizer, head, factor) / std::sqrt(squares), 1, 1e-12);
      plain.step(head, gradients, factor);
    }
    optimizer.settle();
    for (const auto& [name, state] : plain.states) {
      const auto now = values(params, name);
      for (std::size_t i = 0; i < now.size(); ++i)
        ASSERT_NEAR(static_cast<double>(now[i]), state.value[i], 2e-6 * (1 + std::abs(state.value[i]))) << name;
    }
  }

  std::unique_ptr<Backend> backend = make_backend("cpu");
  Params params = tiny_params(*backend, two_tasks());
  Rng rng{5, "gradients"};
  float gradient_scale = 1;
};

TEST_F(OptimizerTest, EqualsPlainLoops) { expect_plain_updates(stage()); }

TEST_F(OptimizerTest, DecaysEveryRowButNoBias) {
  StageSpec spec = stage();
  spec.weight_decay = 0.1;
  expect_plain_updates(spec);
}

TEST_F(OptimizerTest, DecaysBiasesAndNormsWhenAsked) {
  StageSpec spec = stage();
  spec.weight_decay = 0.1;
  spec.decay_bias_and_norm = true;
  expect_plain_updates(spec);
}

TEST_F(OptimizerTest, EachLayerHasAShareOfTheRateOfTheLayerAbove) {
  StageSpec spec = stage();
  spec.layer_decay = 0.5;
  expect_plain_updates(spec);
  spec.weight_decay = 0.1;
  expect_plain_updates(spec);
}

TEST_F(OptimizerTest, ClippingAddsToTheNormAsTorchDoes) {
  StageSpec spec = stage();
  gradient_scale = 1e-8f;  // norms near the 1e-6 that torch.nn.utils.clip_grad_norm_ adds
  spec.clip = 1e-7;
  spec.eps = 1e-6;
  spec.lr = spec.head_lr.emplace(1);
  expect_plain_updates(spec);
}

TEST_F(OptimizerTest, ClipsByTheNormOfTheWholeStep) {
  StageSpec spec = stage();
  spec.clip = 0.5;
  spec.eps = 1e-2;  // else AdamW would hide a common factor of all gradients
  expect_plain_updates(spec);
}

TEST_F(OptimizerTest, WhatAStepDoesNotUseKeepsItsBytes) {
  Optimizer optimizer(params, stage(), everything, 1);
  const std::vector<std::int32_t> words = {4};
  for (const StepHead head : {StepHead(1), StepHead(0), kMlm}) {
    std::map<std::string, std::vector<float>> before;
    for (const ParamInfo& info : params.table()) before[info.name] = values(params, info.name);
    give_gradients(optimizer, head, words);
    update(optimizer, head);
    for (const ParamInfo& info : params.table())
      EXPECT_EQ(before[info.name] != values(params, info.name), uses(params.shape(), head, info)) << info.name;
  }
}

TEST_F(OptimizerTest, WordsThatWaitEndWithTheSameBits) {
  constexpr int kSteps = 1300;  // more than ever wait
  const TempFolder folder;
  save_weights(folder / "weights.safetensors", params, everything);
  for (const double decay : {0.0, 0.1}) {
    StageSpec spec = stage();
    spec.weight_decay = decay;
    std::vector<std::vector<float>> ends;
    for (const int every : {1, kSteps + 1}) {
      load_weights(folder / "weights.safetensors", params, everything);
      rng = Rng(8, "gradients");
      Optimizer optimizer(params, spec, everything, 1);
      for (int step = 1; step <= kSteps; ++step) {
        const std::vector<std::int32_t> words = {step % 2, step < 5 ? 9 : 2, step % 100 == 0 ? 7 : 1};
        give_gradients(optimizer, 0, words);
        update(optimizer, 0, step < 50 ? 0.02 * step : 1 - static_cast<double>(step) / kSteps);
        if (step % every == 0) optimizer.settle();
      }
      optimizer.settle();
      optimizer.save(folder / "optimizer.safetensors");
      const SafetensorsFile file(folder / "optimizer.safetensors");
      for (const std::string name : {"m.", "v."}) {
        const SafetensorsEntry& entry = *file.find(name + std::string(kWords));
        convert_to_f32(entry.dtype, entry.bytes, ends.emplace_back(entry.bytes.size() / sizeof(float)));
      }
      ends.push_back(values(params, kWords));
    }
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(ends[i], ends[i + 3]) << "decay " << decay << ", part " << i;
  }
}

TEST_F(OptimizerTest, SavedAndLoadedGoesOnToTheSameBits) {
  const std::vector<std::int32_t> first = {5, 6, 10}, second = {6, 0};
  for (const StepHead before : {StepHead(1), kMlm}) {
    const TempFolder folder;
    Optimizer whole(params, stage(), everything, 1);
    give_gradients(whole, before, first);
    update(whole, before);
    whole.settle();
    whole.save(folder / "optimizer.safetensors");
    save_weights(folder / "weights.safetensors", params, everything);

    std::vector<std::vector<float>> ends;
    Optimizer loaded(params, stage(), everything, 1);
    loaded.load(folder / "optimizer.safetensors");
    for (Optimizer* optimizer : {&whole, &loaded}) {
      rng = Rng(6, "gradients");
      load_weights(folder / "weights.safetensors", params, everything);
      give_gradients(*optimizer, 1, second);
      update(*optimizer, 1);
      optimizer->settle();
      for (const ParamInfo& info : params.table()) ends.push_back(values(params, info.name));
    }
    const auto half = static_cast<std::ptrdiff_t>(ends.size() / 2);
    EXPECT_TRUE(std::equal(ends.begin(), ends.begin() + half, ends.begin() + half));
  }
}

/// Adapts one linear layer of self-attention and one of the feed-forward part.
StageSpec with_lora(StageSpec spec) {
  spec.tasks = {"a"};
  spec.lora = LoraSection{.rank = 2, .alpha = 3, .targets = {LoraTarget::kValue, LoraTarget::kOutput}};
  return spec;
}

bool is_adapted(const ParamInfo& info) {
  return info.name.ends_with("attention.self.value.weight") ||
         (info.name.ends_with("output.dense.weight") && !info.name.ends_with("attention.output.dense.weight"));
}

TEST_F(OptimizerTest, LoraComputesGradientsOfFactorsAndTheirProduct) {
  const StageSpec spec = with_lora(stage());
  const Gradients gradients(*backend, params, [&](const ParamInfo& info) { return stage_trains(spec, info); });
  LowRank lora(params, gradients, spec, 7);
  ASSERT_EQ(lora.adapters().size(), 2u * static_cast<std::size_t>(params.config().num_hidden_layers));
  const auto draw = [&](const Tensor& x) {
    for (float& value : x.span<float>()) value = static_cast<float>(rng.normal());
  };
  for (const LowRank::Adapter& at : lora.adapters()) {
    const ParamInfo& info = params.table()[at.index];
    EXPECT_TRUE(is_adapted(info)) << info.name;
    const auto bound = static_cast<float>(1 / std::sqrt(static_cast<double>(info.shape[1])));
    for (const float x : at.a.span<float>()) EXPECT_LE(std::abs(x), bound);
    for (const float x : at.b.span<float>()) EXPECT_EQ(x, 0);
    draw(at.b);
  }
  for (std::size_t i = 0; i < params.table().size(); ++i)
    if (gradients.trainable(i)) draw(gradients[i]);
  std::vector<std::vector<float>> dw;
  for (const LowRank::Adapter& at : lora.adapters()) dw.push_back(backend->to_host(gradients[at.index]));
  lora.project(gradients);
  lora.merge();
  for (std::size_t n = 0; n < dw.size(); ++n) {
    const LowRank::Adapter& at = lora.adapters()[n];
    const ParamInfo& info = params.table()[at.index];
    const auto O = static_cast<std::size_t>(info.shape[0]), I = static_cast<std::size_t>(info.shape[1]);
    const auto a = at.a.span<float>(), b = at.b.span<float>(), da = at.da.span<float>(), base = at.base.span<float>();
    const auto now = values(params, info.name);
    for (std::size_t r = 0; r < 2; ++r)
      for (std::size_t i = 0; i < I; ++i) {
        double sum = 0;
        for (std::size_t o = 0; o < O; ++o) sum += 1.5 * static_cast<double>(b[r * O + o]) * static_cast<double>(dw[n][o * I + i]);
        EXPECT_NEAR(static_cast<double>(da[r * I + i]), sum, 1e-5);
      }
    for (std::size_t o = 0; o < O; ++o)
      for (std::size_t i = 0; i < I; ++i) {
        double sum = static_cast<double>(base[o * I + i]);
        for (std::size_t r = 0; r < 2; ++r) sum += 1.5 * static_cast<double>(b[r * O + o]) * static_cast<double>(a[r * I + i]);
        EXPECT_NEAR(static_cast<double>(now[o * I + i]), sum, 1e-6 * (1 + std::abs(sum)));
      }
  }
  lora.project(gradients);  // of the zeros that the first call left
  for (const LowRank::Adapter& at : lora.adapters())
    for (const Tensor& gradient : {at.da, at.db})
      for (const float x : gradient.span<float>()) EXPECT_EQ(x, 0);
}

TEST_F(OptimizerTest, LoraMovesTheAdaptedWeightsAlone) {
  const StageSpec spec = with_lora(stage());
  const ParamFilter trains = [&](const ParamInfo& info) { return stage_trains(spec, info); };
  const TempFolder folder;
  std::vector<std::vector<float>> ends;
  std::map<std::string, std::vector<float>> before;
  for (const ParamInfo& info : params.table()) before[info.name] = values(params, info.name);
  Optimizer whole(params, spec, trains, 7);
  const auto step = [&](Optimizer& optimizer, std::uint64_t seed) {
    Rng drawn(seed, "gradients");
    for (std::size_t i = 0; i < params.table().size(); ++i)
      if (const Tensor gradient = optimizer.gradients()[i]; gradient && uses(params.shape(), 0, params.table()[i]))
        for (float& x : gradient.span<float>()) x = static_cast<float>(drawn.normal());
    update(optimizer, 0);
  };
  step(whole, 1);
  step(whole, 2);
  for (const ParamInfo& info : params.table()) {
    const bool moves = info.role == Role::kEncoder ? is_adapted(info) : info.role == Role::kHead && info.task == "a";
    EXPECT_EQ(before[info.name] != values(params, info.name), moves) << info.name;
  }
  whole.save(folder / "optimizer.safetensors");
  save_weights(folder / "weights.safetensors", params, everything);
  Optimizer loaded(params, spec, trains, 7);
  loaded.load(folder / "optimizer.safetensors");
  for (Optimizer* optimizer : {&whole, &loaded}) {
    load_weights(folder / "weights.safetensors", params, everything);
    step(*optimizer, 3);
    for (const ParamInfo& info : params.table()) ends.push_back(values(params, info.name));
  }
  const auto half = static_cast<std::ptrdiff_t>(ends.size() / 2);
  EXPECT_TRUE(std::equal(ends.begin(), ends.begin() + half, ends.begin() + half));
}

TEST_F(OptimizerTest, LoraHasTheRatesAndTheDecayOfItsLayers) {
  StageSpec spec = with_lora(stage());
  spec.layer_decay = 0.5;
  spec.weight_decay = 0.1;
  spec.eps = 1e-12;
  const TempFolder folder;
  Optimizer optimizer(params, spec, [&](const ParamInfo& info) { return stage_trains(spec, info); }, 7);
  optimizer.save(folder / "before.safetensors");
  for (std::size_t i = 0; i < params.table().size(); ++i)
    if (const Tensor gradient = optimizer.gradients()[i]; gradient && params.table()[i].role == Role::kEncoder)
      for (float& x : gradient.span<float>()) x = static_cast<float>(rng.normal());
  update(optimizer, 0);
  optimizer.save(folder / "after.safetensors");
  const SafetensorsFile before(folder / "before.safetensors"), after(folder / "after.safetensors");
  const auto floats = [](const SafetensorsFile& file, const std::string& name) {
    const SafetensorsEntry& entry = *file.find(name);
    std::vector<float> numbers(entry.bytes.size() / sizeof(float));
    convert_to_f32(entry.dtype, entry.bytes, numbers);
    return numbers;
  };
  int adapted = 0;
  for (const ParamInfo& info : params.table()) {
    if (!is_adapted(info)) continue;
    ++adapted;
    const double rate = spec.lr * std::pow(0.5, layers_above(params, info)), kept = 1 - rate * spec.weight_decay;
    // B is zero at first, so that A has no gradient; the first step moves each number of B by its rate.
    const auto a = floats(after, "lora.a." + info.name), b = floats(after, "lora.b." + info.name);
    const auto old_a = floats(before, "lora.a." + info.name);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], old_a[i] * kept, 1e-7) << info.name;
    for (const float x : b) EXPECT_NEAR(std::abs(x), rate * kept, 1e-6) << info.name;
  }
  EXPECT_EQ(adapted, 4);
}

TEST_F(OptimizerTest, RefusesTheMomentsOfOtherParameters) {
  const TempFolder folder;
  Optimizer(params, stage(), everything, 1).save(folder / "optimizer.safetensors");
  Optimizer heads(params, stage(), is_head, 1);
  expect_error(ErrorTag::kModel, {"optimizer.safetensors"}, [&] { heads.load(folder / "optimizer.safetensors"); });
}

TEST(StageTrains, WhatItsKindSays) {
  StageSpec stage;
  stage.tasks = {"mine"};
  const auto trains = [&](StageKind kind) {
    stage.kind = kind;
    std::string roles;
    for (const auto& [name, role, task] : {std::tuple("encoder ", Role::kEncoder, ""),
                                           {"pooler ", Role::kPooler, ""},
                                           {"head ", Role::kHead, "mine"},
                                           {"other ", Role::kHead, "other"},
                                           {"mlm ", Role::kMlm, ""}}) {
      ParamInfo info;
      info.role = role;
      info.task = task;
      if (stage_trains(stage, info)) roles += name;
    }
    return roles;
  };
  EXPECT_EQ(trains(StageKind::kFinetune), "encoder pooler head ");
  EXPECT_EQ(trains(StageKind::kHeads), "head ");
  stage.tasks.clear();
  EXPECT_EQ(trains(StageKind::kMlm), "encoder mlm ");
}

TEST_F(OptimizerTest, HoldsOnlyWhatTrains) {
  Optimizer optimizer(params, stage(), is_head, 1);
  for (std::size_t i = 0; i < params.table().size(); ++i)
    EXPECT_EQ(optimizer.gradients().trainable(i), params.table()[i].role == Role::kHead) << params.table()[i].name;
  std::int64_t heads = 0;
  for (const ParamInfo& info : params.table()) heads += is_head(info) ? info.numel() : 0;
  EXPECT_EQ(Optimizer::state_bytes(params, stage(), is_head), 3 * 4 * heads);
}

}  // namespace
}  // namespace minbert
