// Html: pieces of a page. Text is escaped and every element is closed, so that a page is well-formed by construction.
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
  /// Escapes any text. Control characters and invalid UTF-8, which a page may not hold, become U+FFFD.
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

struct TableFrame {
  std::string id;    ///< of the element; may be empty
  std::string kind;  ///< a class of the style sheet
  Html caption;
  std::string search = {};  ///< label of a box that filters the rows where scripts run; empty: no box
};
/// A table in a box that scrolls sideways on a narrow screen. `head` is one <tr>, `rows` are any number.
Html table(const TableFrame& frame, const Html& head, const Html& rows);
/// A <tr> of column names.
Html header_row(const std::vector<std::string>& names);

}  // namespace minbert
