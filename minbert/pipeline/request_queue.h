// RequestQueue: requests of many threads share one model. Rows that wait are computed together, without a timer and whatever they want.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "minbert/base/clock.h"
#include "minbert/pipeline/query.h"

namespace minbert {

/// One request: queries that are answered whole or not at all. Fields belong to the queue between submit() and the call of `done`.
class QueueJob {
 public:
  explicit QueueJob(std::vector<Query> asked) : queries(std::move(asked)) {}

  std::vector<Query> queries;
  std::vector<QueryAnswer> answers;     ///< one for each query, set by submit()
  std::exception_ptr failure;           ///< why there are no answers
  double queue_s = 0, compute_s = 0;    ///< from submit() to the first pass, and from there to the end
  std::function<void(QueueJob&)> done;  ///< called once, from a thread of the queue that it must not keep for long

  std::int64_t rows() const;
  std::int64_t tokens() const;

  /// Nobody wants the answers any more: rows that wait are dropped. May be called from any thread; `done` is called with dropped() set.
  void abandon() { wish_ = Wish::kNone; }
  /// Perhaps nobody wants the answers: rows that wait are computed when nobody else waits, or dropped if they fill more than one pass.
  void postpone() {
    Wish wanted = Wish::kAnswer;
    wish_.compare_exchange_strong(wanted, Wish::kPerhaps);
  }
  bool dropped() const { return dropped_; }
  /// Throws what the computation threw, or Error(kResources) for a dropped job, whose answers are not there.
  void expect_answered() const;
  /// Dropped because it waited longer than RequestQueueOptions::timeout_s.
  bool expired() const { return expired_; }

 private:
  friend class RequestQueue;
  enum class Wish : std::uint8_t { kAnswer, kPerhaps, kNone };

  std::atomic<Wish> wish_ = Wish::kAnswer;
  std::size_t next_query_ = 0;  // the next row to take
  std::int64_t next_row_ = 0;
  std::int64_t running_rows_ = 0;  // taken and not yet answered
  std::int64_t waiting_tokens_ = 0;
  bool waits_ = false;  // in one of the queue's lists
  bool dropped_ = false, expired_ = false;
  Stopwatch watch_;
};

struct RequestQueueOptions {
  std::int64_t max_batch_tokens = 16384;  ///< in all passes that run at once; a longer row runs alone
  std::size_t capacity = 512;             ///< jobs that may be unanswered at once
  double timeout_s = 0;                   ///< jobs that wait longer are dropped; 0: none are
  /// Called after each pass, from several threads.
  std::function<void(std::int64_t rows, std::int64_t tokens, double seconds)> on_pass = {};
};

/// One lane and thread for each thread of maths. If little waits and nothing runs, one lane computes with all threads, so that a single
/// request is answered soon; else each lane computes a pass of its own. Jobs take turns row by row: a large one does not hold up small
/// ones.
class RequestQueue {
 public:
  /// The heads of all models, one model after the other, are what Query::tasks counts; those of one query are of one model. Queries without
  /// tasks go to the first model. The models, all on one backend, must outlive this object, and nothing else may compute with them. Uses
  /// num_threads() threads as of now.
  explicit RequestQueue(std::vector<MultitaskModel*> models, RequestQueueOptions options = {});
  explicit RequestQueue(MultitaskModel& model, RequestQueueOptions options = {}) : RequestQueue(std::vector{&model}, std::move(options)) {}
  /// Jobs that still wait are dropped.
  ~RequestQueue();
  RequestQueue(const RequestQueue&) = delete;
  RequestQueue& operator=(const RequestQueue&) = delete;

  /// Drops what waits, and takes no more jobs.
  void close();
  /// Takes the job, or returns false if there are `capacity` jobs already, or after close(). A job without rows is done at once, on this
  /// thread.
  bool submit(std::shared_ptr<QueueJob> job);
  /// Submits and waits. Throws what the computation threw, and Error(kResources) if the queue is full.
  std::vector<QueryAnswer> answer(std::vector<Query> queries);

  /// Jobs that are not answered yet.
  std::size_t size() const { return jobs_; }
  std::size_t capacity() const { return options_.capacity; }

 private:
  struct Worker;
  struct Taken {
    std::vector<QueryRow> rows;
    std::vector<std::shared_ptr<QueueJob>> jobs;  // whose row each is
    std::int64_t tokens = 0;
  };
  using JobList = std::vector<std::shared_ptr<QueueJob>>;

  void end_threads();
  void work(Worker& worker);
  bool may_take(const Worker& worker) const;
  void wake();
  Taken take(std::int64_t limit, JobList& over);
  bool take_from(std::deque<std::shared_ptr<QueueJob>>& list, std::int64_t limit, Taken& taken, JobList& over);
  void take_row(const std::shared_ptr<QueueJob>& job, Taken& taken);
  void drop(const std::shared_ptr<QueueJob>& job, JobList& over);
  void compute(Worker& worker, const Taken& taken);
  void settle(QueueJob& job);
  void finish(JobList& over);

  std::size_t model_of(const Query& query) const;

  std::vector<MultitaskModel*> models_;
  std::vector<std::size_t> first_tasks_;  // of each model
  RequestQueueOptions options_;
  int threads_;
  std::int64_t pass_tokens_;  // the most that one lane takes
  std::atomic<std::size_t> jobs_ = 0;

  mutable std::mutex mutex_;  // guards what follows, and the private fields of jobs
  std::deque<std::shared_ptr<QueueJob>> waiting_, postponed_;
  std::int64_t waiting_tokens_ = 0;
  int busy_ = 0;
  bool all_threads_taken_ = false, closed_ = false, stop_ = false;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace minbert
