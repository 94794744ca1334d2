// Html: escaping, elements and tables.
#include "minbert/report/html.h"

#include "minbert/base/unicode.h"

namespace minbert {
namespace {

/// Control characters that neither HTML nor its character references may hold (HTML standard, 13.2.3.5).
bool is_control(char32_t c) { return (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7F && c < 0xA0); }

}  // namespace

Html Html::trusted(std::string markup) {
  Html html;
  html.markup_ = std::move(markup);
  return html;
}

std::string Html::escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t position = 0; position < text.size();) {
    const char32_t c = next_code_point(text, position);
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: append_utf8(out, is_control(c) ? U'\uFFFD' : c);
    }
  }
  return out;
}

Html element(std::string_view name, const Attributes& attributes, const Html& content) {
  std::string markup = "<" + std::string(name);
  for (const auto& [key, value] : attributes) (((markup += ' ') += key) += "=\"") += Html::escape(value) + '"';
  ((markup += '>') += content.markup()) += "</";
  return Html::trusted((markup += name) + '>');
}

Html table(const TableFrame& frame, const Html& head, const Html& rows) {
  const Html content = element("caption", {}, frame.caption) + element("thead", {}, head) + "\n" + element("tbody", {}, rows);
  Attributes attributes = {{"class", frame.kind}};
  if (!frame.id.empty()) attributes.emplace_back("id", frame.id);
  if (!frame.search.empty()) attributes.emplace_back("data-search", frame.search);
  return element("div", {{"class", "scroll"}, {"tabindex", "0"}}, element("table", attributes, content)) + "\n";
}

Html header_row(const std::vector<std::string>& names) {
  Html row;
  for (const std::string& name : names) row += element("th", {{"scope", "col"}}, name);
  return element("tr", {}, row);
}

}  // namespace minbert
