// Lanes, and the queue of batches that they take from.
#include "minbert/pipeline/batch_runner.h"

#include <algorithm>
#include <atomic>

#include "minbert/base/parallel.h"

namespace minbert {

OwnLane::OwnLane(MultitaskModel& model) : parts_{model, Arena(model.backend()), {}} {}

OwnLane::OwnLane(std::unique_ptr<Backend> sibling, const MultitaskModel& first)
    : backend_(std::move(sibling)), model_(first.beside(*backend_)), parts_{*model_, Arena(*backend_), {}} {}

BatchRunner::BatchRunner(MultitaskModel& model) : model_(model), threads_(num_threads()) {}

BatchRunner::~BatchRunner() = default;

void BatchRunner::make_lanes(std::size_t count) {
  if (lanes_.empty()) lanes_.push_back(std::make_unique<OwnLane>(model_));
  while (lanes_.size() < count) lanes_.push_back(std::make_unique<OwnLane>(model_.backend().sibling(), model_));
  for (const auto& lane : lanes_) lane->parts().model.backend().set_checking_outputs(model_.backend().checking_outputs());
}

void BatchRunner::run(std::span<const std::vector<std::uint32_t>> batches, const RowProgress& progress, const Work& work) {
  const std::lock_guard one_run(running_);
  set_num_threads(threads_);  // whichever thread this is
  const std::size_t lanes =
      model_.backend().is_observed() ? 1 : std::clamp<std::size_t>(batches.size(), 1, static_cast<std::size_t>(threads_));
  make_lanes(lanes);

  std::atomic<std::size_t> next = 0;
  std::mutex reporting;
  std::int64_t done = 0;
  bool stopped = false;
  const auto take_batches = [&](BatchLane& lane) {
    try {
      for (std::size_t i = next++; i < batches.size(); i = next++) {
        lane.arena.reset();
        work(lane, i);
        const std::lock_guard lock(reporting);
        if (stopped) return;
        done += std::ssize(batches[i]);
        stopped = true;  // stays if progress throws: no other lane reports after that
        if (progress) progress(done);
        stopped = false;
      }
    } catch (...) {
      next = batches.size();
      throw;
    }
  };
  if (lanes == 1) return take_batches(lanes_.front()->parts());
  for_teams(static_cast<int>(lanes), [&](int team) { take_batches(lanes_[static_cast<std::size_t>(team)]->parts()); });
}

}  // namespace minbert
