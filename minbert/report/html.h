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

/// What frames a table: `id` of the element, `kind` a class of the style sheet, a caption in a sentence or two.
struct TableFrame {
  std::string id;  ///< may be empty
  std::string kind;
  Html caption;
  std::string search = {};  ///< not empty: the label of a box that filters the rows, where scripts run
};
/// A table in a box that scrolls sideways where the screen is narrower. `head` is a <tr>, `rows` are several.
Html table(const TableFrame& frame, const Html& head, const Html& rows);
/// A <tr> of column names.
Html header_row(const std::vector<std::string>& names);

}  // namespace minbert
