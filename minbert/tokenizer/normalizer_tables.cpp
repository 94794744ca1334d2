// Builds the table of replacements for each code point from the options and the Unicode tables.
#include <algorithm>
#include <map>
#include <string>

#include "minbert/base/check.h"
#include "minbert/base/unicode.h"
#include "minbert/tokenizer/normalizer.h"
#include "minbert/tokenizer/unicode_tables.h"

namespace minbert {
namespace {

constexpr char32_t kCodePoints = 0x110000, kAscii = 0x80;
constexpr char32_t kFirstHangul = 0xAC00, kLastHangul = 0xD7A3;
constexpr char32_t kFirstJamo = 0x1100, kLastJamo = 0x11FF;

template <class Range>
const Range* find_range(std::span<const Range> table, char32_t code_point) {
  const auto at = std::lower_bound(table.begin(), table.end(), code_point, [](const Range& range, char32_t c) { return range.last < c; });
  return at != table.end() && at->first <= code_point ? &*at : nullptr;
}

/// The code points that a table of mappings puts in the place of `code_point`.
std::u32string map(std::span<const unicode::CodeMapping> table, char32_t code_point) {
  const auto at =
      std::lower_bound(table.begin(), table.end(), code_point, [](const unicode::CodeMapping& m, char32_t c) { return m.from < c; });
  if (at == table.end() || at->from != code_point) return {code_point};
  return {at->to.begin(), std::find(at->to.begin(), at->to.end(), 0)};
}

}  // namespace

class Normalizer::Builder {
 public:
  Builder(Normalizer& normalizer, const NormalizerOptions& options) : normalizer_(normalizer), options_(options) {}

  void build() {
    normalizer_.jamo_ = static_cast<std::uint16_t>(normalizer_.parts_.size());
    for (char32_t c = kFirstJamo; c <= kLastJamo; ++c) normalizer_.parts_.push_back(part(c, Action::kWord));
    add_pages();
    for (char32_t c = 0; c < 256; ++c) normalizer_.ascii_[c] = c < kAscii ? ascii_entry(c) : AsciiEntry{.bytes = {}, .length = kStop};
  }

 private:
  Action own_action(char32_t c) const {
    if (find_range(unicode::whitespace(), c)) return Action::kBlank;
    return find_range(unicode::punctuation(), c) ? Action::kAlone : Action::kWord;
  }

  static Part part(char32_t code_point, Action action) {
    const std::string bytes = utf8(code_point);
    Part result{.utf8 = {}, .length = static_cast<std::uint8_t>(bytes.size()), .combining_class = 0, .action = action};
    std::copy(bytes.begin(), bytes.end(), result.utf8.begin());
    return result;
  }

  /// Accents first, then case, each character of the one through the other, as BertNormalizer does.
  std::vector<Part> parts_of(char32_t c) const {
    std::vector<Part> parts;
    for (const char32_t piece : options_.strip_accents ? map(unicode::decompositions(), c) : std::u32string{c}) {
      std::uint8_t combining_class = 0;
      if (const auto* range = find_range(unicode::combining(), piece); range && options_.strip_accents)
        combining_class = range->combining_class;
      const bool drop = options_.strip_accents && find_range(unicode::marks(), piece);
      for (const char32_t lower : options_.lowercase ? map(unicode::lower(), piece) : std::u32string{piece}) {
        parts.push_back(part(lower, drop ? Action::kDrop : own_action(lower)));
        parts.back().combining_class = combining_class;
      }
    }
    return parts;
  }

  Entry entry(char32_t c) {
    if (options_.clean_text && find_range(unicode::removed(), c)) return {.action = Action::kDrop};
    if (options_.strip_accents && c >= kFirstHangul && c <= kLastHangul) return {.action = Action::kHangul};
    std::vector<Part> parts = parts_of(c);
    if (options_.handle_chinese_chars && find_range(unicode::ideographs(), c)) {
      MINBERT_CHECK(parts.size() == 1, "an ideograph with {} parts", parts.size());
      parts[0].action = Action::kAlone;
    }
    const std::string own = utf8(c);
    std::size_t bytes = 0;
    for (const Part& p : parts) bytes += p.length + (p.action == Action::kAlone ? 2u : 0u);
    MINBERT_CHECK(bytes <= 3 * own.size(), "U+{:04X} grows to {} bytes", static_cast<unsigned>(c), bytes);
    const bool itself = parts.size() == 1 && parts[0].combining_class == 0 && parts[0].action != Action::kDrop &&
                        std::string_view(parts[0].utf8.data(), parts[0].length) == own;
    if (itself) return {.action = parts[0].action};
    const Entry result{.action = Action::kParts,
                       .count = static_cast<std::uint8_t>(parts.size()),
                       .first = static_cast<std::uint16_t>(normalizer_.parts_.size())};
    MINBERT_CHECK(normalizer_.parts_.size() + parts.size() <= 0xFFFF);
    normalizer_.parts_.insert(normalizer_.parts_.end(), parts.begin(), parts.end());
    return result;
  }

  /// Code points where the entry may change; all from one of them up to the next have equal entries.
  static std::vector<char32_t> boundaries() {
    std::vector<char32_t> all{0, 0x80, 0x800, 0x10000, kFirstHangul, kLastHangul + 1, kCodePoints};
    const auto add = [&](char32_t first, char32_t last) { all.insert(all.end(), {first, last + 1}); };
    for (const auto& table : {unicode::removed(), unicode::whitespace(), unicode::punctuation(), unicode::ideographs(), unicode::marks()})
      for (const auto& range : table) add(range.first, range.last);
    for (const auto& range : unicode::combining())  // each becomes itself, as a part
      for (char32_t c = range.first; c <= range.last; ++c) add(c, c);
    for (const auto& table : {unicode::decompositions(), unicode::lower()})
      for (const auto& mapping : table) add(mapping.from, mapping.from);
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }

  void add_pages() {
    std::vector<Entry> entries(kCodePoints);
    const std::vector<char32_t> limits = boundaries();
    for (std::size_t i = 0; i + 1 < limits.size(); ++i)
      std::fill(entries.begin() + limits[i], entries.begin() + limits[i + 1], entry(limits[i]));
    std::map<std::string_view, std::uint16_t> seen;  // pages by content
    for (auto first = entries.begin(); first != entries.end(); first += 256) {
      const std::string_view content(reinterpret_cast<const char*>(&*first), 256 * sizeof(Entry));
      const auto [at, is_new] = seen.emplace(content, static_cast<std::uint16_t>(seen.size()));
      if (is_new) std::copy_n(first, 256, normalizer_.pages_.emplace_back().begin());
      normalizer_.page_of_.push_back(at->second);
    }
  }

  AsciiEntry ascii_entry(char32_t c) const {
    const Entry& e = normalizer_.entry(c);
    if (e.action == Action::kDrop) return {};
    if (e.action == Action::kBlank) return {.bytes = {kSpace}, .length = 1};
    if (e.action == Action::kAlone) return {.bytes = {kBreak, static_cast<char>(c), kBreak}, .length = 3};
    const char byte = e.action == Action::kParts ? normalizer_.parts_[e.first].utf8[0] : static_cast<char>(c);
    return {.bytes = {byte}, .length = 1};
  }

  Normalizer& normalizer_;
  const NormalizerOptions& options_;
};

Normalizer::Normalizer(const NormalizerOptions& options) { Builder(*this, options).build(); }

void Normalizer::stop_at(char first_byte) {
  const auto byte = static_cast<unsigned char>(first_byte);
  stops_[byte] = true;
  ascii_[byte].length |= kStop;
}

}  // namespace minbert
