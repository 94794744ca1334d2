// Normalises text by the tables that normalizer_tables.cpp builds.
#include "minbert/tokenizer/normalizer.h"

#include <algorithm>
#include <cstring>

#include "minbert/base/unicode.h"

namespace minbert {
namespace {

// No code point grows beyond three times its bytes (checked when the tables are built); the rest is for copies of whole words.
constexpr std::size_t kGrowth = 3, kSlack = 8;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr char32_t kHangulBase = 0xAC00, kLeadBase = 0x1100, kVowelBase = 0x1161, kTailBase = 0x11A7;

}  // namespace

NormalizedText::NormalizedText(std::string_view raw, bool with_sources) : raw_(raw) {
  const std::size_t room = kGrowth * raw.size() + kSlack;
  if (room > small_.size()) large_.resize(room);
  text_ = out_ = room > small_.size() ? large_.data() : small_.data();
  if (with_sources) sources_.resize(room);
}

void NormalizedText::skip(std::size_t bytes, std::int32_t code_points) {
  position_ += bytes;
  code_points_ += code_points;
}

template <bool kSources>
void Normalizer::advance(NormalizedText& text) const {
  const char* const raw_end = text.raw_.data() + text.raw_.size();
  for (;;) {
    if (text.marks_.empty()) {
      const char* raw = text.raw_.data() + text.position_;
      const char* const start = raw;
      char* out = text.out_;
      for (; raw < raw_end; ++raw) {
        const AsciiEntry entry = ascii_[static_cast<unsigned char>(*raw)];
        if (entry.length & kStop) break;
        std::memcpy(out, &entry, sizeof entry);  // copying all four bytes is faster than copying as many as count
        if constexpr (kSources)
          std::fill_n(text.sources_.begin() + (out - text.text_), 3, text.code_points_ + static_cast<std::int32_t>(raw - start));
        out += entry.length;
      }
      text.out_ = out;
      text.position_ += static_cast<std::size_t>(raw - start);
      text.code_points_ += static_cast<std::int32_t>(raw - start);
    }
    if (text.position_ == text.raw_.size() || stops_[static_cast<unsigned char>(text.raw_[text.position_])]) return;
    step<kSources>(text);
  }
}

template <bool kSources>
void Normalizer::step(NormalizedText& text) const {
  const std::size_t start = text.position_;
  const char32_t code_point = next_code_point(text.raw_, text.position_);
  const std::int32_t source = text.code_points_++;
  const Entry& e = entry(code_point);
  if (e.action == Action::kDrop) return;
  if (e.action == Action::kParts) return put_parts<kSources>(text, e, source);
  finish<kSources>(text);
  if (e.action == Action::kHangul) {
    const char32_t index = code_point - kHangulBase, tail = index % 28;
    for (const char32_t jamo : {kLeadBase + index / 588, kVowelBase + index % 588 / 28, kTailBase + tail}) {
      if (jamo == kTailBase) break;
      const Part& part = parts_[jamo_ + (jamo - kLeadBase)];
      put<kSources>(text, part.utf8.data(), part.length, Action::kWord, source);
    }
    return;
  }
  std::string_view bytes = text.raw_.substr(start, text.position_ - start);
  if (code_point == 0xFFFD) bytes = kReplacement;  // the raw bytes may be an invalid sequence
  put<kSources>(text, bytes.data(), bytes.size(), e.action, source);
}

template <bool kSources>
void Normalizer::put(NormalizedText& text, const char* bytes, std::size_t length, Action action, std::int32_t source) const {
  char* const start = text.out_;
  const auto append = [&](const char* from, std::size_t count) {
    std::memcpy(text.out_, from, count);
    text.out_ += count;
  };
  if (action == Action::kBlank) {
    append(&kSpace, 1);
  } else {
    if (action == Action::kAlone) append(&kBreak, 1);
    append(bytes, length);
    if (action == Action::kAlone) append(&kBreak, 1);
  }
  if constexpr (kSources) std::fill(text.sources_.begin() + (start - text.text_), text.sources_.begin() + (text.out_ - text.text_), source);
}

template <bool kSources>
void Normalizer::put_parts(NormalizedText& text, const Entry& e, std::int32_t source) const {
  for (std::uint16_t i = e.first; i < e.first + e.count; ++i) {
    const Part& part = parts_[i];
    if (part.combining_class > 0) {
      text.marks_.push_back({i, part.combining_class, i > e.first, source});
      continue;
    }
    finish<kSources>(text);
    if (part.action != Action::kDrop) put<kSources>(text, part.utf8.data(), part.length, part.action, source);
  }
}

template <bool kSources>
void Normalizer::finish(NormalizedText& text) const {
  if (text.marks_.empty()) return;
  // The reference aligns the sorted run by position: each mark that opened a raw character takes the next such character in
  // text order, wherever it went, and the others follow the one before them (tokenizer/normalizer.rs, transform_range).
  std::vector<std::int32_t> sources;
  for (const auto& mark : text.marks_)
    if (!mark.inserted) sources.push_back(mark.source);
  auto next = sources.begin();
  std::int32_t source = text.marks_.front().source;
  std::stable_sort(text.marks_.begin(), text.marks_.end(),
                   [](const auto& a, const auto& b) { return a.combining_class < b.combining_class; });
  for (const auto& mark : text.marks_) {
    if (!mark.inserted) source = *next++;
    const Part& part = parts_[mark.part];
    if (part.action != Action::kDrop) put<kSources>(text, part.utf8.data(), part.length, part.action, source);
  }
  text.marks_.clear();
}

template void Normalizer::advance<false>(NormalizedText&) const;
template void Normalizer::advance<true>(NormalizedText&) const;
template void Normalizer::step<false>(NormalizedText&) const;
template void Normalizer::step<true>(NormalizedText&) const;
template void Normalizer::finish<false>(NormalizedText&) const;
template void Normalizer::finish<true>(NormalizedText&) const;

}  // namespace minbert
