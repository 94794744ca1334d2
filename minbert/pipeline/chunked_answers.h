// answer_chunks: many rows through a RequestQueue, a part at a time, so that the caller hears of progress and can stop.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <vector>

#include "minbert/pipeline/request_queue.h"

namespace minbert {

/// Thrown by answer_chunks for what its caller's `progress` threw, so that nobody takes it for an error of its own.
struct CallerStopped {
  std::exception_ptr reason;
};

struct ChunkWork {
  /// Makes the queries of the inputs [begin, end).
  std::function<std::vector<Query>(std::size_t begin, std::size_t end)> ask;
  /// Gets the answers to them, chunk after chunk in order.
  std::function<void(std::size_t begin, QueueJob& job)> take;
};

/// Answers `count` inputs. `progress` gets the number of those that are done, at least ten times a second; what it throws ends the work as
/// CallerStopped. All three functions are called on this thread, which makes the next chunks' queries while earlier ones are computed.
/// Throws what the computation threw.
void answer_chunks(RequestQueue& queue, std::size_t count, const std::function<void(std::size_t done)>& progress, const ChunkWork& work);

}  // namespace minbert
