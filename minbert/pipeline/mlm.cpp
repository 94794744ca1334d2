// Turns texts into sequences, sequences into masked batches, and masked batches into scores.
#include "minbert/pipeline/mlm.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_set>

#include "minbert/base/parallel.h"

namespace minbert {
namespace {

constexpr double kMaskedShare = 0.8, kRandomShare = 0.1;  // shares of the chosen tokens; the rest stay

TokenizedRows tokenize_texts(const Tokenizer& tokenizer, const MlmTexts& texts, const MlmReading& reading) {
  TaskSpec spec;
  spec.type = texts.pairs ? TaskType::kPairClassify : TaskType::kClassify;
  spec.encode = reading.joined ? PairEncoding::kJoint : PairEncoding::kSeparate;
  return tokenize_rows(tokenizer, spec, texts.rows, reading.max_length);
}

std::span<const std::int32_t> ids_of(const TokenizedRows& rows, std::int64_t sequence) {
  return std::span(rows.ids).subspan(static_cast<std::size_t>(rows.offsets[static_cast<std::size_t>(sequence)]),
                                     static_cast<std::size_t>(rows.length(sequence)));
}

std::string_view bytes_of(std::span<const std::int32_t> ids) { return {reinterpret_cast<const char*>(ids.data()), ids.size_bytes()}; }

void append(TokenizedRows& out, const TokenizedRows& from, std::int64_t sequence) {
  append_sequence(out, from, sequence);
  out.labels.push_back(std::numeric_limits<double>::quiet_NaN());
}

/// Draws the rows of a source that are held out: at least one if a share is asked for and there are two rows.
std::vector<bool> draw_held_out(const MlmTexts& texts, const MlmReading& reading) {
  const std::size_t count = texts.rows.size();
  std::vector<bool> held(count, texts.probe);
  if (texts.probe || reading.held_out == 0 || count < 2) return held;
  const double wanted = std::round(reading.held_out * static_cast<double>(count));
  const auto size = std::clamp<std::size_t>(static_cast<std::size_t>(wanted), 1, count - 1);
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  Rng(reading.seed, "held_out/" + texts.name).shuffle(std::span(order));
  for (const std::uint32_t row : std::span(order).first(size)) held[row] = true;
  return held;
}

/// A source split into texts to train on and texts held out.
struct SplitSource {
  MlmSource source;
  TokenizedRows train;
};

SplitSource split_source(const Tokenizer& tokenizer, const MlmTexts& texts, const MlmReading& reading) {
  SplitSource out;
  out.source.name = texts.name;
  out.source.probe = texts.probe;
  const TokenizedRows rows = tokenize_texts(tokenizer, texts, reading);
  const std::vector<bool> held = draw_held_out(texts, reading);
  out.source.read = rows.sequences();
  out.source.truncated = rows.truncated;
  for (std::int64_t sequence = 0; sequence < rows.sequences(); ++sequence) {
    if (std::ranges::all_of(ids_of(rows, sequence), [&](std::int32_t id) { return tokenizer.is_special(id); }))
      ++out.source.empty;
    else
      append(held[static_cast<std::size_t>(sequence / rows.per_row)] ? out.source.held_out : out.train, rows, sequence);
  }
  out.source.set_aside = out.source.held_out.rows();
  if (out.source.empty == out.source.read) throw Error(ErrorTag::kData, texts.name, "expected texts, got none");
  return out;
}

}  // namespace

MlmCorpus read_mlm_corpus(const Tokenizer& tokenizer, std::span<const MlmTexts> texts, const MlmReading& reading) {
  std::vector<SplitSource> split;
  for (const MlmTexts& source : texts) split.push_back(split_source(tokenizer, source, reading));

  // Corpora repeat texts. A held-out text that is also trained on would measure memory, so training leaves it out.
  std::unordered_set<std::string_view> held;
  for (const SplitSource& part : split)
    for (std::int64_t s = 0; !part.source.probe && s < part.source.held_out.sequences(); ++s)
      held.insert(bytes_of(ids_of(part.source.held_out, s)));

  MlmCorpus corpus;
  for (SplitSource& part : split) {
    part.source.begin = corpus.train.sequences();
    for (std::int64_t s = 0; s < part.train.sequences(); ++s) {
      if (held.contains(bytes_of(ids_of(part.train, s))))
        ++part.source.repeated;
      else
        append(corpus.train, part.train, s);
    }
    part.source.end = corpus.train.sequences();
  }
  for (SplitSource& part : split) corpus.sources.push_back(std::move(part.source));
  if (corpus.train.rows() == 0)
    throw Error(ErrorTag::kData, texts.front().name, "expected texts to train on beside the held-out ones, got none",
                "held_out = 0 trains on all of them");
  return corpus;
}

Masking::Masking(const Tokenizer& tokenizer, double probability, std::uint64_t seed, std::string_view stream)
    : tokenizer_(tokenizer), probability_(probability), rng_(seed, fmt::format("mask/{}", stream)) {}

MaskedToken Masking::operator()(std::int64_t place, std::int32_t id) const {
  if (tokenizer_.is_special(id)) return {id, false};
  Rng rng = rng_;
  rng.seek(static_cast<std::uint64_t>(place) * 8);  // two blocks of Philox for each token, more than it can draw
  if (!(rng.uniform() < probability_)) return {id, false};
  const double kind = rng.uniform();
  if (kind < kMaskedShare) return {tokenizer_.mask_id(), true};
  if (kind < kMaskedShare + kRandomShare)
    return {static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(tokenizer_.usable_ids()))), true};
  return {id, true};
}

void append_masked(std::vector<std::int32_t>& ids, const TokenizedRows& rows, std::uint32_t row, const Masking& masking) {
  for (std::int64_t place = rows.offsets[row]; place < rows.offsets[row + 1]; ++place)
    ids.push_back(masking(place, rows.ids[static_cast<std::size_t>(place)]).id);
}

void MaskedBatch::fill(const TokenizedRows& rows, std::span<const std::uint32_t> which, const Masking& masking, std::uint32_t first_row) {
  MINBERT_CHECK(rows.per_row == 1, "masked sequences are one a row");
  batch_.fill(rows, which, first_row);
  for (auto* values : {&ids_, &chosen_, &labels_}) values->clear();
  for (const std::uint32_t row : which) {
    const std::int64_t begin = rows.offsets[row], end = rows.offsets[row + 1];
    for (std::int64_t place = begin; place < end; ++place) {
      const std::int32_t id = rows.ids[static_cast<std::size_t>(place)];
      const MaskedToken masked = masking(place, id);
      if (masked.chosen) {
        chosen_.push_back(static_cast<std::int32_t>(ids_.size()));
        labels_.push_back(id);
      }
      ids_.push_back(masked.id);
    }
  }
}

TokenBatch MaskedBatch::tokens() const {
  TokenBatch tokens = batch_.tokens();
  tokens.ids = ids_;
  return tokens;
}

std::int64_t count_chosen(const TokenizedRows& rows, std::span<const std::uint32_t> which, const Masking& masking) {
  std::int64_t count = 0;
  for (const std::uint32_t row : which)
    for (std::int64_t place = rows.offsets[row]; place < rows.offsets[row + 1]; ++place)
      count += masking(place, rows.ids[static_cast<std::size_t>(place)]).chosen;
  return count;
}

double MlmScore::perplexity() const { return std::exp(loss); }

MlmScore score_mlm(BatchRunner& runner, const TokenizedRows& rows, const Masking& masking, const RowProgress& progress, BatchShare share) {
  const auto batches = batches_by_length(rows, share);
  std::vector<std::vector<float>> losses(batches.size());
  std::atomic<std::int64_t> correct = 0;
  runner.run(batches, progress, [&](BatchLane& lane, std::size_t b) {
    MaskedBatch batch;
    batch.fill(rows, batches[b], masking);
    const auto labels = batch.labels();
    if (labels.empty()) return;
    Backend& backend = lane.model.backend();
    const Tensor logits = lane.model.mlm_forward(lane.arena, nullptr, batch.tokens(), batch.chosen(), {});
    const Tensor each = loss_forward(backend, lane.arena, Loss::kCrossEntropy, logits, {labels, {}});
    losses[b] = backend.to_host(each);
    const std::vector<float> host = backend.to_host(logits);
    parallel_for(std::ssize(labels), 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        const auto width = static_cast<std::size_t>(logits.cols());
        const auto row = std::span(host).subspan(i * width, width);
        correct += std::max_element(row.begin(), row.end()) - row.begin() == labels[i];
      }
    });
  });
  MlmScore score;
  double loss = 0;
  for (const std::vector<float>& batch : losses) {
    loss = std::accumulate(batch.begin(), batch.end(), loss);
    score.tokens += std::ssize(batch);
  }
  if (score.tokens == 0) return score;
  score.loss = loss / static_cast<double>(score.tokens);
  score.accuracy = static_cast<double>(correct) / static_cast<double>(score.tokens);
  return score;
}

}  // namespace minbert
