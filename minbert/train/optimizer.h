// Optimizer: AdamW over the parameters that a stage trains. Each step updates only parameters that it can change.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "minbert/model/checkpoint.h"
#include "minbert/train/config.h"
#include "minbert/train/word_rows.h"

namespace minbert {

class Optimizer {
 public:
  /// Gradients and moments, all zero, for the parameters that `trainable` selects. `params` must outlive this object.
  Optimizer(Params& params, const StageSpec& stage, const ParamFilter& trainable);

  /// Backward passes accumulate here; step() sets to zero what it used.
  Gradients& gradients() { return gradients_; }
  /// The step's gradient may be in these rows of the word embeddings: the ids of every micro-batch.
  void touch(std::span<const std::int32_t> ids) { words_.touch(ids); }
  /// The step's gradient may be in all of their rows: a head tied to the word embeddings was used.
  void touch_all_words() { words_.touch_all(); }

  /// What a step trains beside the encoder: a task's head, by its index in ModelShape::heads, or else the MLM head.
  using StepHead = std::optional<std::size_t>;
  /// L2 norm of the gradient of a step that trains `head`: encoder, pooler (if the head reads it) and this head.
  double gradient_norm(StepHead head);
  /// Updates what the last gradient_norm() measured, clipped by that norm. All other parameters stay as they are: no moments, no decay,
  /// their own step counts. Rates are multiplied by lr_factor.
  void step(double lr_factor);

  /// optimizer.safetensors: m.NAME, v.NAME, and the step counts as metadata. load() throws Error(kModel).
  void save(const std::filesystem::path& path) const;
  void load(const std::filesystem::path& path);

  /// Bytes of gradients and moments for `trainable` parameters.
  static std::int64_t state_bytes(const Params& params, const ParamFilter& trainable);

 private:
  /// Parameters that a step uses all or none of. They share a step count.
  struct Group {
    std::string name;
    double lr = 0;
    std::vector<AdamWSegment> dense;  // one for adjacent parameters with equal settings; each step sets lr and step
    std::int64_t steps = 0;
  };

  void add_dense(Group& group, std::size_t index);
  AdamWSegment segment(std::size_t index) const;
  AdamWSegment word_rows(const RowRun& run) const;
  void use_groups(StepHead head);
  std::vector<NamedTensor> named_moments() const;

  Params& params_;
  StageSpec stage_;
  Gradients gradients_, m_, v_;
  std::vector<Group> groups_;        // encoder, pooler, one for each head, the MLM head if there is one
  std::optional<std::size_t> word_;  // index of the word embedding table, if it trains
  bool all_rows_ = false;            // weight decay moves all of its rows in each step
  WordRows words_{0};                // which of its rows a step moves without decay
  std::vector<Group*> used_;         // groups of the step that gradient_norm() measured; empty after step()
  double norm_ = 0;                  // that step's norm
  std::vector<Tensor> norm_parts_;
  std::vector<AdamWSegment> segments_;
};

}  // namespace minbert
