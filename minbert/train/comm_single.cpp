// open_comm of a build without MPI.
#include <fmt/format.h>

#include "minbert/base/check.h"
#include "minbert/train/comm.h"

namespace minbert {

std::unique_ptr<Comm> open_comm(const CommOptions& options) {
  if (options.launch.ranks > 1)
    throw Error(ErrorTag::kUsage, options.launch.variable,
                fmt::format("expected one process, got {}: this build of minbert knows no MPI", options.launch.ranks),
                "cmake --preset mpi configures a build that does");
  return std::make_unique<Comm>();
}

}  // namespace minbert
