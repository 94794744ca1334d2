// The thread that explains.
#include "minbert/serve/explainer.h"

#include "minbert/base/parallel.h"
#include "minbert/pipeline/explain.h"

namespace minbert {
namespace {

/// Thrown within an explanation that nobody waits for.
struct Abandoned {};

/// The same weights, in f32 and such that they can be run backward.
std::unique_ptr<Params> trainable_copy(Backend& backend, const Params& from) {
  auto params = std::make_unique<Params>(backend, from.shape(), DType::kF32, DType::kF32, WeightUse::kTrain);
  for (std::size_t i = 0; i < from.table().size(); ++i)
    backend.copy_to_device(params->value(i), from.backend().to_host(from.value(i)).data());
  params->changed();
  return params;
}

}  // namespace

Explainer::Explainer(const Ensemble& models, const Backend& backend, double timeout_s)
    : models_(models), timeout_s_(timeout_s), backend_(backend.sibling()), differentiable_(models.models().size()) {}

bool Explainer::submit(std::shared_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || waiting_.size() >= kMostWaiting) return false;
    waiting_.push_back(std::move(job));
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  }
  wake_.notify_one();
  return true;
}

void Explainer::close() {
  closed_ = true;
  std::thread thread;
  {
    const std::lock_guard lock(mutex_);
    thread = std::move(thread_);
  }
  wake_.notify_one();
  if (thread.joinable()) thread.join();
  for (const auto& job : waiting_) job->done({}, nullptr, Dropped::kClosed);
  waiting_.clear();
}

void Explainer::work() {
  set_num_threads(1);  // answers have the other cores
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
    if (closed_) return;
    const std::shared_ptr<Job> job = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    if (job->gone)
      job->done({}, nullptr, Dropped::kGone);
    else if (job->waiting.seconds() > timeout_s_)
      job->done({}, nullptr, Dropped::kExpired);
    else
      answer(*job);
  }
}

void Explainer::answer(Job& job) {
  try {
    const auto [index, task] = models_.members(job.task).front();
    const TextModel& model = models_.models()[index];
    Differentiable& own = differentiable_[index];
    if (own.model == nullptr) {
      own.params = trainable_copy(*backend_, model.params());
      own.model = std::make_unique<MultitaskModel>(*backend_, *own.params);
    }
    const auto go_on = [&] {
      if (job.gone || closed_) throw Abandoned();
    };
    constexpr int kSteps = 64;
    job.done(explain_row(*own.model, task, model.tasks()[task], model.tokenizer(), job.row, 0, nullptr, kSteps, go_on), nullptr,
             Dropped::kNo);
  } catch (const Abandoned&) {
    job.done({}, nullptr, job.gone ? Dropped::kGone : Dropped::kClosed);
  } catch (...) {
    job.done({}, std::current_exception(), Dropped::kNo);
  }
}

}  // namespace minbert
