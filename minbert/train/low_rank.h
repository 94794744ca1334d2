// LowRank: LoRA (Hu et al. 2021, arXiv:2106.09685). A stage trains a matrix of low rank beside a weight of the encoder, which itself stays.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "minbert/model/checkpoint.h"
#include "minbert/train/config.h"

namespace minbert {

/// Whether a stage with these settings needs the gradient of a weight: it adapts the weight, or query, key or value beside it, whose
/// gradients are computed in one product.
bool lora_reads(const LoraSection& lora, const ParamInfo& info);

/// W = base + alpha/rank B A for each adapted weight W (O, I). The weights in Params are always these sums, so that the encoder, its files
/// and its exports know nothing of LoRA. As in peft's LoraLayer.reset_lora_parameters, A starts as torch.nn.Linear's weights do and B at
/// zero; there is no dropout before A, which a sum of weights could not have.
class LowRank {
 public:
  /// A and B of one weight, and what their steps need. B is stored transposed.
  struct Adapter {
    std::size_t index = 0;  ///< of W in the table
    Tensor base;            ///< (O, I)
    Tensor a, b;            ///< (r, I), (r, O)
    Tensor da, db;          ///< their gradients
    Tensor ma, mb, va, vb;  ///< their moments
  };

  /// Adapts weights of `params` that have a gradient. Draws A from the stream of the stage's and the weight's name.
  LowRank(Params& params, const Gradients& gradients, const StageSpec& stage, std::uint64_t seed);

  const std::vector<Adapter>& adapters() const { return adapters_; }
  /// Overwrites da and db with what the gradients of the adapted weights give, and sets all gradients of the encoder to zero.
  void project(const Gradients& gradients);
  /// Overwrites the adapted weights of Params, and db. The caller calls params.changed().
  void merge();
  /// base, A, B and their moments, for a checkpoint.
  std::vector<NamedTensor> tensors() const;
  /// Bytes of these and the gradients of A and B.
  static std::int64_t state_bytes(const Params& params, const LoraSection& lora, const ParamFilter& trainable);

 private:
  Params& params_;
  double scale_;
  Arena arena_;
  std::vector<Adapter> adapters_;
};

}  // namespace minbert
