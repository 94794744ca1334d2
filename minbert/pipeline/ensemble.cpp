// Asks the models of a task one after the other and joins their answers.
#include "minbert/pipeline/ensemble.h"

#include <algorithm>

namespace minbert {

void expect_same_answers(const TaskSpec& task, const TaskSpec& other, const std::string& place) {
  const auto refuse = [&](const char* key) {
    throw Error(ErrorTag::kUsage, place,
                fmt::format("the models' tasks \"{}\" differ in {}, so that they cannot answer together", task.name, key));
  };
  if (other.type != task.type) refuse("type");
  if (!(other.labels == task.labels)) refuse("labels");
  if (task.is_regression() && other.data.label_range != task.data.label_range) refuse("label_range");
  if (other.data.preprocess != task.data.preprocess) refuse("preprocess");
}

Ensemble::Ensemble(std::vector<TextModel> models) : models_(std::move(models)) {
  MINBERT_CHECK(!models_.empty(), "an ensemble without models");
  for (std::size_t model = 0; model < models_.size(); ++model)
    for (std::size_t task = 0; task < models_[model].tasks().size(); ++task) add_task(model, task);
  for (std::size_t t = 0; t < tasks_.size(); ++t)
    if (members_[t].size() > 1) join_decoding(t);
}

void Ensemble::add_task(std::size_t model, std::size_t task) {
  const TaskSpec& spec = models_[model].tasks()[task];
  const auto known = std::ranges::find(tasks_, spec.name, &TaskSpec::name);
  if (known == tasks_.end()) {
    tasks_.push_back(spec);
    members_.push_back({{model, task}});
    return;
  }
  expect_same_answers(*known, spec, models_[model].folder().path.string());
  members_[static_cast<std::size_t>(known - tasks_.begin())].push_back({model, task});
}

void Ensemble::join_decoding(std::size_t task) {
  TaskSpec& spec = tasks_[task];
  spec.temperature = 1;
  if (!spec.is_multi_label()) return;
  spec.thresholds.assign(static_cast<std::size_t>(spec.labels.count), 0);
  for (const Member& member : members_[task]) {
    const std::vector<double>& own = models_[member.model].tasks()[member.task].thresholds;
    for (std::size_t k = 0; k < spec.thresholds.size(); ++k)
      spec.thresholds[k] += (own.empty() ? 0.5 : own[k]) / static_cast<double>(members_[task].size());
  }
}

std::vector<MultitaskModel*> Ensemble::compute_models() {
  std::vector<MultitaskModel*> models;
  for (TextModel& model : models_) models.push_back(&model.model());
  return models;
}

std::size_t Ensemble::find_task(std::string_view name) const { return minbert::find_task(tasks_, name, models_.front().folder().path); }

template <class Answer>
std::vector<Prediction> Ensemble::ask(std::size_t task, const RowProgress& progress, TextModel::Why why, const Answer& answer) {
  const std::vector<Member>& members = members_[task];
  MINBERT_CHECK(members.size() == 1 || why == TextModel::Why::kNo, "the answers of {} models are explained", members.size());
  if (members.size() == 1) return answer(models_[members[0].model], members[0].task, progress);
  std::vector<std::vector<Prediction>> answers;
  const auto count = static_cast<std::int64_t>(members.size());
  for (const Member& member : members) {
    const RowProgress part = [&, before = static_cast<std::int64_t>(answers.size())](std::int64_t done) {
      if (progress) progress(before == 0 ? done / count : (before * static_cast<std::int64_t>(answers.front().size()) + done) / count);
    };
    answers.push_back(answer(models_[member.model], member.task, part));
  }
  return mean_predictions(tasks_[task], answers);
}

std::vector<Prediction> Ensemble::predict(std::size_t task, std::span<const Row> rows, const RowProgress& progress, TextModel::Why why) {
  return ask(task, progress, why,
             [&](TextModel& model, std::size_t own, const RowProgress& part) { return model.predict(own, rows, part, why); });
}

std::vector<Prediction> Ensemble::predict_texts(std::size_t task, std::span<const InputRow> inputs, const RowProgress& progress,
                                                TextModel::Why why) {
  return ask(task, progress, why,
             [&](TextModel& model, std::size_t own, const RowProgress& part) { return model.predict_texts(own, inputs, part, why); });
}

}  // namespace minbert
