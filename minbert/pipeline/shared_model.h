// SharedModel: a loaded model folder and its queue, for many threads; what minbert/pipeline/api.h is made of.
#pragma once

#include <unistd.h>

#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/pipeline/api.h"
#include "minbert/pipeline/ensemble.h"
#include "minbert/pipeline/request_queue.h"
#include "minbert/pipeline/sentence_folder.h"

namespace minbert {

/// An answer of analyze(): the task's index, and what it says.
struct TaskAnswer {
  std::size_t task;
  Prediction prediction;
};

/// All but the constructor may be called from any thread. An exception of `progress` arrives as CallerStopped. In a fork of the process,
/// which has none of the queue's threads, calls that compute throw Error(kUsage).
struct SharedModel {
  /// Loads the folder. Throws Error(kModel).
  SharedModel(const std::filesystem::path& path, const api::Options& options);

  const std::vector<TaskSpec>& specs() const { return models->tasks(); }
  /// The model that makes vectors, whose tokenizer and limits are those of all.
  const TextModel& model() const { return models->models().front(); }
  std::int64_t hidden() const { return model().folder().config.hidden_size; }
  bool is_forked() const { return ::getpid() != process; }

  /// A prediction for each input. Throws Error(kUsage) for an input that is no pair where the task reads pairs, or is one where not.
  std::vector<Prediction> predict(std::size_t task, std::span<const api::Input> inputs, const api::Progress& progress);
  /// For each input the answers of those of the tasks `wanted` that fit it, by rising index. Throws Error(kUsage) for an input that none
  /// fits.
  std::vector<std::vector<TaskAnswer>> analyze(std::span<const api::Input> inputs, const std::vector<std::size_t>& wanted,
                                               const api::Progress& progress);
  /// What makes vectors. Throws Error(kUsage) for an unknown pooling or impossible dimensions, and what is wrong with the folder's modules.
  SentenceModules modules_of(const api::EmbedOptions& options) const;
  /// Writes vectors (texts, width), row-major, to the start of `rows`. Throws Error(kUsage) if they have no room there.
  void embed(std::span<float> rows, std::span<const std::string_view> texts, const api::EmbedOptions& options,
             const api::Progress& progress);
  /// A score of each document (api::RankOptions).
  std::vector<double> scores(std::string_view query, std::span<const std::string> documents, const api::RankOptions& options);

  pid_t process = ::getpid();
  int threads = 1;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Ensemble> models;  // of which one answers each task
  std::string dtype;
  bool has_pooler = false;
  SentenceModules modules;
  Prompts prompts;
  std::exception_ptr no_vectors;            // why the folder's modules cannot make vectors
  std::unique_ptr<Backend> module_backend;  // what modules are applied on, while module_mutex is held
  std::mutex module_mutex;
  std::vector<api::TaskInfo> infos;
  std::vector<std::string> warnings;
  std::unique_ptr<RequestQueue> queue;  // after all that its threads use

 private:
  void expect_own_process() const;
  std::string place_of(std::size_t row) const;
  TokenizedRows tokenize(const TaskSpec& task, std::span<const api::Input> inputs) const;
  std::vector<double> pair_scores(std::size_t task, std::string_view query, std::span<const std::string> documents);
};

}  // namespace minbert
