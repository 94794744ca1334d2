// The page: its skeleton, filled with style, script and sections.
#include "minbert/report/page.h"

#include <fmt/format.h>

#include "minbert/base/hash.h"
#include "minbert/base/system.h"

namespace minbert {

std::string_view page_style();   // page.css
std::string_view page_script();  // page.js

namespace {

/// Drops a file's first line, which is a comment for readers of the source.
std::string_view without_opener(std::string_view text) { return text.substr(text.find('\n')); }

Html contents(const std::vector<PageSection>& sections) {
  Html list;
  for (const PageSection& section : sections)
    if (!section.content.empty()) list += element("li", {}, element("a", {{"href", "#" + section.id}}, section.title)) + "\n";
  return element("nav", {{"aria-label", "Contents"}}, element("ul", {}, list)) + "\n";
}

}  // namespace

std::string page(std::string_view title, const Html& header, const std::vector<PageSection>& sections, std::string_view footer) {
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
  body += element("main", {{"id", "content"}}, content) + "\n" +
          element("footer", {}, fmt::format("Written by minbert {}.{}{}", program_version(), footer.empty() ? "" : " ", footer)) + "\n";
  const std::string_view script = without_opener(page_script());
  const std::string policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" + sha256_base64(script) + "'";
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"" +
         policy + "\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n" +
         element("title", {}, title).markup() + "\n<style>" + std::string(without_opener(page_style())) + "</style>\n</head>\n<body>\n" +
         body.markup() + "<script>" + std::string(script) + "</script>\n</body>\n</html>\n";
}

}  // namespace minbert
