// Explainer: answers explanations one after the other, beside the queue that answers all else.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "minbert/base/clock.h"
#include "minbert/pipeline/ensemble.h"

namespace minbert {

/// An explanation takes a hundred times as long as an answer and needs weights that can be run backward, so that it has a thread and a copy
/// of the weights to itself. Both are made when somebody first asks.
class Explainer {
 public:
  /// `models`, of which one answers each task, and `backend` must outlive this object. A job that has waited for `timeout_s` is not begun.
  Explainer(const Ensemble& models, const Backend& backend, double timeout_s);
  /// As close().
  ~Explainer() { close(); }
  Explainer(const Explainer&) = delete;
  Explainer& operator=(const Explainer&) = delete;

  /// What became of a job that was not answered.
  enum class Dropped : std::uint8_t { kNo, kGone, kExpired, kClosed };
  struct Job {
    std::size_t task = 0;
    TokenizedRows row;  ///< one row
    /// Called once, on the explainer's thread or in close(), with the prediction, what failed, or why nothing was computed.
    std::function<void(Prediction prediction, std::exception_ptr failure, Dropped dropped)> done;
    std::atomic<bool> gone = false;  ///< nobody waits for it any more: to be set from any thread
    Stopwatch waiting = {};
  };
  /// False if kMostWaiting jobs wait already, and after close().
  bool submit(std::shared_ptr<Job> job);
  /// Drops the job that it works on and those that wait, and ends the thread.
  void close();

  static constexpr std::size_t kMostWaiting = 32;

 private:
  void work();
  void answer(Job& job);

  /// What a model of the ensemble becomes when somebody asks it.
  struct Differentiable {
    std::unique_ptr<Params> params;
    std::unique_ptr<MultitaskModel> model;
  };

  const Ensemble& models_;
  double timeout_s_;
  std::unique_ptr<Backend> backend_;
  std::vector<Differentiable> differentiable_;  // of each model; the thread's own
  std::mutex mutex_;                            // guards waiting_ and thread_
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> waiting_;
  std::atomic<bool> closed_ = false;
  std::thread thread_;
};

}  // namespace minbert
