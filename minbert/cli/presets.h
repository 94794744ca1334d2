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

}  // namespace minbert
