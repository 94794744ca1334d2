// Decodes logits, runs rows through the model, scores predictions.
#include "minbert/pipeline/predict.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "minbert/base/finite.h"
#include "minbert/stats/calibration.h"

namespace minbert {
namespace {

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

std::vector<double> softmax(std::span<const float> logits, double temperature) {
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> probs;
  for (const float x : logits) probs.push_back(std::exp((x - top) / temperature));
  const double sum = std::accumulate(probs.begin(), probs.end(), 0.0);
  for (double& p : probs) p /= sum;
  return probs;
}

[[noreturn]] void fail_not_finite(std::string_view place) {
  throw Error(ErrorTag::kDiverged, place, "expected finite outputs of the model, got NaN or infinity",
              "its weights are too large for the dtype it computes in: --dtype f32 has the widest range");
}

/// Log-odds, finite for probabilities of 0 and 1 too.
double log_odds(double p) {
  constexpr double kLeast = std::numeric_limits<double>::min(), kBelowOne = 1 - std::numeric_limits<double>::epsilon();
  p = std::clamp(p, kLeast, kBelowOne);
  return std::log(p) - std::log1p(-p);
}

double log_of(double p) { return std::log(std::max(p, std::numeric_limits<double>::min())); }

/// Runs all batches, and puts the vectors (sequences of a batch, width) that `vectors_of` makes of each into the order of the sequences.
template <class VectorsOf>
std::vector<float> encode_batches(BatchRunner& runner, const TokenizedRows& rows, std::size_t width, const RowProgress& progress,
                                  BatchShare share, const VectorsOf& vectors_of) {
  std::vector<float> out(static_cast<std::size_t>(rows.sequences()) * width);
  const auto batches = batches_by_length(rows, share);
  runner.run(batches, progress, [&](BatchLane& lane, std::size_t i) {
    const std::vector<std::uint32_t>& which = batches[i];
    lane.batch.fill(rows, which, 0);
    const std::vector<float> vectors = vectors_of(lane);
    for (std::size_t s = 0; s < vectors.size() / width; ++s) {  // a batch holds all first sequences before all second ones
      const std::size_t row = which[s % which.size()], sequence = row * static_cast<std::size_t>(rows.per_row) + s / which.size();
      std::copy_n(vectors.begin() + static_cast<std::ptrdiff_t>(s * width), width,
                  out.begin() + static_cast<std::ptrdiff_t>(sequence * width));
    }
  });
  return out;
}

}  // namespace

std::optional<Pool> pool_of_model(const Pooling& pooling) {
  if (pooling.modes.size() != 1) return std::nullopt;
  switch (pooling.modes.front()) {
    case TokenPool::kCls: return Pool::kCls;
    case TokenPool::kMean: return Pool::kMean;
    case TokenPool::kPooler: return Pool::kPooler;
    default: return std::nullopt;
  }
}

void choose(const TaskSpec& task, Prediction& prediction) {
  const std::vector<double>& probs = prediction.probs;
  if (!task.is_multi_label()) {
    prediction.value = static_cast<double>(std::max_element(probs.begin(), probs.end()) - probs.begin());
    return;
  }
  std::vector<int> classes;
  for (std::size_t k = 0; k < probs.size(); ++k)
    if (probs[k] >= (task.thresholds.empty() ? 0.5 : task.thresholds[k])) classes.push_back(static_cast<int>(k));
  prediction.value = label_set(classes);
  prediction.is_set = true;
}

double Prediction::score() const {
  if (probs.empty()) return std::nan("");
  return is_set ? *std::max_element(probs.begin(), probs.end()) : probs[static_cast<std::size_t>(value)];
}

std::vector<Prediction> decode(const TaskSpec& task, std::span<const float> logits, std::int64_t rows) {
  const auto [low, high] = task.data.label_range;
  std::vector<Prediction> out(static_cast<std::size_t>(rows));
  const std::size_t width = out.empty() ? 0 : logits.size() / out.size();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto row = logits.subspan(i * width, width);
    if (task.is_regression()) {
      out[i].value = task.trained_by() == Loss::kBce ? low + (high - low) * sigmoid(row[0]) : static_cast<double>(row[0]);
      continue;
    }
    if (task.is_multi_label()) {
      for (const float x : row) out[i].probs.push_back(sigmoid(x / task.temperature));
    } else if (width == 1) {
      const double x = row[0] / task.temperature;
      out[i].probs = {sigmoid(-x), sigmoid(x)};  // 1 - p would lose a small probability of the first class
    } else {
      out[i].probs = softmax(row, task.temperature);
    }
    choose(task, out[i]);
  }
  return out;
}

std::vector<double> tempered(const TaskSpec& task, std::span<const double> probs, double factor) {
  std::vector<double> out(probs.begin(), probs.end());
  const double top = log_of(*std::ranges::max_element(probs));  // a small factor leaves no other probability above 0
  double sum = 0;
  for (double& p : out) {
    p = task.is_multi_label() ? sigmoid(log_odds(p) / factor) : std::exp((log_of(p) - top) / factor);
    sum += p;
  }
  if (!task.is_multi_label())
    for (double& p : out) p /= sum;
  return out;
}

bool fit_decoding(TaskSpec& task, std::span<Prediction> predictions, std::span<const double> labels) {
  if (!task.calibrate && !task.is_multi_label()) return false;
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] == labels[i]) rows.push_back(i);
  const auto width = static_cast<std::size_t>(task.labels.count);
  if (task.calibrate) {
    std::vector<double> logits;
    std::vector<int> gold;
    for (const std::size_t i : rows)
      for (std::size_t k = 0; k < width; ++k) {
        logits.push_back(task.is_multi_label() ? log_odds(predictions[i].probs[k]) : log_of(predictions[i].probs[k]));
        if (task.is_multi_label()) gold.push_back(static_cast<int>(static_cast<std::uint64_t>(labels[i]) >> k & 1));
        if (!task.is_multi_label() && k == 0) gold.push_back(static_cast<int>(labels[i]));
      }
    task.temperature = task.is_multi_label() ? fit_temperature(logits, gold) : fit_temperature(logits, gold, task.labels.count);
    for (Prediction& prediction : predictions) prediction.probs = tempered(task, prediction.probs, task.temperature);
  }
  if (task.is_multi_label()) {
    task.thresholds.assign(width, 0.5);
    for (std::size_t k = 0; k < width; ++k) {
      std::vector<int> gold;
      std::vector<double> probability;
      for (const std::size_t i : rows) {
        gold.push_back(static_cast<int>(static_cast<std::uint64_t>(labels[i]) >> k & 1));
        probability.push_back(predictions[i].probs[k]);
      }
      task.thresholds[k] = best_threshold(gold, probability);
    }
  }
  for (Prediction& prediction : predictions) choose(task, prediction);
  return true;
}

std::vector<Prediction> predict_rows(BatchRunner& runner, std::size_t head, const TaskSpec& task, const TokenizedRows& rows,
                                     const RowProgress& progress, BatchShare share) {
  std::vector<Prediction> out(static_cast<std::size_t>(rows.rows()));
  const auto batches = batches_by_length(rows, share);
  runner.run(batches, progress, [&](BatchLane& lane, std::size_t i) {
    const std::vector<std::uint32_t>& which = batches[i];
    lane.batch.fill(rows, which, 0);
    const Tensor logits = lane.model.forward(lane.arena, nullptr, head, lane.batch.tokens(), {});
    auto decoded = decode(task, lane.model.backend().to_host(logits), std::ssize(which));
    for (std::size_t r = 0; r < which.size(); ++r) out[which[r]] = std::move(decoded[r]);
  });
  if (rows.windows && share.count == 1) {
    const RowProgress alive = [&](std::int64_t) {
      if (progress) progress(rows.rows());
    };
    join_windows(task, out, *rows.windows, predict_rows(runner, head, task, rows.windows->rows, alive));
  }
  return out;
}

void join_windows(const TaskSpec& task, std::vector<Prediction>& predictions, const RowWindows& windows,
                  std::span<const Prediction> of_windows) {
  const auto join = [&](double a, double b) { return task.windows == Windows::kMax ? std::max(a, b) : a + b; };
  // A temperature was fitted to joined probabilities, so that it comes last.
  const auto plain = [&](const Prediction& prediction) {
    return task.temperature == 1 ? prediction.probs : tempered(task, prediction.probs, 1 / task.temperature);
  };
  for (std::size_t i = 0, end = 0; i < windows.of.size(); i = end) {
    Prediction& prediction = predictions[windows.of[i]];
    prediction.probs = plain(prediction);
    for (end = i; end < windows.of.size() && windows.of[end] == windows.of[i]; ++end) {
      const std::vector<double> probs = plain(of_windows[end]);
      prediction.value = join(prediction.value, of_windows[end].value);
      for (std::size_t k = 0; k < probs.size(); ++k) prediction.probs[k] = join(prediction.probs[k], probs[k]);
    }
    const double count = task.windows == Windows::kMax ? 1 : static_cast<double>(1 + end - i);
    if (prediction.probs.empty()) {
      prediction.value /= count;
      continue;
    }
    const double sum = std::accumulate(prediction.probs.begin(), prediction.probs.end(), 0.0);
    for (double& p : prediction.probs) p /= task.is_multi_label() ? count : sum;
    if (task.temperature != 1) prediction.probs = tempered(task, prediction.probs, task.temperature);
    choose(task, prediction);
  }
}

std::vector<float> encode_rows(BatchRunner& runner, Pool pool, const TokenizedRows& rows, const RowProgress& progress, BatchShare share) {
  const auto width = static_cast<std::size_t>(runner.model().params().config().hidden_size);
  return encode_batches(runner, rows, width, progress, share, [&](BatchLane& lane) {
    return lane.model.backend().to_host(lane.model.sentence_vectors(lane.arena, nullptr, lane.batch.tokens(), pool, {}));
  });
}

std::vector<float> encode_rows(BatchRunner& runner, const Pooling& pooling, std::int64_t prompt_tokens, const TokenizedRows& rows,
                               const RowProgress& progress) {
  const std::int64_t skipped = pooling.include_prompt ? 0 : prompt_tokens;
  if (const auto pool = pool_of_model(pooling); pool && skipped == 0) return encode_rows(runner, *pool, rows, progress);
  const std::int64_t hidden = runner.model().params().config().hidden_size;
  const auto width = static_cast<std::size_t>(pooling.width(hidden));
  return encode_batches(runner, rows, width, progress, {}, [&](BatchLane& lane) {
    const TokenBatch batch = lane.batch.tokens();
    const auto states = lane.model.backend().to_host(lane.model.hidden_states(lane.arena, batch, {}));
    std::vector<float> vectors(static_cast<std::size_t>(batch.sentences()) * width);
    for (std::size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
      const auto begin = static_cast<std::size_t>(batch.offsets[s] * hidden), end = static_cast<std::size_t>(batch.offsets[s + 1] * hidden);
      pool_tokens(pooling, std::span(states).subspan(begin, end - begin), hidden, skipped, std::span(vectors).subspan(s * width, width));
    }
    return vectors;
  });
}

std::vector<Prediction> predict_features(MultitaskModel& model, std::size_t head, const TaskSpec& task, std::span<const float> features,
                                         std::int64_t rows) {
  constexpr std::int64_t kBatchRows = 256;
  const std::int64_t width = model.params().config().hidden_size, per_row = task.is_separate() ? 2 : 1;
  Backend& backend = model.backend();
  Arena arena(backend);
  std::vector<Prediction> out;
  for (std::int64_t begin = 0; begin < rows; begin += kBatchRows) {
    arena.reset();
    const std::int64_t count = std::min(kBatchRows, rows - begin);
    std::array<Tensor, 2> vectors;
    for (std::int64_t pass = 0; pass < per_row; ++pass)
      vectors[static_cast<std::size_t>(pass)] = arena.allocate(DType::kF32, {count, width});
    for (std::int64_t i = 0; i < count * per_row; ++i) {
      const std::int64_t sequence = begin * per_row + i;
      backend.copy_to_device(vectors[static_cast<std::size_t>(i % per_row)].slice_rows(i / per_row, i / per_row + 1),
                             features.data() + sequence * width);
    }
    const auto logits = backend.to_host(model.head_forward(arena, nullptr, head, vectors[0], vectors[1], {}, {}));
    for (Prediction& prediction : decode(task, logits, count)) out.push_back(std::move(prediction));
  }
  return out;
}

std::vector<Prediction> mean_predictions(const TaskSpec& task, std::span<const std::vector<Prediction>> models) {
  std::vector<Prediction> mean = models.front();
  const auto count = static_cast<double>(models.size());
  for (std::size_t row = 0; row < mean.size(); ++row) {
    for (const std::vector<Prediction>& other : models.subspan(1)) {
      mean[row].value += other[row].value;
      for (std::size_t k = 0; k < mean[row].probs.size(); ++k) mean[row].probs[k] += other[row].probs[k];
    }
    mean[row].value /= count;
    for (double& p : mean[row].probs) p /= count;
    if (!task.is_regression()) choose(task, mean[row]);
  }
  return mean;
}

void expect_finite(std::span<const Prediction> predictions, const std::function<std::string(std::size_t)>& place_of) {
  const auto is_finite = [](double value) { return std::isfinite(value); };
  for (std::size_t row = 0; row < predictions.size(); ++row)
    if (!is_finite(predictions[row].value) || !std::ranges::all_of(predictions[row].probs, is_finite)) fail_not_finite(place_of(row));
}

void expect_finite(std::span<const float> vectors, std::int64_t rows, const std::function<std::string(std::size_t)>& place_of) {
  if (const std::size_t at = find_not_finite(vectors); at != kAllFinite)
    fail_not_finite(place_of(at / (vectors.size() / static_cast<std::size_t>(rows))));
}

double mean_loss(const TaskSpec& task, std::span<const Prediction> predictions, std::span<const double> labels) {
  double sum = 0;
  std::int64_t count = 0;
  const auto [low, high] = task.data.label_range;
  const auto bce = [](double p, double y) { return -(y * std::log(p) + (1 - y) * std::log1p(-p)); };
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const double label = labels[i];
    if (label != label) continue;
    ++count;
    const Prediction& prediction = predictions[i];
    if (task.is_multi_label()) {
      double terms = 0;
      for (std::size_t k = 0; k < prediction.probs.size(); ++k)
        terms += bce(std::clamp(prediction.probs[k], 1e-15, 1 - 1e-15), static_cast<double>(static_cast<std::uint64_t>(label) >> k & 1));
      sum += terms / static_cast<double>(prediction.probs.size());
    } else if (!task.is_regression())
      sum -= std::log(std::max(prediction.probs[static_cast<std::size_t>(label)], std::numeric_limits<double>::min()));
    else if (predicts_numbers(task.trained_by()))
      sum += (prediction.value - label) * (prediction.value - label);
    else
      sum += bce(std::clamp((prediction.value - low) / (high - low), 1e-15, 1 - 1e-15), (label - low) / (high - low));
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

Score score_predictions(const TaskSpec& task, std::span<const Prediction> predictions, std::span<const double> labels) {
  std::vector<double> gold, predicted;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    if (labels[i] != labels[i]) continue;
    gold.push_back(labels[i]);
    predicted.push_back(predictions[i].value);
  }
  if (task.is_multi_label()) return compute_set_metric(task.scored_by(), gold, predicted, task.labels.count);
  return compute_metric(task.scored_by(), gold, predicted);
}

std::string undefined_score_text(const TaskSpec& task, const Score& score) {
  if (score.defined) return {};
  return fmt::format("{} of {} is not defined, as predictions or labels are all the same, and counts as 0", option_name(task.scored_by()),
                     task.name);
}

}  // namespace minbert
