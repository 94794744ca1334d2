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

/// What computes one batch at a time.
struct BatchLane {
  MultitaskModel& model;
  Arena arena;  ///< reset before each batch
  Batch batch;  ///< filled by the work
};

/// Threads that share one batch wait for each other after every op, so each lane has a backend object of its own; all share the weights.
/// Lanes are made when first needed, and kept. predict_rows, encode_rows and score_mlm define what a batch computes. A server joins the
/// rows of waiting requests (append_row) and calls one of them: a row's f32 result has the same bytes whichever rows share its batch.
class BatchRunner {
 public:
  /// `model` must outlive this object. Runs use num_threads() threads as of now, whichever thread calls them.
  explicit BatchRunner(MultitaskModel& model);
  ~BatchRunner();
  BatchRunner(const BatchRunner&) = delete;
  BatchRunner& operator=(const BatchRunner&) = delete;

  /// For passes outside run(), not at the same time as one.
  MultitaskModel& model() const { return model_; }

  /// Computes the batch of this index; called from any thread, and must write only what belongs to the batch.
  using Work = std::function<void(BatchLane& lane, std::size_t batch)>;

  /// Calls work(lane, i) for each batches[i], a list of rows. One batch, or a backend that is profiled or shown, has all threads to itself.
  /// `progress` gets the number of rows done. An exception of work or progress ends the run and is rethrown; the runner stays usable.
  /// Any thread may call run; calls wait for each other.
  void run(std::span<const std::vector<std::uint32_t>> batches, const RowProgress& progress, const Work& work);

 private:
  struct Lane;
  void make_lanes(std::size_t count);

  MultitaskModel& model_;
  int threads_;
  std::mutex running_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // the first is the model's own
};

}  // namespace minbert
