// RunFolder: the files of one run, as docs/run_folder.md describes them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/train/events.h"

namespace minbert {

struct OpenRun {
  bool resume = false;
  bool overwrite = false;  ///< remove what is there, but only a folder that holds a status.json
};

/// Owns runs/NAME while its process trains: the lock, status.json, log.txt, metrics.jsonl, metrics.csv and tb/. Itself a receiver of
/// events, which it writes and hands on.
class RunFolder final : public TrainEvents {
 public:
  /// Creates or opens the folder; a run in it that failed before its first step is removed. Throws Error(kUsage) for a non-empty folder
  /// without resume or overwrite, and for a resume whose config differs (logging aside), naming the key; Error(kResources) when another
  /// process holds it.
  /// `config` is the resolved config.toml with origins, `input` the files as they were given, one after the other.
  RunFolder(const std::filesystem::path& path, const OpenRun& how, std::string_view config, std::string_view input, TrainEvents& next);
  ~RunFolder() override;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoint(std::string_view name) const { return path_ / "checkpoints" / name; }
  /// True when the run that was found is finished: nothing is left to do.
  bool finished() const { return writers_ == nullptr; }

  /// Cuts metrics.jsonl and metrics.csv before the first step after `step` (0: everything); tb hides what follows. Called once, before the
  /// first step or eval. Evals that stay and are made again (they follow the checkpoint's step) are not written twice.
  void start_at(std::int64_t step);
  void step(const StepEvent& event) override;
  void eval(const EvalEvent& event) override;
  void message(MessageLevel level, std::string_view text) override;
  /// A line of log.txt, handed on to nobody.
  void log(std::string_view text);
  /// Hands buffered lines to the operating system and syncs them; before a checkpoint counts as written.
  void flush();

  /// status.json: {"state": "running" | "done" | "stopped" | "failed", ...}; `more` adds keys.
  void set_status(std::string_view state, const Json& more = Json::object());
  void write_json(std::string_view name, const Json& json);

 private:
  struct Writers;
  void open(const OpenRun& how, std::string_view config);
  void append(const Json& event);
  std::filesystem::path path_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<Writers> writers_;
  TrainEvents* next_;
};

/// env.json: version, compiler, CPU, threads, backend with its instruction set and libraries.
Json environment_json(std::string_view backend_name, std::string_view backend_description);

}  // namespace minbert
