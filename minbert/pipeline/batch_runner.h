// BatchRunner: runs batches of tokenised rows through a model, several at once; lives as long as the model.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "minbert/model/multitask.h"
#include "minbert/pipeline/tokens.h"

namespace minbert {

/// A model and the memory with which one thread computes one batch at a time; several lanes run at once.
struct BatchLane {
  MultitaskModel& model;
  Arena arena;  ///< reset before each batch
  Batch batch;  ///< for the function Work to fill
};

/// A lane, and what it owns beside the weights that all lanes share.
class OwnLane {
 public:
  /// Computes with `model` itself.
  explicit OwnLane(MultitaskModel& model);
  /// Computes with a model of its own over the weights of `first`, on a sibling of its backend.
  OwnLane(std::unique_ptr<Backend> sibling, const MultitaskModel& first);

  BatchLane& parts() { return parts_; }

 private:
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<MultitaskModel> model_;
  BatchLane parts_;
};

/// Threads that share one batch wait for each other after every op, so that each lane computes a batch of its own, with its own backend
/// object; all lanes share the weights. A lane is made when it is first needed, and kept. predict_rows, encode_rows and score_mlm pass the
/// function that computes a batch. A server may join the rows of waiting requests (append_row) and call one of these functions once for
/// all, because a row's f32 result has the same bytes whichever rows share its batch.
class BatchRunner {
 public:
  /// `model` must outlive this object. Every run uses as many threads as num_threads() returns in this constructor, whichever thread calls
  /// run().
  explicit BatchRunner(MultitaskModel& model);
  ~BatchRunner();
  BatchRunner(const BatchRunner&) = delete;
  BatchRunner& operator=(const BatchRunner&) = delete;

  /// The model itself, for forward passes that do not go through run(). None may be under way during a run(), which uses the model too.
  MultitaskModel& model() const { return model_; }

  /// A function that computes batch number `batch` with the lane. It is called from several threads at once, and so must write only the
  /// lane and the results of this batch.
  using Work = std::function<void(BatchLane& lane, std::size_t batch)>;

  /// Calls work(lane, i) for each batches[i], which is a list of row numbers. If there is only one batch, or the backend profiles ops or
  /// shows their outputs, batches run one after the other, each on all threads. `progress` gets the number of rows
  /// done. An exception of work or progress ends the run and is rethrown; the runner stays usable.
  /// Any thread may call run; calls wait for each other.
  void run(std::span<const std::vector<std::uint32_t>> batches, const RowProgress& progress, const Work& work);

 private:
  void make_lanes(std::size_t count);

  MultitaskModel& model_;
  int threads_;
  std::mutex running_;
  std::vector<std::unique_ptr<OwnLane>> lanes_;  // the first is the model's own
};

}  // namespace minbert
