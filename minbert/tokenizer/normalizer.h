// BertNormalizer and BertPreTokenizer in one sweep: raw text to normalised UTF-8 whose words lie between breaks.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace minbert {

/// The switches of BertNormalizer (tokenizers, normalizers/bert.rs).
struct NormalizerOptions {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  bool strip_accents = true;
  bool lowercase = true;
};

/// Words end at spaces, which stand for white space, and at breaks, which stand beside a character that is a word of its own.
/// A break is a byte that UTF-8 does not have.
inline constexpr char kSpace = ' ', kBreak = '\xFE';
inline bool is_break(char byte) { return byte == kSpace || byte == kBreak; }

/// A raw text, how far a Normalizer has read it, and its normalised form so far.
class NormalizedText {
 public:
  NormalizedText(std::string_view raw, bool with_sources);
  NormalizedText(const NormalizedText&) = delete;
  NormalizedText& operator=(const NormalizedText&) = delete;

  std::string_view rest() const { return raw_.substr(position_); }
  std::int32_t code_points() const { return code_points_; }  ///< read so far
  /// Skips `bytes` of raw text that hold `code_points`.
  void skip(std::size_t bytes, std::int32_t code_points);

  /// Normalised bytes since the last clear(); the byte after them may be written too.
  char* begin() { return text_; }
  char* end() { return out_; }
  void clear() { out_ = text_; }
  /// Index of the raw code point that a normalised byte comes from. Needs with_sources.
  std::int32_t source(const char* byte) const { return sources_[static_cast<std::size_t>(byte - text_)]; }

 private:
  friend class Normalizer;
  /// A combining mark whose run of marks has not ended.
  struct Mark {
    std::uint16_t part;
    std::uint8_t combining_class;
    bool inserted;  ///< not the first part of its raw character
    std::int32_t source;
  };

  std::string_view raw_;
  std::size_t position_ = 0;
  std::int32_t code_points_ = 0;
  std::array<char, 1024> small_;  // enough for most sentences without a call of malloc
  std::vector<char> large_;
  char* text_;
  char* out_;
  std::vector<std::int32_t> sources_;
  std::vector<Mark> marks_;
};

/// Tables for one set of options, built once; const functions may be called from any thread.
class Normalizer {
 public:
  explicit Normalizer(const NormalizerOptions& options);
  /// From now on advance() stops before every code point whose first byte this is.
  void stop_at(char first_byte);

  /// Normalises up to the next stop or the end of the raw text.
  template <bool kSources>
  void advance(NormalizedText& text) const;
  /// Normalises one code point, a stop or not. The raw text must not be at its end.
  template <bool kSources>
  void step(NormalizedText& text) const;
  /// Ends a run of combining marks; called before the normalised text is read.
  template <bool kSources>
  void finish(NormalizedText& text) const;

 private:
  enum class Action : std::uint8_t { kWord, kAlone, kBlank, kDrop, kParts, kHangul };
  /// What a code point becomes: itself, or parts_[first .. first + count).
  struct Entry {
    Action action = Action::kWord;
    std::uint8_t count = 0;
    std::uint16_t first = 0;
  };
  struct Part {
    std::array<char, 4> utf8{};
    std::uint8_t length = 0;
    std::uint8_t combining_class = 0;
    Action action = Action::kWord;
  };
  /// Bytes that an ASCII byte becomes; `length` has kStop where advance() must look closer.
  struct AsciiEntry {
    std::array<char, 3> bytes{};
    std::uint8_t length = 0;
  };
  static constexpr std::uint8_t kStop = 0x80;
  using Page = std::array<Entry, 256>;
  class Builder;

  const Entry& entry(char32_t code_point) const { return pages_[page_of_[code_point >> 8]][code_point & 0xFF]; }
  template <bool kSources>
  void put(NormalizedText& text, const char* bytes, std::size_t length, Action action, std::int32_t source) const;
  template <bool kSources>
  void put_parts(NormalizedText& text, const Entry& entry, std::int32_t source) const;

  std::array<AsciiEntry, 256> ascii_{};
  std::array<bool, 256> stops_{};
  std::vector<std::uint16_t> page_of_;  // by code point / 256; equal pages are shared
  std::vector<Page> pages_;
  std::vector<Part> parts_;
  std::uint16_t jamo_ = 0;  // parts_ of U+1100..U+11FF start here
};

}  // namespace minbert
