// The report: its sections in the order in which they stand, one function each.
#include "minbert/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "minbert/base/unicode.h"
#include "minbert/report/chart.h"
#include "minbert/report/html.h"
#include "minbert/report/run_data.h"

namespace minbert {
namespace {

constexpr std::size_t kMostClasses = 30;   // of a confusion matrix that is still readable
constexpr std::size_t kLongestText = 600;  // code points shown of an error's text
constexpr std::size_t kRawBuckets = 200;   // of a loss curve
constexpr std::size_t kSmoothPoints = 150;

std::string score_text(double value) { return std::isfinite(value) ? fmt::format("{:.4f}", value) : "–"; }

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

/// 1234567 as 1,234,567
std::string count_text(std::int64_t value) {
  std::string text = std::to_string(value);
  for (std::int64_t i = std::ssize(text) - 3; i > (value < 0 ? 1 : 0); i -= 3) text.insert(static_cast<std::size_t>(i), ",");
  return text;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{:.1f} s", seconds);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

/// macro_f1 as people say it.
std::string spoken(std::string_view key) {
  if (key == "brier_score") return "Brier score";
  if (key == "f1") return "F1";
  if (key == "macro_f1") return "macro F1";
  if (key == "mcc") return "Matthews' correlation";
  if (key == "pearson") return "Pearson's r";
  if (key == "spearman") return "Spearman's rho";
  std::string text(key);
  std::ranges::replace(text, '_', ' ');
  return text;
}

/// A value of status.json or env.json.
std::string json_text(const Json& object, const char* key) {
  const auto value = object.find(key);
  if (value == object.end() || value->is_null()) return "";
  return value->is_string() ? value->get<std::string>() : dump_json(*value);
}

Html section(std::string_view title, const Html& content) {
  if (content.empty()) return {};
  return element("section", {}, element("h2", {}, title) + "\n" + content) + "\n";
}

/// A list of names and values; those without a value are left out.
Html facts(const std::vector<std::pair<std::string, std::string>>& pairs) {
  Html list;
  for (const auto& [name, value] : pairs)
    if (!value.empty()) list += element("dt", {}, name) + element("dd", {}, value);
  return list.empty() ? list : element("dl", {{"class", "facts"}}, list) + "\n";
}

Html title_section(const RunData& run) {
  const std::string state = json_text(run.status, "state"), failure = json_text(run.status, "error");
  Html line;
  if (!state.empty()) line += element("span", {{"class", "state " + state}}, state) + " ";
  line += fmt::format("{} steps on {} {}", count_text(run.steps.empty() ? 0 : run.steps.back().step), run.tasks.size(),
                      run.tasks.size() == 1 ? "task" : "tasks");
  if (const std::string started = json_text(run.status, "started"); !started.empty()) line += fmt::format(", started {}", started);
  Html html = element("h1", {}, run.name) + "\n" + element("p", {{"class", "soft"}}, line) + "\n";
  if (!failure.empty()) html += element("p", {{"class", "failure"}}, failure) + "\n";
  return element("header", {}, html);
}

/// The score as a dot, its interval as a bar, the baseline as a tick, between `low` and 1.
Html interval_plot(const TaskResult& result, std::optional<double> baseline, double low) {
  const auto x = [&](double value) { return fmt::format("{:.1f}", 4 + 136 * std::clamp((value - low) / (1 - low), 0.0, 1.0)); };
  const auto line = [](const char* kind, const std::string& x1, const std::string& x2, const char* y1, const char* y2) {
    return element("line", {{"class", kind}, {"x1", x1}, {"x2", x2}, {"y1", y1}, {"y2", y2}});
  };
  Html plot = line("grid", "4", "140", "12", "12") + line("grid", "4", "4", "8", "16") + line("grid", "140", "140", "8", "16");
  if (result.interval) plot += line("line solid", x(result.interval->low), x(result.interval->high), "12", "12");
  if (baseline) plot += line("line dashed", x(*baseline), x(*baseline), "4", "20");
  plot += element("circle", {{"class", "dot solid"}, {"cx", x(result.score)}, {"cy", "12"}, {"r", "3"}});
  return element("svg", {{"viewBox", "0 0 144 24"}, {"aria-hidden", "true"}}, plot);
}

Html score_row(const TaskResult& result, std::optional<double> baseline, double low) {
  const auto cell = [](const Html& content) { return element("td", {}, content); };
  Html row = element("th", {{"scope", "row"}}, result.task) + element("td", {}, spoken(result.metric)) + cell(count_text(result.rows));
  row += cell(score_text(result.score));
  row += cell(result.interval ? fmt::format("{} to {}", score_text(result.interval->low), score_text(result.interval->high)) : "–");
  row += cell(baseline ? score_text(*baseline) : "–") + cell(interval_plot(result, baseline, low));
  return element("tr", {}, row) + "\n";
}

Html scores_table(const RunData& run, const SplitResult& split) {
  const bool negative = std::ranges::any_of(
      split.tasks, [](const TaskResult& result) { return std::min(result.score, result.interval ? result.interval->low : 0) < 0; });
  const double low = negative ? -1 : 0;
  Html rows;
  for (const TaskResult& result : split.tasks)
    rows += score_row(result, result.metric == "accuracy" ? majority_share(run, result.task, split.split) : std::nullopt, low);
  if (split.tasks.size() > 1)
    rows += element("tr", {{"class", "mean"}},
                    element("th", {{"scope", "row"}}, "mean") + element("td", {}) + element("td", {}) +
                        element("td", {}, score_text(split.mean)) + element("td", {{"colspan", "3"}})) +
            "\n";
  std::string caption = fmt::format("Scores on {} of the parameters in best/", split.split);
  if (split.resamples > 0)
    caption += fmt::format(", with {:g} % bootstrap intervals ({} resamples)", 100 * split.confidence, count_text(split.resamples));
  caption += fmt::format(
      ". The majority class is train's most frequent label, always answered. In the plots, from {:g} to 1, "
      "the dot is the score, the bar its interval, the tick the majority class.",
      low);
  return table("numbers", caption, {"task", "metric", "rows", "score", "interval", "majority class", ""}, rows);
}

/// Of a run without results: what its last evaluation said.
Html latest_scores(const RunData& run) {
  const auto eval =
      std::ranges::find_if(run.evals.rbegin(), run.evals.rend(), [](const EvalRecord& record) { return record.split == "dev"; });
  if (eval == run.evals.rend()) return element("p", {}, "No evaluation yet.");
  Html rows;
  for (const auto& [task, score] : eval->scores)
    rows += element("tr", {}, element("th", {{"scope", "row"}}, task) + element("td", {}, score_text(score)));
  return table("numbers",
               fmt::format("Scores on dev after epoch {} of stage {}; the run has no final evaluation yet.", eval->epoch, eval->stage),
               {"task", "score"}, rows);
}

Html scores_section(const RunData& run) {
  Html html;
  for (const SplitResult& split : run.results) html += scores_table(run, split);
  return section("Scores", html.empty() ? latest_scores(run) : html);
}

/// The metric that a task is scored by, where an evaluation says it.
std::string metric_of(const RunData& run, const std::string& task) {
  for (const SplitResult& split : run.results)
    for (const TaskResult& result : split.tasks)
      if (result.task == task) return spoken(result.metric);
  return "score";
}

Html epoch_chart(const RunData& run, const std::string& stage, const std::string& task) {
  ChartLine dev{.name = "dev", .style = LineStyle::kSolid, .points = {}}, train{.name = "train", .style = LineStyle::kDashed, .points = {}};
  for (const EvalRecord& eval : run.evals) {
    const auto score = eval.scores.find(task);
    if (eval.stage != stage || score == eval.scores.end()) continue;
    (eval.split == "train" ? train : dev).points.push_back({static_cast<double>(eval.epoch), score->second});
  }
  return line_chart({.title = task, .x_name = "epoch", .y_name = metric_of(run, task), .lines = {train, dev}, .marks = {}});
}

Html epochs_section(const RunData& run) {
  std::vector<std::string> stages;
  for (const EvalRecord& eval : run.evals)
    if (std::ranges::find(stages, eval.stage) == stages.end()) stages.push_back(eval.stage);
  Html html;
  for (const std::string& stage : stages) {
    Html charts;
    for (const std::string& task : run.tasks) charts += epoch_chart(run, stage, task);
    if (stages.size() > 1) html += element("h3", {}, "Stage " + stage);
    html += element("div", {{"class", "charts"}}, charts) + "\n";
  }
  return section("Scores by epoch", html);
}

Html loss_chart(const RunData& run, const std::string& task) {
  std::vector<ChartPoint> raw, starts;
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    const StepRecord& step = run.steps[i];
    if (step.task == task && std::isfinite(step.loss)) raw.push_back({static_cast<double>(step.step), step.loss});
    if (i > 0 && step.stage != run.steps[i - 1].stage) starts.push_back({static_cast<double>(step.step), 0});
  }
  const std::size_t window = std::max<std::size_t>(raw.size() / 40, 2) * 2 + 1;
  return line_chart({.title = task,
                     .x_name = "step",
                     .y_name = "loss",
                     .lines = {{"each step", LineStyle::kFaint, thin_out(raw, kRawBuckets)},
                               {fmt::format("mean of {}", window), LineStyle::kSolid, running_mean(raw, window, kSmoothPoints)}},
                     .marks = starts});
}

Html loss_section(const RunData& run) {
  Html charts;
  for (const std::string& task : run.tasks) charts += loss_chart(run, task);
  return section("Training loss", charts.empty() ? charts : element("div", {{"class", "charts"}}, charts));
}

Html confusion_table(const TaskResult& result) {
  const auto classes = static_cast<int>(result.classes.size());
  if (classes == 0) return {};
  if (result.classes.size() > kMostClasses)
    return element("p", {}, fmt::format("The confusion matrix of {} classes stands in {}.confusion.csv.", classes, result.task));
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
  return table("matrix", "Confusion: rows by gold class, columns by predicted class, with shares of the row.", header, rows);
}

/// At most kLongestText code points.
std::string shortened(const std::string& text) {
  std::size_t position = 0;
  for (std::size_t i = 0; i < kLongestText && position < text.size(); ++i) next_code_point(text, position);
  return position < text.size() ? text.substr(0, position) + "…" : text;
}

/// "3.4567890123" as "3.457"; text that is no number as it is.
std::string label_text(const std::string& label, bool number) {
  if (!number) return label;
  const Json value = Json::parse(label, nullptr, false);
  return value.is_number() ? fmt::format("{:.3f}", value.get<double>()) : label;
}

Html errors_table(const TaskResult& result) {
  if (result.errors.empty()) return {};
  const bool numbers = !result.errors.front().confidence;
  Html rows;
  for (const ErrorRow& error : result.errors) {
    Html text = element("p", {}, shortened(error.text));
    if (!error.text_pair.empty()) text += element("p", {}, shortened(error.text_pair));
    text += element("small", {{"class", "soft"}}, error.id);
    std::vector<Html> cells = {text, label_text(error.gold, numbers), label_text(error.predicted, numbers)};
    if (!numbers) cells.emplace_back(error.confidence ? fmt::format("{:.2f}", *error.confidence) : "–");
    rows += table_row(cells);
  }
  const std::string order = numbers ? "farthest off" : "most confident";
  const std::string caption =
      fmt::format("Worst errors: the {} {} of {}.", result.errors.size(), order, count_text(static_cast<std::int64_t>(result.error_count)));
  std::vector<std::string> header = {"text", "gold", "predicted"};
  if (!numbers) header.emplace_back("confidence");
  return table("errors", caption, header, rows);
}

/// Tasks in detail, of the first split that was scored (dev where there is one).
Html tasks_sections(const RunData& run) {
  Html html;
  if (run.results.empty()) return html;
  const SplitResult& split = run.results.front();
  for (const TaskResult& result : split.tasks) {
    std::string figures;
    for (const auto& [key, value] : result.figures)
      figures += fmt::format("{}{} {}", figures.empty() ? "" : ", ", spoken(key), score_text(value));
    html += section(fmt::format("{} on {}", result.task, split.split),
                    element("p", {}, figures) + confusion_table(result) + errors_table(result));
  }
  return html;
}

Html data_section(const RunData& run) {
  Html rows;
  for (const SplitRows& split : run.rows) {
    Html row = element("th", {{"scope", "row"}}, split.task) + element("td", {}, split.split);
    for (const std::int64_t count : {split.read, split.used, split.skipped, split.removed, split.truncated})
      row += element("td", {}, count_text(count));
    rows += element("tr", {}, row) + "\n";
  }
  if (rows.empty()) return {};
  return section("Data", table("numbers", "Rows of each split: truncated ones were longer than the model's limit.",
                               {"task", "split", "read", "used", "skipped", "removed", "truncated"}, rows));
}

Html config_section(const RunData& run) {
  if (run.config.empty()) return {};
  return section("Config", element("details", {},
                                   element("summary", {}, "The resolved config.toml, with the origin of each value") +
                                       element("pre", {{"tabindex", "0"}}, run.config)));
}

Html environment_section(const RunData& run) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (!run.steps.empty()) {
    std::int64_t tokens = 0;
    for (const StepRecord& step : run.steps) tokens += step.tokens;
    const double seconds = run.steps.back().wall_s;
    pairs = {{"training", duration_text(seconds)},
             {"tokens", count_text(tokens)},
             {"tokens per second", seconds > 0 ? count_text(std::llround(static_cast<double>(tokens) / seconds)) : ""}};
  }
  for (const char* key : {"started", "updated", "resumes"}) pairs.emplace_back(key, json_text(run.status, key));
  for (const char* key : {"minbert", "backend_description", "cpu", "cores", "threads", "system", "compiler"})
    pairs.emplace_back(key == std::string_view("backend_description") ? "backend" : key, json_text(run.environment, key));
  if (const auto libraries = run.environment.find("libraries"); libraries != run.environment.end() && libraries->is_object()) {
    std::string text;
    for (const auto& [name, version] : libraries->items())
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, json_text(*libraries, name.c_str()));
    pairs.emplace_back("libraries", text);
  }
  return section("Environment and timing", facts(pairs));
}

}  // namespace

std::string make_report(const std::filesystem::path& run_folder) {
  const RunData run = read_run(run_folder);
  Html body = title_section(run);
  for (const auto& part : {scores_section, epochs_section, loss_section, tasks_sections, data_section, config_section, environment_section})
    body += part(run);
  return page(run.name, body);
}

}  // namespace minbert
