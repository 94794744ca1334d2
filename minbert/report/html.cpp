// Html: escaping, elements, and the skeleton of a page.
#include "minbert/report/html.h"

#include "minbert/base/unicode.h"

namespace minbert {
namespace {

// Blue and vermilion of Okabe and Ito (2008), told apart with any colour vision; on dark paper their sky blue and orange.
constexpr std::string_view kStyle = R"(
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1c1d21; --soft: #5b5f68; --rule: #d8dbe1; --panel: #f5f6f8;
  --first: #0072b2; --second: #c24e00; --shade: 0 114 178;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #17181b; --ink: #e6e7ea; --soft: #a2a7b1; --rule: #3a3d44; --panel: #202226;
    --first: #56b4e9; --second: #e69f00; --shade: 86 180 233; }
}
* { box-sizing: border-box; }
body { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2.75rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--rule); font-size: 1.25rem; overflow-wrap: anywhere; }
h3 { margin: 1.5rem 0 .5rem; font-size: 1rem; }
p { margin: .5rem 0; max-width: 46rem; overflow-wrap: anywhere; }
.soft, caption, figcaption small { color: var(--soft); }
.state { padding: .1em .6em; border: 1px solid; border-radius: 1em; font-size: .875rem; white-space: nowrap; }
.state.failed, .failure { color: var(--second); }
.scroll { margin: 0 0 1.5rem; overflow-x: auto; }
table { border-collapse: collapse; font-size: .9375rem; font-variant-numeric: tabular-nums; }
caption { max-width: min(46rem, 100vw - 2rem); padding-bottom: .4rem; text-align: left; font-size: .875rem; }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
th { font-weight: 600; }
thead th { color: var(--soft); font-weight: 500; white-space: nowrap; }
.numbers { min-width: min(100%, 24rem); }
.numbers th:not(:first-child), .numbers td, .matrix th, .matrix td { text-align: right; white-space: nowrap; }
.numbers :is(th, td):nth-child(2):not(:last-child), .matrix th:first-child { text-align: left; }
.numbers tr.mean > * { border-top: 2px solid var(--rule); font-weight: 600; }
.numbers svg { display: block; width: 9rem; height: 1.5rem; }
.matrix td { min-width: 4.25rem; padding: .3rem .6rem; background: rgb(var(--shade) / calc(var(--share) * .55)); }
.matrix small { display: block; color: var(--soft); }
.matrix th { padding: .3rem .6rem; }
.matrix th:first-child { padding-left: 0; }
.matrix td.right { outline: 1px solid var(--first); outline-offset: -1px; }
.errors { width: 100%; }
.errors td { overflow-wrap: anywhere; }
.errors td:first-child { width: 76%; }
.errors th:last-child, .errors td:last-child { padding-right: 0; text-align: right; }
.errors p { margin: 0 0 .15rem; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.25rem; margin: 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1.25rem 1.5rem; }
figure { max-width: 27rem; margin: 0; }
figcaption { font-weight: 600; overflow-wrap: anywhere; }
figure svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--rule); }
svg .mark { stroke: var(--soft); stroke-dasharray: 2 3; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .solid { stroke: var(--first); }
svg .dashed { stroke: var(--second); stroke-dasharray: 5 3; }
svg .faint { stroke: var(--first); stroke-width: 1; opacity: .45; }
svg .dot { stroke-width: 2; stroke-dasharray: none; }
svg .dot.solid { fill: var(--first); }
svg .dot.dashed { fill: var(--paper); }
svg .hover { fill: transparent; pointer-events: all; }
summary { cursor: pointer; }
pre { max-width: 100%; padding: .75rem; overflow-x: auto; background: var(--panel); font-size: .8125rem; line-height: 1.45; }
@media (max-width: 40rem) {
  th, td { padding-right: .6rem; }
  .facts { grid-template-columns: 1fr; }
  .facts dd { margin-bottom: .4rem; }
  .errors thead { display: none; }
  .errors tr { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .5rem 0; border-bottom: 1px solid var(--rule); }
  .errors td { padding: 0; border: 0; }
  .errors td:first-child { width: 100%; }
  .errors td:nth-child(2)::before { content: "gold "; }
  .errors td:nth-child(3)::before { content: "predicted "; }
  .errors td:nth-child(4)::before { content: "confidence "; }
}
@media print {
  @page { margin: 1.5cm; }
  :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --rule: #bbb; --panel: #fff;
    --first: #0072b2; --second: #c24e00; --shade: 0 114 178; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2, h3, caption { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  .scroll, pre { overflow: visible; }
  pre { white-space: pre-wrap; }
  .matrix td { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)";

/// Neither HTML nor its character references may hold these (HTML standard, 13.2.3.5).
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

Html table_row(const std::vector<Html>& cells) {
  Html row;
  for (const Html& cell : cells) row += element("td", {}, cell);
  return element("tr", {}, row) + "\n";
}

Html table(std::string_view kind, const Html& caption, const std::vector<std::string>& header, const Html& rows) {
  Html head;
  for (const std::string& name : header) head += element("th", {{"scope", "col"}}, name);
  const Html content = element("caption", {}, caption) + element("thead", {}, element("tr", {}, head)) + "\n" + element("tbody", {}, rows);
  return element("div", {{"class", "scroll"}, {"tabindex", "0"}}, element("table", {{"class", std::string(kind)}}, content)) + "\n";
}

std::string page(std::string_view title, const Html& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n" +
         element("title", {}, title).markup() + "\n<style>" + std::string(kStyle) + "</style>\n</head>\n<body>\n" + body.markup() +
         "\n</body>\n</html>\n";
}

}  // namespace minbert
