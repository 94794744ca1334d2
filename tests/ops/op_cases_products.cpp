// Cases of linear layers and attention.
#include <numeric>

#include "tests/ops/op_run.h"

namespace minbert {
namespace {

using Cases = std::vector<OpCase>;

struct LinearShape {
  std::int64_t N, I, O;
  std::string name() const { return fmt::format("{}x{}x{}", N, I, O); }
};
// Sizes 0 and 1, primes, one less and one more than a vector, and MiniLM's layers.
constexpr LinearShape kLinearShapes[] = {{0, 5, 3},      {1, 1, 1},     {1, 17, 2},     {2, 3, 31},    {7, 33, 17},
                                         {13, 63, 65},   {33, 68, 70},  {47, 516, 63},  {29, 384, 5},  {31, 384, 384},
                                         {203, 384, 96}, {61, 96, 384}, {5, 384, 1536}, {5, 1536, 384}};

void add_linear(Cases& cases) {
  for (const auto s : kLinearShapes) {
    cases.push_back({"linear_" + s.name(), [=](OpRun& t) {
                       const Tensor x = t.input({s.N, s.I}), bias = t.param({s.O});
                       t.backend().linear(t.output("out", {s.N, s.O}), x, t.weight(s.O, s.I), bias);
                     }});
    cases.push_back({"linear_forward_only_" + s.name(), [=](OpRun& t) {
                       const Tensor x = t.input({s.N, s.I}), bias = t.param({s.O});
                       t.backend().linear(t.output("out", {s.N, s.O}), x, t.weight(s.O, s.I, WeightUse::kForward), bias);
                     }});
    cases.push_back({"linear_forward_only_f32_out_" + s.name(), [=](OpRun& t) {
                       const Tensor x = t.input({s.N, s.I}), bias = t.param({s.O});
                       t.backend().linear(t.output_f32("out", {s.N, s.O}), x, t.weight(s.O, s.I, WeightUse::kForward), bias);
                     }});
    cases.push_back({"linear_int8_" + s.name(), [=](OpRun& t) {
                       const Tensor x = t.input({s.N, s.I}), bias = t.param({s.O});
                       t.backend().linear(t.output("out", {s.N, s.O}), x, t.weight(s.O, s.I, WeightUse::kForwardInt8), bias);
                     }});
    cases.push_back({"linear_f32_out_" + s.name(), [=](OpRun& t) {
                       const Tensor x = t.input({s.N, s.I}), bias = t.param({s.O});
                       t.backend().linear(t.output_f32("out", {s.N, s.O}), x, t.weight(s.O, s.I), bias);
                     }});
    cases.push_back({"linear_backward_input_" + s.name(), [=](OpRun& t) {
                       const Tensor dy = t.input({s.N, s.O});
                       t.backend().linear_backward_input(t.output("dx", {s.N, s.I}), dy, t.weight(s.O, s.I));
                     }});
    cases.push_back({"linear_backward_params_" + s.name(), [=](OpRun& t) {
                       const Tensor x = t.input({s.N, s.I}), dy = t.input({s.N, s.O});
                       t.backend().linear_backward_params(t.accumulator("dw", {s.O, s.I}), t.accumulator("dbias", {s.O}), x, dy);
                     }});
  }
  cases.push_back({"linear_minilm_output", [](OpRun& t) {  // the longest sums of a training step
                     const Tensor x = t.input({50, 1536}), dy = t.input({50, 384}), bias = t.param({384});
                     const PreparedWeight w = t.weight(384, 1536);
                     t.backend().linear(t.output("out", {50, 384}), x, w, bias);
                     t.backend().linear_backward_input(t.output("dx", {50, 1536}), dy, w);
                     t.backend().linear_backward_params(t.accumulator("dw", {384, 1536}), t.accumulator("dbias", {384}), x, dy);
                   }});
  cases.push_back({"linear_sums_in_pieces", [](OpRun& t) {  // more inputs, rows and tokens than a product takes at once
                     const Tensor x = t.input({3, 4100}), bias = t.param({33});
                     t.backend().linear(t.output("out", {3, 33}), x, t.weight(33, 4100), bias);
                     t.backend().linear(t.output("packed", {3, 33}), x, t.weight(33, 4100, WeightUse::kForward), bias);
                     t.backend().linear(t.output("packed, 4096", {3, 33}), t.input({3, 4096}), t.weight(33, 4096, WeightUse::kForward),
                                        bias);
                     const Tensor tokens = t.input({4099, 40}, 0.1), dy = t.input({4099, 600}, 0.1);
                     t.backend().linear_backward_params(t.accumulator("dw", {600, 40}), {}, tokens, dy);
                   }});
  for (const auto& [name, use] : std::initializer_list<std::pair<const char*, WeightUse>>{{"linear_view", WeightUse::kTrain},
                                                                                          {"linear_forward_only_view", WeightUse::kForward},
                                                                                          {"linear_int8_view", WeightUse::kForwardInt8}}) {
    cases.push_back({name, [use = use](OpRun& t) {  // rows with gaps
                       const Tensor x = t.input({31, 96}, 1, 8), bias = t.param({130});
                       t.backend().linear(t.output("out", {31, 130}, 3), x, t.weight(130, 96, use), bias);
                     }});
  }
  cases.push_back({"linear_int8_no_bias", [](OpRun& t) {
                     const Tensor x = t.input({7, 33});
                     t.backend().linear(t.output("out", {7, 17}), x, t.weight(17, 33, WeightUse::kForwardInt8), {});
                   }});
  cases.push_back({"linear_int8_one_sign", [](OpRun& t) {  // 0 lies at an end of the range
                     const Tensor above = t.shifted_input({7, 33}, 20), below = t.shifted_input({7, 33}, -20), bias = t.param({17});
                     const PreparedWeight w = t.weight(17, 33, WeightUse::kForwardInt8);
                     t.backend().linear(t.output("above", {7, 17}), above, w, bias);
                     t.backend().linear(t.output("below", {7, 17}), below, w, bias);
                   }});
  cases.push_back({"linear_int8_zeros", [](OpRun& t) {
                     const Tensor x = t.input({3, 33}, 0), bias = t.param({17});
                     t.backend().linear(t.output("out", {3, 17}), x, t.weight(17, 33, WeightUse::kForwardInt8), bias);
                   }});
  cases.push_back({"linear_no_bias", [](OpRun& t) {
                     const Tensor x = t.input({7, 33});
                     t.backend().linear(t.output("out", {7, 17}), x, t.weight(17, 33), {});
                   }});
  cases.push_back({"linear_rows_of_a_weight", [](OpRun& t) {
                     const Tensor x = t.input({7, 33}), bias = t.param({51});
                     const PreparedWeight qkv = t.weight(51, 33, WeightUse::kTrain, true);
                     t.backend().linear(t.output("out", {7, 34}), x, qkv.slice_rows(17, 51), bias.slice_rows(17, 51));
                     t.backend().linear_backward_input(t.output("dx", {7, 33}), t.input({7, 17}), qkv.slice_rows(0, 17));
                   }});
  cases.push_back({"linear_backward_params_only_dw", [](OpRun& t) {
                     const Tensor x = t.input({7, 33}), dy = t.input({7, 17});
                     t.backend().linear_backward_params(t.accumulator("dw", {17, 33}), {}, x, dy);
                   }});
  cases.push_back({"linear_backward_params_only_dbias", [](OpRun& t) {
                     const Tensor x = t.input({7, 33}), dy = t.input({7, 17});
                     t.backend().linear_backward_params({}, t.accumulator("dbias", {17}), x, dy);
                   }});
}

void add_linear_activation(Cases& cases) {
  for (const auto& [kind, name] : kActivations) {
    cases.push_back({fmt::format("linear_activation_{}", name), [kind = kind](OpRun& t) {
                       const Tensor x = t.input({13, 65}), bias = t.param({31});
                       t.backend().linear_activation(t.output("out", {13, 31}), t.output("pre", {13, 31}), x, t.weight(31, 65), bias, kind);
                     }});
    cases.push_back({fmt::format("linear_int8_activation_{}", name), [kind = kind](OpRun& t) {
                       const Tensor x = t.input({13, 65}), bias = t.param({31});
                       t.backend().linear_activation(t.output("out", {13, 31}), {}, x, t.weight(31, 65, WeightUse::kForwardInt8), bias,
                                                     kind);
                     }});
    cases.push_back({fmt::format("linear_activation_{}_no_pre", name), [kind = kind](OpRun& t) {
                       const Tensor x = t.input({13, 65}), bias = t.param({31});
                       t.backend().linear_activation(t.output("out", {13, 31}), {}, x, t.weight(31, 65, WeightUse::kForward), bias, kind);
                     }});
  }
  for (const std::int64_t N : {31, 203}) {  // pieces of columns and of rows
    cases.push_back({fmt::format("linear_int8_activation_{}_rows", N), [=](OpRun& t) {
                       const Tensor x = t.input({N, 384}), bias = t.param({384});
                       t.backend().linear_activation(t.output("out", {N, 384}), {}, x, t.weight(384, 384, WeightUse::kForwardInt8), bias,
                                                     Activation::kGelu);
                     }});
  }
  cases.push_back({"linear_activation_no_rows", [](OpRun& t) {
                     const Tensor x = t.input({0, 65}), bias = t.param({31});
                     t.backend().linear_activation(t.output("out", {0, 31}), t.output("pre", {0, 31}), x, t.weight(31, 65), bias,
                                                   Activation::kGelu);
                   }});
  cases.push_back({"linear_activation_large", [](OpRun& t) {
                     const Tensor x = t.input({203, 96}), bias = t.param({384});
                     t.backend().linear_activation(t.output("out", {203, 384}), t.output("pre", {203, 384}), x, t.weight(384, 96), bias,
                                                   Activation::kGelu);
                   }});
}

struct AttentionSetup {
  const char* name;
  std::vector<std::int32_t> lengths;
  std::int64_t heads, head_size;
  double scale = 1;  // of the queries
};

std::vector<std::int32_t> offsets_of(const std::vector<std::int32_t>& lengths) {
  std::vector<std::int32_t> offsets(lengths.size() + 1);
  std::partial_sum(lengths.begin(), lengths.end(), offsets.begin() + 1);
  return offsets;
}

enum class Queries : std::uint8_t { kAll, kFirst };  // every row, or the first of each sentence (CLS)

// Runs forward with and without a saved buffer, then backward; q, k, v and their gradients are columns of wider matrices.
void run_attention(OpRun& t, const AttentionSetup& a, Queries which, float p) {
  const std::vector<std::int32_t> k_offsets = offsets_of(a.lengths);
  const std::vector<std::int32_t> q_offsets =
      which == Queries::kAll ? k_offsets : offsets_of(std::vector<std::int32_t>(a.lengths.size(), 1));
  const std::int64_t C = a.heads * a.head_size, Nq = q_offsets.back(), Nk = k_offsets.back();
  const RowIds rows = t.rows(Nq);
  const AttentionShape shape{t.upload(q_offsets), t.upload(k_offsets), a.heads, p > 0 ? rows : RowIds{}, t.dropout(p)};

  const Tensor q = t.input({Nq, C}, a.scale, 7), kv = t.input({Nk, 2 * C}), dout = t.input({Nq, C});
  const Tensor k = kv.slice_cols(0, C), v = kv.slice_cols(C, 2 * C);
  const Tensor saved = t.attention_saved(shape), dq = t.output("dq", {Nq, C}, 5), dkv = t.output("dkv", {Nk, 2 * C}, 3);
  t.backend().attention(t.output("out", {Nq, C}), saved, q, k, v, shape);
  t.backend().attention(t.output("out, nothing saved", {Nq, C}), {}, q, k, v, shape);
  t.backend().attention_backward(dq, dkv.slice_cols(0, C), dkv.slice_cols(C, 2 * C), dout, saved, q, k, v, shape);
}

void add_attention(Cases& cases) {
  const AttentionSetup setups[] = {
      {"no_sentence", {}, 2, 8},        {"empty_sentences", {0, 5, 0}, 2, 8},     {"one_token", {1}, 1, 1},
      {"primes", {3, 1, 7}, 2, 5},      {"vector_edges", {17, 33, 2, 16}, 3, 16}, {"minilm", {28, 5, 41, 12, 33}, 12, 32},
      {"base", {19, 65}, 2, 64},        {"wide_heads", {9, 10}, 1, 100},          {"long", {3, 257}, 1, 32},
      {"saturated", {11, 23}, 2, 32, 8}};
  for (const AttentionSetup& a : setups) {
    cases.push_back({fmt::format("attention_{}", a.name), [=](OpRun& t) { run_attention(t, a, Queries::kAll, 0); }});
    cases.push_back({fmt::format("attention_{}_dropout", a.name), [=](OpRun& t) { run_attention(t, a, Queries::kAll, 0.2f); }});
    if (std::string_view(a.name) == "empty_sentences") continue;  // these have no key to attend to
    cases.push_back({fmt::format("attention_{}_cls", a.name), [=](OpRun& t) { run_attention(t, a, Queries::kFirst, 0); }});
    cases.push_back({fmt::format("attention_{}_cls_dropout", a.name), [=](OpRun& t) { run_attention(t, a, Queries::kFirst, 0.1f); }});
  }
}

}  // namespace

std::vector<OpCase> product_cases() {
  Cases cases;
  add_linear(cases);
  add_linear_activation(cases);
  add_attention(cases);
  return cases;
}

}  // namespace minbert
