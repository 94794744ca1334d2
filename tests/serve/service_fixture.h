// A service over a tiny model folder with tasks of every kind.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "minbert/base/files.h"
#include "minbert/base/parallel.h"
#include "minbert/serve/service.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/serve/client.h"

namespace minbert {

class ServiceTest : public testing::Test {
 protected:
  /// Makes a model folder of folder_; another seed makes other weights.
  void save(std::uint64_t seed = 1) const {
    static std::map<std::uint64_t, TempFolder> written;  // once: a disk may be slow to promise that files are on it
    const auto [at, is_new] = written.try_emplace(seed);
    if (is_new) save_tiny_folder(at->second.path(), tasks_, seed);
    std::filesystem::copy(at->second.path(), folder_.path(),
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  }

  /// The folders of the models that answer together.
  virtual std::vector<std::filesystem::path> model_folders() const { return {folder_.path()}; }

  LoadedModel load() const {
    set_num_threads(2);
    LoadedModel loaded;
    loaded.backend = make_backend("ref");
    std::vector<TextModel> models;
    for (const auto& folder : model_folders()) models.emplace_back(*loaded.backend, read_model_folder(folder), Compute{});
    loaded.models = std::make_unique<Ensemble>(std::move(models));
    loaded.dtype = "f32";
    return loaded;
  }

  void start(ServeOptions options = {}) {
    save();
    serve(std::move(options));
  }
  /// Serves the folder that is there.
  void serve(ServeOptions options) {
    options.port = 0;
    options.served_model_name = "tiny";
    service_ = std::make_unique<Service>(
        options, [this] { return load(); },
        [this](std::string_view lines) {
          const std::lock_guard lock(mutex_);
          log_ += lines;
          return lines.size();
        });
    service_->start();
  }
  std::string log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }

  Client client() const { return Client(service_->port()); }
  ClientReply post(const std::string& path, const std::string& body) const { return client().post(path, body); }
  /// Asks again while the server has no room: what earlier requests took is free only once it knows that they are done or gone.
  ClientReply post_until_taken(const std::string& path, const std::string& body) const {
    ClientReply reply = post(path, body);
    for (int tries = 1; tries < 2000 && reply.status == 429; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      reply = post(path, body);
    }
    return reply;
  }

  TempFolder folder_;
  std::vector<TaskSpec> tasks_ = tasks_of_every_kind();
  std::mutex mutex_;
  std::string log_;
  std::unique_ptr<Service> service_;  // the last member: it ends first
};

}  // namespace minbert
