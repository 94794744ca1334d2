// Presets: the files in presets/, which CMake embeds. Each can be trained once its paths are right.
#include "minbert/cli/presets.h"

#include <algorithm>
#include <array>

#include "minbert/base/check.h"

namespace minbert {

std::string_view multitask_preset();
std::string_view classify_preset();
std::string_view pairs_preset();
std::string_view pretrain_preset();

std::span<const Preset> presets() {
  static const std::array kPresets = {
      Preset{"multitask", "three tasks on one encoder, on the sample data", multitask_preset()},
      Preset{"classify", "one text, one label", classify_preset()},
      Preset{"pairs", "two texts, one number or label", pairs_preset()},
      Preset{"pretrain", "texts without labels", pretrain_preset()},
  };
  return kPresets;
}

const Preset& preset_named(std::string_view name) {
  const auto found = std::ranges::find(presets(), name, &Preset::name);
  MINBERT_CHECK(found != presets().end(), "preset {}", name);
  return *found;
}

}  // namespace minbert
