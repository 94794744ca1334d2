// Joins the page's files, once.
#include "minbert/serve/page.h"

#include <fmt/format.h>

#include <string_view>

#include "minbert/base/hash.h"
#include "minbert/base/system.h"

namespace minbert {

std::string_view shared_style();  // report/page.css
std::string_view serve_style();   // page/page.css
std::string_view serve_html();    // page/index.html
std::string_view serve_script();  // page/page.js

namespace {

std::string replaced(std::string text, std::string_view mark, std::string_view by) {
  return text.replace(text.find(mark), mark.size(), by);
}

std::string style() { return std::string(shared_style()) + std::string(serve_style()); }

}  // namespace

const std::string& page_text() {
  static const std::string text = replaced(replaced(replaced(std::string(serve_html()), "<!-- style -->", "<style>" + style() + "</style>"),
                                                    "<!-- script -->", "<script>" + std::string(serve_script()) + "</script>"),
                                           "<!-- version -->", program_version());
  return text;
}

const std::string& page_policy() {
  static const std::string policy = fmt::format(
      "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri 'none'; "
      "form-action 'none'; frame-ancestors 'none'",
      sha256_base64(style()), sha256_base64(serve_script()));
  return policy;
}

}  // namespace minbert
