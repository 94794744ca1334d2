// A double-array trie over bytes. It finds the longest vocabulary entry at a place in the text with one memory access a byte.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace minbert {

class Trie {
 public:
  /// A node of the trie. kNowhere has no children.
  using Node = std::uint32_t;
  static constexpr Node kNowhere = 0;
  struct Match {
    std::int32_t id = -1;  ///< -1: none
    const char* end;
  };

  using Entries = std::vector<std::pair<std::string_view, std::int32_t>>;
  Trie() : Trie(Entries{}) {}
  /// Keys are distinct, not empty and without bytes 0xFF. Throws Error(kModel) at `place` when they need more than 2^24 units.
  explicit Trie(Entries entries, std::string_view place = {});

  Node root() const { return root_; }
  /// The longest entry below `node` that the text at `begin` starts with. The text must end in a byte that continues no entry.
  Match longest(Node node, const char* begin) const {
    Match match{.id = -1, .end = begin};
    for (const char* at = begin;;) {
      const auto byte = static_cast<unsigned char>(*at++);
      const Unit& unit = units_[node ^ byte];
      if (unit.label != byte) return match;
      if (unit.id >= 0) match = {unit.id, at};
      node = unit.base;
    }
  }
  /// The node that `text` leads to from the root, or kNowhere.
  Node descend(std::string_view text) const;

 private:
  class Builder;
  /// A node that its parent reaches by `label`; `id` is -1 unless an entry ends here.
  struct Unit {
    std::uint32_t base : 24;
    std::uint32_t label : 8;
    std::int32_t id;
  };

  std::vector<Unit> units_;
  Node root_ = kNowhere;
};

}  // namespace minbert
