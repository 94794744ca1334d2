// Writes the backend's counters as JSON.
#include "minbert/train/profile.h"

#include <algorithm>

namespace minbert {

Json profile_json(const Backend& backend) {
  std::vector<OpProfile> ops = backend.profile();
  std::ranges::sort(ops, std::greater<>(), &OpProfile::seconds);
  double total = 0;
  for (const OpProfile& op : ops) total += op.seconds;
  Json list = Json::array();
  for (const OpProfile& op : ops) {
    const double seconds = std::max(op.seconds, 1e-9);
    list.push_back({{"op", op.op},
                    {"calls", op.calls},
                    {"seconds", op.seconds},
                    {"share", op.seconds / std::max(total, 1e-9)},
                    {"gflop_per_s", op.flops / seconds / 1e9},
                    {"gb_per_s", op.bytes / seconds / 1e9}});
  }
  return {{"seconds", total}, {"ops", list}};
}

}  // namespace minbert
