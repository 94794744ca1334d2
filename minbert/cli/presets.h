// Presets: commented config files to start from.
#pragma once

#include <span>
#include <string_view>

namespace minbert {

struct Preset {
  std::string_view name, summary, text;
};

/// The first is the default.
std::span<const Preset> presets();
/// The name must be a preset's.
const Preset& preset_named(std::string_view name);

}  // namespace minbert
