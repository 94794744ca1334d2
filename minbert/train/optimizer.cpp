// Makes the list of segments that one AdamW step updates. A segment is a run of rows of the word embedding table, or a long stretch of
// other parameters that are adjacent in memory (called dense, because a step updates all of their rows).
#include "minbert/train/optimizer.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace minbert {
namespace {

constexpr std::string_view kWordEmbeddings = "embeddings.word_embeddings.weight";

Tensor flat(const Tensor& x) { return x ? x.reshape({x.numel()}) : x; }

/// Whether b begins where a ends, or both are absent.
bool adjoins(const Tensor& a, const Tensor& b) {
  if (!a || !b) return !a && !b;
  return static_cast<const std::byte*>(a.raw()) + a.bytes() == b.raw();
}

Tensor extended(const Tensor& a, const Tensor& b) { return a ? Tensor(a.raw(), a.dtype(), {a.numel() + b.numel()}) : a; }

std::string group_of(const ParamInfo& info) {
  switch (info.role) {
    case Role::kEncoder: return "encoder";
    case Role::kPooler: return "pooler";
    case Role::kHead: return "head " + info.task;
    case Role::kMlm: return "mlm";
  }
  return {};
}

}  // namespace

Optimizer::Optimizer(Params& params, const StageSpec& stage, const ParamFilter& trainable)
    : params_(params),
      stage_(stage),
      gradients_(params.backend(), params, trainable),
      m_(params.backend(), params, trainable),
      v_(params.backend(), params, trainable) {
  const double head_lr = stage.head_lr.value_or(stage.lr);
  groups_.push_back({"encoder", stage.lr, {}, 0});
  groups_.push_back({"pooler", stage.lr, {}, 0});
  for (const HeadShape& head : params.shape().heads) groups_.push_back({"head " + head.task, head_lr, {}, 0});
  if (params.shape().mlm != MlmHeadKind::kNone) groups_.push_back({"mlm", head_lr, {}, 0});

  for (std::size_t i = 0; i < params.table().size(); ++i) {
    const ParamInfo& info = params.table()[i];
    if (!gradients_.trainable(i)) continue;
    if (info.name == kWordEmbeddings) {
      word_ = i;
      all_rows_ = segment(i).weight_decay > 0;
      words_ = WordRows(info.shape[0]);
    } else {
      const std::string group = group_of(info);
      add_dense(*std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.name == group; }), i);
    }
  }
}

AdamWSegment Optimizer::segment(std::size_t index) const {
  const bool decays = params_.table()[index].decay || stage_.decay_bias_and_norm;
  return {.value = flat(params_.value(index)),
          .gradient = flat(gradients_[index]),
          .m = flat(m_[index]),
          .v = flat(v_[index]),
          .copy = flat(params_.copy(index)),
          .weight_decay = decays ? static_cast<float>(stage_.weight_decay) : 0.0f};
}

void Optimizer::add_dense(Group& group, std::size_t index) {
  const AdamWSegment next = segment(index);
  AdamWSegment* last = group.dense.empty() ? nullptr : &group.dense.back();
  if (last == nullptr || last->weight_decay != next.weight_decay || !adjoins(last->value, next.value) ||
      !adjoins(last->gradient, next.gradient) || !adjoins(last->copy, next.copy)) {
    group.dense.push_back(next);
    return;
  }
  for (Tensor AdamWSegment::*part :
       {&AdamWSegment::value, &AdamWSegment::gradient, &AdamWSegment::m, &AdamWSegment::v, &AdamWSegment::copy})
    last->*part = extended(last->*part, next.*part);
}

AdamWSegment Optimizer::word_rows(const RowRun& run) const {
  AdamWSegment rows = segment(*word_);
  const std::int64_t width = params_.value(*word_).cols();
  for (Tensor AdamWSegment::*part :
       {&AdamWSegment::value, &AdamWSegment::gradient, &AdamWSegment::m, &AdamWSegment::v, &AdamWSegment::copy})
    if (rows.*part) rows.*part = (rows.*part).slice_rows(run.begin * width, run.end * width);
  return rows;
}

void Optimizer::use_groups(StepHead head) {
  MINBERT_CHECK(head || params_.shape().mlm != MlmHeadKind::kNone, "a step for a head that is not there");
  used_.assign({&groups_[0]});
  if (head && params_.shape().heads[*head].pool == Pool::kPooler) used_.push_back(&groups_[1]);
  used_.push_back(head ? &groups_[2 + *head] : &groups_.back());
  words_.close_step();
}

double Optimizer::gradient_norm(StepHead head) {
  use_groups(head);
  norm_parts_.clear();
  for (const Group* group : used_)
    for (const AdamWSegment& dense : group->dense) norm_parts_.push_back(dense.gradient);
  for (const RowRun& run : words_.step_runs()) norm_parts_.push_back(word_rows(run).gradient);
  return norm_ = std::sqrt(params_.backend().squared_norm(norm_parts_));
}

void Optimizer::step(double lr_factor) {
  MINBERT_CHECK(!used_.empty(), "a step without its gradient norm");
  segments_.clear();
  const auto add = [&](const Group& group, AdamWSegment segment) {
    segment.lr = static_cast<float>(group.lr * lr_factor);
    segment.step = group.steps;
    segments_.push_back(segment);
  };
  for (Group* group : used_) {
    ++group->steps;
    for (const AdamWSegment& dense : group->dense) add(*group, dense);
  }
  if (all_rows_)
    add(groups_[0], segment(*word_));
  else
    words_.for_moving_runs([&](const RowRun& run, bool has_gradient) {
      AdamWSegment rows = word_rows(run);
      if (!has_gradient) rows.gradient = {};
      add(groups_[0], rows);
    });
  // Clipping adds 1e-6 to the norm, because torch.nn.utils.clip_grad_norm_ does.
  const double scale = stage_.clip > 0 ? std::min(1.0, stage_.clip / (norm_ + 1e-6)) : 1.0;
  Backend& backend = params_.backend();
  backend.adamw(segments_, {.form = stage_.optimizer,
                            .beta1 = static_cast<float>(stage_.betas[0]),
                            .beta2 = static_cast<float>(stage_.betas[1]),
                            .eps = static_cast<float>(stage_.eps),
                            .gradient_scale = static_cast<float>(scale)});
  params_.changed(/*copies_current=*/true);
  words_.next_step();
  used_.clear();
}

std::vector<NamedTensor> Optimizer::named_moments() const {
  std::vector<NamedTensor> tensors;
  for (std::size_t i = 0; i < params_.table().size(); ++i) {
    if (!gradients_.trainable(i)) continue;
    tensors.push_back({"m." + params_.table()[i].name, m_[i]});
    tensors.push_back({"v." + params_.table()[i].name, v_[i]});
  }
  return tensors;
}

void Optimizer::save(const std::filesystem::path& path) const {
  Metadata steps;
  for (const Group& group : groups_) steps[group.name] = std::to_string(group.steps);
  save_tensors(params_.backend(), path, named_moments(), steps);
}

void Optimizer::load(const std::filesystem::path& path) {
  const Metadata steps = load_tensors(params_.backend(), path, named_moments());
  for (Group& group : groups_) {
    const auto at = steps.find(group.name);
    const std::string text = at == steps.end() ? "" : at->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), group.steps);
    if (error != std::errc{} || end != text.data() + text.size() || group.steps < 0)
      throw Error(ErrorTag::kModel, path.string(), fmt::format("expected the step count of \"{}\", got \"{}\"", group.name, text));
  }
  if (!word_) return;
  // Only rows with a moment other than zero are marked, because an update without gradient and decay leaves all other rows unchanged.
  const std::int64_t rows = m_[*word_].rows(), width = m_[*word_].cols();
  std::vector<float> moments(static_cast<std::size_t>(rows * width));
  std::vector<RowRun> moving;
  for (const Gradients* part : {&m_, &v_}) {
    params_.backend().copy_to_host(moments.data(), (*part)[*word_]);
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto values = std::span(moments).subspan(static_cast<std::size_t>(row * width), static_cast<std::size_t>(width));
      if (std::ranges::any_of(values, [](float x) { return x != 0; })) moving.push_back({row, row + 1});
    }
  }
  words_.add_moments(moving);
}

std::int64_t Optimizer::state_bytes(const Params& params, const ParamFilter& trainable) {
  std::int64_t numel = 0;
  for (const ParamInfo& info : params.table()) numel += trainable(info) ? info.numel() : 0;
  return 3 * numel * static_cast<std::int64_t>(dtype_size(params.dtype()));
}

}  // namespace minbert
