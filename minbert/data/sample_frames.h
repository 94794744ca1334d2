// Frames of everyday events: slots that several meanings can fill, and sentence patterns that all say the same about them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace minbert {

/// A slot of a frame. Each meaning lists phrases that say the same, "bought|purchased"; no two meanings say the same. A phrase may have two
/// forms, "stole/stolen", which a pattern calls {name} and {name+}.
struct SampleSlot {
  std::string_view name;
  std::span<const std::string_view> meanings;
  double weight;  ///< share in the meaning of the sentence, for graded similarity
};

struct SampleFrame {
  int share;   ///< weight with which the frame is drawn
  bool swaps;  ///< the first two slots share their meanings, and exchanging the two changes what the sentence says
  std::vector<SampleSlot> slots;
  std::vector<std::string_view> patterns;  ///< all mean the same for the same fillers
};

const std::vector<SampleFrame>& sample_frames();

}  // namespace minbert
