// Everyday events as frames: slots that several meanings can fill, and sentences that say the same about them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace minbert {

/// A place in a frame. Each meaning lists phrases that say the same, "bought|purchased"; no two meanings of a slot say the same.
/// A phrase may have two forms, "stole/stolen", written {name} and {name+} in a pattern.
struct SampleSlot {
  std::string_view name;
  std::span<const std::string_view> meanings;
  double weight;  ///< share in the meaning of the sentence, for graded similarity
};

struct SampleFrame {
  int share;   ///< how often it is drawn, relative to the others
  bool swaps;  ///< its first two slots draw from the same meanings, and exchanging them says something else
  std::vector<SampleSlot> slots;
  std::vector<std::string_view> patterns;  ///< all mean the same for the same fillers
};

const std::vector<SampleFrame>& sample_frames();

}  // namespace minbert
