// Batches of tokens for tiny models, and parameters in any dtype with the same values.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <utility>
#include <vector>

#include "minbert/model/multitask.h"
#include "tests/model/tiny_model.h"

namespace minbert {

/// Sentences of given lengths with random ids and segments within tiny_shape()'s sizes. For pairs the second half holds the second ones.
class TinyBatch {
 public:
  TinyBatch(std::vector<std::int32_t> lengths, bool pairs, std::uint64_t seed) {
    Rng rng(seed, "batch");
    const std::size_t half = pairs ? lengths.size() / 2 : lengths.size();
    for (std::size_t b = 0; b < lengths.size(); ++b) {
      for (std::int32_t p = 0; p < lengths[b]; ++p) {
        ids_.push_back(static_cast<std::int32_t>(rng.below(11)));
        type_ids_.push_back(static_cast<std::int32_t>(rng.below(2)));
        positions_.push_back(p);
        rows_.push_back({static_cast<std::uint32_t>(100 + b % half), static_cast<std::uint16_t>(p), static_cast<std::uint8_t>(b / half)});
      }
      offsets_.push_back(offsets_.back() + lengths[b]);
    }
  }
  TokenBatch view() const { return {ids_, type_ids_, positions_, offsets_, rows_}; }

 private:
  std::vector<std::int32_t> ids_, type_ids_, positions_, offsets_ = {0};
  std::vector<RowId> rows_;
};

/// tiny_shape() with another head before the tested one, so that a wrong index fails.
inline ModelShape tiny_task_shape(HeadShape head) {
  ModelShape shape = tiny_shape();
  shape.heads = {{.task = "other", .dense = {3}, .outputs = 2}, std::move(head)};
  return shape;
}
constexpr std::size_t kTinyHead = 1;

inline void PrintTo(const HeadShape& head, std::ostream* out) { *out << head.task; }

/// High rates, at an arbitrary step.
inline DropoutState tiny_dropout() { return {.hidden = 0.2f, .attention = 0.3f, .heads = true, .seed = 42, .step = 7, .micro_step = 1}; }

inline bool everything(const ParamInfo&) { return true; }

/// Draws N(0, scale^2) from one stream for each name; LayerNorm weights are around 1.
inline std::vector<double> initial_values(const ParamInfo& info, double scale, std::uint64_t seed) {
  Rng rng(seed, info.name);
  std::vector<double> result(static_cast<std::size_t>(info.numel()));
  for (double& value : result) value = scale * rng.normal() + (info.init == Init::kOnes ? 1 : 0);
  return result;
}

/// Overwrites one parameter; the caller then calls params.changed().
template <class T, class From>
void set_values(Params& params, std::size_t index, const std::vector<From>& from) {
  const std::vector<T> converted(from.begin(), from.end());
  params.backend().copy_to_device(params.value(index), converted.data());
}

/// AdamW with one rate on all parameters that train; they decay where the table says so.
class TinyOptimizer {
 public:
  TinyOptimizer(Params& params, const Gradients& gradients, float lr, float weight_decay)
      : params_(&params), lr_(lr), arena_(params.backend()) {
    const auto flat = [](const Tensor& x) { return x ? x.reshape({x.numel()}) : x; };
    for (std::size_t i = 0; i < params.table().size(); ++i) {
      if (!gradients.trainable(i)) continue;
      AdamWSegment& segment = segments_.emplace_back();
      segment.value = flat(params.value(i));
      segment.gradient = flat(gradients[i]);
      for (Tensor* moment : {&segment.m, &segment.v}) {
        *moment = arena_.allocate(params.dtype(), {params.value(i).numel()});
        params.backend().zero(*moment);
      }
      segment.copy = flat(params.copy(i));
      segment.weight_decay = params.table()[i].decay ? weight_decay : 0;
    }
  }
  void step(AdamWForm form) {
    const AdamWOptions options{.form = form};
    ++steps_;
    for (AdamWSegment& segment : segments_) segment.step = adamw_step(options, lr_, steps_);
    params_->backend().adamw(segments_, options);
    params_->changed(true);
  }

 private:
  Params* params_;
  float lr_;
  std::int64_t steps_ = 0;
  Arena arena_;
  std::vector<AdamWSegment> segments_;
};

}  // namespace minbert
