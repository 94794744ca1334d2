// Errors of pairs: the paper's Table 6, kinds of errors of paraphrase tasks, and errors of similarity tasks by overlap and length.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "minbert/data/text.h"
#include "minbert/report/chart.h"
#include "minbert/report/numbers.h"
#include "minbert/report/pair_errors.h"
#include "minbert/report/sections.h"
#include "minbert/report/similarity_errors.h"
#include "minbert/stats/regression.h"

namespace minbert {
namespace {

constexpr std::size_t kFewEdits = 2;          // "the pairs differ by at most two tokens" (section 7.2's examples)
constexpr std::size_t kExamples = 5;          // examples of each kind
constexpr std::size_t kLongestExample = 300;  // code points of an example's text
constexpr std::size_t kMostPoints = 1200;     // points of a scatter plot
constexpr int kBins = 5;                      // bins of length

/// A prediction for a pair, the tokens of both texts, and the edits between them.
struct PairAnswer {
  const Answer* answer;
  std::vector<std::string> a, b;
  std::size_t edits;
};

std::vector<PairAnswer> with_tokens(const std::vector<Answer>& answers) {
  std::vector<PairAnswer> pairs;
  for (const Answer& answer : answers) {
    PairAnswer& pair = pairs.emplace_back(PairAnswer{&answer, split_tokens(answer.text), split_tokens(answer.text_pair), 0});
    pair.edits = token_edits(pair.a, pair.b);
  }
  return pairs;
}

bool is_pair_task(const std::vector<Answer>& answers) {
  return std::ranges::any_of(answers, [](const Answer& answer) { return !answer.text_pair.empty(); });
}

struct EditBin {
  std::string_view name;
  std::size_t low, high;
};
constexpr std::array<EditBin, 6> kEditBins = {
    {{"0", 0, 0}, {"1", 1, 1}, {"2", 2, 2}, {"3 to 4", 3, 4}, {"5 to 8", 5, 8}, {"9 or more", 9, static_cast<std::size_t>(-1)}}};

Html edits_part(const TaskResult& result, const std::vector<PairAnswer>& pairs, Sheets& sheets) {
  Sheet sheet{
      .file = result.task + ".token-edits",
      .caption = fmt::format("Pairs of {} by the number of tokens to insert, delete or replace until one text is the other.", result.task),
      .columns = {"token edits", "rows of " + result.classes[0], "false positives", "rate", "rows of " + result.classes[1],
                  "false negatives", "rate of these"}};
  for (const EditBin& bin : kEditBins) {
    std::array<std::int64_t, 2> rows{}, errors{};
    for (const PairAnswer& pair : pairs) {
      if (pair.edits < bin.low || pair.edits > bin.high) continue;
      const auto gold = static_cast<std::size_t>(pair.answer->gold);
      ++rows[gold];
      errors[gold] += pair.answer->is_error();
    }
    sheet.rows.push_back({std::string(bin.name), std::to_string(rows[0]), std::to_string(errors[0]), share_text(errors[0], rows[0]),
                          std::to_string(rows[1]), std::to_string(errors[1]), share_text(errors[1], rows[1])});
  }
  return sheets.show(sheet);
}

/// A kind of error: its gold class, and a function that tells whether a pair is of the kind.
struct ErrorKind {
  std::string_view name;
  int gold;
  bool (*holds)(const PairAnswer& pair);
};
constexpr std::array<ErrorKind, 3> kKinds = {
    {{"false positive within two token edits", 0, [](const PairAnswer& pair) { return pair.edits <= kFewEdits; }},
     {"false negative, subject or pronoun changed", 1,
      [](const PairAnswer& pair) { return is_subject_change(pair.answer->text, pair.answer->text_pair); }},
     {"false negative, abbreviation", 1,
      [](const PairAnswer& pair) { return is_abbreviation(pair.answer->text, pair.answer->text_pair); }}}};

Html kinds_part(const TaskResult& result, const std::vector<PairAnswer>& pairs, Sheets& sheets) {
  Sheet kinds{.file = result.task + ".error-kinds",
              .caption = fmt::format(
                  "Kinds of errors of {}. The last two columns count all rows of the same label, right or wrong: a kind explains errors "
                  "where its share of them is well above its share of the rows.",
                  result.task),
              .columns = {"kind", "errors of the kind", "of all such errors", "rows of the kind", "of all such rows"}};
  Sheet examples{.file = result.task + ".error-examples",
                 .caption = fmt::format("Examples of these errors of {}, the most confident first.", result.task),
                 .columns = {"kind", "text", "text_pair", "gold", "predicted", "confidence"},
                 .words = 6,
                 .wraps = true};
  for (const ErrorKind& kind : kKinds) {
    std::int64_t rows = 0, errors = 0, rows_of_kind = 0;
    std::vector<const Answer*> found;
    for (const PairAnswer& pair : pairs) {
      if (static_cast<int>(pair.answer->gold) != kind.gold) continue;
      ++rows;
      errors += pair.answer->is_error();
      if (!kind.holds(pair)) continue;
      ++rows_of_kind;
      if (pair.answer->is_error()) found.push_back(pair.answer);
    }
    kinds.rows.push_back({std::string(kind.name), std::to_string(found.size()), share_text(std::ssize(found), errors),
                          std::to_string(rows_of_kind), share_text(rows_of_kind, rows)});
    std::ranges::stable_sort(found, std::greater<>(), &Answer::confidence);
    found.resize(std::min(found.size(), kExamples));
    for (const Answer* answer : found)
      examples.rows.push_back({std::string(kind.name), shortened(answer->text, kLongestExample),
                               shortened(answer->text_pair, kLongestExample), result.classes[static_cast<std::size_t>(answer->gold)],
                               result.classes[static_cast<std::size_t>(answer->predicted)], fixed_text(answer->confidence, 3)});
  }
  return sheets.show(kinds) + (examples.rows.empty() ? Html() : sheets.show(examples));
}

constexpr std::string_view kKindsExplained = R"(Texts are compared as lower-case tokens, signs apart. A subject or pronoun has changed where
the two texts agree once persons spoken of in general (I, you, one, someone, people, a person, their possessives) and forms of be, do and
have are each taken for one word, or where such a person stands in one text and a phrase of at most four words in the other, after nothing
but question words and auxiliaries. An abbreviation is a token of at least two letters that are the initials of consecutive words of the
other text; small words (of, the, to) may count or not.)";

bool is_yes_or_no(const RunData& run, const TaskResult& result) {
  const TaskConfig* task = run.config.find_task(result.task);
  return result.classes.size() == 2 && (task == nullptr || task->is_pair());
}

/// A cell of the confusion matrix as a share of all rows: mean and deviation over the seeds.
Spread confusion_share(const Analysed& model, const std::string& task, int gold, int predicted) {
  std::vector<double> shares;
  for (const RunData* run : model.seeds) {
    const SplitResult* split = find_split(*run, model.run().results.front().split);
    if (split == nullptr) continue;
    for (const TaskResult& result : split->tasks) {
      if (result.task != task || result.confusion.classes != 2) continue;
      std::int64_t all = 0;
      for (const std::int64_t count : result.confusion.counts) all += count;
      if (all > 0) shares.push_back(static_cast<double>(result.confusion.at(gold, predicted)) / static_cast<double>(all));
    }
  }
  return spread(shares);
}

/// Table 6: row counts of the first seed, and shares over all seeds.
class ConfusionShares {
 public:
  ConfusionShares(const Analysed& model, const Sheets& sheets)
      : model_(model), several_(model.seeds.size() > 1), beside_paper_(sheets.beside_paper()) {
    sheet_.file = sheets.file(kYesNoTable);
    sheet_.caption = sheets.caption(kYesNoTable, "Confusion of tasks that say whether two texts mean the same, in rows");
    sheet_.caption += several_ ? fmt::format(" of one seed, in mean shares of all over {} seeds with their deviation.", model.seeds.size())
                               : " and in shares of all.";
    for (const char* answer : {"no", "yes"}) {
      sheet_.columns.push_back(fmt::format("rows predicted {}", answer));
      sheet_.columns.push_back(fmt::format("share predicted {}", answer));
      if (several_) sheet_.columns.push_back(fmt::format("± {}", answer));
      if (sheets.beside_paper()) sheet_.columns.push_back(fmt::format("paper {}", answer));
    }
  }

  void add(const TaskResult& result) {
    constexpr std::array<std::array<std::string_view, 2>, 2> kPaper = {{{"0.50", "0.13"}, {"0.07", "0.30"}}};
    const bool first = sheet_.rows.empty();
    for (const int gold : {0, 1}) {
      auto& row = sheet_.rows.emplace_back(std::vector<std::string>{result.task, result.classes[static_cast<std::size_t>(gold)]});
      for (const int predicted : {0, 1}) {
        const Spread share = confusion_share(model_, result.task, gold, predicted);
        row.push_back(std::to_string(result.confusion.at(gold, predicted)));
        row.push_back(fixed_text(share.mean, 3));
        if (several_) row.push_back(fixed_text(share.deviation, 3));
        if (beside_paper_) row.emplace_back(first ? kPaper[static_cast<std::size_t>(gold)][static_cast<std::size_t>(predicted)] : "");
      }
    }
  }

  const Sheet& sheet() const { return sheet_; }

 private:
  const Analysed& model_;
  bool several_, beside_paper_;
  Sheet sheet_{.file = {}, .caption = {}, .columns = {"task", "gold"}, .words = 2};
};

/// At most kMostPoints of the points, evenly spaced.
template <class T>
std::vector<T> sample(const std::vector<T>& all) {
  const std::size_t step = all.size() / kMostPoints + 1;
  std::vector<T> sampled;
  for (std::size_t i = 0; i < all.size(); i += step) sampled.push_back(all[i]);
  return sampled;
}

/// Figures of a similarity task's rows, in columns with one entry for each row.
struct SimilarityRows {
  std::vector<double> gold, predicted, error, overlap, length;
};

SimilarityRows similarity_rows(const std::vector<Answer>& answers) {
  SimilarityRows rows;
  for (const Answer& answer : answers) {
    const auto a = split_tokens(answer.text), b = split_tokens(answer.text_pair);
    rows.gold.push_back(answer.gold);
    rows.predicted.push_back(answer.predicted);
    rows.error.push_back(std::abs(answer.predicted - answer.gold));
    rows.overlap.push_back(continuous_overlap(a, b));
    rows.length.push_back(static_cast<double>(a.size() + b.size()) / 2);
  }
  return rows;
}

/// A scatter plot with its least-squares line.
Html scatter_plot(const std::string& title, std::string_view x_name, std::string_view y_name, const std::vector<double>& x,
                  const std::vector<double>& y) {
  const FittedLine fit = fit_line(x, y);
  std::vector<ChartPoint> points;
  for (std::size_t i = 0; i < x.size(); ++i)
    points.push_back({x[i], y[i], fmt::format("{} {}, {} {}", x_name, number_text(x[i], 3), y_name, number_text(y[i], 3))});
  const auto [low, high] = std::ranges::minmax(x);
  const std::string line = fmt::format("r = {:.3f}", fit.correlation);
  return line_chart({.title = title,
                     .x_name = std::string(x_name),
                     .y_name = std::string(y_name),
                     .lines = {{.name = "a pair", .style = LineStyle::kPoints, .points = sample(points)},
                               {.name = line,
                                .style = LineStyle::kDashed,
                                .points = {{low, fit.intercept + fit.slope * low, line}, {high, fit.intercept + fit.slope * high, line}}}},
                     .whole_x = false});
}

void add_bins(std::string_view what, const SimilarityRows& rows, const std::vector<double>& quantity, std::span<const double> edges,
              Sheet& sheet) {
  for (const ErrorBin& bin : error_bins(quantity, rows.gold, rows.predicted, edges))
    sheet.rows.push_back({std::string(what), number_text(bin.low, 3), number_text(bin.high, 3), std::to_string(bin.rows),
                          bin.rows == 0 ? "" : fixed_text(bin.error, 3), bin.rows == 0 ? "" : fixed_text(bin.bias, 3)});
}

Html similarity_part(const TaskResult& result, const SplitResult& split, const std::vector<Answer>& answers, Sheets& sheets) {
  const SimilarityRows rows = similarity_rows(answers);
  constexpr std::array<double, 6> kOverlaps = {0, 0.1, 0.2, 0.4, 0.6, 1};
  Sheet bins{.file = result.task + ".error-bins",
             .caption = fmt::format("Errors of {} by continuous overlap and by length. The bias is the mean of prediction less gold.",
                                    result.task),
             .columns = {"by", "from", "to", "pairs", "mean error", "bias"}};
  add_bins("overlap", rows, rows.overlap, kOverlaps, bins);
  add_bins("length", rows, rows.length, even_edges(rows.length, kBins), bins);
  Sheet points{.file = result.task + ".points", .caption = {}, .columns = {"id", "gold", "predicted", "error", "overlap", "length"}};
  for (std::size_t i = 0; i < answers.size(); ++i)
    points.rows.push_back({answers[i].id, number_text(rows.gold[i], 4), number_text(rows.predicted[i], 4), number_text(rows.error[i], 4),
                           number_text(rows.overlap[i], 4), number_text(rows.length[i], 1)});
  sheets.keep(points);
  const Html charts = scatter_plot(result.task + ": prediction and gold", "gold", "predicted", rows.gold, rows.predicted) +
                      scatter_plot(result.task + ": error and overlap", "continuous overlap", "error", rows.overlap, rows.error) +
                      scatter_plot(result.task + ": error and length", "mean length in tokens", "error", rows.length, rows.error);
  const std::string where = sheets.has_folder() ? fmt::format(", all of which stand in eval/{}.csv", points.file) : "";
  return element("h3", {}, fmt::format("{} on {}", result.task, split.split)) + "\n" + element("div", {{"class", "charts"}}, charts) +
         "\n" + element("p", {{"class", "soft"}}, fmt::format("Each point is a pair{}; the line is fitted by least squares.", where)) +
         "\n" + sheets.show(bins);
}

}  // namespace

Html pair_errors_section(const Analysed& model, Sheets& sheets) {
  const RunData& run = model.run();
  ConfusionShares shares(model, sheets);
  Html parts;
  if (!run.results.empty()) {
    const SplitResult& split = run.results.front();
    for (const TaskResult& result : split.tasks) {
      if (!is_yes_or_no(run, result)) continue;
      const std::vector<Answer> answers = answers_of(run, split, result);
      if (!is_pair_task(answers)) continue;
      shares.add(result);
      const std::vector<PairAnswer> pairs = with_tokens(answers);
      parts += element("h3", {}, fmt::format("{} on {}", result.task, split.split)) + "\n" + edits_part(result, pairs, sheets);
      if (sheets.beside_paper()) parts += kinds_part(result, pairs, sheets);
    }
  }
  if (shares.sheet().rows.empty()) return sheets.missing(kYesNoTable, "no predictions of a task that says yes or no about pairs.");
  if (!sheets.beside_paper() && model.seeds.size() == 1) return parts;  // the confusion matrix says the same
  const Html table = sheets.show(shares.sheet(), sheets.id(kYesNoTable));
  return sheets.beside_paper() ? table + parts + element("p", {}, kKindsExplained) + "\n" : table + parts;
}

Html similarity_errors_section(const RunData& run, Sheets& sheets) {
  Html parts;
  if (run.results.empty()) return parts;
  const SplitResult& split = run.results.front();
  for (const TaskResult& result : split.tasks) {
    if (!result.classes.empty() || result.sets) continue;
    const std::vector<Answer> answers = answers_of(run, split, result);
    if (is_pair_task(answers)) parts += similarity_part(result, split, answers, sheets);
  }
  if (parts.empty()) return parts;
  return element("p", {},
                 "The error is the distance of prediction and gold. Continuous overlap is the longest run of tokens that both texts "
                 "have, over the mean of their lengths.") +
         "\n" + parts;
}

}  // namespace minbert
