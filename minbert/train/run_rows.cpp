// Reads the data files and text files of a run.
#include "minbert/train/run_rows.h"

#include <algorithm>

#include "minbert/data/stats.h"
#include "minbert/data/table.h"

namespace minbert {
namespace {

/// With fewer rows of dev, differences of a few hundredths between models are mostly chance.
constexpr std::size_t kSmallDev = 50;

TaskData read_task(const TaskSpec& spec, const SplitDraw& draw, TrainEvents& events) {
  TaskData task{.spec = spec, .rows = load_task(spec.data, spec.labels, draw)};
  task.spec.labels = task.rows.labels;
  task.spec.validate([&](std::string_view key, const std::string& message) {  // again, now that labels are known
    throw Error(ErrorTag::kUsage, fmt::format("task {}, key \"{}\"", spec.name, key), message);
  });
  task.spec.resolve_class_weights(task.rows.train.rows);
  if (const std::size_t dev = task.rows.dev.rows.size(); dev > 0 && dev < kSmallDev)
    events.message(MessageLevel::kInfo,
                   fmt::format("{}: dev has only {} rows, so that scores on it are rough; --folds 5 tests on every row", spec.name, dev));
  for (const Split split : {Split::kDev, Split::kTest}) {
    const Rows& rows = task.rows.split(split);
    if (const std::int64_t known = count_overlap(rows, task.rows.train); known > 0)
      events.message(MessageLevel::kWarning,
                     fmt::format("{}: {} of {} rows of {} also stand in train, where a model can learn them by heart", spec.name, known,
                                 rows.rows.size(), split_name(split)));
  }
  for (const auto& [split, report] : task.rows.reports)
    if (const std::string bad = bad_rows_text(report); !bad.empty())
      events.message(MessageLevel::kWarning, fmt::format("{} {}: {}; data.json lists them", spec.name, split, bad));
  return task;
}

std::vector<Row> read_text_lines(const std::string& path) {
  const Table table = read_table(path, {.format = "lines"});
  std::vector<Row> rows(table.rows());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].text = table.cell(i, 0);
  return rows;
}

const TaskData& find_task(const RunRows& rows, std::string_view name) {
  const auto name_of = [](const TaskData& task) { return task.spec.name; };
  const auto task = std::ranges::find(rows.tasks, name, name_of);
  return task != rows.tasks.end() ? *task : *std::ranges::find(rows.corpora, name, name_of);
}

}  // namespace

RunRows read_run_rows(const RunConfig& config, TrainEvents& events) {
  RunRows rows;
  for (const TaskSpec& spec : config.tasks) {
    const bool has_head = config.has_head(spec);
    const TaskData& task = (has_head ? rows.tasks : rows.corpora).emplace_back(read_task(spec, config.data.draw(), events));
    if (const std::string label = only_label(task.rows.reports.at("train")); has_head && !label.empty())
      events.message(MessageLevel::kWarning, fmt::format("{} train: every row has the label {}", spec.name, label));
  }
  for (const StageSpec& stage : config.stages)
    for_each_text(stage, [&](const PathOption& text) {
      if (!parse_task_split(text.text) && !rows.files.contains(text.text)) rows.files[text.text] = read_text_lines(text.text);
    });
  return rows;
}

std::vector<std::string> vocabulary_texts(const RunConfig& config, const RunRows& run) {
  std::vector<std::string> texts;
  const auto add = [&](std::span<const Row> rows, bool pairs) {
    for (const Row& row : rows) {
      texts.push_back(row.text);
      if (pairs) texts.push_back(row.text_pair);
    }
  };
  for (const PathOption& path : config.model.vocabulary.corpus) add(read_text_lines(path.text), false);
  if (!config.model.vocabulary.corpus.empty()) return texts;
  for (const auto* tasks : {&run.tasks, &run.corpora})
    for (const TaskData& task : *tasks) add(task.rows.train.rows, task.spec.is_pair());
  for (const auto& [path, rows] : run.files) add(rows, false);
  return texts;
}

NamedTexts find_texts(const PathOption& text, const RunRows& rows) {
  if (const auto part = parse_task_split(text.text)) {
    const TaskData& task = find_task(rows, part->task);
    return {text.text, task.rows.split(part->split).rows, &task.spec};
  }
  const auto name_of = [](const std::string& path) { return std::filesystem::path(path).filename().string(); };
  const bool shared = std::ranges::count_if(rows.files, [&](const auto& file) { return name_of(file.first) == name_of(text.text); }) > 1;
  return {shared ? text.text : name_of(text.text), rows.files.at(text.text), nullptr};
}

}  // namespace minbert
