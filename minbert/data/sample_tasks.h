// Sample tasks: draws one example of a task; its label is right by construction.
#pragma once

#include <string>

#include "minbert/base/rng.h"

namespace minbert {

struct SampleExample {
  std::string text, text_pair;  ///< text_pair is empty for single texts
  std::string label;
};

/// A short review and its grade: 0 very bad, 1 bad, 2 mixed or neutral, 3 good, 4 very good.
SampleExample draw_review(Rng& rng);

/// Two sentences about an event: 1 if they say the same, 0 if one detail differs or two participants are exchanged. Wordings differ as much
/// in both classes, and every phrase is equally frequent in both, so that words alone do not give the label away.
SampleExample draw_paraphrase(Rng& rng);

/// Two sentences and their similarity: 5.0 for the same meaning, 1.0 for the same kind of event with other details, 0.0 for nothing in
/// common.
SampleExample draw_similarity(Rng& rng);

}  // namespace minbert
