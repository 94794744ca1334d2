// Html: pieces of a page. Text becomes HTML by being escaped, and elements always close, so that a page is well-formed by construction.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace minbert {

class Html {
 public:
  Html() = default;
  /// Any text: escaped, and what a page may not hold (control characters, invalid UTF-8) replaced by U+FFFD.
  Html(const std::convertible_to<std::string_view> auto& text) : markup_(escape(text)) {}

  /// Markup that is known to be well-formed.
  static Html trusted(std::string markup);
  static std::string escape(std::string_view text);

  Html& operator+=(const Html& other) {
    markup_ += other.markup_;
    return *this;
  }
  const std::string& markup() const { return markup_; }
  bool empty() const { return markup_.empty(); }

 private:
  std::string markup_;
};

inline Html operator+(Html left, const Html& right) { return left += right; }

using Attributes = std::vector<std::pair<std::string_view, std::string>>;

/// <name attributes>content</name>; values are escaped.
Html element(std::string_view name, const Attributes& attributes, const Html& content = {});

/// A table row of cells.
Html table_row(const std::vector<Html>& cells);
/// A table with a caption, in a box that scrolls sideways where the screen is narrower. `kind` is a class of the style sheet; rows are
/// table_row()s or other <tr>.
Html table(std::string_view kind, const Html& caption, const std::vector<std::string>& header, const Html& rows);

/// A whole document with the style sheet in it: nothing is loaded from elsewhere.
std::string page(std::string_view title, const Html& body);

}  // namespace minbert
