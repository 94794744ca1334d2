// Cuts parameters into buckets and keeps a few of them under way.
#include "minbert/train/gradient_exchange.h"

#include <algorithm>
#include <utility>

namespace minbert {
namespace {

constexpr std::size_t kMostFlights = 2;  // buckets under way: one travels while the next is packed

Tensor elements(const Tensor& x, std::size_t begin, std::size_t end) {
  return x.reshape({x.numel()}).slice_rows(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end));
}

}  // namespace

GradientExchange::GradientExchange(Params& params, Gradients& gradients, std::optional<std::size_t> word, Comm& ranks)
    : params_(params), gradients_(gradients), word_(word), ranks_(ranks), places_(params.table().size()) {
  // A bucket never spans two heads, so that its parts are the same whichever head a step trains.
  const std::size_t most = ranks.exchange().bucket_bytes / sizeof(float);
  std::vector<std::size_t> group;
  const auto part_of_model = [&](std::size_t i) { return std::pair(params.table()[i].role, params.table()[i].task); };
  for (std::size_t i = params.table().size(); i-- > 0;) {  // backward passes finish the last layer first
    if (!gradients.trainable(i) || i == word) continue;
    if (!group.empty() && part_of_model(group.back()) != part_of_model(i)) add_buckets(std::exchange(group, {}), most);
    group.push_back(i);
  }
  if (!group.empty()) add_buckets(std::move(group), most);
}

void GradientExchange::add_buckets(std::vector<std::size_t> params, std::size_t bucket_elements) {
  buckets_.emplace_back();
  for (const std::size_t i : params) {
    if (buckets_.back().elements >= bucket_elements) buckets_.emplace_back();
    Bucket& bucket = buckets_.back();
    places_[i] = Place{buckets_.size() - 1, bucket.elements};
    bucket.params.push_back(i);
    bucket.offsets.push_back(bucket.elements);
    bucket.elements += static_cast<std::size_t>(params_.table()[i].numel());
  }
}

template <class Fn>
void GradientExchange::for_pieces(const Bucket& bucket, Part part, const Fn& fn) const {
  for (std::size_t p = 0; p < bucket.params.size(); ++p) {
    const std::size_t start = bucket.offsets[p], size = static_cast<std::size_t>(params_.table()[bucket.params[p]].numel());
    const std::size_t from = std::max(part.begin, start), to = std::min(part.end, start + size);
    if (from < to) fn(bucket.params[p], from - start, to - start, from);
  }
}

Part GradientExchange::owned(std::size_t index) const {
  const auto size = static_cast<std::size_t>(params_.table()[index].numel());
  if (!places_[index]) return {0, size};
  const auto [bucket, start] = *places_[index];
  const Part own = part_of(buckets_[bucket].elements, ranks_.rank(), ranks_.size());
  const std::size_t begin = std::clamp(own.begin, start, start + size), end = std::clamp(own.end, start, start + size);
  return {begin - start, end - start};
}

void GradientExchange::begin_step(std::span<const ParamSpan> spans) {
  MINBERT_CHECK(flights_.empty(), "a step begins before the last one has ended");
  const auto in_step = [&](std::size_t param) {
    return std::ranges::any_of(spans, [&](ParamSpan span) { return span.begin <= param && param < span.end; });
  };
  step_.clear();
  next_ = 0;
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    if (!in_step(buckets_[b].params.front())) continue;
    buckets_[b].missing = buckets_[b].params.size();
    step_.push_back(b);
  }
}

void GradientExchange::ready(ParamSpan span) {
  for (std::size_t i = span.begin; i < span.end; ++i)
    if (places_[i]) --buckets_[places_[i]->bucket].missing;
  while (next_ < step_.size() && buckets_[step_[next_]].missing == 0) start(step_[next_++]);
}

std::vector<float> GradientExchange::take_buffer(std::size_t elements) {
  std::vector<float> buffer;
  if (!buffers_.empty()) {
    buffer = std::move(buffers_.back());
    buffers_.pop_back();
  }
  buffer.resize(elements);
  return buffer;
}

void GradientExchange::start(std::size_t b) {
  land(kMostFlights - 1);
  const Bucket& bucket = buckets_[b];
  Flight& flight = flights_.emplace_back(Flight{b, take_buffer(bucket.elements), {}});
  for_pieces(bucket, {0, bucket.elements}, [&](std::size_t param, std::size_t begin, std::size_t end, std::size_t at) {
    params_.backend().copy_to_host(flight.values.data() + at, elements(gradients_[param], begin, end));
  });
  flight.pending = ranks_.start_reduce_scatter(flight.values, ranks_.exchange().wire);
}

/// Ends the oldest sums that are under way until at most `most` are left.
void GradientExchange::land(std::size_t most) {
  while (flights_.size() > most) {
    Flight flight = std::move(flights_.front());
    flights_.pop_front();
    flight.pending.get();
    const Bucket& bucket = buckets_[flight.bucket];
    for_pieces(bucket, part_of(bucket.elements, ranks_.rank(), ranks_.size()),
               [&](std::size_t param, std::size_t begin, std::size_t end, std::size_t at) {
                 params_.backend().copy_to_device(elements(gradients_[param], begin, end), flight.values.data() + at);
               });
    buffers_.push_back(std::move(flight.values));
  }
}

void GradientExchange::finish(std::span<const RowRun> touched) {
  while (next_ < step_.size()) start(step_[next_++]);
  land(0);
  if (word_) sum_rows(touched);
}

void GradientExchange::sum_rows(std::span<const RowRun> rows) {
  const Tensor gradient = gradients_[*word_];
  const auto width = static_cast<std::size_t>(gradient.cols());
  std::size_t count = 0;
  for (const RowRun& run : rows) count += static_cast<std::size_t>(run.end - run.begin);
  std::vector<float> values = take_buffer(count * width);
  const auto for_runs = [&](const auto& fn) {
    std::size_t at = 0;
    for (const RowRun& run : rows) {
      fn(gradient.slice_rows(run.begin, run.end), values.data() + at);
      at += static_cast<std::size_t>(run.end - run.begin) * width;
    }
  };
  for_runs([&](const Tensor& run, float* host) { params_.backend().copy_to_host(host, run); });
  ranks_.all_reduce(std::span(values), ranks_.exchange().wire);
  for_runs([&](const Tensor& run, const float* host) { params_.backend().copy_to_device(run, host); });
  buffers_.push_back(std::move(values));
}

void GradientExchange::spread_values(const std::function<void()>& meanwhile) {
  Backend& backend = params_.backend();
  const auto land_values = [&](std::size_t most) {
    while (flights_.size() > most) {
      Flight flight = std::move(flights_.front());
      flights_.pop_front();
      flight.pending.get();
      const Bucket& bucket = buckets_[flight.bucket];
      const Part own = part_of(bucket.elements, ranks_.rank(), ranks_.size());
      for (const Part part : {Part{0, own.begin}, Part{own.end, bucket.elements}})
        for_pieces(bucket, part, [&](std::size_t param, std::size_t begin, std::size_t end, std::size_t at) {
          backend.copy_to_device(elements(params_.value(param), begin, end), flight.values.data() + at);
          backend.zero(elements(gradients_[param], begin, end));
        });
      buffers_.push_back(std::move(flight.values));
    }
  };
  bool is_done = false;
  for (const std::size_t b : step_) {
    if (flights_.size() == kMostFlights && !std::exchange(is_done, true)) meanwhile();
    land_values(kMostFlights - 1);
    const Bucket& bucket = buckets_[b];
    Flight& flight = flights_.emplace_back(Flight{b, take_buffer(bucket.elements), {}});
    for_pieces(bucket, part_of(bucket.elements, ranks_.rank(), ranks_.size()),
               [&](std::size_t param, std::size_t begin, std::size_t end, std::size_t at) {
                 backend.copy_to_host(flight.values.data() + at, elements(params_.value(param), begin, end));
               });
    flight.pending = ranks_.start_all_gather(flight.values);
  }
  if (!is_done) meanwhile();
  land_values(0);
}

void GradientExchange::MomentGatherer::gather(std::size_t code) {
  const Bucket& bucket = exchange_.buckets_[code / 2];
  values_.resize(bucket.elements);
  const Part own = part_of(bucket.elements, exchange_.ranks_.rank(), exchange_.ranks_.size());
  exchange_.for_pieces(bucket, own, [&](std::size_t param, std::size_t, std::size_t, std::size_t at) {
    exchange_.params_.backend().copy_to_host(values_.data() + at, (*moments_[code % 2])[param]);
  });
  exchange_.ranks_.start_all_gather(values_).get();
  code_ = code;
}

std::span<const float> GradientExchange::MomentGatherer::whole(std::size_t set, std::size_t index) {
  const auto size = static_cast<std::size_t>(exchange_.params_.table()[index].numel());
  if (!exchange_.places_[index]) {  // the word embeddings, of which each rank has all
    values_.resize(size);
    code_.reset();
    exchange_.params_.backend().copy_to_host(values_.data(), (*moments_[set])[index]);
    return values_;
  }
  const auto [bucket, offset] = *exchange_.places_[index];
  if (const std::size_t code = 2 * bucket + set; code_ != code) {
    exchange_.ranks_.broadcast(static_cast<double>(code));
    gather(code);
  }
  return std::span(values_).subspan(offset, size);
}

void GradientExchange::MomentGatherer::serve() {
  for (double code = exchange_.ranks_.broadcast(0.0); code >= 0; code = exchange_.ranks_.broadcast(0.0))
    gather(static_cast<std::size_t>(code));
}

}  // namespace minbert
