// Building the double array: children of a node sit at base ^ byte, so that a block of 256 units holds all children of a node.
#include "minbert/tokenizer/trie.h"

#include <algorithm>

#include "minbert/base/check.h"

namespace minbert {
namespace {

constexpr std::uint32_t kBlock = 256;
constexpr std::uint32_t kFree = 0xFF;  // label of an unused unit: no byte of UTF-8
constexpr std::size_t kOpenBlocks = 32;

}  // namespace

class Trie::Builder {
 public:
  Builder(std::vector<Unit>& units, const Entries& entries) : units_(units), entries_(entries) {
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

  void add_block() {
    MINBERT_CHECK(units_.size() + kBlock <= 1u << 24, "a vocabulary too large for 24-bit trie nodes");
    open_.push_back(static_cast<Node>(units_.size()));
    units_.resize(units_.size() + kBlock, Unit{.base = kNowhere, .label = kFree, .id = -1});
    base_used_.resize(units_.size(), false);
    if (open_.size() > kOpenBlocks) open_.erase(open_.begin());
  }

  bool fits(Node base) const {
    return !base_used_[base] && std::all_of(labels_.begin(), labels_.end(), [&](unsigned char c) { return units_[base ^ c].label == kFree; });
  }

  Node find_base() {
    for (const Node block : open_)
      for (Node unit = block; unit < block + kBlock; ++unit)
        if (units_[unit].label == kFree && fits(unit ^ labels_[0])) return unit ^ labels_[0];
    add_block();
    return open_.back();
  }

  /// Gives the children of a node their units and queues those that have children themselves.
  Node place(const Range& range) {
    labels_.clear();
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(entries_[i].first[range.depth]); };
    for (std::size_t i = range.begin; i < range.end; ++i)
      if (labels_.empty() || labels_.back() != byte(i)) labels_.push_back(byte(i));
    const Node base = find_base();
    base_used_[base] = true;
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
  std::vector<bool> base_used_;
  std::vector<Node> open_;  // first units of the blocks where room is looked for
  std::vector<unsigned char> labels_;
  std::vector<std::pair<Range, Node>> work_;
};

Trie::Trie(Entries entries) {
  std::sort(entries.begin(), entries.end());
  root_ = Builder(units_, entries).build();
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
