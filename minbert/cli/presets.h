// Presets: commented config files to start from, which `minbert init` writes.
#pragma once

#include <span>
#include <string_view>

namespace minbert {

struct Preset {
  std::string_view name, kind, summary, text;  ///< kind: the name of its JSON Schema, run | study | search
};

/// All presets; the first is the default.
std::span<const Preset> presets();
/// The preset of this name, which must exist.
const Preset& preset_named(std::string_view name);

}  // namespace minbert
