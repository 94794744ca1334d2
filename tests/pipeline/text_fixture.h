// A vocabulary of a few words, a tiny encoder, and tasks of every kind on them.
#pragma once

#include <string>
#include <vector>

#include "minbert/data/dataset.h"
#include "minbert/pipeline/model_folder.h"
#include "tests/model/tiny_model.h"

namespace minbert {

inline Tokenizer word_tokenizer() { return Tokenizer({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d", "e", "f"}); }

inline TaskSpec make_task(std::string name, TaskType type, TaskLabels labels) {
  TaskSpec task;
  task.name = std::move(name);
  task.type = type;
  task.labels = std::move(labels);
  task.data.text = "first";
  if (task.is_pair()) task.data.text_pair = "second";
  return task;
}

/// Sentiment in three classes, paraphrases as two sequences, similarity as one.
inline std::vector<TaskSpec> three_tasks() {
  std::vector<TaskSpec> tasks = {make_task("mood", TaskType::kClassify, TaskLabels::named({"bad", "so-so", "good"})),
                                 make_task("same", TaskType::kPairClassify, TaskLabels::classes(2)),
                                 make_task("near", TaskType::kPairRegress, TaskLabels::range())};
  tasks[2].encode = PairEncoding::kJoint;
  return tasks;
}

inline Row make_row(std::string text, std::string text_pair = {}, double label = 0) {
  Row row;
  row.text = std::move(text);
  row.text_pair = std::move(text_pair);
  row.label = label;
  return row;
}

}  // namespace minbert
