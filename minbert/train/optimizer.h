// Optimizer: AdamW over the parameters that a stage trains. Each step updates only parameters that it can change.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "minbert/model/checkpoint.h"
#include "minbert/model/encoder.h"
#include "minbert/train/config.h"
#include "minbert/train/gradient_exchange.h"
#include "minbert/train/low_rank.h"
#include "minbert/train/word_rows.h"

namespace minbert {

class Optimizer {
 public:
  /// Gradients and moments, all zero, for the parameters that `trainable` selects. With stage.lora the encoder's weights have no moments;
  /// the factors A and B have, and `seed` draws A. `params` must outlive this object, and `ranks` too. With several ranks, which LoRA
  /// cannot have, each has all gradients, but moments only of its parts (GradientExchange) and of the word embeddings.
  Optimizer(Params& params, const StageSpec& stage, const ParamFilter& trainable, std::uint64_t seed, Comm* ranks = nullptr);

  /// Backward passes accumulate here; step() sets to zero what it used.
  Gradients& gradients() { return gradients_; }
  /// The step's gradient may be in these rows of the word embeddings: the ids of every micro-batch. Call it before the forward pass, which
  /// may read only these rows: the others may wait for steps in which they had no gradient.
  void touch(std::span<const std::int32_t> ids);
  /// The step's gradient may be in all of their rows, and the forward pass may read all: a head tied to the word embeddings is used.
  void touch_all_words();
  /// Makes the steps that rows of the word embeddings still wait for. Call it before anything but a touched step reads the parameters.
  void settle();

  /// What a step trains beside the encoder: a task's head, by its index in ModelShape::heads, or else the MLM head, if there
  /// is one.
  using StepHead = std::optional<std::size_t>;
  /// To be called before the backward pass of a step; a step may do without. The result, if it is not empty, is to be called as gradients
  /// become final. With several ranks they are then summed up meanwhile. Else, if nothing waits for the norm of the whole step (clipping
  /// and LoRA do), these parameters are updated at once, while their gradients are in the processor's caches; step() then needs the same
  /// lr_factor.
  Encoder::GradReady begin_step(StepHead head, double lr_factor);
  /// L2 norm of the gradient of a step that trains `head`: encoder, pooler (if the head reads it) and this head, also of what is updated
  /// already. With several ranks it first sums up their gradients, and `sums` too.
  double gradient_norm(StepHead head, std::span<double> sums = {});
  /// Updates what the last gradient_norm() measured, clipped by that norm. All other parameters stay as they are: no moments, no decay,
  /// their own step counts. Rates are multiplied by lr_factor.
  void step(double lr_factor);

  /// optimizer.safetensors: m.NAME, v.NAME, and the step counts as metadata, whatever the number of ranks. The first rank writes and reads
  /// the file, the others send and get their parts. load() throws Error(kModel).
  void save(const std::filesystem::path& path) const;
  void load(const std::filesystem::path& path);

  /// Bytes of gradients and moments for `trainable` parameters, on each of `ranks` ranks, and of what LoRA has beside them.
  static std::int64_t state_bytes(const Params& params, const StageSpec& stage, const ParamFilter& trainable, int ranks = 1);

 private:
  /// Adjacent parameters of one layer with equal settings; each step sets the segment's own step.
  struct DenseSegment {
    AdamWSegment segment;
    double lr_scale = 1;
    std::size_t first = 0;  // index of the first of its parameters
  };
  /// Parameters that a step uses all or none of. They share a step count.
  struct Group {
    std::string name;
    double lr = 0;
    std::vector<DenseSegment> dense;
    std::int64_t steps = 0;
  };
  /// What the current step has not yet updated.
  struct Pending {
    const Group* group;
    const DenseSegment* dense;
  };

  bool is_shared() const { return exchange_ != nullptr; }
  bool has_moments(std::size_t index) const { return gradients_.trainable(index) && moves(stage_, params_.table()[index]); }
  static bool moves(const StageSpec& stage, const ParamInfo& info);
  void add_low_rank(Group& group);
  Part owned(std::size_t index) const;
  void add_dense(Group& group, std::size_t index);
  AdamWSegment segment(std::size_t index) const;
  double lr_scale(const ParamInfo& info) const;
  AdamWSegment word_rows(const RowRun& run) const;
  AdamWOptions options(double gradient_scale) const;
  void make_waiting(std::span<const WordRows::Behind> rows);
  void use_groups(StepHead head);
  AdamWStep next_step(const Group& group, double lr_factor, double lr_scale) const;
  void add_segment(const Pending& at, double lr_factor);
  void update_early(ParamSpan span, double lr_factor);
  std::vector<NamedTensor> named_moments() const;
  void load_step_counts(const std::filesystem::path& path, const Metadata& steps);
  void find_moving_rows();

  Params& params_;
  StageSpec stage_;
  Comm* ranks_;
  Gradients gradients_;
  std::unique_ptr<GradientExchange> exchange_;  // with several ranks
  Gradients m_, v_;
  std::unique_ptr<LowRank> low_rank_;  // with stage.lora
  std::vector<Group> groups_;          // encoder, pooler, one for each head, the MLM head if there is one
  std::optional<std::size_t> word_;    // index of the word embedding table, if it trains
  WordRows words_{0, false};           // which of its rows have gradients or wait for steps
  std::vector<AdamWStep> word_steps_;  // the table's steps that some rows may still wait for, the last one last
  std::vector<Group*> used_;           // groups of the current step; empty between steps
  std::vector<Pending> pending_;       // their segments that are not yet updated
  double early_squares_ = 0;           // the squared norm of the others' gradients
  double norm_ = 0;                    // the current step's norm
  std::vector<Tensor> norm_parts_;
  std::vector<AdamWSegment> segments_;
  std::vector<AdamWIdle> idle_;
};

}  // namespace minbert
