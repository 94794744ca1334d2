// A model folder with a tiny encoder and tasks of every kind.
#pragma once

#include "tests/base/temp_folder.h"
#include "tests/pipeline/text_fixture.h"

namespace minbert {

/// mood, same and near of three_tasks(), stars (a regression of single texts) and kind (pairs in three classes), pooled by the mean.
inline std::vector<TaskSpec> tasks_of_every_kind() {
  std::vector<TaskSpec> tasks = three_tasks();
  tasks.push_back(make_task("stars", TaskType::kRegress, TaskLabels::range()));
  tasks.push_back(make_task("kind", TaskType::kPairClassify, TaskLabels::classes(3)));
  for (TaskSpec& task : tasks) task.pool = Pool::kMean;
  return tasks;
}

/// Writes such a folder; another seed makes other weights.
inline void save_tiny_folder(const std::filesystem::path& folder, std::span<const TaskSpec> tasks, std::uint64_t seed = 1) {
  const auto backend = make_backend("ref");
  const Params params = tiny_params(*backend, model_shape(tiny_shape().config, tasks), seed);
  save_model_folder(folder, params, tasks, word_tokenizer(), {.max_length = 8, .dtype = "f32", .model_card = {}});
}

}  // namespace minbert
