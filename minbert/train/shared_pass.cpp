// Deals batches to ranks and puts the results together. What a rank has not computed is zero there, so that sums are exact.
#include "minbert/train/shared_pass.h"

#include <cmath>

namespace minbert {
namespace {

BatchShare share_of(const Comm& ranks) { return {static_cast<std::size_t>(ranks.rank()), static_cast<std::size_t>(ranks.size())}; }

/// Throws StopRequested on all ranks if one should stop. A single process has been asked in each batch.
void end_pass(Comm& ranks, const ShouldStop& should_stop) {
  if (!ranks.is_alone() && ranks.any(should_stop())) throw StopRequested();
}

/// Fills in the predictions of the other ranks' shares.
void put_together(Comm& ranks, const TaskSpec& spec, std::span<Prediction> predictions) {
  const std::size_t classes = spec.is_regression() ? 0 : static_cast<std::size_t>(spec.labels.count), width = 1 + classes;
  std::vector<double> numbers(predictions.size() * width, 0.0);
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    numbers[i * width] = predictions[i].value;
    std::ranges::copy(predictions[i].probs, numbers.begin() + static_cast<std::ptrdiff_t>(i * width + 1));
  }
  ranks.all_reduce(numbers);
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const auto row = std::span(numbers).subspan(i * width, width);
    predictions[i].value = row[0];
    predictions[i].probs.assign(row.begin() + 1, row.end());
    predictions[i].is_set = spec.is_multi_label();
  }
}

}  // namespace

std::vector<Prediction> predict_together(RunSetup& setup, std::string what, std::size_t task, const TokenizedRows& rows,
                                         TrainEvents& events, const ShouldStop& should_stop) {
  Comm& ranks = *setup.ranks;
  const TaskSpec& spec = setup.tasks[task].spec;
  const RowProgress progress = follow(std::move(what), rows.rows(), events, should_stop, ranks);
  if (ranks.is_alone()) return predict_rows(*setup.runner, task, spec, rows, progress);
  const auto predict = [&](const TokenizedRows& some) {
    auto predictions = predict_rows(*setup.runner, task, spec, some, progress, share_of(ranks));
    put_together(ranks, spec, predictions);
    return predictions;
  };
  auto predictions = predict(rows);
  if (rows.windows) join_windows(spec, predictions, *rows.windows, predict(rows.windows->rows));
  end_pass(ranks, should_stop);
  return predictions;
}

std::vector<float> encode_together(RunSetup& setup, std::string what, Pool pool, const TokenizedRows& rows, TrainEvents& events,
                                   const ShouldStop& should_stop) {
  Comm& ranks = *setup.ranks;
  std::vector<float> vectors =
      encode_rows(*setup.runner, pool, rows, follow(std::move(what), rows.rows(), events, should_stop, ranks), share_of(ranks));
  ranks.all_reduce(std::span(vectors));
  end_pass(ranks, should_stop);
  return vectors;
}

MlmScore score_together(RunSetup& setup, std::string what, const TokenizedRows& rows, const Masking& masking, TrainEvents& events,
                        const ShouldStop& should_stop) {
  Comm& ranks = *setup.ranks;
  MlmScore score =
      score_mlm(*setup.runner, rows, masking, follow(std::move(what), rows.rows(), events, should_stop, ranks), share_of(ranks));
  if (ranks.is_alone()) return score;
  const auto tokens = static_cast<double>(score.tokens);
  std::array<double, 3> sums = {tokens, score.loss * tokens, std::round(score.accuracy * tokens)};
  ranks.all_reduce(sums);
  score = {.tokens = static_cast<std::int64_t>(sums[0])};
  if (score.tokens > 0) {
    score.loss = sums[1] / sums[0];
    score.accuracy = sums[2] / sums[0];
  }
  end_pass(ranks, should_stop);
  return score;
}

}  // namespace minbert
