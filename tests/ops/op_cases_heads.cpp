// Cases of the ops of heads and the optimizer: rows, pooling, pairs, losses, AdamW; and the list of all cases.
#include "tests/ops/op_run.h"

namespace minbert {
namespace {

using Cases = std::vector<OpCase>;

void add_rows(Cases& cases) {
  for (const std::int64_t M : {0, 1, 5, 40})
    cases.push_back({fmt::format("gather_rows_{}", M), [=](OpRun& t) {
                       const Tensor x = t.input({23, 33}), dy = t.input({M, 33});
                       const auto rows = t.indices(M, 23);  // 40 of 23 rows: some come twice
                       t.backend().gather_rows(t.output("out", {M, 33}), x, rows);
                       t.backend().gather_rows_backward(t.output("dx", {23, 33}), dy, rows);
                     }});
  struct Setup {
    const char* name;
    std::vector<std::int32_t> offsets;
    std::int64_t C;
  };
  for (const Setup& s :
       {Setup{"no_sentence", {0}, 8}, {"one_token", {0, 1}, 1}, {"ragged", {0, 3, 4, 21}, 17}, {"minilm", {0, 28, 33, 97, 203}, 384}})
    cases.push_back({fmt::format("mean_pool_{}", s.name), [=](OpRun& t) {
                       const auto B = std::ssize(s.offsets) - 1, N = static_cast<std::ptrdiff_t>(s.offsets.back());
                       const Tensor x = t.input({N, s.C}), dy = t.input({B, s.C});
                       const Indices offsets = t.upload(s.offsets);
                       t.backend().mean_pool(t.output("out", {B, s.C}), x, offsets);
                       t.backend().mean_pool_backward(t.output("dx", {N, s.C}), dy, offsets);
                     }});
}

void add_pairs(Cases& cases) {
  struct Size {
    std::int64_t B, C;
  };
  for (const auto [B, C] : {Size{0, 8}, {1, 3}, {5, 17}, {8, 384}}) {
    for (const PairTerms terms : {PairTerms::kBoth, PairTerms::kBothAndDifference, PairTerms::kComparison})
      cases.push_back({fmt::format("pair_features_{}_{}x{}", static_cast<int>(terms), B, C), [=](OpRun& t) {
                         const Tensor u = t.input({B, C}), v = t.input({B, C}), dy = t.input({B, pair_parts(terms) * C});
                         t.backend().pair_features(t.output("out", {B, pair_parts(terms) * C}), u, v, terms);
                         t.backend().pair_features_backward(t.output("du", {B, C}), t.output("dv", {B, C}), dy, u, v, terms);
                       }});
    cases.push_back({fmt::format("cosine_{}x{}", B, C), [=](OpRun& t) {
                       // Gradients are about as large as dy / C.
                       const Tensor u = t.input({B, C}), v = t.input({B, C}, 3), dy = t.input({B}, 2 * static_cast<double>(C));
                       t.backend().cosine(t.output("out", {B}), u, v);
                       t.backend().cosine_backward(t.output("du", {B, C}), t.output("dv", {B, C}), dy, u, v);
                     }});
  }
  cases.push_back({"pair_features_equal", [](OpRun& t) {
                     const Tensor u = t.input({5, 17}), dy = t.input({5, 51});
                     t.backend().pair_features(t.output("out", {5, 51}), u, u, PairTerms::kBothAndDifference);
                     t.backend().pair_features_backward(t.output("du", {5, 17}), t.output("dv", {5, 17}), dy, u, u,
                                                        PairTerms::kBothAndDifference);
                   }});
  cases.push_back({"cosine_tiny", [](OpRun& t) {  // the denominator is clamped
                     const Tensor u = t.input({5, 17}, 1e-6), v = t.input({5, 17}, 3e-4), dy = t.input({5});
                     t.backend().cosine(t.output("out", {5}), u, v);
                     t.backend().cosine_backward(t.output("du", {5, 17}), t.output("dv", {5, 17}), dy, u, v);
                   }});
  cases.push_back({"cosine_zero", [](OpRun& t) {
                     const Tensor u = t.input({5, 17}, 0), v = t.input({5, 17}), dy = t.input({5});
                     t.backend().cosine(t.output("out", {5}), u, v);
                     t.backend().cosine_backward(t.output("du", {5, 17}), t.output("dv", {5, 17}), dy, u, v);
                   }});
}

void add_batch_losses(Cases& cases) {
  for (const std::int64_t B : {0, 1, 3, 9, 33}) {
    cases.push_back({fmt::format("pearson_loss_{}", B), [=](OpRun& t) {
                       const Tensor x = t.input({B}), y = t.param({B}, 2, 3);
                       t.backend().pearson_loss(t.output_f32("losses", {B}), x, y);
                       t.backend().pearson_loss_backward(t.output("dpredictions", {B}), x, y, 0.75);
                     }});
    for (const double sharpness : {1.0, 20.0})
      cases.push_back({fmt::format("cosent_{}_{}", B, sharpness), [=](OpRun& t) {
                         const Tensor x = t.input({B}), y = t.param({B}, 2, 3);
                         t.backend().cosent(t.output_f32("losses", {B}), x, y, sharpness);
                         t.backend().cosent_backward(t.output("dpredictions", {B}), x, y, sharpness, 0.5);
                       }});
  }
  cases.push_back({"pearson_loss_constant", [](OpRun& t) {
                     const Tensor x = t.input({5}), y = t.param({5}, 0, 3);
                     t.backend().pearson_loss(t.output_f32("losses", {5}), x, y);
                     t.backend().pearson_loss_backward(t.output("dpredictions", {5}), x, y, 0.75);
                   }});
  struct Size {
    std::int64_t B, C, groups;
  };
  for (const auto [B, C, count] : {Size{0, 8, 1}, {1, 3, 1}, {9, 17, 1000}, {9, 17, 3}, {32, 384, 2}, {33, 384, 1000}})
    cases.push_back({fmt::format("contrastive_{}x{}_{}", B, C, count), [=](OpRun& t) {
                       const Tensor u = t.input({B, C}), v = t.input({B, C}, 3);
                       const auto groups = t.indices(B, count);
                       t.backend().contrastive(t.output_f32("losses", {B}), u, v, groups, 0.3);
                       t.backend().contrastive_backward(t.accumulator("du", {B, C}), t.accumulator("dv", {B, C}), u, v, groups, 0.3, 0.75);
                     }});
  cases.push_back({"contrastive_zero", [](OpRun& t) {
                     const Tensor u = t.input({5, 17}, 0), v = t.input({5, 17});
                     const auto groups = t.indices(5, 2);
                     t.backend().contrastive(t.output_f32("losses", {5}), u, v, groups, 0.3);
                     // Far below a length of 1 the gradient by u is as much larger.
                     t.backend().contrastive_backward(t.accumulator("du", {5, 17}), t.accumulator("dv", {5, 17}), u, v, groups, 0.3, 1e-12);
                   }});
}

void add_losses(Cases& cases) {
  struct Size {
    std::int64_t B, K;
  };
  for (const double scale : {1.0, 60.0}) {
    const char* suffix = scale == 1 ? "" : "_extreme";
    for (const auto [B, K] : {Size{0, 5}, {1, 1}, {1, 2}, {9, 5}, {7, 1000}})
      cases.push_back({fmt::format("cross_entropy_{}x{}{}", B, K, suffix), [=](OpRun& t) {
                         const Tensor logits = t.input({B, K}, scale);
                         const auto labels = t.indices(B, K);
                         t.backend().cross_entropy(t.output_f32("losses", {B}), logits, labels);
                         t.backend().cross_entropy_backward(t.output("dlogits", {B, K}), logits, labels, 0.75);
                       }});
    for (const auto [B, K] : {Size{0, 5}, {1, 1}, {9, 5}, {3, 37}})
      cases.push_back({fmt::format("soft_cross_entropy_{}x{}{}", B, K, suffix), [=](OpRun& t) {
                         const Tensor logits = t.input({B, K}, scale), targets = t.uniform_param({B, K});
                         t.backend().soft_cross_entropy(t.output_f32("losses", {B}), logits, targets);
                         t.backend().soft_cross_entropy_backward(t.output("dlogits", {B, K}), logits, targets, 0.75);
                       }});
    for (const auto link : {LogitLink::kSoftmax, LogitLink::kSigmoid})
      for (const auto [B, K] : {Size{0, 5}, {1, 1}, {9, 5}, {3, 37}})
        cases.push_back(
            {fmt::format("symmetric_kl_{}_{}x{}{}", link == LogitLink::kSoftmax ? "softmax" : "sigmoid", B, K, suffix), [=](OpRun& t) {
               const Tensor a = t.input({B, K}, scale), b = t.input({B, K}, scale);
               t.backend().symmetric_kl(t.output_f32("losses", {B}), a, b, link);
               t.backend().symmetric_kl_backward(t.output("da", {B, K}), t.output("db", {B, K}), a, b, link, 0.75);
             }});
    for (const bool weighted : {false, true})
      for (const auto [B, K] : {Size{9, 1}, {9, 5}})
        cases.push_back({fmt::format("bce_with_logits_{}x{}{}{}", B, K, weighted ? "_weighted" : "", suffix), [=](OpRun& t) {
                           const Tensor logits = t.input({B, K}, scale), targets = t.uniform_param({B, K}),
                                        weights = weighted ? t.uniform_param({B, K}) : Tensor();
                           t.backend().bce_with_logits(t.output_f32("losses", {B}), logits, targets, weights);
                           t.backend().bce_with_logits_backward(t.output("dlogits", {B, K}), logits, targets, weights, 0.75);
                         }});
    for (const std::int64_t B : {0, 1, 9, 33}) {
      cases.push_back({fmt::format("bce_with_logits_{}{}", B, suffix), [=](OpRun& t) {
                         const Tensor logits = t.input({B}, scale), targets = t.uniform_param({B});
                         t.backend().bce_with_logits(t.output_f32("losses", {B}), logits, targets, {});
                         t.backend().bce_with_logits_backward(t.output("dlogits", {B}), logits, targets, {}, 0.75);
                       }});
      cases.push_back({fmt::format("mse_{}{}", B, suffix), [=](OpRun& t) {
                         const Tensor predictions = t.input({B}, scale), targets = t.param({B}, 1, 2.5);
                         t.backend().mse(t.output_f32("losses", {B}), predictions, targets);
                         t.backend().mse_backward(t.output("dpredictions", {B}), predictions, targets, 0.75);
                       }});
    }
  }
}

void add_adamw(Cases& cases) {
  for (const auto& [form, name] : {std::pair(AdamWForm::kPaper, "paper"), {AdamWForm::kTorch, "torch"}}) {
    cases.push_back({fmt::format("adamw_{}", name), [form = form](OpRun& t) {
                       const AdamWOptions options{.form = form, .gradient_scale = 0.3f};
                       std::vector<AdamWSegment> segments;
                       for (const std::int64_t P : {0, 1, 7, 1000, 20011}) {
                         AdamWSegment s;
                         if (P != 1000) s.gradient = t.state(fmt::format("gradient of {}", P), {P});
                         s.value = t.state(fmt::format("value of {}", P), {P});
                         s.m = t.state(fmt::format("m of {}", P), {P}, 0.1);
                         s.v = t.state(fmt::format("v of {}", P), {P}, 0.01, true);
                         if (P % 7 == 0) s.copy = t.output_bf16(fmt::format("copy of {}", P), {P});
                         s.weight_decay = P == 1 ? 0.0f : 0.2f;
                         s.step = adamw_step(options, P == 7 ? 0.1f : 0.03f, P == 1000 ? 1 : 17);
                         segments.push_back(s);
                       }
                       t.backend().adamw(segments, options);
                     }});
    for (const float decay : {0.0f, 0.2f})
      cases.push_back({fmt::format("adamw_idle_{}{}", name, decay > 0 ? "_decay" : ""), [=, form = form](OpRun& t) {
                         const AdamWOptions options{.form = form};
                         std::vector<AdamWStep> steps;
                         for (std::int64_t step = 1; step <= 40; ++step) steps.push_back(adamw_step(options, 0.01f, step));
                         std::vector<AdamWIdle> idle;
                         for (const std::int64_t P : {0, 1, 7, 150, 1001}) {
                           AdamWSegment s;
                           s.value = t.state(fmt::format("value of {}", P), {P});
                           s.m = t.state(fmt::format("m of {}", P), {P}, 0.1);
                           s.v = t.state(fmt::format("v of {}", P), {P}, 0.01, true);
                           if (P % 7 == 0) s.copy = t.output_bf16(fmt::format("copy of {}", P), {P});
                           s.weight_decay = decay;
                           idle.push_back({s, static_cast<std::size_t>(P % 40)});
                         }
                         t.backend().adamw_idle(idle, steps, options);
                       }});
  }
}

}  // namespace

std::vector<OpCase> head_cases() {
  Cases cases;
  add_rows(cases);
  add_pairs(cases);
  add_losses(cases);
  add_batch_losses(cases);
  add_adamw(cases);
  return cases;
}

std::vector<OpCase> op_cases() {
  Cases cases = product_cases();
  for (Cases more : {elementwise_cases(), head_cases()}) cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

}  // namespace minbert
