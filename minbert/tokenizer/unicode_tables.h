// Properties of code points as Hugging Face's tokenizers sees them; tools/make_unicode_tables.py writes the tables.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace minbert::unicode {

/// Code points first..last, both included.
struct CodeRange {
  char32_t first, last;
};

struct CombiningRange {
  char32_t first, last;
  std::uint8_t combining_class;  ///< above 0
};

/// What a code point turns into; unused places at the end are 0.
struct CodeMapping {
  char32_t from;
  std::array<char32_t, 4> to;
};

// Every table is sorted by code point.

/// Taken out by clean_text: controls, formats, private use, U+FFFD.
std::span<const CodeRange> removed();
/// White space: words are split at it, and clean_text replaces it by a space unless removed() has it.
std::span<const CodeRange> whitespace();
/// Characters that are words of their own.
std::span<const CodeRange> punctuation();
/// CJK ideographs, which handle_chinese_chars puts between spaces.
std::span<const CodeRange> ideographs();
/// Taken out by strip_accents after decomposition.
std::span<const CodeRange> marks();
/// Canonical combining classes of characters that decompose no further.
std::span<const CombiningRange> combining();
/// Full canonical decompositions, without the Hangul syllables.
std::span<const CodeMapping> decompositions();
/// Lower case.
std::span<const CodeMapping> lower();

}  // namespace minbert::unicode
