// Makes the list of segments that one AdamW step updates. A segment is a run of rows of the word embedding table, or a long stretch of
// other parameters that are adjacent in memory (called dense, because a step updates all of their rows). Most rows of the table have no
// gradient in a step, but their moments or weight decay move them. Such steps wait until the row is read, and are then made in one sweep:
// the same bits, without reading and writing the table in every step.
#include "minbert/train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "minbert/base/number.h"
#include "minbert/base/safetensors.h"

namespace minbert {
namespace {

/// So many steps at most wait. To make them then takes seconds at most, also where a signal has asked for a checkpoint.
constexpr std::size_t kMostWaiting = 1000;

constexpr std::string_view kWordEmbeddings = "embeddings.word_embeddings.weight";

Tensor flat(const Tensor& x) { return x ? x.reshape({x.numel()}) : x; }

/// Whether b begins where a ends, or both are absent.
bool adjoins(const Tensor& a, const Tensor& b) {
  if (!a || !b) return !a && !b;
  return static_cast<const std::byte*>(a.raw()) + a.bytes() == b.raw();
}

Tensor extended(const Tensor& a, const Tensor& b) { return a ? Tensor(a.raw(), a.dtype(), {a.numel() + b.numel()}) : a; }

std::optional<std::size_t> word_table(const Params& params, const Gradients& gradients) {
  if (!params.has(kWordEmbeddings) || !gradients.trainable(params.index(kWordEmbeddings))) return std::nullopt;
  return params.index(kWordEmbeddings);
}

/// Moments have their parameters' shapes, or with an exchange are vectors of this rank's parts.
Gradients make_moments(Params& params, const ParamFilter& trainable, const GradientExchange* exchange) {
  if (exchange == nullptr) return Gradients(params.backend(), params, trainable);
  return Gradients(params.backend(), params, trainable,
                   [&](std::size_t i) { return static_cast<std::int64_t>(exchange->owned(i).size()); });
}

ParamSpan span_of(const Params& params, Role role) {
  const auto table = params.table();
  const auto is_in = [&](const ParamInfo& info) { return info.role == role; };
  const auto begin = std::ranges::find_if(table, is_in);
  const auto end = std::find_if_not(begin, table.end(), is_in);
  return {static_cast<std::size_t>(begin - table.begin()), static_cast<std::size_t>(end - table.begin())};
}

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

/// Whether a step moves a parameter that has a gradient itself. LoRA computes the encoder's weights from what moves.
bool Optimizer::moves(const StageSpec& stage, const ParamInfo& info) { return !stage.lora || info.role != Role::kEncoder; }

Optimizer::Optimizer(Params& params, const StageSpec& stage, const ParamFilter& trainable, std::uint64_t seed, Comm* ranks)
    : params_(params),
      stage_(stage),
      ranks_(ranks),
      gradients_(params.backend(), params, trainable),
      exchange_(ranks == nullptr || ranks->is_alone()
                    ? nullptr
                    : std::make_unique<GradientExchange>(params, gradients_, word_table(params, gradients_), *ranks)),
      m_(make_moments(
          params, [&](const ParamInfo& info) { return trainable(info) && moves(stage, info); }, exchange_.get())),
      v_(make_moments(
          params, [&](const ParamInfo& info) { return trainable(info) && moves(stage, info); }, exchange_.get())),
      low_rank_(stage.lora ? std::make_unique<LowRank>(params, gradients_, stage, seed) : nullptr),
      word_(word_table(params, gradients_)) {
  const double head_lr = stage.head_lr.value_or(stage.lr);
  groups_.push_back({"encoder", stage.lr, {}, 0});
  groups_.push_back({"pooler", stage.lr, {}, 0});
  for (const HeadShape& head : params.shape().heads) groups_.push_back({"head " + head.task, head_lr, {}, 0});
  if (params.shape().mlm != MlmHeadKind::kNone) groups_.push_back({"mlm", head_lr, {}, 0});

  for (std::size_t i = 0; i < params.table().size(); ++i) {
    const ParamInfo& info = params.table()[i];
    if (!has_moments(i)) continue;
    if (i == word_) {
      words_ = WordRows(info.shape[0], segment(i).weight_decay > 0);
    } else {
      const std::string group = group_of(info);
      add_dense(*std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.name == group; }), i);
    }
  }
  if (word_ && !has_moments(*word_)) word_.reset();
  if (low_rank_) add_low_rank(groups_[0]);
}

void Optimizer::add_low_rank(Group& group) {
  MINBERT_CHECK(!is_shared(), "LoRA on several ranks");
  const auto decay = static_cast<float>(stage_.weight_decay);
  const auto add = [&](double scale, const Tensor& value, const Tensor& gradient, const Tensor& m, const Tensor& v) {
    const AdamWSegment whole = {
        .value = flat(value), .gradient = flat(gradient), .m = flat(m), .v = flat(v), .copy = {}, .step = {}, .weight_decay = decay};
    group.dense.push_back({whole, scale, 0});
  };
  for (const LowRank::Adapter& at : low_rank_->adapters()) {
    const double scale = lr_scale(params_.table()[at.index]);
    add(scale, at.a, at.da, at.ma, at.va);
    add(scale, at.b, at.db, at.mb, at.vb);
  }
}

/// The elements of a parameter that this process updates.
Part Optimizer::owned(std::size_t index) const {
  return exchange_ != nullptr ? exchange_->owned(index) : Part{0, static_cast<std::size_t>(params_.table()[index].numel())};
}

AdamWSegment Optimizer::segment(std::size_t index) const {
  const bool decays = params_.table()[index].decay || stage_.decay_bias_and_norm;
  const Part own = owned(index);
  const auto part = [&](const Tensor& x) {
    return x ? flat(x).slice_rows(static_cast<std::int64_t>(own.begin), static_cast<std::int64_t>(own.end)) : x;
  };
  return {.value = part(params_.value(index)),
          .gradient = part(gradients_[index]),
          .m = flat(m_[index]),
          .v = flat(v_[index]),
          .copy = part(params_.copy(index)),
          .step = {},
          .weight_decay = decays ? static_cast<float>(stage_.weight_decay) : 0.0f};
}

/// layer_decay to the power of the layers above the parameter's; the embeddings lie below all layers.
double Optimizer::lr_scale(const ParamInfo& info) const {
  if (info.role != Role::kEncoder || stage_.layer_decay == 1) return 1;
  return std::pow(stage_.layer_decay, static_cast<double>(params_.config().num_hidden_layers - info.layer));
}

void Optimizer::add_dense(Group& group, std::size_t index) {
  const AdamWSegment next = segment(index);
  const double scale = lr_scale(params_.table()[index]);
  if (next.value.numel() == 0) return;
  AdamWSegment* last = group.dense.empty() ? nullptr : &group.dense.back().segment;
  if (last == nullptr || params_.table()[group.dense.back().first].layer != params_.table()[index].layer ||
      group.dense.back().lr_scale != scale || last->weight_decay != next.weight_decay || !adjoins(last->value, next.value) ||
      !adjoins(last->gradient, next.gradient) || !adjoins(last->m, next.m) || !adjoins(last->copy, next.copy)) {
    group.dense.push_back({next, scale, index});
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

AdamWOptions Optimizer::options(double gradient_scale) const {
  return {.form = stage_.optimizer,
          .beta1 = static_cast<float>(stage_.betas[0]),
          .beta2 = static_cast<float>(stage_.betas[1]),
          .eps = static_cast<float>(stage_.eps),
          .gradient_scale = static_cast<float>(gradient_scale)};
}

void Optimizer::touch(std::span<const std::int32_t> ids) {
  words_.touch(ids);
  make_waiting(words_.take_behind(ids, groups_[0].steps));
}

void Optimizer::touch_all_words() {
  words_.touch_all();
  settle();
}

void Optimizer::settle() {
  make_waiting(words_.take_all_behind(groups_[0].steps));
  word_steps_.clear();
}

/// Makes the steps that these rows wait for.
void Optimizer::make_waiting(std::span<const WordRows::Behind> rows) {
  if (rows.empty()) return;
  idle_.clear();
  for (const WordRows::Behind& at : rows) {
    const std::int64_t waiting = groups_[0].steps - at.made;
    MINBERT_CHECK(waiting <= std::ssize(word_steps_), "row {} waits for {} steps of {}", at.row, waiting, word_steps_.size());
    idle_.push_back({word_rows({at.row, at.row + 1}), word_steps_.size() - static_cast<std::size_t>(waiting)});
  }
  params_.backend().adamw_idle(idle_, word_steps_, options(1));
  params_.changed(/*copies_current=*/true);
}

void Optimizer::use_groups(StepHead head) {
  used_.assign({&groups_[0]});
  if (head && params_.shape().heads[*head].pool == Pool::kPooler) used_.push_back(&groups_[1]);
  if (head)
    used_.push_back(&groups_[2 + *head]);
  else if (params_.shape().mlm != MlmHeadKind::kNone)
    used_.push_back(&groups_.back());
  pending_.clear();
  for (const Group* group : used_)
    for (const DenseSegment& dense : group->dense) pending_.push_back({group, &dense});
  early_squares_ = 0;
}

Encoder::GradReady Optimizer::begin_step(StepHead head, double lr_factor) {
  if (!is_shared()) {
    if (stage_.clip > 0 || low_rank_) return {};
    use_groups(head);
    return [this, lr_factor](ParamSpan span) { update_early(span, lr_factor); };
  }
  std::vector<ParamSpan> spans = {span_of(params_, Role::kEncoder)};
  if (head && params_.shape().heads[*head].pool == Pool::kPooler) spans.push_back(span_of(params_, Role::kPooler));
  spans.push_back(head ? params_.head_span(params_.shape().heads[*head].task) : span_of(params_, Role::kMlm));
  exchange_->begin_step(spans);
  return [this](ParamSpan span) { exchange_->ready(span); };
}

/// The step that the group is about to make.
AdamWStep Optimizer::next_step(const Group& group, double lr_factor, double lr_scale) const {
  return adamw_step(options(1), static_cast<float>(group.lr * lr_factor * lr_scale), group.steps + 1);
}

void Optimizer::add_segment(const Pending& at, double lr_factor) {
  segments_.push_back(at.dense->segment);
  segments_.back().step = next_step(*at.group, lr_factor, at.dense->lr_scale);
}

/// Updates the dense parameters of the span.
void Optimizer::update_early(ParamSpan span, double lr_factor) {
  segments_.clear();
  norm_parts_.clear();
  std::erase_if(pending_, [&](const Pending& at) {
    if (at.dense->first < span.begin || at.dense->first >= span.end) return false;
    norm_parts_.push_back(at.dense->segment.gradient);
    add_segment(at, lr_factor);
    return true;
  });
  early_squares_ += params_.backend().squared_norm(norm_parts_);
  params_.backend().adamw(segments_, options(1));
}

double Optimizer::gradient_norm(StepHead head, std::span<double> sums) {
  if (used_.empty()) use_groups(head);
  words_.close_step();
  if (low_rank_) low_rank_->project(gradients_);
  if (is_shared()) exchange_->finish(words_.step_runs());
  Backend& backend = params_.backend();
  norm_parts_.clear();
  for (const Pending& at : pending_) norm_parts_.push_back(at.dense->segment.gradient);
  double dense_parts = early_squares_;
  if (is_shared()) {  // each rank has its parts of these, and all of the word embeddings' rows
    std::vector<double> all(sums.begin(), sums.end());
    all.push_back(backend.squared_norm(norm_parts_));
    ranks_->all_reduce(all);
    dense_parts = all.back();
    std::copy_n(all.begin(), sums.size(), sums.begin());
    norm_parts_.clear();
  }
  for (const RowRun& run : words_.step_runs()) norm_parts_.push_back(word_rows(run).gradient);
  return norm_ = std::sqrt(dense_parts + backend.squared_norm(norm_parts_));
}

void Optimizer::step(double lr_factor) {
  MINBERT_CHECK(!used_.empty(), "a step without its gradient norm");
  // Clipping adds 1e-6 to the norm, because torch.nn.utils.clip_grad_norm_ does.
  const AdamWOptions options = this->options(stage_.clip > 0 ? std::min(1.0, stage_.clip / (norm_ + 1e-6)) : 1.0);
  segments_.clear();
  for (const Pending& at : pending_) add_segment(at, lr_factor);
  const auto update = [&] {
    params_.backend().adamw(segments_, options);
    segments_.clear();
  };
  if (is_shared()) update();  // the other ranks wait for these; the word embeddings follow while they travel
  if (word_) {
    word_steps_.push_back(next_step(groups_[0], lr_factor, lr_scale(params_.table()[*word_])));
    for (const RowRun& run : words_.step_runs()) {
      segments_.push_back(word_rows(run));
      segments_.back().step = word_steps_.back();
    }
  }
  if (is_shared())
    exchange_->spread_values(update);
  else
    update();
  if (low_rank_) low_rank_->merge();
  params_.changed(/*copies_current=*/!is_shared() && !low_rank_);
  for (Group* group : used_) ++group->steps;
  words_.next_step(groups_[0].steps);
  used_.clear();
  if (word_steps_.size() >= kMostWaiting) settle();
}

/// The moments under their names in a checkpoint, "m.NAME" before "v.NAME". Those that an exchange has cut have the parameters' values
/// instead, for their shapes.
std::vector<NamedTensor> Optimizer::named_moments() const {
  std::vector<NamedTensor> tensors;
  for (std::size_t i = 0; i < params_.table().size(); ++i) {
    if (!has_moments(i)) continue;
    tensors.push_back({"m." + params_.table()[i].name, is_shared() ? params_.value(i) : m_[i]});
    tensors.push_back({"v." + params_.table()[i].name, is_shared() ? params_.value(i) : v_[i]});
  }
  if (low_rank_) std::ranges::copy(low_rank_->tensors(), std::back_inserter(tensors));
  return tensors;
}

void Optimizer::save(const std::filesystem::path& path) const {
  MINBERT_CHECK(word_steps_.empty(), "rows of the word embeddings may wait for {} steps", word_steps_.size());
  Metadata steps;
  for (const Group& group : groups_) steps[group.name] = std::to_string(group.steps);
  if (!is_shared()) return save_tensors(params_.backend(), path, named_moments(), steps);
  GradientExchange::MomentGatherer gatherer(*exchange_, m_, v_);
  if (!ranks_->is_first()) return gatherer.serve();
  std::vector<SafetensorsEntry> entries;
  for (const NamedTensor& named : named_moments()) entries.push_back(safetensors_entry(named.name, named.tensor));
  write_safetensors(path, std::move(entries), steps, [&](const SafetensorsEntry& entry) {
    return std::as_bytes(gatherer.whole(entry.name.starts_with("m.") ? 0 : 1, params_.index(entry.name.substr(2))));
  });
  gatherer.end();
}

void Optimizer::load(const std::filesystem::path& path) {
  const std::vector<NamedTensor> moments = named_moments();
  if (!is_shared()) {
    load_step_counts(path, load_tensors(params_.backend(), path, moments));
  } else {
    std::vector<float> whole;
    const auto share = [&](std::size_t i, std::span<const std::byte> bytes) {
      whole.resize(static_cast<std::size_t>(moments[i].tensor.numel()));
      std::ranges::copy(bytes, std::as_writable_bytes(std::span(whole)).begin());
      ranks_->broadcast(std::span(whole));
      const std::size_t index = params_.index(moments[i].name.substr(2));
      const Tensor& part = (i % 2 == 0 ? m_ : v_)[index];
      if (part.numel() > 0) params_.backend().copy_to_device(part, whole.data() + owned(index).begin);
    };
    if (ranks_->is_first())
      load_step_counts(path, read_tensors(path, moments, share));
    else
      for (std::size_t i = 0; i < moments.size(); ++i) share(i, {});
    for (Group& group : groups_) group.steps = static_cast<std::int64_t>(ranks_->broadcast(static_cast<double>(group.steps)));
  }
  if (word_) find_moving_rows();
}

void Optimizer::load_step_counts(const std::filesystem::path& path, const Metadata& steps) {
  for (Group& group : groups_) {
    const auto at = steps.find(group.name);
    const std::string text = at == steps.end() ? "" : at->second;
    const auto count = number_from<std::int64_t>(text);
    if (!count || *count < 0)
      throw Error(ErrorTag::kModel, path.string(), fmt::format("expected the step count of \"{}\", got \"{}\"", group.name, text));
    group.steps = *count;
  }
}

/// Says which rows of the word embeddings have made all steps: all of them with weight decay, else those with a moment other than zero.
void Optimizer::find_moving_rows() {
  const std::int64_t rows = params_.value(*word_).rows(), width = params_.value(*word_).cols();
  std::vector<float> moments(static_cast<std::size_t>(rows * width));
  word_steps_.clear();
  words_.set_made(groups_[0].steps);
  for (const Gradients* part : {&m_, &v_}) {
    params_.backend().copy_to_host(moments.data(), (*part)[*word_]);
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto values = std::span(moments).subspan(static_cast<std::size_t>(row * width), static_cast<std::size_t>(width));
      if (std::ranges::any_of(values, [](float x) { return x != 0; })) words_.set_made(row, groups_[0].steps);
    }
  }
}

std::int64_t Optimizer::state_bytes(const Params& params, const StageSpec& stage, const ParamFilter& trainable, int ranks) {
  std::int64_t gradients = 0, moments = 0;
  for (const ParamInfo& info : params.table()) {
    if (!trainable(info)) continue;
    gradients += info.numel();
    if (!moves(stage, info)) continue;
    moments += 2 * (info.name == kWordEmbeddings ? info.numel() : (info.numel() + ranks - 1) / ranks);
  }
  return (gradients + moments) * static_cast<std::int64_t>(dtype_size(params.dtype())) +
         (stage.lora ? LowRank::state_bytes(params, *stage.lora, trainable) : 0);
}

}  // namespace minbert
