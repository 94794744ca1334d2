// Curves: scores by epoch (figures 3 to 5 of the paper), perplexity of masked words, and losses; those of several models overlaid.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "minbert/report/chart.h"
#include "minbert/report/numbers.h"
#include "minbert/report/sections.h"

namespace minbert {
namespace {

constexpr std::size_t kRawBuckets = 200;    // a loss curve shows the extremes of so many runs of steps
constexpr std::size_t kSmoothPoints = 150;  // points of its running mean
constexpr std::size_t kMostModels = 4;      // models in a figure

Html chart_grid(const Html& charts) { return element("div", {{"class", "charts"}}, charts) + "\n"; }

/// The figure that shows a stage. 3: fine-tuning with linear heads; 4: fine-tuning with a dense layer in some head; 5: only heads are
/// trained; 0: none.
int figure_of(const StageConfig& stage, const ConfigView& config) {
  if (stage.kind == "heads") return 5;
  if (!stage.finetunes() || !stage.has_epochs()) return 0;
  return std::ranges::any_of(stage.tasks,
                             [&](const std::string& name) {
                               const TaskConfig* task = config.find_task(name);
                               return task != nullptr && !task->dense.empty();
                             })
             ? 4
             : 3;
}

/// A stage of a model that a figure shows.
struct ShownStage {
  const ModelRow* row;
  const StageConfig* stage;
};

bool has_scores(const ModelRow& row, const std::string& stage) {
  return std::ranges::any_of(row.runs, [&](const RunData& run) {
    return std::ranges::any_of(run.evals, [&](const EvalRecord& eval) { return eval.stage == stage; });
  });
}

/// The stages with scores that belong in the figure, each once; only those of published models if there are any. Figure 5 begins with
/// stages that follow others, the other figures with first stages.
std::vector<ShownStage> stages_of(int figure, const ModelRows& rows) {
  std::vector<ShownStage> shown;
  for (const ModelRow& row : rows) {
    if (row.first() == nullptr) continue;
    for (const StageConfig& stage : row.first()->config.stages)
      if (figure_of(stage, row.first()->config) == figure && !row.shared.contains(stage.name) && has_scores(row, stage.name))
        shown.push_back({&row, &stage});
  }
  const auto published = [](const ShownStage& s) { return !s.row->published.empty(); };
  if (std::ranges::any_of(shown, published)) std::erase_if(shown, std::not_fn(published));
  std::ranges::stable_sort(shown, {},
                           [&](const ShownStage& s) { return (s.stage == &s.row->first()->config.stages.front()) == (figure == 5); });
  if (shown.size() > kMostModels) shown.resize(kMostModels);
  return shown;
}

/// Epoch -> one value for each seed.
using Curve = std::map<int, std::vector<double>>;

Curve curve(const ShownStage& shown, const std::string& split, const std::string& task,
            const std::map<std::string, double> EvalRecord::*values) {
  Curve points;
  for (const RunData& run : shown.row->runs)
    for (const EvalRecord& eval : run.evals)
      if (const auto value = (eval.*values).find(task);
          eval.stage == shown.stage->name && eval.split == split && value != (eval.*values).end())
        points[eval.epoch].push_back(value->second);
  return points;
}

std::vector<ChartPoint> means(const Curve& curve) {
  std::vector<ChartPoint> points;
  for (const auto& [epoch, values] : curve) points.push_back({static_cast<double>(epoch), spread(values).mean});
  return points;
}

std::string metric_of(const ModelRows& rows, const std::string& task) {
  for (const ModelRow& row : rows)
    for (const RunData& run : row.runs)
      for (const SplitResult& split : run.results)
        for (const TaskResult& result : split.tasks)
          if (result.task == task) return spoken(result.metric);
  return "score";
}

void add_points(const ShownStage& shown, const std::string& task, std::string_view split, const Curve& curve, Sheet& sheet) {
  for (const auto& [epoch, values] : curve) {
    const Spread scores = spread(values);
    sheet.rows.push_back({shown.row->title, shown.stage->name, task, std::string(split), std::to_string(epoch),
                          std::to_string(scores.count), score_text(scores.mean), score_text(scores.deviation)});
  }
}

std::vector<std::string> curve_columns(const char* value) { return {"model", "stage", "task", "split", "epoch", "seeds", value, "±"}; }

Html score_figure(int number, std::string_view what, const ModelRows& rows, Sheets& sheets) {
  const std::string id = fmt::format("fig-{}", number);
  const std::vector<ShownStage> stages = stages_of(number, rows);
  Sheet sheet{.file = id, .caption = fmt::format("The numbers of figure {}.", number), .columns = curve_columns("score"), .words = 4};
  Html charts;
  bool has_train = false;
  for (const ShownStage& shown : stages) {
    for (const std::string& task : shown.stage->tasks) {
      const Curve dev = curve(shown, "dev", task, &EvalRecord::scores), train = curve(shown, "train", task, &EvalRecord::scores);
      has_train |= !train.empty();
      add_points(shown, task, "train", train, sheet);
      add_points(shown, task, "dev", dev, sheet);
      charts += line_chart(
          {.title = rows.size() > 1 ? fmt::format("{}: {}", shown.row->title, task) : task,
           .x_name = "epoch",
           .y_name = metric_of(rows, task),
           .lines = {{.name = "train", .style = LineStyle::kDashed, .points = means(train)}, {.name = "dev", .points = means(dev)}}});
    }
  }
  if (charts.empty()) return absent(id, fmt::format("Figure {}: no scores of {}.", number, what));
  std::string caption = fmt::format("Figure {}. Scores of {} after each epoch; 0 is before training.", number, what);
  if (!has_train) caption += " None are of train: eval_train of the stage is 0.";
  return element("figure", {{"id", id}}, chart_grid(charts) + element("figcaption", {}, caption)) + "\n" +
         sheets.fold(sheet, fmt::format("The numbers of figure {}", number));
}

/// The models that have begun, no more than a chart can tell apart.
std::vector<const ModelRow*> overlaid(const ModelRows& rows) {
  std::vector<const ModelRow*> models;
  for (const ModelRow& row : rows)
    if (row.first() != nullptr) models.push_back(&row);
  if (models.size() > kMostSeries) models.resize(kMostSeries);
  return models;
}

std::string overlaid_legend_note(const ModelRows& rows, std::size_t shown) {
  const auto begun = static_cast<std::size_t>(std::ranges::count_if(rows, [](const ModelRow& row) { return row.first() != nullptr; }));
  return begun > shown ? fmt::format(" The first {} of {} models are shown.", shown, begun) : "";
}

Html overlaid_legend(const std::vector<const ModelRow*>& models) {
  std::vector<std::string> names;
  for (const ModelRow* model : models) names.push_back(model->title);
  return names.size() > 1 ? series_legend(names) : Html();
}

/// The stages of all models that train heads in some epochs, each name once.
std::vector<std::string> scored_stages(const std::vector<const ModelRow*>& models) {
  std::vector<std::string> names;
  for (const ModelRow* model : models)
    for (const StageConfig& stage : model->first()->config.stages)
      if (!stage.reads_texts() && stage.has_epochs() && std::ranges::find(names, stage.name) == names.end()) names.push_back(stage.name);
  return names;
}

/// One chart for each task of a stage: train and dev of a single model, or dev of several.
Html stage_charts(const std::string& stage, bool name_stage, const std::vector<const ModelRow*>& models, const ModelRows& rows,
                  Sheet& sheet) {
  std::vector<std::string> tasks;
  for (const ModelRow* model : models)
    if (const StageConfig* found = model->first()->config.find_stage(stage))
      for (const std::string& task : found->tasks)
        if (std::ranges::find(tasks, task) == tasks.end()) tasks.push_back(task);
  Html charts;
  for (const std::string& task : tasks) {
    std::vector<ChartLine> lines;
    for (std::size_t i = 0; i < models.size(); ++i) {
      const StageConfig* found = models[i]->first()->config.find_stage(stage);
      if (found == nullptr || models[i]->shared.contains(stage)) continue;
      const ShownStage shown{models[i], found};
      const Curve dev = curve(shown, "dev", task, &EvalRecord::scores), train = curve(shown, "train", task, &EvalRecord::scores);
      add_points(shown, task, "train", train, sheet);
      add_points(shown, task, "dev", dev, sheet);
      if (models.size() == 1) lines.push_back({.name = "train", .style = LineStyle::kDashed, .points = means(train)});
      lines.push_back({.name = models.size() == 1 ? "dev" : models[i]->title, .points = means(dev), .series = i});
    }
    charts += line_chart({.title = name_stage ? fmt::format("{}, stage {}", task, stage) : task,
                          .x_name = "epoch",
                          .y_name = metric_of(rows, task),
                          .lines = lines,
                          .legend = models.size() == 1});
  }
  return charts;
}

/// Scores by epoch without the paper's figures: one chart for each task and stage.
Html overlaid_score_curves(const ModelRows& rows, Sheets& sheets) {
  const std::vector<const ModelRow*> models = overlaid(rows);
  const std::vector<std::string> stages = scored_stages(models);
  Sheet sheet{.file = "scores-by-epoch", .caption = "The numbers of these curves.", .columns = curve_columns("score"), .words = 4};
  Html charts;
  for (const std::string& stage : stages) charts += stage_charts(stage, stages.size() > 1, models, rows, sheet);
  if (charts.empty()) return {};
  const std::string caption = fmt::format("{} after each epoch; 0 is before training.{}", models.size() > 1 ? "Dev scores" : "Scores",
                                          overlaid_legend_note(rows, models.size()));
  return overlaid_legend(models) + element("figure", {{"id", "fig-scores"}}, chart_grid(charts) + element("figcaption", {}, caption)) +
         "\n" + sheets.fold(sheet, "The numbers of these curves");
}

/// The losses of a task at each step, and where a new stage begins.
struct TaskLosses {
  std::vector<ChartPoint> raw, starts;
};

TaskLosses losses_of(const RunData& run, const std::string& task) {
  TaskLosses losses;
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    const StepRecord& step = run.steps[i];
    if (step.task == task && std::isfinite(step.loss)) losses.raw.push_back({static_cast<double>(step.step), step.loss});
    if (i > 0 && step.stage != run.steps[i - 1].stage) losses.starts.push_back({static_cast<double>(step.step), 0});
  }
  if (losses.raw.empty()) return {};
  std::erase_if(losses.starts, [&](const ChartPoint& start) { return start.x < losses.raw.front().x || start.x > losses.raw.back().x; });
  return losses;
}

Html loss_chart(const std::vector<const ModelRow*>& models, const std::string& task) {
  LineChart chart{.title = task, .x_name = "step", .y_name = "loss", .lines = {}, .legend = models.size() == 1};
  for (std::size_t i = 0; i < models.size(); ++i) {
    const TaskLosses losses = losses_of(*models[i]->first(), task);
    if (losses.raw.empty()) continue;
    const std::size_t window = std::max<std::size_t>(losses.raw.size() / 40, 2) * 2 + 1;
    const std::string mean = models.size() == 1 ? fmt::format("mean of {}", window) : models[i]->title;
    if (models.size() == 1) {
      chart.lines.push_back({.name = "each step", .style = LineStyle::kFaint, .points = thin_out(losses.raw, kRawBuckets)});
      chart.marks = losses.starts;
    }
    chart.lines.push_back({.name = mean, .points = running_mean(losses.raw, window, kSmoothPoints), .series = i});
  }
  return line_chart(chart);
}

}  // namespace

Html score_curves(const ModelRows& rows, Sheets& sheets) {
  if (!sheets.beside_paper()) return overlaid_score_curves(rows, sheets);
  return score_figure(3, "multitask fine-tuning with linear heads", rows, sheets) +
         score_figure(4, "multitask fine-tuning with dense layers in the heads", rows, sheets) +
         score_figure(5, "single-task fine-tuning, heads alone on a frozen encoder", rows, sheets);
}

Html masked_word_curves(const ModelRows& rows, Sheets& sheets) {
  Sheet sheet{.file = "perplexity", .caption = "The perplexity of held-out texts.", .columns = curve_columns("perplexity"), .words = 4};
  Html charts;
  std::size_t models = 0;
  for (const ModelRow& row : rows) {
    if (row.first() == nullptr) continue;
    for (const StageConfig& stage : row.first()->config.stages) {
      if (!stage.is_mlm() || row.shared.contains(stage.name)) continue;
      const ShownStage shown{&row, &stage};
      std::vector<std::string> sources;
      for (const RunData& run : row.runs)
        for (const EvalRecord& eval : run.evals)
          for (const auto& [source, value] : eval.perplexity)
            if (eval.stage == stage.name && std::ranges::find(sources, source) == sources.end()) sources.push_back(source);
      const bool drawn = models++ < kMostModels;
      for (const std::string& source : sources) {
        const Curve held_out = curve(shown, "held_out", source, &EvalRecord::perplexity);
        add_points(shown, source, "held_out", held_out, sheet);
        if (!drawn || held_out.empty()) continue;
        const std::vector<ChartPoint> points = means(held_out);
        const auto [low, high] = std::ranges::minmax(points, {}, &ChartPoint::y);
        const bool wide = low.y > 0 && high.y > 10 * low.y;  // an untrained head begins with a huge perplexity
        charts += line_chart({.title = rows.size() > 1 ? fmt::format("{}: {}", row.title, source) : source,
                              .x_name = "epoch",
                              .y_name = "perplexity of masked words",
                              .lines = {{.name = "held-out", .points = points}},
                              .log_y = wide});
      }
    }
  }
  if (charts.empty()) return {};
  return element("figure", {{"id", "fig-perplexity"}},
                 chart_grid(charts) + element("figcaption", {},
                                              "Perplexity of the masked words of held-out texts after each epoch of pretraining, by "
                                              "where the texts come from.")) +
         "\n" + sheets.fold(sheet, "The numbers of these curves");
}

Html loss_curves(const ModelRows& rows) {
  const std::vector<const ModelRow*> models = overlaid(rows);
  std::vector<std::string> tasks;
  for (const ModelRow* model : models)
    for (const StepRecord& step : model->first()->steps)
      if (std::ranges::find(tasks, step.task) == tasks.end()) tasks.push_back(step.task);
  Html charts;
  for (const std::string& task : tasks) charts += loss_chart(models, task);
  return charts.empty() ? charts : overlaid_legend(models) + chart_grid(charts);
}

}  // namespace minbert
