// Classes: confusion, scores of each class, kinds of errors among ordered classes; confidence; and the worst errors of each task.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "minbert/report/chart.h"
#include "minbert/report/class_errors.h"
#include "minbert/report/numbers.h"
#include "minbert/report/sections.h"

namespace minbert {
namespace {

constexpr std::string_view kNoOffBy = "no predictions of a task whose labels are three or more numbers from 0.";
constexpr std::size_t kMostClasses = 30;   // a larger confusion matrix could not be read
constexpr std::size_t kLongestText = 600;  // code points of an error's text

/// Whether classes are ordered: three or more that are numbers from 0.
bool is_ordered(const TaskResult& result) {
  if (result.classes.size() < 3) return false;
  for (std::size_t c = 0; c < result.classes.size(); ++c)
    if (result.classes[c] != std::to_string(c)) return false;
  return true;
}

std::string bin_name(std::size_t bin) { return bin + 1 == kWordBins ? fmt::format("{} or more", bin) : std::to_string(bin); }

void add_bins(std::string_view what, const std::array<WordBin, kWordBins>& bins, Sheet& sheet) {
  for (std::size_t i = 0; i < bins.size(); ++i)
    sheet.rows.push_back({std::string(what), bin_name(i), std::to_string(bins[i].rows), std::to_string(bins[i].errors),
                          share_text(bins[i].errors, bins[i].rows), std::to_string(bins[i].middle),
                          share_text(bins[i].middle, bins[i].errors)});
}

Html words_part(const RunData& run, const TaskResult& result, const std::vector<Answer>& answers, Sheets& sheets) {
  const WordCounts counts = WordCounts::read(run.folder / "eval" / "words" / (result.task + ".tsv"));
  if (counts.empty())
    return element("p", {{"class", "soft"}},
                   fmt::format("The run has no eval/words/{}.tsv, the words of train: unseen words cannot be told.", result.task)) +
           "\n";
  const int classes = static_cast<int>(result.classes.size());
  Sheet sheet{.file = result.task + ".rare-words",
              .caption = fmt::format(
                  "Errors of {} by the number of different words that train never shows, or shows at most {} times. Answering the "
                  "middle class is what a model does that cannot tell.",
                  result.task, kRareWord),
              .columns = {"words", "in the text", "rows", "errors", "error rate", "middle class", "of errors"},
              .words = 2};
  add_bins("unseen", errors_by_words(answers, classes, counts, 0), sheet);
  add_bins("unseen or rare", errors_by_words(answers, classes, counts, kRareWord), sheet);
  return sheets.show(sheet);
}

Html predicted_part(const TaskResult& result, const std::vector<Answer>& answers, Sheets& sheets) {
  const std::vector<std::int64_t> counts = errors_by_predicted(answers, static_cast<int>(result.classes.size()));
  const std::int64_t errors = std::ranges::count_if(answers, &Answer::is_error);
  BarChart chart{
      .title = result.task + ": classes predicted in error", .x_name = "predicted class", .y_name = "share of errors", .bars = {}};
  Sheet sheet{.file = result.task + ".predicted-in-error",
              .caption = fmt::format("Which class {} answers when it is wrong, and how often the class stands in the data.", result.task),
              .columns = {"class", "errors", "share", "rows of the class"}};
  const std::vector<ClassScores> scores = class_scores(result.confusion);
  for (std::size_t c = 0; c < counts.size(); ++c) {
    sheet.rows.push_back({result.classes[c], std::to_string(counts[c]), share_text(counts[c], errors), std::to_string(scores[c].gold)});
    chart.bars.emplace_back(result.classes[c], errors == 0 ? 0 : static_cast<double>(counts[c]) / static_cast<double>(errors));
  }
  return element("div", {{"class", "beside"}}, bar_chart(chart) + sheets.show(sheet)) + "\n";
}

Html confusion_table(const TaskResult& result) {
  const auto classes = static_cast<int>(result.classes.size());
  if (classes == 0) return {};
  if (result.classes.size() > kMostClasses)
    return element("p", {}, fmt::format("The confusion matrix of {} classes stands in {}.confusion.csv.", classes, result.task)) + "\n";
  const std::vector<ClassScores> scores = class_scores(result.confusion);
  Html rows;
  for (int gold = 0; gold < classes; ++gold) {
    const std::int64_t all = scores[static_cast<std::size_t>(gold)].gold;
    Html row = element("th", {{"scope", "row"}}, result.classes[static_cast<std::size_t>(gold)]);
    for (int predicted = 0; predicted < classes; ++predicted) {
      const std::int64_t count = result.confusion.at(gold, predicted);
      const double share = all == 0 ? 0 : static_cast<double>(count) / static_cast<double>(all);
      Attributes attributes = {{"style", fmt::format("--share:{:.3f}", share)}};
      if (gold == predicted) attributes.emplace_back("class", "right");
      row += element("td", attributes, Html(count_text(count)) + element("small", {}, percent(share)));
    }
    row += element("td", {{"style", "--share:0"}}, count_text(all));
    rows += element("tr", {}, row) + "\n";
  }
  std::vector<std::string> header = {"gold \\ predicted"};
  header.insert(header.end(), result.classes.begin(), result.classes.end());
  header.emplace_back("rows");
  return table(
      {.id = result.task + "-confusion",
       .kind = "matrix",
       .caption = fmt::format("Confusion of {}: rows by gold class, columns by predicted class, with shares of the row.", result.task)},
      header_row(header), rows);
}

/// Precision, recall and F1 of each class or label, and how many rows have it.
Html class_table(const TaskResult& result, Sheets& sheets) {
  const char* what = result.sets ? "label" : "class";
  const bool with_thresholds = result.thresholds.size() == result.class_scores.size();
  Sheet sheet{.file = result.task + ".classes",
              .caption = fmt::format("Scores of each {} of {}. Support is how many rows have it as gold.{}", what, result.task,
                                     with_thresholds ? " A label is answered from its threshold on, which dev chose." : ""),
              .columns = {what, "precision", "recall", "F1", "support", "predicted"}};
  if (with_thresholds) sheet.columns.emplace_back("threshold");
  for (std::size_t c = 0; c < result.class_scores.size(); ++c) {
    const auto& [name, scores] = result.class_scores[c];
    sheet.rows.push_back({name, fixed_text(scores.precision, 3), fixed_text(scores.recall, 3), fixed_text(scores.f1, 3),
                          std::to_string(scores.gold), std::to_string(scores.predicted)});
    if (with_thresholds) sheet.rows.back().push_back(fixed_text(result.thresholds[c], 3));
  }
  return sheets.show(sheet);
}

/// Shares of errors that are off by 1, by 2, and by 3 or more; each list has one share for each seed.
using OffByShares = std::array<std::vector<double>, 3>;

void add_shares(const std::array<std::int64_t, 3>& counts, OffByShares& shares) {
  const auto all = static_cast<double>(counts[0] + counts[1] + counts[2]);
  for (std::size_t i = 0; i < counts.size() && all > 0; ++i) shares[i].push_back(static_cast<double>(counts[i]) / all);
}

/// The paper's Table 5: error counts of the first seed, and mean shares over all seeds.
Html off_by_table(const Analysed& model, Sheets& sheets) {
  constexpr std::array<std::string_view, 3> kPaper = {"0.86", "0.13", "0.01"};
  Sheet sheet{.file = sheets.file(kOffByTable),
              .caption = sheets.caption(kOffByTable, "By how many classes wrong predictions are off"),
              .columns = {"task", "off by", "errors", "share"},
              .words = 2};
  const bool several = model.seeds.size() > 1;
  sheet.caption += several ? fmt::format(": errors of one seed, the share's mean and deviation over {}.", model.seeds.size()) : ".";
  if (several) sheet.columns.emplace_back("±");
  if (sheets.beside_paper()) sheet.columns.emplace_back("paper");
  if (model.run().results.empty()) return sheets.missing(kOffByTable, kNoOffBy);
  bool first = true;
  for (const TaskResult& result : model.run().results.front().tasks) {
    if (!is_ordered(result)) continue;
    std::array<std::int64_t, 3> shown{};
    OffByShares shares;
    for (const RunData* run : model.seeds) {
      const SplitResult* split = find_split(*run, model.run().results.front().split);
      if (split == nullptr) continue;
      const auto counts = errors_off_by(answers_of(*run, *split, result));
      if (run == &model.run()) shown = counts;
      add_shares(counts, shares);
    }
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const Spread share = spread(shares[i]);
      sheet.rows.push_back(
          {result.task, i == 2 ? "3 or more" : std::to_string(i + 1), std::to_string(shown[i]), fixed_text(share.mean, 3)});
      if (several) sheet.rows.back().push_back(fixed_text(share.deviation, 3));
      if (sheets.beside_paper()) sheet.rows.back().emplace_back(first ? kPaper[i] : "");
    }
    first = false;
  }
  return sheet.rows.empty() ? sheets.missing(kOffByTable, kNoOffBy) : sheets.show(sheet, sheets.id(kOffByTable));
}

/// A chart of accuracy by confidence, with the diagonal on which they are equal.
Html reliability_chart(const TaskResult& result, Sheets& sheets) {
  ChartLine line{.name = "model", .style = LineStyle::kSolid, .points = {}};
  Sheet sheet{.file = result.task + ".calibration",
              .caption = fmt::format("The numbers of {}'s reliability.", result.task),
              .columns = {"confidence above", "up to", "rows", "mean confidence", "accuracy"}};
  for (const ReliabilityBin& bin : result.reliability) {
    if (bin.rows == 0) continue;
    line.points.push_back({bin.confidence, bin.accuracy,
                           fmt::format("{} rows of confidence {:.3f}: accuracy {:.3f}", bin.rows, bin.confidence, bin.accuracy)});
    sheet.rows.push_back({number_text(bin.low, 3), number_text(bin.high, 3), std::to_string(bin.rows), score_text(bin.confidence),
                          score_text(bin.accuracy)});
  }
  if (line.points.empty()) return {};
  std::string title = result.task + ", calibration";
  for (const auto& [key, value] : result.figures)
    if (key == "expected_calibration_error" || key == "brier_score")
      title += fmt::format(", {} {}", key == "brier_score" ? "Brier score" : "error", score_text(value));
  const double least = std::min(line.points.front().x, line.points.front().y);
  return line_chart({.title = title,
                     .x_name = "confidence",
                     .y_name = "accuracy",
                     .lines = {{.name = "as sure as right",
                                .style = LineStyle::kDashed,
                                .points = {{least, least, "as sure as right"}, {1, 1, "as sure as right"}}},
                               line},
                     .whole_x = false}) +
         sheets.fold(sheet, "The numbers of " + result.task);
}

/// A chart of the accuracy on the most confident rows by their share of all.
Html coverage_chart(const RunData& run, const SplitResult& split, const TaskResult& result, Sheets& sheets) {
  if (result.sets) return {};  // each label has a probability of its own
  std::vector<double> confidence;
  std::vector<int> correct;
  for (const Answer& answer : answers_of(run, split, result)) {
    if (!std::isfinite(answer.confidence)) continue;
    confidence.push_back(answer.confidence);
    correct.push_back(answer.is_error() ? 0 : 1);
  }
  ChartLine line{.name = "model", .style = LineStyle::kSolid, .points = {}};
  Sheet sheet{.file = result.task + ".coverage",
              .caption = fmt::format("What {} reaches when answers below a confidence are left out.", result.task),
              .columns = {"least confidence", "rows", "coverage", "accuracy"}};
  for (const CoveragePoint& point : accuracy_by_coverage(confidence, correct)) {
    line.points.push_back({point.coverage, point.accuracy,
                           fmt::format("confidence of at least {:.3f}: {} of the rows, accuracy {:.3f}", point.confidence,
                                       percent(point.coverage), point.accuracy)});
    sheet.rows.push_back(
        {fixed_text(point.confidence, 3), std::to_string(point.rows), fixed_text(point.coverage, 3), score_text(point.accuracy)});
  }
  if (line.points.empty()) return {};
  return line_chart({.title = result.task + ", accuracy by coverage",
                     .x_name = "share of rows answered",
                     .y_name = "accuracy",
                     .lines = {line},
                     .whole_x = false}) +
         sheets.fold(sheet, "The numbers of " + result.task);
}

/// Rounds a number: "3.4567890123" becomes "3.457". Leaves other text as it is.
std::string label_text(const std::string& label, bool number) {
  if (!number) return label;
  const Json value = parse_json_line(label).value;
  return value.is_number() ? fmt::format("{:.3f}", value.get<double>()) : label;
}

/// The tokens of a row, each with a bar as long as its share of the largest attribution, for or against the answer.
Html token_bars(std::span<const TokenShare> tokens) {
  if (tokens.empty()) return {};
  double largest = 0;
  for (const TokenShare& token : tokens) largest = std::max(largest, std::abs(token.attribution));
  Html bars;
  for (const TokenShare& token : tokens) {
    const double share = largest == 0 ? 0 : std::abs(token.attribution) / largest;
    bars += element("span",
                    {{"class", token.attribution < 0 ? "against" : "for"},
                     {"style", fmt::format("--share:{:.3f}", share)},
                     {"title", fmt::format("{:+.3f}", token.attribution)}},
                    token.token) +
            " ";
  }
  return element("p", {{"class", "tokens"}}, bars);
}

Html errors_table(const TaskResult& result) {
  if (result.errors.empty()) return {};
  const bool numbers = !result.errors.front().confidence;
  Html rows;
  for (const ErrorRow& error : result.errors) {
    const std::string where = error.place.empty() ? "" : ", " + error.place;
    Html texts =
        element("p", {{"class", "soft"}}, fmt::format("id {}{}", error.id, where)) + element("p", {}, shortened(error.text, kLongestText));
    if (!error.text_pair.empty()) texts += element("p", {}, shortened(error.text_pair, kLongestText));
    texts += token_bars(error.tokens);
    Html row = element("td", {}, texts) + element("td", {}, label_text(error.gold, numbers)) +
               element("td", {}, label_text(error.predicted, numbers));
    if (!numbers) row += element("td", {}, error.confidence ? fmt::format("{:.3f}", *error.confidence) : "–");
    rows += element("tr", {}, row) + "\n";
  }
  const std::string_view order = result.sets ? "with the most wrong labels" : numbers ? "farthest off" : "most confident";
  const std::string caption =
      fmt::format("The {} {} of {} errors.", result.errors.size(), order, count_text(static_cast<std::int64_t>(result.error_count)));
  std::vector<std::string> header = {"text", "gold", "predicted"};
  if (!numbers) header.emplace_back("confidence");
  return table({.id = result.task + "-errors", .kind = "errors", .caption = caption, .search = "Search these errors"}, header_row(header),
               rows);
}

}  // namespace

std::vector<Answer> answers_of(const RunData& run, const SplitResult& split, const TaskResult& result) {
  return read_answers(run.folder / "eval" / split.split / (result.task + ".predictions.tsv"), result.classes, result.sets);
}

Html classes_section(const RunData& run, Sheets& sheets) {
  Html parts;
  if (run.results.empty()) return parts;
  const SplitResult& split = run.results.front();
  for (const TaskResult& result : split.tasks) {
    if (result.class_scores.empty()) continue;
    std::string figures;
    for (const auto& [key, value] : result.figures)
      figures += fmt::format("{}{} {}", figures.empty() ? "" : ", ", spoken(key), score_text(value));
    parts += element("h3", {}, fmt::format("{} on {}", result.task, split.split)) + "\n" + element("p", {}, figures) + "\n" +
             element("div", {{"class", "beside"}}, confusion_table(result) + class_table(result, sheets)) + "\n";
  }
  return parts;
}

Html ordered_errors_section(const Analysed& model, Sheets& sheets) {
  const RunData& run = model.run();
  const Html table = off_by_table(model, sheets);
  Html parts;
  if (run.results.empty()) return table;
  const SplitResult& split = run.results.front();
  for (const TaskResult& result : split.tasks) {
    if (!is_ordered(result)) continue;
    const std::vector<Answer> answers = answers_of(run, split, result);
    if (answers.empty()) continue;
    parts += element("h3", {}, fmt::format("{} on {}", result.task, split.split)) + "\n" + predicted_part(result, answers, sheets) +
             words_part(run, result, answers, sheets);
  }
  return table + parts;
}

Html confidence_section(const RunData& run, Sheets& sheets) {
  Html charts;
  if (run.results.empty()) return charts;
  const SplitResult& split = run.results.front();
  for (const TaskResult& result : split.tasks)
    for (const Html& chart : {coverage_chart(run, split, result, sheets), reliability_chart(result, sheets)})
      if (!chart.empty()) charts += element("div", {}, chart);
  if (charts.empty()) return charts;
  const Html coverage = Html("Accuracy by coverage: the accuracy on the most confident predictions, by their share of all. ") +
                        element("code", {}, "minbert predict --min-score") + " leaves the others unanswered.";
  return element("p", {}, coverage) + "\n" +
         element("p", {},
                 "Calibration: how often predictions of a confidence are right. Below the dashed line the model is surer than it should "
                 "be. The error is the expected calibration error, the mean distance of the two.") +
         "\n" + element("div", {{"class", "charts"}}, charts) + "\n";
}

Html worst_errors_section(const RunData& run) {
  Html tables;
  if (run.results.empty()) return tables;
  const SplitResult& split = run.results.front();
  bool explained = false;
  for (const TaskResult& result : split.tasks) {
    if (const Html errors = errors_table(result); !errors.empty())
      tables += element("h3", {}, fmt::format("{} on {}", result.task, split.split)) + "\n" + errors;
    explained |= std::ranges::any_of(result.errors, [](const ErrorRow& error) { return !error.tokens.empty(); });
  }
  if (tables.empty()) return tables;
  const Html hint = Html("Which words decided: ") + element("code", {}, "minbert report RUN --explain 10");
  if (!explained) return element("p", {{"class", "soft"}}, hint) + "\n" + tables;
  const auto bar = [](const char* kind, const char* text) { return element("span", {{"class", kind}, {"style", "--share:1"}}, text); };
  return element("p", {{"class", "tokens"}},
                 Html("Bars under tokens: what each adds to the log-odds of the predicted class, or to the predicted number (integrated "
                      "gradients), ") +
                     bar("for", "for it") + " or " + bar("against", "against it") + ".") +
         "\n" + tables;
}

}  // namespace minbert
