// A split's predictions as scores and as tables.
#include "minbert/train/evaluation.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "minbert/base/files.h"
#include "minbert/data/fields.h"
#include "minbert/stats/calibration.h"
#include "minbert/train/selection.h"

namespace minbert {
namespace {

/// The labelled rows of an evaluation.
struct Labelled {
  std::vector<std::size_t> rows;
  std::vector<double> gold, predicted;

  explicit Labelled(const TaskEvaluation& evaluation) {
    for (std::size_t i = 0; i < evaluation.predictions.size(); ++i) {
      if (!evaluation.rows->rows[i].labelled()) continue;
      rows.push_back(i);
      gold.push_back(evaluation.rows->rows[i].label);
      predicted.push_back(evaluation.predictions[i].value);
    }
  }
};

std::vector<double> labels_of(const TaskEvaluation& evaluation) {
  std::vector<double> labels;
  for (const Row& row : evaluation.rows->rows) labels.push_back(row.label);
  return labels;
}

Json class_json(const TaskSpec& task, std::span<const ClassScores> scores) {
  Json classes = Json::object();
  for (std::size_t c = 0; c < scores.size(); ++c)
    classes[task.labels.class_name(static_cast<int>(c))] = {{"precision", scores[c].precision},
                                                            {"recall", scores[c].recall},
                                                            {"f1", scores[c].f1},
                                                            {"gold", scores[c].gold},
                                                            {"predicted", scores[c].predicted}};
  return classes;
}

/// Calibration: whether probabilities match how often predictions are right.
Json calibration_json(const TaskEvaluation& evaluation, const Labelled& labelled) {
  const TaskSpec& task = *evaluation.task;
  std::vector<double> confidence, before, probabilities;
  std::vector<int> correct;
  for (std::size_t i = 0; i < labelled.rows.size(); ++i) {
    const Prediction& prediction = evaluation.predictions[labelled.rows[i]];
    confidence.push_back(prediction.score());
    if (task.temperature != 1)
      before.push_back(tempered(task, prediction.probs, 1 / task.temperature)[static_cast<std::size_t>(prediction.value)]);
    correct.push_back(prediction.value == labelled.gold[i]);
    probabilities.insert(probabilities.end(), prediction.probs.begin(), prediction.probs.end());
  }
  const auto bins = reliability_bins(confidence, correct);
  Json list = Json::array();
  for (const ReliabilityBin& bin : bins)
    list.push_back({{"low", bin.low}, {"high", bin.high}, {"rows", bin.rows}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}});
  Json json = {{"expected_calibration_error", expected_calibration_error(bins)},
               {"brier_score", brier_score(labels_from(labelled.gold), probabilities, task.labels.count)}};
  if (task.temperature != 1)
    json.update({{"temperature", task.temperature}, {"uncalibrated_error", expected_calibration_error(reliability_bins(before, correct))}});
  json["bins"] = list;
  return json;
}

Json scores_json(const TaskEvaluation& evaluation, int bootstrap, std::uint64_t seed) {
  const TaskSpec& task = *evaluation.task;
  const Labelled labelled(evaluation);
  const Metric metric = task.scored_by();
  const bool sets = task.is_multi_label();
  Json json = {{"metric", option_name(metric)}, {"rows", labelled.rows.size()}};
  if (sets) json["type"] = option_name(task.type);
  for (const auto& [other, name] : option_names(Metric{})) {
    if (!metric_fits(other, task.answers()) || (other == Metric::kF1 && task.labels.count != 2)) continue;
    json[std::string(name)] = (sets ? compute_set_metric(other, labelled.gold, labelled.predicted, task.labels.count)
                                    : compute_metric(other, labelled.gold, labelled.predicted))
                                  .value;
  }
  if (bootstrap > 0) {
    Rng rng(seed, "bootstrap/" + task.name);
    const Interval interval =
        bootstrap_interval(metric, labelled.gold, labelled.predicted, {.resamples = bootstrap}, rng, sets ? task.labels.count : 0);
    json["interval"] = {
        {"confidence", BootstrapOptions{}.confidence}, {"resamples", bootstrap}, {"low", interval.low}, {"high", interval.high}};
  }
  if (task.is_regression()) return json;
  if (sets) {
    json["classes"] = class_json(task, set_scores(labelled.gold, labelled.predicted, task.labels.count));
    if (!task.thresholds.empty()) json["thresholds"] = task.thresholds;
    return json;
  }
  json["classes"] =
      class_json(task, class_scores(confusion_matrix(labels_from(labelled.gold), labels_from(labelled.predicted), task.labels.count)));
  json["calibration"] = calibration_json(evaluation, labelled);
  return json;
}

/// The column names of predictions, without the line's end.
std::string header(const TaskSpec& task) {
  std::string line = task.is_pair() ? "id\ttext\ttext_pair\tgold\tpred\tscore" : "id\ttext\tgold\tpred\tscore";
  for (int c = 0; !task.is_regression() && c < task.labels.count; ++c) line += fmt::format("\tp_{}", c);
  return line;
}

std::string line_of(const TaskEvaluation& evaluation, std::size_t i) {
  const TaskSpec& task = *evaluation.task;
  const Row& row = evaluation.rows->rows[i];
  const Prediction& prediction = evaluation.predictions[i];
  std::string line = tsv_field(row.id) + "\t" + tsv_field(row.text) + "\t";
  if (task.is_pair()) line += tsv_field(row.text_pair) + "\t";
  line += tsv_field(task.label_text(row.label)) + "\t" + tsv_field(task.label_text(prediction.value)) + "\t";
  if (!task.is_regression()) line += fmt::format("{:.6f}", prediction.score());
  for (const double p : prediction.probs) line += fmt::format("\t{:.6f}", p);
  return line;
}

/// Where a row stands: "dev.csv:17".
std::string place_of(const TaskEvaluation& evaluation, std::size_t i) {
  const Row& row = evaluation.rows->rows[i];
  const auto& files = evaluation.rows->files;
  const auto file = static_cast<std::size_t>(row.file);
  return fmt::format("{}:{}", file < files.size() ? std::filesystem::path(files[file]).filename().string() : "", row.line);
}

std::string predictions_tsv(const TaskEvaluation& evaluation) {
  std::string text = header(*evaluation.task) + "\n";
  for (std::size_t i = 0; i < evaluation.predictions.size(); ++i) text += line_of(evaluation, i) + "\n";
  return text;
}

/// How bad an error is: the confidence in a wrong class, the number of wrong labels of a set, the distance of a number; 0 if it is none.
double error_size(const TaskEvaluation& evaluation, std::size_t row, double gold, double predicted) {
  if (gold == predicted) return 0;
  switch (evaluation.task->answers()) {
    case Answers::kValues: return std::abs(predicted - gold);
    case Answers::kSets: return std::popcount(static_cast<std::uint64_t>(predicted) ^ static_cast<std::uint64_t>(gold));
    default: return evaluation.predictions[row].score();
  }
}

/// Wrong predictions, the worst first.
std::string errors_tsv(const TaskEvaluation& evaluation) {
  const Labelled labelled(evaluation);
  std::vector<std::pair<double, std::size_t>> errors;
  for (std::size_t i = 0; i < labelled.rows.size(); ++i) {
    const double size = error_size(evaluation, labelled.rows[i], labelled.gold[i], labelled.predicted[i]);
    if (size > 0) errors.emplace_back(size, labelled.rows[i]);
  }
  std::ranges::stable_sort(errors, std::greater<>(), &std::pair<double, std::size_t>::first);
  std::string text = header(*evaluation.task) + "\tplace\n";
  for (const auto& [size, row] : errors) text += fmt::format("{}\t{}\n", line_of(evaluation, row), tsv_field(place_of(evaluation, row)));
  return text;
}

std::string confusion_csv(const TaskEvaluation& evaluation) {
  const TaskSpec& task = *evaluation.task;
  const Labelled labelled(evaluation);
  const auto matrix = confusion_matrix(labels_from(labelled.gold), labels_from(labelled.predicted), task.labels.count);
  std::string text = "gold";
  for (int c = 0; c < matrix.classes; ++c) text += "," + csv_field(task.labels.class_name(c));
  text += "\n";
  for (int g = 0; g < matrix.classes; ++g) {
    text += csv_field(task.labels.class_name(g));
    for (int p = 0; p < matrix.classes; ++p) text += fmt::format(",{}", matrix.at(g, p));
    text += "\n";
  }
  return text;
}

}  // namespace

Json evaluation_json(std::string_view split, std::span<const TaskEvaluation> tasks, int bootstrap, std::uint64_t seed) {
  Json json = {{"split", split}, {"scores", Json::object()}, {"mean", nullptr}, {"loss", Json::object()}, {"tasks", Json::object()}};
  Scores scores;
  for (const TaskEvaluation& evaluation : tasks) {
    if (!evaluation.labelled()) continue;
    const std::string& name = evaluation.task->name;
    const std::vector<double> labels = labels_of(evaluation);
    json["scores"][name] = scores[name] = score_predictions(*evaluation.task, evaluation.predictions, labels).value;
    json["loss"][name] = mean_loss(*evaluation.task, evaluation.predictions, labels);
    json["tasks"][name] = scores_json(evaluation, bootstrap, seed);
  }
  if (!scores.empty()) json["mean"] = mean_score(scores);
  return json;
}

std::vector<EvaluationNote> evaluation_notes(std::string_view split, std::span<const TaskEvaluation> tasks) {
  std::vector<EvaluationNote> notes;
  for (const TaskEvaluation& evaluation : tasks) {
    const std::string& name = evaluation.task->name;
    const std::vector<double> labels = labels_of(evaluation);
    if (const auto without = std::ranges::count_if(labels, [](double label) { return label != label; }); without == std::ssize(labels))
      notes.push_back({MessageLevel::kInfo, fmt::format("{}: {} has no labels, so that it is predicted but not scored", name, split)});
    else if (without > 0)
      notes.push_back({MessageLevel::kWarning, fmt::format("{}: {} of {} rows of {} have no label, so that it is predicted but not scored",
                                                           name, without, labels.size(), split)});
    else if (const auto text = undefined_score_text(*evaluation.task, score_predictions(*evaluation.task, evaluation.predictions, labels));
             !text.empty())
      notes.push_back({MessageLevel::kWarning, fmt::format("{}: {}", split, text)});
  }
  return notes;
}

Json write_evaluation(const std::filesystem::path& folder, std::string_view split, std::span<const TaskEvaluation> tasks, int bootstrap,
                      std::uint64_t seed) {
  make_directories(folder);
  for (const TaskEvaluation& evaluation : tasks) {
    const auto write = [&](std::string_view kind, const std::string& text) {
      write_file(folder / fmt::format("{}.{}", evaluation.task->name, kind), text);
    };
    write("predictions.tsv", predictions_tsv(evaluation));
    if (!evaluation.labelled()) continue;
    write("errors.tsv", errors_tsv(evaluation));
    if (evaluation.task->answers() == Answers::kClasses) write("confusion.csv", confusion_csv(evaluation));
  }
  Json metrics = evaluation_json(split, tasks, bootstrap, seed);
  write_file(folder / "metrics.json", dump_json(metrics, 2) + "\n");
  return metrics;
}

}  // namespace minbert
