// Comparing on a file: reads the rows once, lets every model answer, and writes what a run folder would hold.
#include "minbert/cli/compare_data.h"

#include "minbert/cli/signals.h"
#include "minbert/data/table.h"
#include "minbert/pipeline/text_model.h"
#include "minbert/train/config.h"
#include "minbert/train/evaluation.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// Picks a task of the model: the one that is named, or else the only one of the kind of `like`.
const TaskSpec& task_of(const Ensemble& model, const std::string& path, const std::string& name, const TaskSpec& like) {
  if (!name.empty()) return model.tasks()[model.find_task(name)];
  const TaskSpec* found = nullptr;
  for (const TaskSpec& task : model.tasks()) {
    if (task.is_pair() != like.is_pair() || task.answers() != like.answers()) continue;
    if (found != nullptr) throw Error(ErrorTag::kUsage, path, "has several tasks that fit the file", "--task NAME says which");
    found = &task;
  }
  if (found == nullptr)
    throw Error(ErrorTag::kUsage, path,
                fmt::format("has no task for {} with {}", like.is_pair() ? "pairs" : "single texts",
                            like.is_regression()    ? "numbers"
                            : like.is_multi_label() ? "sets of labels"
                                                    : "classes"));
  return *found;
}

/// A task of the kind that is compared: the one of a model that has no other, else as the file looks.
TaskSpec kind_of(const std::vector<std::unique_ptr<Ensemble>>& models, const std::string& file, const ColumnFlags& columns) {
  for (const auto& model : models)
    if (model->tasks().size() == 1) return model->tasks().front();
  FileTaskFlags flags;
  flags.columns = columns;
  return infer_task({file}, flags).task;
}

/// Adds the classes that `labels` lacks.
void add_classes(const TaskLabels& more, std::vector<std::string>& names) {
  for (int c = 0; c < more.count; ++c)
    if (std::ranges::find(names, more.class_name(c)) == names.end()) names.push_back(more.class_name(c));
}

/// The columns of the file: those of flags, else those of the first task whose columns the file has.
DataSpec data_of(const std::string& file, const std::vector<TaskSpec>& tasks, const ColumnFlags& flags) {
  const Table table = read_table(file);
  const auto has = [&](const std::string& column) { return column.empty() || table.find_column(column).has_value(); };
  const auto fits = [&](const TaskSpec& task) {
    return (!flags.text.empty() || has(task.data.text)) && (!flags.text_pair.empty() || has(task.data.text_pair)) &&
           (!flags.label.empty() || has(task.data.label));
  };
  const auto task = std::ranges::find_if(tasks, fits);
  DataSpec data = (task == tasks.end() ? tasks.front() : *task).data;
  for (const auto& [column, flag] : {std::pair(&data.text, &flags.text), {&data.text_pair, &flags.text_pair}, {&data.label, &flags.label}})
    if (!flag->empty()) *column = *flag;
  data.id = flags.id;
  data.preprocess = DataSpec{}.preprocess;  // each model does its own
  data.dev = {};
  data.train = {{.path = file}};
  data.test = {};
  return data;
}

/// Puts a prediction among `from`'s classes into the places that they have in `to`.
Prediction among(const Prediction& prediction, const TaskLabels& from, const TaskLabels& to) {
  Prediction out{prediction.value, std::vector<double>(static_cast<std::size_t>(to.count)), prediction.is_set};
  const std::vector<int> chosen = prediction.is_set ? classes_of(prediction.value) : std::vector<int>{static_cast<int>(prediction.value)};
  std::vector<int> places;
  for (int c = 0; c < from.count; ++c) {
    int place = 0;
    while (to.class_name(place) != from.class_name(c)) ++place;
    out.probs[static_cast<std::size_t>(place)] = prediction.probs[static_cast<std::size_t>(c)];
    if (std::ranges::find(chosen, c) != chosen.end()) places.push_back(place);
  }
  out.value = prediction.is_set ? label_set(places) : places.front();
  return out;
}

/// Throws Error(kUsage) if a model's own label_map makes other labels of the file's than the first model's, or if it knows none of them.
void expect_same_gold(const TaskSpec& common, const Rows& gold, const TaskSpec& task, const std::string& model, const std::string& first) {
  if (DataSpec data = common.data; data.label_map != task.data.label_map) {
    data.label_map = task.data.label_map;
    const Rows own = load_rows(data, Split::kTrain, common.labels, RunSection{}.seed);
    if (!std::ranges::equal(own.rows, gold.rows, {}, &Row::label, &Row::label))
      throw Error(ErrorTag::kUsage, model, fmt::format("its label_map makes other labels of this file's than that of {}", first),
                  "minbert eval MODEL --data FILE scores each model alone");
  }
  if (common.answers() != Answers::kClasses) return;
  const std::vector<std::string> names = task.labels.class_names();
  const auto knows = [&](const Row& row) {
    return std::ranges::find(names, common.labels.class_name(static_cast<int>(row.label))) != names.end();
  };
  if (std::ranges::none_of(gold.rows, knows))
    throw Error(ErrorTag::kUsage, model, fmt::format("has none of the file's labels: it answers {}", fmt::join(names, ", ")));
}

}  // namespace

ScoredOnFile::ScoredOnFile(const std::vector<std::string>& models, const std::string& file, const std::string& task,
                           const ColumnFlags& columns, const std::string& split, Session& session) {
  const auto backend = open_backend(session);
  std::vector<std::unique_ptr<Ensemble>> opened;
  for (const std::string& path : models) opened.push_back(std::make_unique<Ensemble>(open_models(session, *backend, std::span(&path, 1))));
  const TaskSpec kind = kind_of(opened, file, columns);
  std::vector<TaskSpec> tasks;
  for (std::size_t i = 0; i < models.size(); ++i) tasks.push_back(task_of(*opened[i], models[i], task, kind));
  TaskSpec common = tasks.front();
  if (!common.is_regression()) {
    std::vector<std::string> names;
    for (const TaskSpec& each : tasks) add_classes(each.labels, names);
    if (static_cast<int>(names.size()) > common.labels.count) common.labels = TaskLabels::named(names);
    common.labels.sets = common.is_multi_label();
  }
  common.name = task_name(file);
  common.data = data_of(file, tasks, columns);
  const Rows rows = load_rows(common.data, Split::kTrain, common.labels, RunSection{}.seed);
  if (!rows.labelled()) throw Error(ErrorTag::kData, file, "expected a label in every row", "--label COLUMN");
  for (std::size_t i = 0; i < models.size(); ++i) expect_same_gold(common, rows, tasks[i], models[i], models.front());
  std::vector<InputRow> inputs;
  for (const Row& row : rows.rows) inputs.push_back({.text = row.text, .text_pair = row.text_pair, .id = row.id});

  for (std::size_t i = 0; i < models.size(); ++i) {
    const auto progress = [&](std::int64_t done) {
      throw_if_stopped();
      session.console.progress(fmt::format("{}  {} of {} rows", models[i], done, inputs.size()));
    };
    TaskEvaluation evaluation{&common, &rows, opened[i]->predict_texts(opened[i]->find_task(tasks[i].name), inputs, progress)};
    if (!common.is_regression())
      for (Prediction& prediction : evaluation.predictions) prediction = among(prediction, tasks[i].labels, common.labels);
    runs_.push_back(folder_.path() / std::to_string(i));
    write_evaluation(runs_.back() / "eval" / split, split, std::span(&evaluation, 1), 0, RunSection{}.seed);
  }
  session.console.clear_progress();
}

}  // namespace minbert
