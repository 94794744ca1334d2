// Picks the objective by kind of stage.
#include "minbert/train/objective.h"

#include <algorithm>
#include <numeric>

#include "minbert/base/rng.h"
#include "minbert/train/contrastive_objective.h"
#include "minbert/train/mlm_objective.h"
#include "minbert/train/task_objective.h"

namespace minbert {

RowProgress follow(std::string what, std::int64_t rows, TrainEvents& events, const ShouldStop& should_stop, const Comm& ranks) {
  return [what = std::move(what), rows, &events, &should_stop, &ranks](std::int64_t done) {
    events.pass({what, std::min(rows, done * ranks.size()), rows});
    if (ranks.is_alone() && should_stop()) throw StopRequested();
  };
}

double sum_of(Backend& backend, const Tensor& losses, double from) {
  const std::vector<float> values = backend.to_host(losses);
  return std::accumulate(values.begin(), values.end(), from);
}

void touch_rows(Optimizer& optimizer, const TokenizedRows& tokens, std::span<const std::uint32_t> rows) {
  const auto per_row = static_cast<std::size_t>(tokens.per_row);
  for (const std::uint32_t row : rows) {
    const auto begin = static_cast<std::size_t>(tokens.offsets[row * per_row]),
               end = static_cast<std::size_t>(tokens.offsets[(row + 1) * per_row]);
    optimizer.touch(std::span(tokens.ids).subspan(begin, end - begin));
  }
}

StepShare Objective::begin_step(std::size_t i, std::span<const std::uint32_t> rows, int epoch, double lr_factor, Optimizer& optimizer,
                                const Comm& ranks) const {
  StepShare share = whole_step(i, rows, epoch);
  share.on_grad_ready = optimizer.begin_step(head(i), lr_factor);
  if (ranks.is_alone()) return share;
  std::vector<std::int64_t> tokens;
  for (const std::uint32_t row : rows) tokens.push_back(this->rows(i).row_tokens(row));
  const Part part = deal_rows(tokens, ranks.rank(), ranks.size());
  share.rows = rows.subspan(part.begin, part.size());
  share.first_row = part.begin;
  touch(i, rows, epoch, optimizer);
  return share;
}

std::unique_ptr<Objective> make_objective(RunSetup& setup, const RunConfig& config, std::size_t index, TrainEvents& events,
                                          const ShouldStop& should_stop) {
  const StageSpec& stage = config.stages[index];
  if (stage.has_tasks()) return std::make_unique<TaskObjective>(setup, config, index, events, should_stop);
  if (stage.contrastive) return std::make_unique<ContrastiveObjective>(setup, stage, setup.contrastive[index]);
  return std::make_unique<MlmObjective>(setup, stage, setup.mlm[index], config.run.seed, events, should_stop);
}

bool scores_train(const StageSpec& stage, bool is_last) {
  if (const auto* rows = std::get_if<std::int64_t>(&stage.eval_train)) return *rows > 0;
  return is_last || std::get<std::string>(stage.eval_train) == "all";
}

std::vector<std::uint32_t> train_sample(const StageSpec& stage, std::int64_t begin, std::int64_t end, std::uint64_t seed,
                                        std::string_view name) {
  constexpr std::int64_t kLast = 1000;  // rows for "last"
  const auto* number = std::get_if<std::int64_t>(&stage.eval_train);
  const std::int64_t count = number != nullptr ? *number : scores_train(stage, false) ? end - begin : kLast;
  std::vector<std::uint32_t> rows(static_cast<std::size_t>(end - begin));
  std::iota(rows.begin(), rows.end(), static_cast<std::uint32_t>(begin));
  if (count >= std::ssize(rows)) return rows;
  Rng(seed, fmt::format("eval_train/{}", name)).shuffle(std::span(rows));
  rows.resize(static_cast<std::size_t>(count));
  std::ranges::sort(rows);
  return rows;
}

}  // namespace minbert
