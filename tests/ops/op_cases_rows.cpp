// Cases of activations, dropout, layer normalisation and embeddings.
#include "tests/ops/op_run.h"

namespace minbert {
namespace {

using Cases = std::vector<OpCase>;

struct Size {
  std::int64_t N, C;
  std::string name() const { return fmt::format("{}x{}", N, C); }
};
constexpr Size kSizes[] = {{0, 8}, {4, 1}, {1, 7}, {3, 16}, {5, 17}, {7, 100}, {131, 385}};

void add_activation(Cases& cases) {
  for (const auto& [kind, name] : kActivations) {
    for (const auto s : kSizes)
      cases.push_back({fmt::format("activation_{}_{}", name, s.name()), [=, kind = kind](OpRun& t) {
                         const Tensor x = t.input({s.N, s.C}, 2), dy = t.input({s.N, s.C}, 4);
                         t.backend().activation(t.output("out", {s.N, s.C}), x, kind);
                         t.backend().activation_backward(t.output("dx", {s.N, s.C}), dy, x, kind);
                       }});
    // Inputs at which exp overflows in a careless formula.
    cases.push_back({fmt::format("activation_{}_extreme", name), [kind = kind](OpRun& t) {
                       const Tensor x = t.input({5, 33}, 100), dy = t.input({5, 33});
                       t.backend().activation(t.output("out", {5, 33}), x, kind);
                       t.backend().activation_backward(t.output("dx", {5, 33}), dy, x, kind);
                     }});
    cases.push_back({fmt::format("activation_{}_in_place", name), [kind = kind](OpRun& t) {
                       const Tensor x = t.in_place("out", {5, 33}), dy = t.in_place("dx", {5, 33});
                       t.backend().activation_backward(dy, dy, t.input({5, 33}), kind);
                       t.backend().activation(x, x, kind);
                     }});
  }
}

void add_elementwise(Cases& cases) {
  for (const auto s : kSizes) {
    for (const float p : {0.1f, 0.5f, 0.0f})
      cases.push_back({fmt::format("dropout_{}_p{:.0f}", s.name(), p * 100), [=](OpRun& t) {
                         const Tensor x = t.input({s.N, s.C});
                         const auto rows = t.rows(s.N);
                         const Dropout d = t.dropout(p);
                         t.backend().dropout(t.output("out", {s.N, s.C}), x, d ? rows : RowIds{}, d);
                       }});
    cases.push_back({"add_" + s.name(), [=](OpRun& t) {
                       const Tensor a = t.input({s.N, s.C}), b = t.input({s.N, s.C});
                       t.backend().add(t.output("out", {s.N, s.C}), a, b);
                     }});
    cases.push_back({"affine_" + s.name(), [=](OpRun& t) {
                       const Tensor x = t.input({s.N, s.C});
                       t.backend().affine(t.output("out", {s.N, s.C}), x, -1.75, 0.3);
                     }});
  }
  cases.push_back({"dropout_in_place", [](OpRun& t) {
                     const Tensor x = t.in_place("out", {7, 33});
                     t.backend().dropout(x, x, t.rows(7), t.dropout(0.3f));
                   }});
  cases.push_back({"add_in_place", [](OpRun& t) {
                     const Tensor a = t.in_place("a", {7, 33}), b = t.in_place("b", {7, 33}), c = t.in_place("c", {7, 33});
                     t.backend().add(a, a, t.input({7, 33}));
                     t.backend().add(b, t.input({7, 33}), b);
                     t.backend().add(c, c, c);
                   }});
  cases.push_back({"affine_in_place", [](OpRun& t) {
                     const Tensor x = t.in_place("out", {7, 33});
                     t.backend().affine(x, x, 2.5, -0.5);
                   }});
}

struct LayerNormParams {
  Tensor gamma, beta;
};
LayerNormParams layernorm_params(OpRun& t, std::int64_t C) { return {t.param({C}, 0.5, 1), t.param({C})}; }
constexpr double kEps = 1e-12;  // BertConfig.layer_norm_eps

void add_layernorm(Cases& cases) {
  for (const auto s : kSizes) {
    if (s.C == 1) continue;  // the variance of one number is 0: rstd = 1e6 magnifies rounding
    cases.push_back({"layernorm_" + s.name(), [=](OpRun& t) {
                       const Tensor x = t.input({s.N, s.C}, 2), dy = t.input({s.N, s.C});
                       const auto [gamma, beta] = layernorm_params(t, s.C);
                       const Tensor stats = t.output_f32("stats", {s.N, 2});
                       t.backend().layernorm(t.output("out", {s.N, s.C}), stats, x, gamma, beta, kEps);
                       t.backend().layernorm_backward(t.output("dx", {s.N, s.C}), t.accumulator("dgamma", {s.C}),
                                                      t.accumulator("dbeta", {s.C}), dy, x, stats, gamma);
                     }});
  }
  // With a mean far from 0, a variance computed as E[x^2] - E[x]^2 fails.
  cases.push_back({"layernorm_shifted", [](OpRun& t) {
                     const Tensor x = t.shifted_input({5, 96}, 64);
                     const auto [gamma, beta] = layernorm_params(t, 96);
                     t.backend().layernorm(t.output("out", {5, 96}), {}, x, gamma, beta, kEps);
                   }});
  // Where a float's steps are large beside the deviation, the mean's own rounding shows unless it is corrected.
  cases.push_back({"layernorm_far_from_zero", [](OpRun& t) {
                     const Tensor x = t.shifted_input({5, 96}, 4096);
                     const auto [gamma, beta] = layernorm_params(t, 96);
                     t.backend().layernorm(t.output("out", {5, 96}), t.output_f32("stats", {5, 2}), x, gamma, beta, kEps);
                   }});
  cases.push_back({"layernorm_large_eps", [](OpRun& t) {
                     const Tensor x = t.input({5, 33});
                     const auto [gamma, beta] = layernorm_params(t, 33);
                     t.backend().layernorm(t.output("out", {5, 33}), t.output_f32("stats", {5, 2}), x, gamma, beta, 0.5);
                   }});
  cases.push_back({"layernorm_in_place", [](OpRun& t) {
                     const Tensor x = t.in_place("out", {5, 33}), saved_x = t.input({5, 33}), dy = t.in_place("dx", {5, 33});
                     const auto [gamma, beta] = layernorm_params(t, 33);
                     const Tensor stats = t.output_f32("stats", {5, 2});
                     t.backend().layernorm(x, {}, x, gamma, beta, kEps);
                     t.backend().layernorm(t.output("other", {5, 33}), stats, saved_x, gamma, beta, kEps);
                     t.backend().layernorm_backward(dy, t.accumulator("dgamma", {33}), t.accumulator("dbeta", {33}), dy, saved_x, stats,
                                                    gamma);
                   }});
  cases.push_back({"layernorm_backward_frozen", [](OpRun& t) {
                     const Tensor x = t.input({5, 33}), dy = t.input({5, 33}), stats = t.output_f32("stats", {5, 2});
                     const auto [gamma, beta] = layernorm_params(t, 33);
                     t.backend().layernorm(t.output("out", {5, 33}), stats, x, gamma, beta, kEps);
                     t.backend().layernorm_backward(t.output("dx", {5, 33}), {}, {}, dy, x, stats, gamma);
                   }});
}

void add_add_norm(Cases& cases) {
  for (const auto s : kSizes) {
    if (s.C == 1) continue;
    for (const float p : {0.0f, 0.1f}) {
      const std::string suffix = fmt::format("{}_p{:.0f}", s.name(), p * 100);
      cases.push_back({"dropout_add_layernorm_" + suffix, [=](OpRun& t) {
                         const Tensor x = t.input({s.N, s.C}), residual = t.input({s.N, s.C});
                         const auto [gamma, beta] = layernorm_params(t, s.C);
                         t.backend().dropout_add_layernorm(t.output("out", {s.N, s.C}), t.output("sum", {s.N, s.C}),
                                                           t.output_f32("stats", {s.N, 2}), x, residual, gamma, beta, kEps, t.rows(s.N),
                                                           t.dropout(p));
                       }});
      cases.push_back({"dropout_add_layernorm_backward_" + suffix, [=](OpRun& t) {
                         const Tensor dy = t.input({s.N, s.C}), sum = t.input({s.N, s.C}, 1.5), stats = t.output_f32("stats", {s.N, 2});
                         const auto [gamma, beta] = layernorm_params(t, s.C);
                         t.backend().layernorm(t.output("out", {s.N, s.C}), stats, sum, gamma, beta, kEps);
                         t.backend().dropout_add_layernorm_backward(t.output("dx", {s.N, s.C}), t.output("dresidual", {s.N, s.C}),
                                                                    t.accumulator("dgamma", {s.C}), t.accumulator("dbeta", {s.C}), dy, sum,
                                                                    stats, gamma, t.rows(s.N), t.dropout(p));
                       }});
    }
  }
  cases.push_back({"dropout_add_layernorm_nothing_saved", [](OpRun& t) {
                     const Tensor x = t.input({5, 33}), residual = t.input({5, 33});
                     const auto [gamma, beta] = layernorm_params(t, 33);
                     t.backend().dropout_add_layernorm(t.output("out", {5, 33}), {}, {}, x, residual, gamma, beta, kEps, {}, {});
                   }});
  cases.push_back({"dropout_add_layernorm_sum_is_x", [](OpRun& t) {
                     const Tensor x = t.in_place("sum", {5, 33}), residual = t.input({5, 33});
                     const auto [gamma, beta] = layernorm_params(t, 33);
                     t.backend().dropout_add_layernorm(t.output("out", {5, 33}), x, t.output_f32("stats", {5, 2}), x, residual, gamma, beta,
                                                       kEps, t.rows(5), t.dropout(0.4f));
                   }});
  cases.push_back({"dropout_add_layernorm_backward_no_dropout_frozen", [](OpRun& t) {
                     const Tensor dy = t.input({5, 33}), sum = t.input({5, 33}), stats = t.output_f32("stats", {5, 2});
                     const auto [gamma, beta] = layernorm_params(t, 33);
                     t.backend().layernorm(t.output("out", {5, 33}), stats, sum, gamma, beta, kEps);
                     t.backend().dropout_add_layernorm_backward({}, t.output("dresidual", {5, 33}), {}, {}, dy, sum, stats, gamma, {}, {});
                   }});
}

void add_embedding(Cases& cases) {
  struct Setup {
    std::int64_t N, V, C;
  };
  // The last rows repeat few ids often, as [CLS], [SEP] and type 0 do.
  for (const auto [N, V, C] : {Setup{0, 3, 8}, {1, 1, 1}, {23, 37, 17}, {200, 5, 33}, {1000, 50, 96}}) {
    cases.push_back({fmt::format("embedding_{}x{}x{}", N, V, C), [=](OpRun& t) {
                       const Tensor word = t.param({V, C}), position = t.param({20, C}), type = t.param({2, C});
                       const auto ids = t.indices(N, V), positions = t.indices(N, 20), types = t.indices(N, 2);
                       t.backend().embedding(t.output("out", {N, C}), word, position, type, ids, positions, types);
                     }});
    cases.push_back({fmt::format("embedding_backward_{}x{}x{}", N, V, C), [=](OpRun& t) {
                       const Tensor dy = t.input({N, C});
                       const auto ids = t.indices(N, V), positions = t.indices(N, 20), types = t.indices(N, 2);
                       t.backend().embedding_backward(t.accumulator("dword", {V, C}), t.accumulator("dposition", {20, C}),
                                                      t.accumulator("dtype", {2, C}), dy, ids, positions, types);
                     }});
  }
  cases.push_back({"embedding_backward_only_word", [](OpRun& t) {
                     const Tensor dy = t.input({9, 17});
                     const auto ids = t.indices(9, 5), positions = t.indices(9, 20), types = t.indices(9, 2);
                     t.backend().embedding_backward(t.accumulator("dword", {5, 17}), {}, {}, dy, ids, positions, types);
                   }});
  cases.push_back({"embedding_backward_frozen_word", [](OpRun& t) {
                     const Tensor dy = t.input({9, 17});
                     const auto ids = t.indices(9, 5), positions = t.indices(9, 20), types = t.indices(9, 2);
                     t.backend().embedding_backward({}, t.accumulator("dposition", {20, 17}), t.accumulator("dtype", {2, 17}), dy, ids,
                                                    positions, types);
                   }});
}

}  // namespace

std::vector<OpCase> elementwise_cases() {
  Cases cases;
  add_activation(cases);
  add_elementwise(cases);
  add_layernorm(cases);
  add_add_norm(cases);
  add_embedding(cases);
  return cases;
}

}  // namespace minbert
