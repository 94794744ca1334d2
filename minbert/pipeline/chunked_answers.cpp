// Keeps a few jobs in the queue, and takes their answers in order.
#include "minbert/pipeline/chunked_answers.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <future>

#include "minbert/base/parallel.h"

namespace minbert {
namespace {

/// Jobs on their way; those that are left when something is thrown are given up.
class JobsUnderWay {
 public:
  struct Chunk {
    std::size_t begin, end;
    std::shared_ptr<QueueJob> job;
    std::future<void> answered;
  };

  explicit JobsUnderWay(RequestQueue& queue) : queue_(queue) {}
  ~JobsUnderWay() {
    for (const Chunk& chunk : chunks_) chunk.job->abandon();
  }
  JobsUnderWay(const JobsUnderWay&) = delete;
  JobsUnderWay& operator=(const JobsUnderWay&) = delete;

  std::size_t size() const { return chunks_.size(); }
  Chunk& first() { return chunks_.front(); }
  void pop() { chunks_.pop_front(); }

  void submit(std::size_t begin, std::size_t end, std::vector<Query> queries) {
    auto promise = std::make_shared<std::promise<void>>();  // the job may outlive this object
    auto job = std::make_shared<QueueJob>(std::move(queries));
    job->done = [promise](QueueJob&) { promise->set_value(); };
    if (!queue_.submit(job)) throw Error(ErrorTag::kResources, "queue", fmt::format("{} requests wait already", queue_.capacity()));
    chunks_.push_back({begin, end, std::move(job), promise->get_future()});
  }

 private:
  RequestQueue& queue_;
  std::deque<Chunk> chunks_;
};

}  // namespace

void answer_chunks(RequestQueue& queue, std::size_t count, const std::function<void(std::size_t)>& progress, const ChunkWork& work) {
  constexpr std::size_t kAhead = 3;  // the queue never runs dry between two chunks
  constexpr std::chrono::milliseconds kPatience{100};
  const std::size_t chunk = std::max<std::size_t>(256, 64 * static_cast<std::size_t>(num_threads()));
  const auto report = [&](std::size_t done) {
    if (!progress) return;
    try {
      progress(done);
    } catch (...) {
      throw CallerStopped{std::current_exception()};
    }
  };
  JobsUnderWay under_way(queue);
  for (std::size_t begin = 0; begin < count || under_way.size() > 0;) {
    if (begin < count && under_way.size() < kAhead) {
      const std::size_t end = std::min(begin + chunk, count);
      under_way.submit(begin, end, work.ask(begin, end));
      begin = end;
      continue;
    }
    JobsUnderWay::Chunk& first = under_way.first();
    while (first.answered.wait_for(kPatience) != std::future_status::ready) report(first.begin);
    first.job->expect_answered();
    work.take(first.begin, *first.job);
    const std::size_t done = first.end;
    under_way.pop();
    report(done);
  }
}

}  // namespace minbert
