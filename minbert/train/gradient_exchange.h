// GradientExchange: sums up the gradients of all ranks while the backward pass goes on, and spreads the updated weights (ZeRO stage 1:
// Rajbhandari et al. 2020). Parameters are cut into buckets, and of each bucket every rank sums up and updates one part.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "minbert/model/params.h"
#include "minbert/train/comm.h"
#include "minbert/train/word_rows.h"

namespace minbert {

class GradientExchange {
 public:
  /// Cuts the parameters that train into buckets. `word`, the word embedding table, stays out: its rows move in every step once they have a
  /// moment, and to send them all would take longer than to make these steps everywhere. All arguments must outlive this object.
  GradientExchange(Params& params, Gradients& gradients, std::optional<std::size_t> word, Comm& ranks);

  /// The elements of a parameter that this rank updates; all of the word embeddings.
  Part owned(std::size_t index) const;

  /// Begins a step on the parameters [begin, end) of `spans`, the last one to be ready first.
  void begin_step(std::span<const ParamSpan> spans);
  /// Gradients of a span are final on this rank. Starts to sum up the buckets that are whole, in their order.
  void ready(ParamSpan span);
  /// Sums up the rest. Afterwards this rank's parts of the gradients hold the sums over all ranks, as do the rows `touched` of the word
  /// embeddings.
  void finish(std::span<const RowRun> touched);

  /// Ends the step after this rank's parts of the values were updated: gets those of the other ranks, and sets the gradients that this rank
  /// did not use to zero. Calls `meanwhile` once, while the first buckets travel.
  void spread_values(const std::function<void()>& meanwhile);

  /// Gathers the parts of two sets of moments on the first rank, a bucket at a time. While it calls whole() and then end(), all other ranks
  /// are in serve().
  class MomentGatherer {
   public:
    MomentGatherer(const GradientExchange& exchange, const Gradients& m, const Gradients& v) : exchange_(exchange), moments_{&m, &v} {}
    /// All elements of a parameter's moments, of the first set (0) or the second (1); the view lives until the next call.
    std::span<const float> whole(std::size_t set, std::size_t index);
    void end() { exchange_.ranks_.broadcast(-1.0); }
    void serve();

   private:
    void gather(std::size_t code);

    const GradientExchange& exchange_;
    std::array<const Gradients*, 2> moments_;
    std::optional<std::size_t> code_ = {};  // of what values_ holds: twice the bucket's number, plus the set's
    std::vector<float> values_;
  };

 private:
  struct Bucket {
    std::vector<std::size_t> params;
    std::vector<std::size_t> offsets;  // of each parameter in the bucket
    std::size_t elements = 0;
    std::size_t missing = 0;  // parameters whose gradients are not final yet
  };
  struct Flight {
    std::size_t bucket;
    std::vector<float> values;
    Comm::Pending pending;
  };
  /// Where a parameter lies.
  struct Place {
    std::size_t bucket = 0, offset = 0;
  };

  void add_buckets(std::vector<std::size_t> params, std::size_t bucket_elements);
  void start(std::size_t bucket);
  void land(std::size_t most);
  void sum_rows(std::span<const RowRun> rows);
  std::vector<float> take_buffer(std::size_t elements);
  /// Calls fn(parameter, begin, end, offset of begin in the bucket) for what [part.begin, part.end) of the bucket holds.
  template <class Fn>
  void for_pieces(const Bucket& bucket, Part part, const Fn& fn) const;

  Params& params_;
  Gradients& gradients_;
  std::optional<std::size_t> word_;
  Comm& ranks_;
  std::vector<Bucket> buckets_;
  std::vector<std::optional<Place>> places_;  // by parameter
  std::vector<std::size_t> step_;             // buckets of the step, in the order in which they are summed up
  std::size_t next_ = 0;                      // of them, the first that is not under way
  std::deque<Flight> flights_;
  std::vector<std::vector<float>> buffers_;
};

}  // namespace minbert
