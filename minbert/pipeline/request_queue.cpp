// Workers that take rows from waiting jobs, compute them, and call back.
#include "minbert/pipeline/request_queue.h"

#include <algorithm>
#include <future>

#include "minbert/base/parallel.h"
#include "minbert/base/round_up.h"

namespace minbert {
namespace {

// Products run at full speed from about 512 tokens on, and activations of that many stay in the caches (batches_by_length). Passes of
// fewer than kFewTokens keep a lane waiting for its weights.
constexpr std::int64_t kLaneTokens = 512, kFewTokens = 96;
constexpr std::int64_t kTeamTokens = 192;  // up to here all threads together are sooner done than lanes

}  // namespace

std::int64_t QueueJob::rows() const {
  std::int64_t sum = 0;
  for (const Query& query : queries) sum += query.all_rows();
  return sum;
}

std::int64_t QueueJob::tokens() const {
  std::int64_t sum = 0;
  for (const Query& query : queries) sum += query.all_tokens();
  return sum;
}

struct RequestQueue::Worker {
  bool first = false, idle = false;
  std::condition_variable wake;
  std::vector<std::unique_ptr<OwnLane>> lanes;  // of each model
  std::thread thread;
};

RequestQueue::RequestQueue(std::vector<MultitaskModel*> models, RequestQueueOptions options)
    : models_(std::move(models)), options_(std::move(options)), threads_(num_threads()) {
  std::size_t tasks = 0;
  for (const MultitaskModel* model : models_) {
    first_tasks_.push_back(tasks);
    tasks += model->params().shape().heads.size();
  }
  const Backend& backend = models_.at(0)->backend();
  const int lanes = backend.is_observed() ? 1 : threads_;
  pass_tokens_ = std::clamp<std::int64_t>(options_.max_batch_tokens / lanes, 1, kLaneTokens);
  for (int i = 0; i < lanes; ++i) {
    workers_.push_back(std::make_unique<Worker>());
    Worker& worker = *workers_.back();
    worker.first = i == 0;
    for (MultitaskModel* model : models_) {
      worker.lanes.push_back(i == 0 ? std::make_unique<OwnLane>(*model) : std::make_unique<OwnLane>(backend.sibling(), *model));
      worker.lanes.back()->parts().model.backend().set_checking_outputs(backend.checking_outputs());
    }
  }
  try {
    for (const auto& worker : workers_) worker->thread = std::thread([this, &own = *worker] { work(own); });
  } catch (...) {
    end_threads();
    throw;
  }
}

RequestQueue::~RequestQueue() {
  close();
  end_threads();
}

void RequestQueue::end_threads() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    for (const auto& worker : workers_) worker->wake.notify_one();
  }
  // A thread at the end of its pass looks at every worker (wake()), so that all threads end before the first worker goes.
  for (const auto& worker : workers_)
    if (worker->thread.joinable()) worker->thread.join();
}

void RequestQueue::close() {
  JobList over;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (auto* list : {&waiting_, &postponed_})
      while (!list->empty()) {
        const std::shared_ptr<QueueJob> job = std::move(list->front());
        list->pop_front();
        drop(job, over);
      }
  }
  finish(over);
}

std::size_t RequestQueue::model_of(const Query& query) const {
  if (query.tasks.empty()) return 0;
  const auto after = std::ranges::upper_bound(first_tasks_, query.tasks.front());
  return static_cast<std::size_t>(after - first_tasks_.begin()) - 1;
}

bool RequestQueue::submit(std::shared_ptr<QueueJob> job) {
  for (const Query& query : job->queries) {
    const std::size_t model = model_of(query);
    job->answers.push_back(empty_answer(query, models_[model]->params().shape(), first_tasks_[model]));
  }
  if (++jobs_ > options_.capacity) {
    --jobs_;
    return false;
  }
  job->watch_.reset();
  job->waiting_tokens_ = job->tokens();
  JobList over;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      --jobs_;
      return false;
    }
    if (job->rows() == 0) {
      over.push_back(job);
    } else {
      settle(*job);
      job->waits_ = true;
      waiting_tokens_ += job->waiting_tokens_;
      waiting_.push_back(std::move(job));
      wake();
    }
  }
  finish(over);
  return true;
}

void QueueJob::expect_answered() const {
  if (failure) std::rethrow_exception(failure);
  if (dropped_) throw Error(ErrorTag::kResources, "queue", expired_ ? "the request waited too long" : "the request was given up");
}

std::vector<QueryAnswer> RequestQueue::answer(std::vector<Query> queries) {
  const auto job = std::make_shared<QueueJob>(std::move(queries));
  std::promise<void> promise;
  job->done = [&](QueueJob&) { promise.set_value(); };
  if (!submit(job)) throw Error(ErrorTag::kResources, "queue", fmt::format("{} requests wait already", options_.capacity));
  promise.get_future().wait();
  job->expect_answered();
  return std::move(job->answers);
}

/// Moves on to the first query that has a row left.
void RequestQueue::settle(QueueJob& job) {
  while (job.next_query_ < job.queries.size() && job.next_row_ == job.queries[job.next_query_].all_rows()) {
    ++job.next_query_;
    job.next_row_ = 0;
  }
}

bool RequestQueue::may_take(const Worker& worker) const {
  if (all_threads_taken_ || (waiting_.empty() && postponed_.empty())) return false;
  return worker.first || busy_ > 0 || waiting_tokens_ > kTeamTokens;
}

/// Wakes the workers that may take something now.
void RequestQueue::wake() {
  std::int64_t wanted = busy_ == 0 && waiting_tokens_ <= kTeamTokens ? 1 : divide_up(waiting_tokens_, kFewTokens);
  for (const auto& worker : workers_)
    if (wanted > 0 && worker->idle && may_take(*worker)) {
      worker->wake.notify_one();
      --wanted;
    }
}

void RequestQueue::work(Worker& worker) {
  const int lanes = static_cast<int>(workers_.size()), own = std::max(1, threads_ / lanes);
  JobList over;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!stop_ && !may_take(worker)) {
      wake();
      worker.idle = true;
      worker.wake.wait(lock, [&] { return stop_ || may_take(worker); });
      worker.idle = false;
    }
    if (stop_) return;
    const bool alone = worker.first && busy_ == 0 && waiting_tokens_ <= kTeamTokens;
    const std::int64_t share = divide_up(waiting_tokens_, static_cast<std::int64_t>(lanes - busy_));
    Taken taken = take(alone ? pass_tokens_ : std::clamp(share, std::min(kFewTokens, pass_tokens_), pass_tokens_), over);
    if (!taken.rows.empty()) {
      ++busy_;
      all_threads_taken_ = alone;
      lock.unlock();
      set_num_threads(alone ? threads_ : own);
      compute(worker, taken);
      lock.lock();
      --busy_;
      if (alone) all_threads_taken_ = false;
      for (const auto& job : taken.jobs)
        if (--job->running_rows_ == 0 && !job->waits_) over.push_back(job);
      taken = {};
      wake();
    }
    if (over.empty()) continue;
    lock.unlock();
    finish(over);
    lock.lock();
  }
}

/// Takes rows of at most `limit` tokens, at least one row, one of each job in turn.
RequestQueue::Taken RequestQueue::take(std::int64_t limit, JobList& over) {
  Taken taken;
  while (take_from(waiting_, limit, taken, over)) {
  }
  while (taken.rows.empty() && waiting_.empty() && !postponed_.empty() && take_from(postponed_, limit, taken, over)) {
  }
  return taken;
}

/// Does what there is to do with the first job of the list. Returns false if the list is empty, or its row does not fit.
bool RequestQueue::take_from(std::deque<std::shared_ptr<QueueJob>>& list, std::int64_t limit, Taken& taken, JobList& over) {
  if (list.empty()) return false;
  const std::shared_ptr<QueueJob> job = list.front();
  const QueueJob::Wish wish = job->wish_;
  const bool begun = job->queue_s > 0;  // what is computed in part is computed to its end
  if (options_.timeout_s > 0 && !begun && job->watch_.seconds() > options_.timeout_s) {
    job->expired_ = true;
    list.pop_front();
    drop(job, over);
    return true;
  }
  if (wish == QueueJob::Wish::kNone || (wish == QueueJob::Wish::kPerhaps && job->tokens() > pass_tokens_) || job->failure) {
    list.pop_front();
    drop(job, over);
    return true;
  }
  if (wish == QueueJob::Wish::kPerhaps && &list == &waiting_) {
    list.pop_front();
    postponed_.push_back(job);
    return true;
  }
  if (!taken.rows.empty() && taken.tokens + job->queries[job->next_query_].row_tokens(job->next_row_) > limit) return false;
  take_row(job, taken);
  list.pop_front();
  if (job->waits_) list.push_back(job);
  return true;
}

void RequestQueue::take_row(const std::shared_ptr<QueueJob>& job, Taken& taken) {
  if (job->queue_s == 0) job->queue_s = job->watch_.seconds();
  const Query& query = job->queries[job->next_query_];
  const std::int64_t tokens = query.row_tokens(job->next_row_);
  taken.rows.push_back({&query, &job->answers[job->next_query_], job->next_row_});
  taken.jobs.push_back(job);
  taken.tokens += tokens;
  job->waiting_tokens_ -= tokens;
  waiting_tokens_ -= tokens;
  ++job->running_rows_;
  ++job->next_row_;
  settle(*job);
  job->waits_ = job->next_query_ < job->queries.size();
}

/// Gives up what waits of a job that is in no list any more.
void RequestQueue::drop(const std::shared_ptr<QueueJob>& job, JobList& over) {
  waiting_tokens_ -= job->waiting_tokens_;
  job->waits_ = false;
  job->dropped_ = true;
  if (job->running_rows_ == 0) over.push_back(job);
}

void RequestQueue::compute(Worker& worker, const Taken& taken) {
  const Stopwatch watch;
  try {
    for (std::size_t model = 0; model < models_.size(); ++model) {
      std::vector<QueryRow> rows;
      std::ranges::copy_if(taken.rows, std::back_inserter(rows), [&](const QueryRow& row) { return model_of(*row.query) == model; });
      if (!rows.empty()) answer_rows(worker.lanes[model]->parts(), rows, first_tasks_[model]);
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    for (const auto& job : taken.jobs) job->failure = std::current_exception();
  }
  if (options_.on_pass) options_.on_pass(std::ssize(taken.rows), taken.tokens, watch.seconds());
}

void RequestQueue::finish(JobList& over) {
  for (const std::shared_ptr<QueueJob>& job : over) {
    job->compute_s = job->watch_.seconds() - job->queue_s;
    --jobs_;
    if (job->done) job->done(*job);
  }
  over.clear();
}

}  // namespace minbert
