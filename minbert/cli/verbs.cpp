// Verbs: the list.
#include "minbert/cli/verbs.h"

#include <array>

namespace minbert {

std::span<const Verb> verbs() {
  static constexpr std::array kVerbs = {
      Verb{"fetch", "download a model; the only verb that uses the network", declare_fetch},
      Verb{"completion", "print a completion script for a shell", declare_completion},
  };
  return kVerbs;
}

}  // namespace minbert
