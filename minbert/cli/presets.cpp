// Presets: the files in presets/, which CMake embeds. Each can be trained once its paths are right.
#include "minbert/cli/presets.h"

#include <algorithm>
#include <array>

#include "minbert/base/check.h"

namespace minbert {

std::string_view multitask_preset();
std::string_view classify_preset();
std::string_view pairs_preset();
std::string_view few_shot_preset();
std::string_view vectors_preset();
std::string_view pretrain_preset();
std::string_view study_preset();
std::string_view search_preset();

std::span<const Preset> presets() {
  static const std::array kPresets = {
      Preset{"multitask", "run", "three tasks on one encoder, on the sample data", multitask_preset()},
      Preset{"classify", "run", "one text, one label", classify_preset()},
      Preset{"pairs", "run", "two texts, one number or label", pairs_preset()},
      Preset{"few-shot", "run", "a few texts of each label", few_shot_preset()},
      Preset{"vectors", "run", "pairs of texts that belong together", vectors_preset()},
      Preset{"pretrain", "run", "texts without labels", pretrain_preset()},
      Preset{"study", "study", "several configs in one table", study_preset()},
      Preset{"search", "search", "random search for hyperparameters", search_preset()},
  };
  return kPresets;
}

const Preset& preset_named(std::string_view name) {
  const auto found = std::ranges::find(presets(), name, &Preset::name);
  MINBERT_CHECK(found != presets().end(), "preset {}", name);
  return *found;
}

}  // namespace minbert
