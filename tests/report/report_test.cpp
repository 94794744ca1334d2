// make_report: balanced tags, the numbers of the files, hostile texts, young runs.
#include "minbert/report/report.h"

#include <gtest/gtest.h>

#include <regex>

#include "tests/report/run_fixture.h"

namespace minbert {
namespace {

/// Every element is closed in order; <meta> has no end.
void expect_balanced(const std::string& html) {
  const std::size_t style = html.find("<style>"), style_end = html.find("</style>");
  const std::string text = html.substr(0, style) + html.substr(style_end + 8);
  const std::regex tag("<(/?)([a-z0-9]+)[^<>]*>");
  std::vector<std::string> open;
  std::size_t tags = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), tag), end; at != end; ++at, ++tags) {
    const std::string name = (*at)[2];
    if (name == "meta") continue;
    if ((*at)[1].length() == 0) {
      open.push_back(name);
    } else {
      ASSERT_FALSE(open.empty()) << name;
      ASSERT_EQ(open.back(), name) << text.substr(0, static_cast<std::size_t>(at->position()));
      open.pop_back();
    }
  }
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(static_cast<std::size_t>(std::count(text.begin(), text.end(), '<')), tags + 1)
      << "a < outside of a tag (the document type aside)";
}

bool has(const std::string& html, std::string_view part) { return html.find(part) != std::string::npos; }

TEST(Report, TagsAreBalanced) { expect_balanced(make_report(RunFixture().path())); }

TEST(Report, ScoresAreThoseOfTheFiles) {
  const std::string html = make_report(RunFixture().path());
  EXPECT_TRUE(has(html, "<th scope=\"row\">mood</th><td>accuracy</td><td>8</td><td>0.6123</td><td>0.3457 to 0.8124</td><td>0.1250</td>"));
  EXPECT_TRUE(has(html, "<th scope=\"row\">likeness</th><td>Pearson&#39;s r</td><td>4</td><td>0.5123</td><td>–</td><td>–</td>"));
  EXPECT_TRUE(has(html, "<th scope=\"row\">mean</th><td></td><td></td><td>0.5623</td>"));
  EXPECT_TRUE(has(html, "95 % bootstrap intervals (1,000 resamples)"));
  EXPECT_TRUE(has(html, "accuracy 0.6123, macro F1 0.4568, expected calibration error 0.0321, Brier score 0.1234"));
  EXPECT_TRUE(has(html, "<td style=\"--share:0.750\" class=\"right\">3<small>75 %</small></td>"));
  EXPECT_TRUE(has(html, "<td>4.000</td><td>1.235</td>"));
  EXPECT_TRUE(has(html, "<dt>tokens</dt><dd>300</dd>"));
  EXPECT_TRUE(has(html, "<dt>training</dt><dd>3.5 s</dd>"));
  EXPECT_TRUE(has(html, "<title>dev, epoch 1: 0.6250</title>"));
}

TEST(Report, HostileTextStaysText) {
  const std::string html = make_report(RunFixture().path());
  for (const char* part : {"<script", "<i>", "<b>tidy"}) EXPECT_FALSE(has(html, part)) << part;
  EXPECT_TRUE(has(html, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\tand more"));
  EXPECT_TRUE(has(html, "name = &quot;&lt;b&gt;tidy&lt;/b&gt;&quot;"));
  EXPECT_TRUE(has(html, "A &amp; B"));
}

TEST(Report, LongTextsAreCutBetweenCharacters) {
  const RunFixture fixture;
  std::string text;
  for (int i = 0; i < 700; ++i) text += "é";
  fixture.write("eval/dev/mood.errors.tsv", "id\ttext\tgold\tpred\tscore\n1\t" + text + "\ta\tb\t0.9\n");
  EXPECT_TRUE(has(make_report(fixture.path()), text.substr(0, 1200) + "…</p>"));
}

TEST(Report, OfARunThatHasOnlyBegun) {
  const RunFixture fixture;
  for (const char* name : {"metrics.jsonl", "data.json", "env.json", "eval"}) fixture.remove(name);
  const std::string html = make_report(fixture.path());
  expect_balanced(html);
  EXPECT_TRUE(has(html, "No evaluation yet."));
  EXPECT_TRUE(has(html, "0 steps"));
}

TEST(Report, OfARunThatStoppedOnTheWay) {
  const RunFixture fixture;
  fixture.remove("eval");
  fixture.write("status.json", R"({"format": 1, "state": "failed", "error": "loss <nan> at step 4"})");
  const std::string html = make_report(fixture.path());
  expect_balanced(html);
  EXPECT_TRUE(has(html, "after epoch 1 of stage 0"));
  EXPECT_TRUE(has(html, "<span class=\"state failed\">failed</span>"));
  EXPECT_TRUE(has(html, "loss &lt;nan&gt; at step 4"));
}

}  // namespace
}  // namespace minbert
