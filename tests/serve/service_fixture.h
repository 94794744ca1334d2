// A service over a tiny model folder with tasks of every kind.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "minbert/base/files.h"
#include "minbert/base/parallel.h"
#include "minbert/serve/service.h"
#include "tests/base/temp_folder.h"
#include "tests/pipeline/text_fixture.h"
#include "tests/serve/client.h"

namespace minbert {

class ServiceTest : public testing::Test {
 protected:
  /// Writes a model folder; another seed makes other weights.
  void save(std::uint64_t seed = 1) const {
    const auto backend = make_backend("ref");
    Params params = tiny_params(*backend, model_shape(tiny_shape().config, tasks_), seed);
    save_model_folder(folder_.path(), params, tasks_, word_tokenizer(), {.max_length = 8, .dtype = "f32", .model_card = {}});
  }

  LoadedModel load() const {
    set_num_threads(2);
    LoadedModel loaded;
    loaded.backend = make_backend("ref");
    loaded.model = std::make_unique<TextModel>(*loaded.backend, read_model_folder(folder_.path()), Compute{});
    loaded.dtype = "f32";
    return loaded;
  }

  void start(ServeOptions options = {}) {
    save();
    options.port = 0;
    options.served_model_name = "tiny";
    service_ = std::make_unique<Service>(
        options, [this] { return load(); },
        [this](std::string_view lines) {
          const std::lock_guard lock(mutex_);
          log_ += lines;
        });
    service_->start();
  }
  std::string log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }

  Client client() const { return Client(service_->port()); }
  ClientReply post(const std::string& path, const std::string& body) const { return client().post(path, body); }

  TempFolder folder_;
  std::vector<TaskSpec> tasks_ = [] {
    std::vector<TaskSpec> tasks = three_tasks();  // mood, same, near
    tasks.push_back(make_task("stars", TaskType::kRegress, TaskLabels::range()));
    tasks.push_back(make_task("kind", TaskType::kPairClassify, TaskLabels::classes(3)));
    for (TaskSpec& task : tasks) task.pool = Pool::kMean;
    return tasks;
  }();
  std::mutex mutex_;
  std::string log_;
  std::unique_ptr<Service> service_;  // the last member: it ends first
};

}  // namespace minbert
