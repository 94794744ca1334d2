// Steps and scores of masked-LM training.
#include "minbert/train/mlm_objective.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "minbert/train/shared_pass.h"

namespace minbert {

MlmObjective::MlmObjective(RunSetup& setup, const StageSpec& stage, const MlmCorpus& corpus, std::uint64_t seed, TrainEvents& events,
                           const ShouldStop& should_stop)
    : setup_(setup), stage_(stage), corpus_(corpus), seed_(seed), events_(events), should_stop_(should_stop), arena_(*setup.backend) {
  sampled_.push_back({std::string(kMlmName), corpus.train.rows(), stage.batch * stage.accumulate});
}

void MlmObjective::prepare() {
  samples_.reserve(corpus_.sources.size());
  for (const MlmSource& source : corpus_.sources) {
    add_rows(held_out_, source, source.held_out);
    if (!scores_train(stage_, true)) continue;
    samples_.push_back(copy_rows(corpus_.train, train_sample(stage_, source.begin, source.end, seed_, source.name)));
    add_rows(train_sample_, source, samples_.back());
  }
}

bool MlmObjective::hides_a_token(const MlmSource& source, const TokenizedRows& rows) const {
  std::vector<std::uint32_t> all(static_cast<std::size_t>(rows.rows()));
  std::iota(all.begin(), all.end(), 0u);
  return count_chosen(rows, all, masking("eval/" + source.name)) > 0;
}

/// Leaves out rows in which no token is hidden: they have no score.
void MlmObjective::add_rows(std::vector<EvalRows>& to, const MlmSource& source, const TokenizedRows& rows) {
  if (rows.rows() == 0) return;
  if (hides_a_token(source, rows))
    to.push_back({&source, &rows, masking("eval/" + source.name)});
  else
    events_.message(MessageLevel::kWarning,
                    fmt::format("stage {}: {} texts of {} were to be scored, too few to hide a token of them; they are not scored",
                                stage_.name, rows.rows(), source.name));
}

void MlmObjective::touch(std::size_t, std::span<const std::uint32_t> rows, int epoch, Optimizer& optimizer) const {
  if (setup_.params->shape().mlm == MlmHeadKind::kTied) return optimizer.touch_all_words();
  const Masking hidden = train_masking(epoch);
  std::vector<std::int32_t> ids;
  for (const std::uint32_t row : rows) append_masked(ids, corpus_.train, row, hidden);
  optimizer.touch(ids);
}

StepResult MlmObjective::step(std::size_t, const StepShare& share, int epoch, DropoutState dropout, Optimizer& optimizer) {
  Backend& backend = *setup_.backend;
  MultitaskModel& model = *setup_.model;
  const Masking hidden = train_masking(epoch);
  dropout.mlm = dropout.heads ? stage_.mlm->dropout_rate() : 0;
  StepResult result;
  for_micro_batches(share, static_cast<std::size_t>(stage_.batch), [&](const MicroBatch& micro) {
    batch_.fill(corpus_.train, micro.rows, hidden, micro.first_row);
    const TokenBatch tokens = batch_.tokens();
    result.tokens += tokens.tokens();
    if (batch_.labels().empty()) return;
    optimizer.touch(tokens.ids);
    if (setup_.params->shape().mlm == MlmHeadKind::kTied) optimizer.touch_all_words();
    arena_.reset();
    dropout.micro_step = micro.micro_step;
    const Targets targets{batch_.labels(), {}};
    const Tensor logits = model.mlm_forward(arena_, &activations_, tokens, batch_.chosen(), dropout);
    const Tensor losses = loss_forward(backend, arena_, Loss::kCrossEntropy, logits, targets);
    const Tensor dlogits = loss_backward(backend, arena_, Loss::kCrossEntropy, logits, targets, 1 / share.total);
    model.mlm_backward(arena_, optimizer.gradients(), dlogits, activations_, micro.is_last ? share.on_grad_ready : Encoder::GradReady());
    result.loss = sum_of(backend, losses, result.loss);
  });
  if (share.total > 0) result.loss /= share.total;
  return result;
}

std::optional<EvalEvent> MlmObjective::evaluate(std::string_view split, std::span<const EvalRows> rows, int epoch) {
  if (rows.empty()) return std::nullopt;
  EvalEvent event{.stage = stage_.name, .split = std::string(split), .epoch = epoch};
  Scores trained;
  for (const EvalRows& eval : rows) {
    const std::string& name = eval.source->name;
    const MlmScore score = score_together(setup_, fmt::format("{} {}", split, name), *eval.rows, eval.masking, events_, should_stop_);
    if (!std::isfinite(score.loss))
      throw Error(ErrorTag::kDiverged, fmt::format("stage {}, epoch {}, texts {}", stage_.name, epoch, name),
                  fmt::format("expected a finite loss on {}, got {}", split, score.loss));
    event.scores[name] = score.accuracy;
    event.loss[name] = score.loss;
    event.perplexity[name] = score.perplexity();
    if (!eval.source->probe) trained[name] = score.accuracy;
  }
  event.mean = mean_score(trained);
  return event;
}

Scores MlmObjective::ranking(const EvalEvent& event) const {
  Scores ranking;
  for (const EvalRows& eval : held_out_)
    if (!eval.source->probe) ranking[eval.source->name] = -event.loss.at(eval.source->name);
  return ranking;
}

bool MlmObjective::can_select() const {
  return std::ranges::any_of(corpus_.sources,
                             [&](const MlmSource& source) { return !source.probe && hides_a_token(source, source.held_out); });
}

}  // namespace minbert
