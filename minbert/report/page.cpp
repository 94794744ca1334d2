// The page's style, its script and its skeleton.
#include "minbert/report/page.h"

#include <fmt/format.h>

#include <cstdint>

#include "minbert/base/hash.h"
#include "minbert/base/system.h"

namespace minbert {
namespace {

// Blue and vermilion of Okabe and Ito (2008), told apart with any colour vision; on dark paper their sky blue and orange.
constexpr std::string_view kStyle = R"(
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1c1d21; --soft: #595d66; --rule: #d8dbe1; --panel: #f5f6f8;
  --first: #0072b2; --second: #b84a00; --shade: 0 114 178;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #17181b; --ink: #e6e7ea; --soft: #a8adb7; --rule: #3a3d44; --panel: #202226;
    --first: #56b4e9; --second: #e69f00; --shade: 86 180 233; }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
a { color: var(--first); text-underline-offset: .15em; }
:focus-visible { outline: 2px solid var(--first); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; padding: .4rem .8rem; background: var(--paper); }
.skip:focus { left: 1rem; top: .5rem; }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 3.25rem 0 .75rem; padding-top: .9rem; border-top: 1px solid var(--rule); font-size: 1.35rem; line-height: 1.3;
  overflow-wrap: anywhere; }
h3 { margin: 2.25rem 0 .5rem; font-size: 1.0625rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 46rem; overflow-wrap: anywhere; }
code { font-size: .875em; overflow-wrap: anywhere; }
.soft, caption, figcaption { color: var(--soft); }
.state { padding: .1em .6em; border: 1px solid; border-radius: 1em; font-size: .875rem; white-space: nowrap; }
.state.failed, .failure { color: var(--second); }
nav { margin: 1.25rem 0 0; font-size: .9375rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .35rem 1.1rem; margin: 0; padding: 0; list-style: none; }
.scroll { margin: 0 0 1.75rem; overflow-x: auto; }
table { border-collapse: collapse; font-size: .9375rem; font-variant-numeric: tabular-nums; }
caption { max-width: min(46rem, 100vw - 2rem); padding-bottom: .4rem; text-align: left; font-size: .875rem; }
caption code { white-space: nowrap; }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
th { font-weight: 600; }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
.sheet { min-width: min(100%, 30rem); }
.beside { display: flex; flex-wrap: wrap; gap: 0 3rem; align-items: flex-start; }
.beside > * { flex: 0 1 auto; min-width: 0; max-width: 100%; }
.beside figure { width: 27rem; max-width: 100%; margin: 0 0 1.5rem; }
.beside figcaption { margin: 0; color: var(--ink); font-size: 1rem; font-weight: 600; }
.sheet :is(th, td) { text-align: right; }
.sheet :is(tbody th, .word), .texts :is(th, td), .sheet th:first-child { text-align: left; }
.sheet td:empty::before { content: "–"; color: var(--soft); }
.sheet .plot { border-bottom-color: transparent; }
.sheet .plot:empty::before { content: ""; }
.sheet:not(.texts) :is(th, td):not(.long) { white-space: nowrap; }
.sheet :is(td, tbody th).long { min-width: 12rem; }
.sheet thead th.long { min-width: 5.5rem; }
.texts :is(th, td) { min-width: 6rem; }
.texts tbody th { min-width: 8rem; }
.plot svg { display: block; width: 7.5rem; height: 1.25rem; }
.matrix :is(th, td) { padding: .3rem .6rem; text-align: right; white-space: nowrap; }
.matrix td { min-width: 4.25rem; background: rgb(var(--shade) / calc(var(--share) * .5)); }
.matrix small { display: block; }
.matrix th:first-child { padding-left: 0; text-align: left; }
.matrix td.right { outline: 1px solid var(--first); outline-offset: -1px; }
.errors { width: 100%; }
.errors td { overflow-wrap: anywhere; }
.errors td:first-child { width: 76%; }
.errors :is(th, td):last-child { padding-right: 0; text-align: right; }
.errors p { margin: 0 0 .15rem; }
.search { display: flex; flex-wrap: wrap; gap: .3rem .75rem; align-items: center; margin: 1rem 0 .75rem; font-size: .9375rem; }
.search input { min-width: 0; width: 18rem; max-width: 100%; padding: .3rem .6rem; border: 1px solid var(--soft); border-radius: .4rem;
  background: var(--paper); color: inherit; font: inherit; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.25rem; margin: 0 0 1rem; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 1.5rem 0 1.75rem; }
figcaption { max-width: 46rem; margin-top: .5rem; font-size: .875rem; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1.25rem 1.5rem; }
.charts figure { max-width: 27rem; margin: 0; }
.charts figcaption { margin: 0; color: var(--ink); font-size: 1rem; font-weight: 600; }
.diagrams { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 3rem; align-items: start; }
.diagrams figure { max-width: 34rem; }
figure svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
svg text.name { fill: var(--ink); font-weight: 600; }
svg .box { fill: var(--panel); stroke: var(--rule); }
svg .box.end { stroke: var(--first); }
svg .edge { fill: none; stroke: var(--soft); }
svg .tip { fill: var(--soft); }
svg .grid { stroke: var(--rule); }
svg .mark { stroke: var(--soft); stroke-dasharray: 2 3; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .solid { stroke: var(--first); }
svg .dashed { stroke: var(--second); stroke-dasharray: 5 3; }
svg .faint { stroke: var(--first); stroke-width: 1; opacity: .45; }
svg .bar { fill: var(--first); }
svg .point { fill: var(--first); opacity: .4; }
svg .dot { stroke-width: 2; stroke-dasharray: none; }
svg .dot.solid { fill: var(--first); }
svg .dot.dashed { fill: var(--paper); }
svg .hover { fill: transparent; stroke: none; pointer-events: all; }
details { margin: .5rem 0 1.5rem; }
summary { cursor: pointer; }
details > .scroll { margin-top: .75rem; }
pre { max-width: 100%; padding: .75rem; overflow-x: auto; background: var(--panel); font-size: .8125rem; line-height: 1.45; }
footer { margin-top: 3rem; padding-top: .9rem; border-top: 1px solid var(--rule); color: var(--soft); font-size: .875rem; }
@media (max-width: 40rem) {
  th, td { padding-right: .75rem; }
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
    --first: #0072b2; --second: #b84a00; --shade: 0 114 178; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, .skip, .search { display: none; }
  h2, h3, caption, summary { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  .charts { grid-template-columns: repeat(3, 1fr); }
  .diagrams { grid-template-columns: 1fr 1fr; }
  .scroll, pre { overflow: visible; }
  table { font-size: 8.5pt; }
  pre { white-space: pre-wrap; }
  .matrix td, svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)";

// Every word of the box must stand in a row.
constexpr std::string_view kScript = R"(
for (const table of document.querySelectorAll("table[data-search]")) {
  const rows = [...table.tBodies[0].rows], texts = rows.map(row => row.textContent.toLowerCase());
  const label = document.createElement("label"), box = document.createElement("input"), found = document.createElement("output");
  label.className = "search";
  box.type = "search";
  label.append(table.dataset.search, box, found);
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/);
    rows.forEach((row, i) => row.hidden = !words.every(word => texts[i].includes(word)));
    found.value = box.value ? rows.filter(row => !row.hidden).length + " of " + rows.length : "";
  });
  table.parentElement.before(label);
}
)";

/// Base64 of a SHA-256, as content policies name a script.
std::string script_digest(std::string_view script) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string hex = sha256_hex(script) + "00";  // 33 bytes: eleven groups of three
  std::string text;
  for (std::size_t i = 0; i < hex.size(); i += 6) {
    const auto group = static_cast<std::uint32_t>(std::stoul(hex.substr(i, 6), nullptr, 16));
    for (int shift = 18; shift >= 0; shift -= 6) text += kLetters[group >> shift & 63];
  }
  text.back() = '=';
  return text;
}

Html contents(const std::vector<PageSection>& sections) {
  Html list;
  for (const PageSection& section : sections)
    if (!section.content.empty()) list += element("li", {}, element("a", {{"href", "#" + section.id}}, section.title)) + "\n";
  return element("nav", {{"aria-label", "Contents"}}, element("ul", {}, list)) + "\n";
}

}  // namespace

std::string page(std::string_view title, const Html& header, const std::vector<PageSection>& sections) {
  Html body = element("a", {{"class", "skip"}, {"href", "#content"}}, "Skip to the content") + "\n" +
              element("header", {}, header + contents(sections)) + "\n";
  Html content;
  for (const PageSection& section : sections) {
    if (section.content.empty()) continue;
    const std::string heading = section.id + "-title";
    content += element("section", {{"id", section.id}, {"aria-labelledby", heading}},
                       element("h2", {{"id", heading}}, section.title) + "\n" + section.content) +
               "\n";
  }
  body +=
      element("main", {{"id", "content"}}, content) + "\n" +
      element("footer", {}, fmt::format("Written by minbert {}. Each table names the file that has the same numbers.", program_version())) +
      "\n";
  const std::string policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" + script_digest(kScript) + "'";
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"" +
         policy + "\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n" +
         element("title", {}, title).markup() + "\n<style>" + std::string(kStyle) + "</style>\n</head>\n<body>\n" + body.markup() +
         "<script>" + std::string(kScript) + "</script>\n</body>\n</html>\n";
}

}  // namespace minbert
