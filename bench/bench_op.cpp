// A training step made of bare ops: forward, backward and AdamW of an encoder with a classifier on [CLS].
#include "bench/bench_op.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>

#include "bench/machine.h"
#include "bench/timing.h"
#include "minbert/base/clock.h"
#include "minbert/base/parallel.h"
#include "minbert/base/rng.h"

namespace minbert {
namespace {

constexpr std::int64_t kClasses = 5;
constexpr double kEps = 1e-12;

/// Times by label: one total for each label and step.
class Recorder {
 public:
  void begin_step() { ++steps_; }
  template <class Op>
  void time(std::string_view label, double flops, double bytes, const Op& op) {
    const Stopwatch watch;
    op();
    const double seconds = watch.seconds();
    auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.label == label; });
    if (entry == entries_.end()) entry = entries_.insert(entry, Entry{.label = std::string(label)});
    entry->seconds.resize(steps_);
    entry->seconds.back() += seconds;
    if (steps_ > 1) return;
    ++entry->calls;
    entry->flops += flops;
    entry->bytes += bytes;
  }

  struct Entry {
    std::string label;
    int calls = 0;
    double flops = 0, bytes = 0;
    std::vector<double> seconds = {};

    double median() const {
      std::vector<double> sorted = seconds;
      std::nth_element(sorted.begin(), sorted.begin() + std::ssize(sorted) / 2, sorted.end());
      return sorted[sorted.size() / 2];
    }
    double best() const { return *std::min_element(seconds.begin(), seconds.end()); }
  };
  const std::vector<Entry>& entries() const { return entries_; }
  void clear() { entries_.clear(), steps_ = 0; }

 private:
  std::vector<Entry> entries_;
  std::size_t steps_ = 0;
};

struct Linear {
  Tensor master, dw, bias, dbias;
  PreparedWeight weight;
};

struct Layer {
  Linear qkv, output, up, down;
  std::array<Tensor, 2> gamma, beta, dgamma, dbeta;
  Tensor projections, context, attention_saved, sums[2], stats[2], normed[2], pre, inner;
};

class SimulatedStep {
 public:
  SimulatedStep(Backend& backend, const OpBench& options);
  void run(Recorder& recorder);

 private:
  Tensor parameter(std::initializer_list<std::int64_t> shape, Tensor& gradient, float scale, float shift = 0);
  Linear linear(std::int64_t out, std::int64_t in);
  void prepare(Linear& layer);
  void make_inputs();
  void make_parameters();
  void make_activations();
  Dropout site(int index) const {
    return {.p = options_.dropout, .seed = 7, .step = 1, .micro_step = 0, .site = static_cast<std::uint16_t>(index)};
  }
  AttentionShape attention_shape(int layer) const;

  void forward(Recorder& r);
  void forward_layer(Recorder& r, int index, const Tensor& x);
  void backward(Recorder& r);
  void backward_layer(Recorder& r, int index, const Tensor& x);
  void product(Recorder& r, std::string_view label, Linear& layer, const Tensor& out, const Tensor& x);
  void product_gradients(Recorder& r, std::string_view label, Linear& layer, const Tensor& dx, const Tensor& x, const Tensor& dy);
  const Tensor& layer_input(int index) const { return index == 0 ? embedded_ : layers_[static_cast<std::size_t>(index) - 1].normed[1]; }

  Backend& backend_;
  OpBench options_;
  std::int64_t N, C, F;
  Arena arena_;
  Tensor values_, gradients_, m_, v_, copies_;
  std::int64_t used_ = 0;  // elements of values_, and of the tensors beside it, that are in use
  std::uint64_t clock_ = 0;
  Tensor word_, position_, type_, dword_, dposition_, dtype_;
  Tensor gamma_, beta_, dgamma_, dbeta_;
  Linear head_;
  std::vector<Layer> layers_;
  Tensor sum_, normed_, embedded_, stats_, cls_, logits_, losses_, dlogits_, dcls_;
  Tensor d_a_, d_b_, d_c_, d_inner_, d_inner2_, d_projections_;
  struct {
    std::vector<std::int32_t> ids, positions, types, offsets, firsts, labels;
    std::vector<RowId> rows;
  } host_;
  Indices ids_, positions_, types_, offsets_, firsts_, labels_;  // of host_, uploaded
  RowIds rows_;
};

SimulatedStep::SimulatedStep(Backend& backend, const OpBench& options)
    : backend_(backend),
      options_(options),
      N(options.sentences * options.tokens),
      C(options.sizes.hidden),
      F(options.sizes.intermediate),
      arena_(backend),
      layers_(static_cast<std::size_t>(options.sizes.layers)) {
  make_inputs();
  make_parameters();
  make_activations();
}

void SimulatedStep::make_inputs() {
  Rng rng(1, "bench");
  for (std::int64_t b = 0; b < options_.sentences; ++b) {
    host_.offsets.push_back(static_cast<std::int32_t>(b * options_.tokens));
    host_.firsts.push_back(host_.offsets.back());
    host_.labels.push_back(static_cast<std::int32_t>(b % kClasses));
    for (std::int64_t t = 0; t < options_.tokens; ++t) {
      host_.ids.push_back(static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(options_.sizes.vocabulary))));
      host_.positions.push_back(static_cast<std::int32_t>(t));
      host_.types.push_back(0);
      host_.rows.push_back({.row = static_cast<std::uint32_t>(b), .position = static_cast<std::uint16_t>(t), .pass = 0});
    }
  }
  host_.offsets.push_back(static_cast<std::int32_t>(N));
  ids_ = backend_.upload(arena_, host_.ids);
  positions_ = backend_.upload(arena_, host_.positions);
  types_ = backend_.upload(arena_, host_.types);
  offsets_ = backend_.upload(arena_, host_.offsets);
  firsts_ = backend_.upload(arena_, host_.firsts);
  labels_ = backend_.upload(arena_, host_.labels);
  rows_ = backend_.upload(arena_, host_.rows);
}

Tensor SimulatedStep::parameter(std::initializer_list<std::int64_t> shape, Tensor& gradient, float scale, float shift) {
  const std::int64_t count = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  const Tensor value = values_.slice_rows(used_, used_ + count);
  std::uint32_t state = static_cast<std::uint32_t>(used_) | 1u;
  std::vector<float> drawn(static_cast<std::size_t>(count));
  for (float& x : drawn) {
    state = state * 1664525u + 1013904223u;
    x = scale * (static_cast<float>(state >> 8) * 0x1p-23f - 1.0f) + shift;
  }
  backend_.copy_to_device(value, drawn.data());
  gradient = gradients_.slice_rows(used_, used_ + count).reshape(shape);
  used_ += count;
  return value.reshape(shape);
}

Linear SimulatedStep::linear(std::int64_t out, std::int64_t in) {
  Linear layer;
  const std::int64_t start = used_;
  layer.master = parameter({out, in}, layer.dw, 0.05f);
  const Tensor copy = options_.dtype == DType::kBF16 ? copies_.slice_rows(start, used_).reshape({out, in}) : Tensor();
  layer.weight = backend_.prepare(layer.master, options_.dtype, WeightUse::kTrain, &clock_, copy);
  layer.bias = parameter({out}, layer.dbias, 0.01f);
  return layer;
}

void SimulatedStep::make_parameters() {
  const auto& s = options_.sizes;
  const auto total = static_cast<std::int64_t>(s.parameters()) + kClasses * (C + 1);
  for (Tensor* t : {&values_, &gradients_, &m_, &v_}) {
    *t = arena_.allocate(DType::kF32, {total});
    backend_.zero(*t);
  }
  if (options_.dtype == DType::kBF16) copies_ = arena_.allocate(DType::kBF16, {total});
  word_ = parameter({s.vocabulary, C}, dword_, 0.05f);
  position_ = parameter({s.positions, C}, dposition_, 0.05f);
  type_ = parameter({2, C}, dtype_, 0.05f);
  const auto norm = [&](Tensor& gamma, Tensor& beta, Tensor& dgamma, Tensor& dbeta) {
    gamma = parameter({C}, dgamma, 0.1f, 1);
    beta = parameter({C}, dbeta, 0.1f);
  };
  norm(gamma_, beta_, dgamma_, dbeta_);
  for (Layer& layer : layers_) {
    layer.qkv = linear(3 * C, C);
    layer.output = linear(C, C);
    norm(layer.gamma[0], layer.beta[0], layer.dgamma[0], layer.dbeta[0]);
    layer.up = linear(F, C);
    layer.down = linear(C, F);
    norm(layer.gamma[1], layer.beta[1], layer.dgamma[1], layer.dbeta[1]);
  }
  head_ = linear(kClasses, C);
}

void SimulatedStep::make_activations() {
  const auto activation = [&](std::int64_t rows, std::int64_t cols) { return arena_.allocate(options_.dtype, {rows, cols}); };
  const auto stats = [&] { return arena_.allocate(DType::kF32, {N, 2}); };
  for (Tensor* t : {&sum_, &normed_, &embedded_, &d_a_, &d_b_, &d_c_}) *t = activation(N, C);
  for (Tensor* t : {&d_inner_, &d_inner2_}) *t = activation(N, F);
  d_projections_ = activation(N, 3 * C);
  stats_ = stats();
  for (Layer& layer : layers_) {
    layer.projections = activation(N, 3 * C);
    layer.context = activation(N, C);
    const auto bytes = static_cast<std::int64_t>(backend_.attention_saved_bytes(attention_shape(0), options_.dtype));
    layer.attention_saved = arena_.allocate(DType::kU8, {bytes});
    for (int i = 0; i < 2; ++i) {
      layer.sums[i] = activation(N, C);
      layer.stats[i] = stats();
      layer.normed[i] = activation(N, C);
    }
    layer.pre = activation(N, F);
    layer.inner = activation(N, F);
  }
  cls_ = activation(options_.sentences, C);
  dcls_ = activation(options_.sentences, C);
  logits_ = activation(options_.sentences, kClasses);
  dlogits_ = activation(options_.sentences, kClasses);
  losses_ = arena_.allocate(DType::kF32, {options_.sentences});
}

AttentionShape SimulatedStep::attention_shape(int layer) const {
  return {.q_offsets = offsets_, .k_offsets = offsets_, .heads = options_.sizes.heads, .q_rows = rows_, .dropout = site(100 + layer)};
}

double bytes(std::initializer_list<Tensor> tensors) {
  double total = 0;
  for (const Tensor& t : tensors) total += static_cast<double>(t.bytes());
  return total;
}

void SimulatedStep::product(Recorder& r, std::string_view label, Linear& layer, const Tensor& out, const Tensor& x) {
  r.time(fmt::format("linear {}", label), 2.0 * static_cast<double>(x.numel() * out.cols()), bytes({out, x, layer.weight.value}),
         [&] { backend_.linear(out, x, layer.weight, layer.bias); });
}

void SimulatedStep::product_gradients(Recorder& r, std::string_view label, Linear& layer, const Tensor& dx, const Tensor& x,
                                      const Tensor& dy) {
  const double flops = 2.0 * static_cast<double>(x.numel() * dy.cols());
  r.time(fmt::format("linear_backward_params {}", label), flops, bytes({layer.dw, layer.dw, x, dy}),
         [&] { backend_.linear_backward_params(layer.dw, layer.dbias, x, dy); });
  r.time(fmt::format("linear_backward_input {}", label), flops, bytes({dx, dy, layer.weight.value}),
         [&] { backend_.linear_backward_input(dx, dy, layer.weight); });
}

void SimulatedStep::forward_layer(Recorder& r, int index, const Tensor& x) {
  Layer& l = layers_[static_cast<std::size_t>(index)];
  const auto columns = [&](int part) { return l.projections.slice_cols(part * C, (part + 1) * C); };
  const double pairs = static_cast<double>(N * options_.tokens * C);
  product(r, "qkv", l.qkv, l.projections, x);
  r.time("attention", 4 * pairs, bytes({l.projections, l.context}),
         [&] { backend_.attention(l.context, l.attention_saved, columns(0), columns(1), columns(2), attention_shape(index)); });
  product(r, "output", l.output, d_a_, l.context);
  const auto add_norm = [&](int i, const Tensor& residual) {
    const auto k = static_cast<std::size_t>(i);
    r.time("dropout_add_layernorm", 0, bytes({l.normed[i], l.sums[i], d_a_, residual}), [&] {
      backend_.dropout_add_layernorm(l.normed[i], l.sums[i], l.stats[i], d_a_, residual, l.gamma[k], l.beta[k], kEps, rows_,
                                     site(2 * index + i));
    });
  };
  add_norm(0, x);
  r.time("linear_activation up", 2.0 * static_cast<double>(N * C * F), bytes({l.inner, l.pre, l.normed[0], l.up.weight.value}),
         [&] { backend_.linear_activation(l.inner, l.pre, l.normed[0], l.up.weight, l.up.bias, Activation::kGelu); });
  product(r, "down", l.down, d_a_, l.inner);
  add_norm(1, l.normed[0]);
}

void SimulatedStep::forward(Recorder& r) {
  r.time("embedding", 0, 3 * bytes({sum_}), [&] { backend_.embedding(sum_, word_, position_, type_, ids_, positions_, types_); });
  r.time("layernorm", 0, bytes({sum_, normed_}), [&] { backend_.layernorm(normed_, stats_, sum_, gamma_, beta_, kEps); });
  r.time("dropout", 0, bytes({normed_, embedded_}), [&] { backend_.dropout(embedded_, normed_, rows_, site(200)); });
  for (int i = 0; i < static_cast<int>(layers_.size()); ++i) forward_layer(r, i, layer_input(i));
  r.time("gather_rows", 0, 2 * bytes({cls_}), [&] { backend_.gather_rows(cls_, layers_.back().normed[1], firsts_); });
  product(r, "head", head_, logits_, cls_);
  r.time("cross_entropy", 0, bytes({logits_}), [&] { backend_.cross_entropy(losses_, logits_, labels_); });
}

void SimulatedStep::backward_layer(Recorder& r, int index, const Tensor& x) {
  Layer& l = layers_[static_cast<std::size_t>(index)];
  const auto columns = [&](const Tensor& t, int part) { return t.slice_cols(part * C, (part + 1) * C); };
  const double pairs = static_cast<double>(N * options_.tokens * C);
  const auto add_norm_backward = [&](int i, const Tensor& dx, const Tensor& dresidual, const Tensor& dy) {
    const auto k = static_cast<std::size_t>(i);
    r.time("dropout_add_layernorm_backward", 0, bytes({dx, dresidual, dy, l.sums[i]}), [&] {
      backend_.dropout_add_layernorm_backward(dx, dresidual, l.dgamma[k], l.dbeta[k], dy, l.sums[i], l.stats[i], l.gamma[k], rows_,
                                              site(2 * index + i));
    });
  };
  // d_a is the gradient of this layer's output, then of its input; d_b that of a residual branch; d_c that of the branch beside it.
  add_norm_backward(1, d_c_, d_b_, d_a_);
  product_gradients(r, "down", l.down, d_inner_, l.inner, d_c_);
  r.time("activation_backward", 0, 3 * bytes({l.pre}),
         [&] { backend_.activation_backward(d_inner2_, d_inner_, l.pre, Activation::kGelu); });
  product_gradients(r, "up", l.up, d_c_, l.normed[0], d_inner2_);
  r.time("add", 0, 3 * bytes({d_c_}), [&] { backend_.add(d_c_, d_c_, d_b_); });
  add_norm_backward(0, d_a_, d_b_, d_c_);
  product_gradients(r, "output", l.output, d_c_, l.context, d_a_);
  r.time("attention_backward", 10 * pairs, bytes({l.projections, d_projections_, d_c_}), [&] {
    backend_.attention_backward(columns(d_projections_, 0), columns(d_projections_, 1), columns(d_projections_, 2), d_c_, l.attention_saved,
                                columns(l.projections, 0), columns(l.projections, 1), columns(l.projections, 2), attention_shape(index));
  });
  product_gradients(r, "qkv", l.qkv, d_a_, x, d_projections_);
  r.time("add", 0, 3 * bytes({d_a_}), [&] { backend_.add(d_a_, d_a_, d_b_); });
}

void SimulatedStep::backward(Recorder& r) {
  r.time("cross_entropy_backward", 0, 2 * bytes({logits_}),
         [&] { backend_.cross_entropy_backward(dlogits_, logits_, labels_, 1.0 / static_cast<double>(options_.sentences)); });
  product_gradients(r, "head", head_, dcls_, cls_, dlogits_);
  r.time("gather_rows_backward", 0, bytes({d_a_, dcls_}), [&] { backend_.gather_rows_backward(d_a_, dcls_, firsts_); });
  for (int i = static_cast<int>(layers_.size()) - 1; i >= 0; --i) backward_layer(r, i, layer_input(i));
  r.time("dropout", 0, 2 * bytes({d_a_}), [&] { backend_.dropout(d_a_, d_a_, rows_, site(200)); });
  r.time("layernorm_backward", 0, 3 * bytes({d_a_}),
         [&] { backend_.layernorm_backward(d_b_, dgamma_, dbeta_, d_a_, sum_, stats_, gamma_); });
  r.time("embedding_backward", 0, 9 * bytes({d_b_}),
         [&] { backend_.embedding_backward(dword_, dposition_, dtype_, d_b_, ids_, positions_, types_); });
}

void SimulatedStep::run(Recorder& r) {
  r.begin_step();
  forward(r);
  backward(r);
  const AdamWSegment all{
      .value = values_, .gradient = gradients_, .m = m_, .v = v_, .copy = copies_, .step = adamw_step({}, 1e-5f, 1), .weight_decay = 0.01f};
  r.time("adamw", 0, 32.0 * static_cast<double>(values_.numel()) + (copies_ ? bytes({copies_}) : 0.0),
         [&] { backend_.adamw({&all, 1}, {}); });
}

}  // namespace

double EncoderSizes::linear_parameters() const {
  return static_cast<double>(layers) * (4.0 * static_cast<double>(hidden * hidden) + 2.0 * static_cast<double>(hidden * intermediate));
}

double EncoderSizes::parameters() const {
  const double embeddings = static_cast<double>((vocabulary + positions + 2) * hidden);
  return linear_parameters() + embeddings + static_cast<double>(2 * hidden) + static_cast<double>(layers * (9 * hidden + intermediate));
}

EncoderSizes encoder_sizes(std::string_view name) {
  if (name == "minilm") return {"minilm", 6, 384, 1536, 12, 30522, 512};
  if (name == "bert-base") return {"bert-base", 12, 768, 3072, 12, 30522, 512};
  if (name == "bert-large") return {"bert-large", 24, 1024, 4096, 16, 30522, 512};
  if (name == "bert-tiny") return {"bert-tiny", 2, 128, 512, 2, 30522, 512};
  throw Error(ErrorTag::kUsage, "model", fmt::format("expected minilm, bert-tiny, bert-base or bert-large, got \"{}\"", name));
}

std::vector<Json> bench_ops(Backend& backend, const OpBench& options) {
  const double peak = measure_gemm_peak(backend, options.dtype), bandwidth = measure_bandwidth();
  SimulatedStep step(backend, options);
  Recorder recorder;
  for (int i = 0; i < 2; ++i) step.run(recorder);
  recorder.clear();
  for (int i = 0; i < options.repeats; ++i) step.run(recorder);

  std::vector<Json> lines;
  double total = 0, best = 0;
  for (const auto& entry : recorder.entries()) {
    const double seconds = entry.median();
    total += seconds;
    best += entry.best();
    Json line{{"bench", "op"},
              {"op", entry.label},
              {"calls", entry.calls},
              {"ms", rounded(seconds * 1e3)},
              {"best_ms", rounded(entry.best() * 1e3)}};
    if (entry.flops > 0) {
      line["gflops"] = rounded(entry.flops / seconds * 1e-9);
      line["of_peak"] = rounded(entry.flops / seconds * 1e-9 / peak);
    }
    line["gbs"] = rounded(entry.bytes / seconds * 1e-9);
    line["of_bandwidth"] = rounded(entry.bytes / seconds * 1e-9 / bandwidth);
    lines.push_back(std::move(line));
  }
  const double tokens = static_cast<double>(options.sentences * options.tokens);
  const double attention = 4.0 * tokens * static_cast<double>(options.tokens * options.sizes.hidden * options.sizes.layers);
  const double gemm_seconds = 3.0 * (2.0 * tokens * options.sizes.linear_parameters() + attention) / peak * 1e-9;
  const double adamw_seconds = 28.0 * options.sizes.parameters() / bandwidth * 1e-9;
  lines.push_back({{"bench", "op"},
                   {"op", "step"},
                   {"model", options.sizes.name},
                   {"dtype", dtype_name(options.dtype)},
                   {"sentences", options.sentences},
                   {"tokens", options.tokens},
                   {"threads", num_threads()},
                   {"backend", backend.description()},
                   {"peak_gflops", rounded(peak)},
                   {"bandwidth_gbs", rounded(bandwidth)},
                   {"ms", rounded(total * 1e3)},
                   {"best_ms", rounded(best * 1e3)},
                   {"floor_ms", rounded((gemm_seconds + adamw_seconds) * 1e3)},
                   {"floor_gemm_ms", rounded(gemm_seconds * 1e3)},
                   {"of_floor", rounded((gemm_seconds + adamw_seconds) / total)}});
  return lines;
}

}  // namespace minbert
