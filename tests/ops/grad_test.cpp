// Compares every backward of the reference with the complex step on its forward. What passes is the oracle of all other backends.
#include <gtest/gtest.h>

#include <memory>

#include "minbert/ops/ref/ref_backend.h"
#include "tests/testing.h"

namespace minbert {
namespace {

using Tensors = std::span<const Tensor>;
using Shape = std::vector<std::int64_t>;

Backend& ref() {
  static const std::unique_ptr<Backend> backend = make_ref_backend();
  return *backend;
}

void check(const GradCase& c) { grad_check(ref(), c, kSeed); }

// The weight prepared in its own dtype.
PreparedWeight prepared(const Tensor& w) { return ref().prepare(w, w.dtype(), WeightUse::kTrain, nullptr, {}); }

const std::vector<RowId> kRows = {{3, 0, 0}, {3, 1, 0}, {3, 2, 0}, {70000, 0, 1}, {70000, 1, 1},
                                  {9, 0, 0}, {9, 1, 0}, {9, 2, 0}, {9, 3, 0}};
RowIds rows(std::int64_t n) { return in_host_memory(std::span(kRows).first(static_cast<std::size_t>(n))); }
Dropout dropout(float p) { return {.p = p, .seed = 42, .step = 7, .micro_step = 1, .site = 5}; }

constexpr Activation kActivations[] = {Activation::kGelu, Activation::kGeluNew, Activation::kRelu, Activation::kSilu, Activation::kTanh};

TEST(Grad, Linear) {
  struct Size {
    std::int64_t N, I, O;
  };
  for (const auto [N, I, O] : {Size{1, 1, 1}, {5, 7, 3}, {2, 1, 13}})
    check({.inputs = {{"x", {N, I}}, {"w", {O, I}, true}, {"bias", {O}, true}},
           .output_shape = {N, O},
           .forward = [](Arena&, Tensors in, const Tensor& out) { ref().linear(out, in[0], prepared(in[1]), in[2]); },
           .backward =
               [](Arena&, Tensors d, const Tensor& dout, Tensors in) {
                 ref().linear_backward_input(d[0], dout, prepared(in[1]));
                 ref().linear_backward_params(d[1], d[2], in[0], dout);
               }});
}

TEST(Grad, LinearActivation) {
  for (const Activation kind : kActivations)
    // Weights are small, because where every tanh is 1 all gradients are 0 and any backward would pass.
    check({.inputs = {{"x", {3, 5}}, {"w", {7, 5}, true, 0.1}, {"bias", {7}, true, 0.1}},
           .output_shape = {3, 7},
           .forward = [=](Arena&, Tensors in, const Tensor& out) { ref().linear_activation(out, {}, in[0], prepared(in[1]), in[2], kind); },
           .backward =
               [=](Arena& scratch, Tensors d, const Tensor& dout, Tensors in) {
                 const Tensor out = scratch.allocate(DType::kF64, {3, 7}), pre = scratch.allocate(DType::kF64, {3, 7});
                 ref().linear_activation(out, pre, in[0], prepared(in[1]), in[2], kind);
                 ref().activation_backward(pre, dout, pre, kind);
                 ref().linear_backward_input(d[0], pre, prepared(in[1]));
                 ref().linear_backward_params(d[1], d[2], in[0], pre);
               }});
}

TEST(Grad, Activation) {
  for (const Activation kind : kActivations)
    check({.inputs = {{"x", {5, 7}}},
           .output_shape = {5, 7},
           .forward = [=](Arena&, Tensors in, const Tensor& out) { ref().activation(out, in[0], kind); },
           .backward = [=](Arena&, Tensors d, const Tensor& dout, Tensors in) { ref().activation_backward(d[0], dout, in[0], kind); }});
}

TEST(Grad, Dropout) {
  for (const float p : {0.0f, 0.4f})
    check({.inputs = {{"x", {5, 19}}},
           .output_shape = {5, 19},
           .forward = [=](Arena&, Tensors in, const Tensor& out) { ref().dropout(out, in[0], rows(5), dropout(p)); },
           .backward = [=](Arena&, Tensors d, const Tensor& dout, Tensors) { ref().dropout(d[0], dout, rows(5), dropout(p)); }});
}

TEST(Grad, Affine) {
  check({.inputs = {{"x", {5, 7}}},
         .output_shape = {5, 7},
         .forward = [](Arena&, Tensors in, const Tensor& out) { ref().affine(out, in[0], -1.7, 0.4); },
         .backward = [](Arena&, Tensors d, const Tensor& dout, Tensors) { ref().affine(d[0], dout, -1.7, 0); }});
}

TEST(Grad, LayerNorm) {
  for (const auto& [N, C, eps] : {std::tuple<std::int64_t, std::int64_t, double>{1, 3, 1e-12}, {5, 7, 1e-12}, {3, 16, 0.5}})
    check({.inputs = {{"x", {N, C}}, {"gamma", {C}, true}, {"beta", {C}, true}},
           .output_shape = {N, C},
           .forward = [=, eps = eps](Arena&, Tensors in, const Tensor& out) { ref().layernorm(out, {}, in[0], in[1], in[2], eps); },
           .backward =
               [=, N = N, C = C, eps = eps](Arena& scratch, Tensors d, const Tensor& dout, Tensors in) {
                 const Tensor out = scratch.allocate(DType::kF64, {N, C}), stats = scratch.allocate(DType::kF64, {N, 2});
                 ref().layernorm(out, stats, in[0], in[1], in[2], eps);
                 ref().layernorm_backward(d[0], d[1], d[2], dout, in[0], stats, in[1]);
               }});
}

TEST(Grad, DropoutAddLayerNorm) {
  constexpr std::int64_t N = 4, C = 11;
  for (const float p : {0.0f, 0.3f})
    check({.inputs = {{"x", {N, C}}, {"residual", {N, C}}, {"gamma", {C}, true}, {"beta", {C}, true}},
           .output_shape = {N, C},
           .forward =
               [=](Arena&, Tensors in, const Tensor& out) {
                 ref().dropout_add_layernorm(out, {}, {}, in[0], in[1], in[2], in[3], 1e-12, rows(N), dropout(p));
               },
           .backward =
               [=](Arena& scratch, Tensors d, const Tensor& dout, Tensors in) {
                 const Tensor out = scratch.allocate(DType::kF64, {N, C}), sum = scratch.allocate(DType::kF64, {N, C}),
                              stats = scratch.allocate(DType::kF64, {N, 2});
                 ref().dropout_add_layernorm(out, sum, stats, in[0], in[1], in[2], in[3], 1e-12, rows(N), dropout(p));
                 ref().dropout_add_layernorm_backward(d[0], d[1], d[2], d[3], dout, sum, stats, in[2], rows(N), dropout(p));
               }});
}

TEST(Grad, Embedding) {
  static const std::vector<std::int32_t> id_list = {4, 0, 4, 2, 4}, position_list = {0, 1, 2, 0, 1}, type_list = {0, 0, 1, 0, 1};
  static const Indices ids = in_host_memory(id_list), positions = in_host_memory(position_list), types = in_host_memory(type_list);
  check({.inputs = {{"word", {6, 3}, true}, {"position", {4, 3}, true}, {"type", {2, 3}, true}},
         .output_shape = {5, 3},
         .forward = [](Arena&, Tensors in, const Tensor& out) { ref().embedding(out, in[0], in[1], in[2], ids, positions, types); },
         .backward = [](Arena&, Tensors d, const Tensor& dout,
                        Tensors) { ref().embedding_backward(d[0], d[1], d[2], dout, ids, positions, types); }});
}

struct AttentionSetup {
  std::vector<std::int32_t> q_offsets, k_offsets;
  std::int64_t heads, head_size;
};

TEST(Grad, Attention) {
  // All rows are queries; only first rows are; a sentence has no rows, another no queries.
  const AttentionSetup setups[] = {
      {{0, 3, 4, 9}, {0, 3, 4, 9}, 2, 3}, {{0, 1, 2, 3}, {0, 3, 4, 9}, 2, 3}, {{0, 2, 2, 2}, {0, 2, 2, 5}, 1, 2}, {{0, 1}, {0, 1}, 1, 1}};
  for (const AttentionSetup& s : setups)
    for (const float p : {0.0f, 0.3f}) {
      const std::int64_t Nq = s.q_offsets.back(), Nk = s.k_offsets.back(), C = s.heads * s.head_size;
      const AttentionShape shape{in_host_memory(s.q_offsets), in_host_memory(s.k_offsets), s.heads, rows(Nq), dropout(p)};
      check({.inputs = {{"q", {Nq, C}}, {"k", {Nk, C}}, {"v", {Nk, C}}},
             .output_shape = {Nq, C},
             .forward = [=](Arena&, Tensors in, const Tensor& out) { ref().attention(out, {}, in[0], in[1], in[2], shape); },
             .backward =
                 [=](Arena& scratch, Tensors d, const Tensor& dout, Tensors in) {
                   const auto bytes = static_cast<std::int64_t>(ref().attention_saved_bytes(shape, DType::kF64));
                   const Tensor out = scratch.allocate(DType::kF64, {Nq, C}), saved = scratch.allocate(DType::kU8, {bytes});
                   ref().attention(out, saved, in[0], in[1], in[2], shape);
                   ref().attention_backward(d[0], d[1], d[2], dout, saved, in[0], in[1], in[2], shape);
                 }});
    }
}

TEST(Grad, GatherRows) {
  static const std::vector<std::int32_t> list = {4, 0, 4};
  static const Indices wanted = in_host_memory(list);
  check({.inputs = {{"x", {6, 3}}},
         .output_shape = {3, 3},
         .forward = [](Arena&, Tensors in, const Tensor& out) { ref().gather_rows(out, in[0], wanted); },
         .backward = [](Arena&, Tensors d, const Tensor& dout, Tensors) { ref().gather_rows_backward(d[0], dout, wanted); }});
}

TEST(Grad, MeanPool) {
  static const std::vector<std::int32_t> list = {0, 1, 4, 9};
  static const Indices offsets = in_host_memory(list);
  check({.inputs = {{"x", {9, 3}}},
         .output_shape = {3, 3},
         .forward = [](Arena&, Tensors in, const Tensor& out) { ref().mean_pool(out, in[0], offsets); },
         .backward = [](Arena&, Tensors d, const Tensor& dout, Tensors) { ref().mean_pool_backward(d[0], dout, offsets); }});
}

TEST(Grad, PairFeatures) {
  for (const PairTerms terms : {PairTerms::kBoth, PairTerms::kBothAndDifference, PairTerms::kComparison})
    check({.inputs = {{"u", {3, 5}}, {"v", {3, 5}}},
           .output_shape = {3, 5 * pair_parts(terms)},
           .forward = [=](Arena&, Tensors in, const Tensor& out) { ref().pair_features(out, in[0], in[1], terms); },
           .backward = [=](Arena&, Tensors d, const Tensor& dout,
                           Tensors in) { ref().pair_features_backward(d[0], d[1], dout, in[0], in[1], terms); }});
}

TEST(Grad, Cosine) {
  for (const double scale : {1.0, 1e-6})  // 1e-6: the denominator is clamped
    check({.inputs = {{.name = "u", .shape = {3, 5}, .scale = scale}, {.name = "v", .shape = {3, 5}, .scale = scale}},
           .output_shape = {3},
           .forward = [](Arena&, Tensors in, const Tensor& out) { ref().cosine(out, in[0], in[1]); },
           .backward = [](Arena&, Tensors d, const Tensor& dout, Tensors in) { ref().cosine_backward(d[0], d[1], dout, in[0], in[1]); }});
}

// A loss has one value for each row, and its backward takes one factor. So the output is the sum over rows, and the cotangent the factor.
template <class Losses>
auto sum_of(std::int64_t rows, Losses losses) {
  return [=](Arena& scratch, Tensors in, const Tensor& out) {
    const Tensor each = scratch.allocate(out.dtype(), {rows, 1});
    losses(each, in);
    const std::vector<std::int32_t> offsets = {0, static_cast<std::int32_t>(rows)};
    ref().mean_pool(out, each, in_host_memory(offsets));
    ref().affine(out, out, static_cast<double>(rows), 0);
  };
}

template <class Losses, class Backward>
GradCase loss_case(const Shape& shape, Losses losses, Backward backward) {
  return {.inputs = {{"x", shape}},
          .output_shape = {1, 1},
          .forward = sum_of(shape[0], [=](const Tensor& each, Tensors in) { losses(each, in[0]); }),
          .backward = [=](Arena&, Tensors d, const Tensor& dout, Tensors in) { backward(d[0], in[0], dout.data<double>()[0]); }};
}

TEST(Grad, CrossEntropy) {
  static const std::vector<std::int32_t> list = {2, 0, 6, 2};
  static const Indices labels = in_host_memory(list);
  check(loss_case(
      {4, 7}, [](const Tensor& losses, const Tensor& x) { ref().cross_entropy(losses, x, labels); },
      [](const Tensor& dx, const Tensor& x, double scale) { ref().cross_entropy_backward(dx, x, labels, scale); }));
}

TEST(Grad, SoftCrossEntropy) {
  static const std::vector<double> targets = {0, 1, 0, 0.3, 0.9, 2, 0.1, 0.1, 0.1, 0, 0, 0};
  static const Tensor y = Tensor::of(std::span(targets), {4, 3});
  check(loss_case(
      {4, 3}, [](const Tensor& losses, const Tensor& x) { ref().soft_cross_entropy(losses, x, y); },
      [](const Tensor& dx, const Tensor& x, double scale) { ref().soft_cross_entropy_backward(dx, x, y, scale); }));
}

TEST(Grad, BceWithLogits) {
  static const std::vector<double> targets = {0, 1, 0.3, 0.9, 0, 1}, weights = {1, 2, 0.5, 3, 0, 1};
  static const Tensor y = Tensor::of(std::span(targets), {3, 2}), w = Tensor::of(std::span(weights), {3, 2});
  for (const bool weighted : {false, true})
    check(loss_case(
        {3, 2}, [=](const Tensor& losses, const Tensor& x) { ref().bce_with_logits(losses, x, y, weighted ? w : Tensor()); },
        [=](const Tensor& dx, const Tensor& x, double scale) {
          ref().bce_with_logits_backward(dx, x, y, weighted ? w : Tensor(), scale);
        }));
}

TEST(Grad, SymmetricKl) {
  for (const LogitLink link : {LogitLink::kSoftmax, LogitLink::kSigmoid})
    check({.inputs = {{"a", {4, 3}}, {"b", {4, 3}}},
           .output_shape = {1, 1},
           .forward = sum_of(4, [=](const Tensor& each, Tensors in) { ref().symmetric_kl(each, in[0], in[1], link); }),
           .backward = [=](Arena&, Tensors d, const Tensor& dout, Tensors in) {
             ref().symmetric_kl_backward(d[0], d[1], in[0], in[1], link, dout.data<double>()[0]);
           }});
}

TEST(Grad, PearsonLoss) {
  static const std::vector<double> targets = {0, 5, 2.4, -1, 3};
  static const Tensor y = Tensor::of(std::span(targets), {5});
  check(loss_case(
      {5}, [](const Tensor& losses, const Tensor& x) { ref().pearson_loss(losses, x, y); },
      [](const Tensor& dx, const Tensor& x, double scale) { ref().pearson_loss_backward(dx, x, y, scale); }));
}

TEST(Grad, Cosent) {
  static const std::vector<double> targets = {0, 5, 2.4, 2.4, 3};
  static const Tensor y = Tensor::of(std::span(targets), {5});
  check(loss_case(
      {5}, [](const Tensor& losses, const Tensor& x) { ref().cosent(losses, x, y, 4); },
      [](const Tensor& dx, const Tensor& x, double scale) { ref().cosent_backward(dx, x, y, 4, scale); }));
}

TEST(Grad, Contrastive) {
  static const std::vector<std::int32_t> apart = {0, 1, 2, 3}, together = {0, 1, 0, 1};
  for (const std::vector<std::int32_t>* list : {&apart, &together}) {
    const Indices groups{*list, list->data()};
    check({.inputs = {{"u", {4, 3}}, {"v", {4, 3}}},
           .output_shape = {1, 1},
           .forward = sum_of(4, [=](const Tensor& each, Tensors in) { ref().contrastive(each, in[0], in[1], groups, 0.3); }),
           .backward = [=](Arena&, Tensors d, const Tensor& dout, Tensors in) {
             for (const Tensor& accumulated : d) ref().zero(accumulated);
             ref().contrastive_backward(d[0], d[1], in[0], in[1], groups, 0.3, dout.data<double>()[0]);
           }});
  }
}

TEST(Grad, Mse) {
  static const std::vector<double> targets = {0, 5, 2.4, -1, 3};
  static const Tensor y = Tensor::of(std::span(targets), {5});
  check(loss_case(
      {5}, [](const Tensor& losses, const Tensor& x) { ref().mse(losses, x, y); },
      [](const Tensor& dx, const Tensor& x, double scale) { ref().mse_backward(dx, x, y, scale); }));
}

}  // namespace
}  // namespace minbert
