// Ensemble: trained models that answer together, each the tasks that it has.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "minbert/pipeline/text_model.h"

namespace minbert {

/// Throws Error(kUsage) naming `place` unless the answers of `other` mean the same as those of `task`.
void expect_same_answers(const TaskSpec& task, const TaskSpec& other, const std::string& place);

/// A task's answer is the mean of the answers of the models that have a task of this name: of their probabilities, from which classes are
/// chosen anew, or of their numbers. So several models of one task are an ensemble, and models of one task each share the work.
class Ensemble {
 public:
  /// Takes one model or more. Throws Error(kUsage) if tasks of the same name differ in type, labels, label_range or preprocess.
  explicit Ensemble(std::vector<TextModel> models);

  /// The tasks of all models, in the order in which they come up first. Of several models, thresholds are the means of theirs, and the
  /// temperature is 1, as each has divided by its own.
  const std::vector<TaskSpec>& tasks() const { return tasks_; }
  /// Index of the task of this name. Throws Error(kUsage) with the nearest name.
  std::size_t find_task(std::string_view name) const;
  /// A task of one of the models, by their indices.
  struct Member {
    std::size_t model = 0, task = 0;
  };
  /// Those that answer a task.
  std::span<const Member> members(std::size_t task) const { return members_[task]; }
  std::span<const TextModel> models() const { return models_; }
  std::span<TextModel> models() { return models_; }
  /// What the models compute with, in their order, for a RequestQueue: where each task has one member, its index there is its index here.
  std::vector<MultitaskModel*> compute_models();

  /// As TextModel's. `progress` gets the number of rows that all models together have answered, as a share of `rows`. Only the answers of
  /// a single model can be explained.
  std::vector<Prediction> predict(std::size_t task, std::span<const Row> rows, const RowProgress& progress = {},
                                  TextModel::Why why = TextModel::Why::kNo);
  std::vector<Prediction> predict_texts(std::size_t task, std::span<const InputRow> inputs, const RowProgress& progress = {},
                                        TextModel::Why why = TextModel::Why::kNo);

 private:
  void add_task(std::size_t model, std::size_t task);
  void join_decoding(std::size_t task);
  template <class Answer>
  std::vector<Prediction> ask(std::size_t task, const RowProgress& progress, TextModel::Why why, const Answer& answer);

  std::vector<TextModel> models_;
  std::vector<TaskSpec> tasks_;
  std::vector<std::vector<Member>> members_;  // of each task
};

}  // namespace minbert
