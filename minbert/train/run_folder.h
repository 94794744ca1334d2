// RunFolder: the files of one run, as docs/run_folder.md describes them.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/train/events.h"

namespace minbert {

struct OpenRun {
  bool resume = false;
  bool overwrite = false;  ///< remove what is there, but only a folder that holds a status.json
};

/// Owns runs/NAME while its process trains: the lock, status.json, log.txt, metrics.jsonl, metrics.csv and tb/. Itself a receiver of
/// events, which it writes and hands on. Until begin() nothing in it changes, so that a run whose data or model cannot be read leaves no
/// folder behind, and removes none.
class RunFolder : public TrainEvents {
 public:
  /// Locks the folder, which may be new. Throws Error(kUsage) for a non-empty folder without resume or overwrite, and for a resume whose
  /// config differs (logging aside), naming the key; Error(kResources) when another process holds it.
  /// `config` is the resolved config.toml with origins, `input` the files as they were given, one after the other.
  RunFolder(const std::filesystem::path& path, const OpenRun& how, std::string_view config, std::string_view input, TrainEvents& next);
  ~RunFolder() override;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoint(std::string_view name) const { return path_ / "checkpoints" / name; }
  /// True when the run that was found is finished: nothing is left to do.
  bool finished() const { return finished_; }

  /// Once, on a run that is not finished: removes what is to be overwritten, writes configs and status ("running"), and cuts metrics.jsonl
  /// and metrics.csv before the first step after `step` (0: everything); tb hides what follows.
  void begin(std::int64_t step);
  bool begun() const { return writers_ != nullptr; }

  void step(const StepEvent& event) override;
  /// An evaluation that the files have already is not written again: a resume repeats those that follow its checkpoint's step.
  void eval(const EvalEvent& event) override;
  void pass(const PassEvent& event) override { next_->pass(event); }
  void message(MessageLevel level, std::string_view text) override;
  /// The evaluations of the run so far, those before a resume included.
  std::span<const EvalRecord> evals() const { return evals_; }
  /// Writes down the records of another run's metrics.jsonl that belong to these stages, its first ones, as if they were this run's, and
  /// hands none of them on. Throws Error(kData) when the file is broken.
  void replay(const std::filesystem::path& metrics, const std::set<std::string>& stages);
  /// A line of log.txt, handed on to nobody.
  void log(std::string_view text);
  /// Hands buffered lines to the operating system and syncs them; before a checkpoint counts as written.
  void flush();

  /// status.json: {"state": "running" | "done" | "stopped" | "failed", ...}; `more` adds keys.
  void set_status(std::string_view state, const Json& more = Json::object());
  void write_json(std::string_view name, const Json& json);

 private:
  struct Writers;
  void check();
  void cut_metrics(std::int64_t step);
  std::size_t keep_records(std::int64_t step, AtomicFile& table);
  template <class Record>
  void append(const Record& record);
  void record(const StepRecord& step);
  void record(const EvalRecord& eval);
  void curve(const std::string& tag, double value);

  std::filesystem::path path_;
  OpenRun how_;
  std::string config_, input_;
  Json status_;            // of the run that goes on; null for a new one
  std::string early_log_;  // before begin()
  bool is_new_ = false, finished_ = false;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<Writers> writers_;
  std::vector<EvalRecord> evals_;
  TrainEvents* next_;
};

/// The first key in which a run folder's config.toml differs from `config`, logging aside: "stage.0.lr was 1e-05, is now 0.001". Nothing when
/// they agree, or there is none.
std::optional<std::string> config_difference(const std::filesystem::path& folder, std::string_view config);

/// env.json: version, compiler, CPU, threads, backend with its instruction set and libraries.
Json environment_json(std::string_view backend_name, std::string_view backend_description);

}  // namespace minbert
