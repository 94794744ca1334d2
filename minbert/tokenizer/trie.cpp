// Builds the double array. A child of a node is the unit at base ^ byte, so that a block of 256 units holds all children of a node.
#include "minbert/tokenizer/trie.h"

#include <algorithm>
#include <array>
#include <bit>

#include "minbert/base/check.h"

namespace minbert {
namespace {

constexpr std::uint32_t kBlock = 256;
constexpr std::uint32_t kFree = 0xFF;  // label of an unused unit: no byte of UTF-8
constexpr std::size_t kOpenBlocks = 32;
constexpr int kMostFailures = 1000;  // of a block that is all but full

}  // namespace

class Trie::Builder {
 public:
  Builder(std::vector<Unit>& units, const Entries& entries, std::string_view place) : units_(units), entries_(entries), place_(place) {
    add_block();  // block 0 stays free: base 0 leads nowhere
    open_.clear();
    base_used_[0] = true;
  }

  /// Places all nodes below the root; returns the root's base.
  Node build() {
    if (entries_.empty()) return kNowhere;
    const Node root = place({0, entries_.size(), 0});
    while (!work_.empty()) {
      const auto [range, unit] = work_.back();
      work_.pop_back();
      units_[unit].base = place(range) & 0xFFFFFF;
    }
    return root;
  }

 private:
  /// Entries [begin, end), which share their first `depth` bytes and are longer.
  struct Range {
    std::size_t begin, end, depth;
  };

  /// A block that is searched for free units.
  struct OpenBlock {
    Node first;                         ///< its first unit
    std::array<std::uint64_t, 4> free;  ///< a bit for each free unit, so that full blocks cost little to search
    int failures = 0;                   ///< nodes that found no room here
  };

  void add_block() {
    if (units_.size() + kBlock > 1u << 24)
      throw Error(ErrorTag::kModel, place_, "the vocabulary is too large: its tokens need more than 2^24 units of a trie");
    open_.push_back({.first = static_cast<Node>(units_.size()), .free = {~0ull, ~0ull, ~0ull, ~0ull}});
    units_.resize(units_.size() + kBlock, Unit{.base = kNowhere, .label = kFree, .id = -1});
    base_used_.resize(units_.size(), false);
    if (open_.size() > kOpenBlocks) open_.erase(open_.begin());
  }

  bool fits(Node base) const {
    return !base_used_[base] &&
           std::all_of(labels_.begin(), labels_.end(), [&](unsigned char c) { return units_[base ^ c].label == kFree; });
  }

  Node find_base() {
    for (OpenBlock& block : open_) {
      for (Node word = 0; word < block.free.size(); ++word)
        for (std::uint64_t rest = block.free[word]; rest != 0; rest &= rest - 1) {
          const Node unit = block.first + word * 64 + static_cast<Node>(std::countr_zero(rest));
          if (fits(unit ^ labels_[0])) return unit ^ labels_[0];
        }
      ++block.failures;
    }
    std::erase_if(open_, [](const OpenBlock& block) { return block.failures > kMostFailures; });
    add_block();
    return open_.back().first;
  }

  /// Gives the children of a node their units and queues those that have children themselves.
  Node place(const Range& range) {
    labels_.clear();
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(entries_[i].first[range.depth]); };
    for (std::size_t i = range.begin; i < range.end; ++i)
      if (labels_.empty() || labels_.back() != byte(i)) labels_.push_back(byte(i));
    const Node base = find_base();
    base_used_[base] = true;
    for (OpenBlock& block : open_)
      if (block.first == base / kBlock * kBlock)
        for (const unsigned char label : labels_) block.free[(base ^ label) % kBlock / 64] &= ~(1ull << (base ^ label) % 64);
    for (std::size_t i = range.begin; i < range.end;) {
      const unsigned char label = byte(i);
      Unit& unit = units_[base ^ label];
      unit.label = label;
      // Sorted, so the entry that ends here comes first.
      std::size_t child = i;
      if (entries_[i].first.size() == range.depth + 1) unit.id = entries_[child++].second;
      while (i < range.end && byte(i) == label) ++i;
      if (child < i) work_.push_back({{child, i, range.depth + 1}, base ^ label});
    }
    return base;
  }

  std::vector<Unit>& units_;
  const Entries& entries_;
  std::string_view place_;
  std::vector<bool> base_used_;
  std::vector<OpenBlock> open_;
  std::vector<unsigned char> labels_;
  std::vector<std::pair<Range, Node>> work_;
};

Trie::Trie(Entries entries, std::string_view place) {
  std::sort(entries.begin(), entries.end());
  root_ = Builder(units_, entries, place).build();
}

Trie::Node Trie::descend(std::string_view text) const {
  Node node = root_;
  for (const char c : text) {
    const Unit& unit = units_[node ^ static_cast<unsigned char>(c)];
    if (unit.label != static_cast<unsigned char>(c)) return kNowhere;
    node = unit.base;
  }
  return node;
}

}  // namespace minbert
