// Optimizer: AdamW over the parameters that a stage trains; of each step only what can have changed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "minbert/model/checkpoint.h"
#include "minbert/train/config.h"

namespace minbert {

class Optimizer {
 public:
  /// Gradients and moments, all zero, for the parameters that `trainable` selects. `params` must outlive this object.
  Optimizer(Params& params, const StageSpec& stage, const ParamFilter& trainable);

  /// Backward passes accumulate here; a step leaves zeros behind.
  Gradients& gradients() { return gradients_; }
  /// Tells which rows of the word embeddings this step's gradient may be in: the ids of every micro-batch.
  void touch(std::span<const std::int32_t> ids);
  /// The same for all of them: a head tied to the word embeddings was used.
  void touch_all_words() { step_moves_all_ = true; }

  /// What a step trains beside the encoder: a task's head, by its index in ModelShape::heads, or else the MLM head.
  using StepHead = std::optional<std::size_t>;
  /// L2 norm of the gradient of a step that trains `head`.
  double gradient_norm(StepHead head);
  /// One update of encoder, pooler (if the head reads it) and this head, clipped by `norm`; the others stay as they are: no moments, no
  /// decay, their own step counts. Rates are multiplied by lr_factor.
  void step(StepHead head, double norm, double lr_factor);

  /// optimizer.safetensors: m.NAME, v.NAME, and the step counts as metadata. load() throws Error(kModel).
  void save(const std::filesystem::path& path) const;
  void load(const std::filesystem::path& path);

  /// Bytes of gradients and moments for `trainable` parameters.
  static std::int64_t state_bytes(const Params& params, const ParamFilter& trainable);

 private:
  /// Rows [begin, end) of the word embeddings.
  struct RowRun {
    std::int64_t begin = 0, end = 0;
  };
  /// Parameters that are used, or not, together: they share a step count.
  struct Group {
    std::string name;
    double lr = 0;
    std::vector<AdamWSegment> dense;  // adjacent parameters with equal settings; lr and step are filled in for each step
    std::int64_t steps = 0;
  };

  void add_dense(Group& group, std::size_t index);
  AdamWSegment segment(std::size_t index) const;
  AdamWSegment word_rows(const RowRun& run) const;
  template <class Add>
  void add_known_rows(const Add& add) const;
  void use_groups(StepHead head);
  void remember_rows(std::span<const RowRun> runs);
  std::vector<NamedTensor> named_moments() const;

  Params& params_;
  StageSpec stage_;
  Gradients gradients_, m_, v_;
  std::vector<Group> groups_;           // encoder, pooler, one for each head, the MLM head's if there is one
  std::optional<std::size_t> word_;     // the word embeddings, when they train
  bool all_rows_ = false;               // every row moves in each step (decay)
  bool step_moves_all_ = false;         // touch_all_words since the last step
  std::vector<std::int32_t> step_rows_; // touched since the last step; sorted and unique once use_groups() has run
  std::vector<RowRun> step_runs_, known_runs_;  // of step_rows_; of all rows that were ever touched: the others have m = v = 0
  std::vector<bool> known_rows_;
  std::vector<Group*> used_;
  std::vector<Tensor> norm_parts_;
  std::vector<AdamWSegment> segments_;
};

}  // namespace minbert
