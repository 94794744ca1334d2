// RunData: reads each file of a run folder, with errors that name the file.
#include "minbert/report/run_data.h"

#include <algorithm>

#include "minbert/base/files.h"
#include "minbert/base/json_node.h"
#include "minbert/data/dataset.h"
#include "minbert/data/eval_table.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostRows = std::int64_t{1} << 52;  // of a file; sums of them do not overflow

/// Nothing when there is no such file.
std::optional<JsonNode> read_optional(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  const JsonNode json = JsonNode::read(path, ErrorTag::kData);
  json.expect_format(kRunFormat, false);
  return json;
}

/// A count that is 0 where the object lacks it.
std::int64_t count_in(const JsonNode& object, std::string_view key) {
  const auto count = object.find(key);
  return count ? count->as_whole<std::int64_t>(0, kMostRows) : 0;
}

void add_step(const StepRecord& step, StepDetail detail, RunData& run) {
  if (run.costs.empty() || run.costs.back().stage != step.stage) run.costs.push_back({.stage = step.stage});
  StageCost& cost = run.costs.back();
  ++cost.steps;
  cost.tokens += step.tokens;
  cost.seconds = step.wall_s;  // of the run so far; that of the stages before is taken off at the end
  if (detail == StepDetail::kEach) run.steps.push_back(step);
}

void read_metrics(const fs::path& path, StepDetail detail, RunData& run) {
  if (!fs::exists(path)) return;
  RunRecordReader reader(path);
  for (auto record = reader.next(); record; record = reader.next()) {
    if (const auto* step = std::get_if<StepRecord>(&*record))
      add_step(*step, detail, run);
    else
      run.evals.push_back(std::get<EvalRecord>(*record));
  }
  for (std::size_t i = run.costs.size(); i-- > 1;) run.costs[i].seconds -= run.costs[i - 1].seconds;
}

/// The distribution of labels: "0: 120, 1: 80" for classes, "0 to 5, mean 2.72" for numbers.
std::string label_text(const JsonNode& report) {
  if (report.find("label_mean"))
    return fmt::format("{:g} to {:g}, mean {:.2f}", report.at("label_min").as_number_or_nan(), report.at("label_max").as_number_or_nan(),
                       report.at("label_mean").as_number_or_nan());
  std::string text;
  if (const auto counts = report.find("label_counts"))
    for (const auto& [label, count] : counts->members())
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", label == kNoLabelName ? "none" : label, count.as_whole<std::int64_t>(0));
  return text;
}

void read_texts(const JsonNode& stages, RunData& run) {
  for (const auto& [stage, sources] : stages.members()) {
    for (const auto& [name, report] : sources.members()) {
      TextRows& texts = run.texts.emplace_back(TextRows{.stage = stage, .texts = name});
      const auto probe = report.find("probe");
      texts.probe = probe && probe->as_flag();
      for (const auto& [key, value] : {std::pair("read", &TextRows::read),
                                       {"used", &TextRows::used},
                                       {"empty", &TextRows::empty},
                                       {"held_out", &TextRows::held_out},
                                       {"repeated", &TextRows::repeated},
                                       {"truncated", &TextRows::truncated},
                                       {"tokens", &TextRows::tokens}})
        texts.*value = count_in(report, key);
    }
  }
}

void read_split_rows(const std::string& task, const std::string& split, const JsonNode& report, RunData& run) {
  SplitRows& rows = run.rows.emplace_back(SplitRows{.task = task, .split = split, .labels = {}, .label_counts = {}});
  for (const auto& [key, value] : {std::pair("read", &SplitRows::read),
                                   {"used", &SplitRows::used},
                                   {"skipped", &SplitRows::skipped},
                                   {"removed", &SplitRows::removed},
                                   {"truncated", &SplitRows::truncated}})
    rows.*value = count_in(report, key);
  for (const char* key : {"filtered", "over_limit", "moved_to_dev"}) rows.aside += count_in(report, key);
  rows.labels = label_text(report);
  if (const auto counts = report.find("label_counts"))
    for (const auto& [label, count] : counts->members())
      if (label != kNoLabelName) rows.label_counts.emplace_back(label, count.as_whole<std::int64_t>(0, kMostRows));
}

void read_rows(const fs::path& path, RunData& run) {
  const auto json = read_optional(path);
  if (!json) return;
  for (const auto& [task, splits] : json->members()) {
    if (task == "format") continue;
    if (task == "mlm") {  // the texts of mlm stages; a task may not have this name
      read_texts(splits, run);
      continue;
    }
    if (task == "contrastive") continue;  // the same of contrastive stages, which measure nothing
    if (run.config.stages.empty() || run.config.has_head(task)) run.tasks.push_back(task);
    for (const char* split : {"train", "dev", "test"})
      if (const auto report = splits.find(split)) read_split_rows(task, split, *report, run);
  }
}

void read_confusion(const fs::path& path, TaskResult& result) {
  if (!fs::exists(path)) return;
  const EvalTable table(path, "csv");
  result.classes.assign(table.columns().begin() + 1, table.columns().end());
  if (table.rows() != result.classes.size())
    throw Error(ErrorTag::kData, path.string(),
                fmt::format("expected as many rows as classes ({}), got {}", result.classes.size(), table.rows()));
  result.confusion.classes = static_cast<int>(table.rows());
  for (std::size_t row = 0; row < table.rows(); ++row)
    for (std::size_t column = 1; column < table.columns().size(); ++column) result.confusion.counts.push_back(table.count(row, column));
}

void read_errors(const fs::path& path, TaskResult& result) {
  if (!fs::exists(path)) return;
  const EvalTable table(path, "tsv");
  const std::size_t id = table.column("id"), text = table.column("text"), gold = table.column("gold"), predicted = table.column("pred"),
                    score = table.column("score");
  const std::optional<std::size_t> pair = table.find_column("text_pair"), place = table.find_column("place");
  result.error_count = table.rows();
  for (std::size_t row = 0; row < std::min(table.rows(), kWorstErrors); ++row) {
    const auto field = [&](std::size_t column) { return table.text(row, column); };
    ErrorRow& error = result.errors.emplace_back(
        ErrorRow{field(id), field(text), pair ? field(*pair) : "", field(gold), field(predicted), place ? field(*place) : "", {}});
    if (!field(score).empty()) error.confidence = table.number(row, score);
  }
}

/// Adds the explanations of errors, the line of each in their order. Lines for other rows are of an evaluation before the last one.
void read_explanations(const fs::path& path, TaskResult& result) {
  if (!fs::exists(path)) return;
  const std::string text = read_file(path, ErrorTag::kData);
  std::size_t number = 0;
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1, ++number) {
    end = std::min(text.find('\n', begin), text.size());
    const std::string place = fmt::format("{}:{}", path.string(), number + 1);
    const JsonNode line(parse_json(std::string_view(text).substr(begin, end - begin), place, ErrorTag::kData), place, ErrorTag::kData);
    const std::string id = line.at("id").as_text();
    const auto explanation = line.find_set("explanation");
    if (number >= result.errors.size() || result.errors[number].id != id || !explanation) continue;
    for (const JsonNode& token : explanation->at("tokens").items())
      result.errors[number].tokens.push_back(
          {token.at("token").as_text(), token.at("sequence").as_whole<int>(0, 1), token.at("attribution").as_number()});
  }
}

std::vector<ReliabilityBin> read_bins(const JsonNode& calibration) {
  std::vector<ReliabilityBin> bins;
  if (const auto list = calibration.find("bins"))
    for (const JsonNode& bin : list->items())
      bins.push_back({.low = bin.at("low").as_number(0, 1),
                      .high = bin.at("high").as_number(0, 1),
                      .rows = bin.at("rows").as_whole<std::int64_t>(0, kMostRows),
                      .confidence = bin.at("confidence").as_number(0, 1),
                      .accuracy = bin.at("accuracy").as_number(0, 1)});
  return bins;
}

ClassScores read_class_scores(const JsonNode& json) {
  return {.precision = json.at("precision").as_number_or_nan(),
          .recall = json.at("recall").as_number_or_nan(),
          .f1 = json.at("f1").as_number_or_nan(),
          .gold = json.at("gold").as_whole<std::int64_t>(0, kMostRows),
          .predicted = json.at("predicted").as_whole<std::int64_t>(0, kMostRows)};
}

TaskResult read_result(const std::string& task, const JsonNode& metrics, const JsonNode& json, SplitResult& split) {
  TaskResult result;
  result.task = task;
  result.score = metrics.at("scores").at(task).as_number_or_nan();
  result.metric = option_name(json.at("metric").as_choice<Metric>());
  result.rows = json.at("rows").as_whole<std::int64_t>(0, kMostRows);
  if (const auto type = json.find("type")) result.sets = type->as_text() == "multi_label";
  for (const auto& [metric, name] : option_names(Metric{}))
    if (const auto value = json.find(name)) result.figures.emplace_back(name, value->as_number_or_nan());
  if (const auto classes = json.find("classes"))
    for (const auto& [name, scores] : classes->members()) result.class_scores.emplace_back(name, read_class_scores(scores));
  if (const auto thresholds = json.find("thresholds"))
    for (const JsonNode& threshold : thresholds->items()) result.thresholds.push_back(threshold.as_number());
  if (const auto calibration = json.find("calibration")) {
    for (const char* key : {"expected_calibration_error", "brier_score"})
      result.figures.emplace_back(key, calibration->at(key).as_number_or_nan());
    result.reliability = read_bins(*calibration);
  }
  if (const auto interval = json.find("interval")) {
    result.interval = {result.score, interval->at("low").as_number_or_nan(), interval->at("high").as_number_or_nan()};
    split.confidence = interval->at("confidence").as_number(0, 1);
    split.resamples = interval->at("resamples").as_whole<int>(0);
  }
  return result;
}

void read_split(const fs::path& folder, const std::string& name, RunData& run) {
  const auto metrics = read_optional(folder / "metrics.json");
  if (!metrics) return;
  SplitResult split{.split = name, .tasks = {}};
  for (const auto& [task, json] : metrics->at("tasks").members()) split.tasks.push_back(read_result(task, *metrics, json, split));
  split.mean = metrics->at("mean").as_number_or_nan();
  for (TaskResult& result : split.tasks) {
    read_confusion(folder / (result.task + ".confusion.csv"), result);
    read_errors(folder / (result.task + ".errors.tsv"), result);
    read_explanations(folder / (result.task + ".explanations.jsonl"), result);
  }
  if (!split.tasks.empty()) run.results.push_back(std::move(split));
}

/// Adds tasks that data.json does not list, since it may be missing.
void add_unlisted_tasks(RunData& run) {
  const auto add = [&](const std::string& task) {
    if (std::ranges::find(run.tasks, task) == run.tasks.end()) run.tasks.push_back(task);
  };
  for (const SplitResult& split : run.results)
    for (const TaskResult& result : split.tasks) add(result.task);
  for (const StepRecord& step : run.steps) {
    const StageConfig* stage = run.config.find_stage(step.stage);
    if (stage == nullptr || !stage->reads_texts()) add(step.task);
  }
  for (const EvalRecord& eval : run.evals)
    if (eval.perplexity.empty())  // the scores of mlm stages are those of texts
      for (const auto& [task, score] : eval.scores) add(task);
}

/// Reads config.json of the first model folder that exists: best/, or a stage's.
std::optional<EncoderSizes> read_encoder(const fs::path& folder, const ConfigView& config) {
  std::vector<fs::path> models = {folder / "best"};
  for (const StageConfig& stage : config.stages) models.push_back(folder / "checkpoints" / fmt::format("stage-{}", stage.name) / "best");
  const auto found = std::ranges::find_if(models, [](const fs::path& path) { return fs::exists(path / "config.json"); });
  if (found == models.end()) return std::nullopt;
  const JsonNode json = JsonNode::read(*found / "config.json", ErrorTag::kData);
  const auto size = [&](const char* key) {
    constexpr std::int64_t kMost = 1 << 26;  // far beyond any BERT's
    const auto value = json.find_set(key);
    return value ? value->as_whole<std::int64_t>(0, kMost) : 0;
  };
  const auto rate = [&](const char* key) {
    const auto value = json.find_set(key);
    return value ? value->as_number(0, 1) : 0;
  };
  return EncoderSizes{.layers = size("num_hidden_layers"),
                      .hidden = size("hidden_size"),
                      .heads = size("num_attention_heads"),
                      .intermediate = size("intermediate_size"),
                      .vocabulary = size("vocab_size"),
                      .positions = size("max_position_embeddings"),
                      .hidden_dropout = rate("hidden_dropout_prob"),
                      .attention_dropout = rate("attention_probs_dropout_prob")};
}

Json read_environment(const fs::path& path) {
  const auto json = read_optional(path);
  if (!json) return Json::object();
  for (const auto& [key, value] : json->members())
    if (value.json().is_array() || (value.json().is_object() && key != "libraries")) value.fail("a text or a number");
  if (const auto libraries = json->find("libraries")) libraries->as_texts();
  return json->json();
}

const SplitRows* find_rows(const RunData& run, std::string_view task, std::string_view split) {
  const auto found = std::ranges::find_if(run.rows, [&](const SplitRows& rows) { return rows.task == task && rows.split == split; });
  return found == run.rows.end() || found->label_counts.empty() ? nullptr : &*found;
}

}  // namespace

RunData read_run(const fs::path& folder, StepDetail steps) {
  if (!fs::exists(folder / "status.json") && !fs::exists(folder / "config.toml"))
    throw Error(ErrorTag::kData, folder.string(), "is no run folder: it has neither status.json nor config.toml",
                fs::exists(folder / "summary.json") ? "it holds several runs: name one of them, such as seed-1" : "");
  RunData run;
  run.folder = folder;
  run.name = fs::canonical(folder).filename().string();
  run.status = find_run_status(folder / "status.json").value_or(RunStatus{});
  run.environment = read_environment(folder / "env.json");
  if (const fs::path config = folder / "config.toml"; fs::exists(config)) {
    run.config_text = read_file(config);
    run.config = read_config_view(run.config_text, config.string());
  }
  run.encoder = read_encoder(folder, run.config);
  read_rows(folder / "data.json", run);
  read_metrics(folder / "metrics.jsonl", steps, run);
  for (const char* split : {"dev", "test"}) read_split(folder / "eval" / split, split, run);
  add_unlisted_tasks(run);
  return run;
}

const SplitResult* find_split(const RunData& run, std::string_view split) {
  const auto found = std::ranges::find(run.results, split, &SplitResult::split);
  return found == run.results.end() ? nullptr : &*found;
}

std::optional<int> kept_epoch(const RunData& run, std::string_view stage) {
  std::optional<int> epoch;
  for (const EvalRecord& eval : run.evals)
    if (eval.stage == stage && eval.best) epoch = eval.epoch;
  return epoch;
}

std::optional<double> majority_share(const RunData& run, std::string_view task, std::string_view split) {
  const SplitRows* rows = find_rows(run, task, split);
  const SplitRows* train = find_rows(run, task, "train");
  if (rows == nullptr) return std::nullopt;
  const std::string label =
      std::ranges::max_element((train != nullptr ? train : rows)->label_counts, {}, &std::pair<std::string, std::int64_t>::second)->first;
  std::int64_t all = 0, same = 0;
  for (const auto& [other, count] : rows->label_counts) {
    all += count;
    same += other == label ? count : 0;
  }
  if (all == 0) return std::nullopt;
  return static_cast<double>(same) / static_cast<double>(all);
}

}  // namespace minbert
