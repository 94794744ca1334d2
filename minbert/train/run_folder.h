// RunFolder: the files of one run (docs/run_folder.md).
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
#include "minbert/data/run_status.h"
#include "minbert/train/events.h"
#include "minbert/train/phase_clock.h"

namespace minbert {

struct StageSpec;

struct OpenRun {
  bool resume = false;
  bool overwrite = false;  ///< remove the run that is there; only a folder with a status.json is taken for one
  bool writes = true;      ///< false on ranks that leave the folder to the first one: nothing is locked, checked or written
  /// Throws Error(kUsage) for both resume and overwrite.
  void check() const;
};

/// Owns runs/NAME while a process trains: the lock, status.json, log.txt, metrics.jsonl, metrics.csv and tb/. It receives the run's events,
/// writes them down and passes them on. Nothing in the folder changes before begin(): a run whose data or model cannot be read neither
/// leaves a folder behind nor removes one.
class RunFolder : public TrainEvents {
 public:
  /// Locks the folder, which may be new. Throws Error(kUsage) for a non-empty folder without resume or overwrite, and for a resume whose
  /// config differs (logging aside), naming the key; Error(kResources) when another process holds it.
  /// `config` is the resolved config.toml with origins, `input` the text of the given files, one after the other.
  RunFolder(const std::filesystem::path& path, const OpenRun& how, std::string_view config, std::string_view input, TrainEvents& next);
  ~RunFolder() override;

  const std::filesystem::path& path() const { return path_; }
  bool writes() const { return how_.writes; }
  std::filesystem::path checkpoint(std::string_view name) const { return path_ / "checkpoints" / name; }
  /// Whether the folder holds a finished run, so that nothing is left to do.
  bool finished() const { return finished_; }
  /// Runs since construction; its time is added to that of the processes before, which status.json holds.
  PhaseClock& clock() { return clock_; }
  PhaseSeconds phase_seconds();

  /// To be called once, on a run that is not finished. Removes a run to be overwritten, writes configs and status ("running"), and cuts
  /// metrics.jsonl and metrics.csv before the first step after `step`, that of a checkpoint, or empties them without one; TensorBoard hides
  /// what follows.
  void begin(std::optional<std::int64_t> step);
  bool begun() const { return writers_ != nullptr; }

  void step(const StepEvent& event) override;
  /// An evaluation that the files have already is not written again: a resume repeats those that follow its checkpoint's step.
  void eval(const EvalEvent& event) override;
  void pass(const PassEvent& event) override { next_->pass(event); }
  void message(MessageLevel level, std::string_view text) override;
  /// The evaluations of the run so far, those before a resume included.
  std::span<const EvalRecord> evals() const { return evals_; }
  /// Copies the records of these stages, the first ones of another run, from its metrics.jsonl into this run's files; they are not passed
  /// on. Throws Error(kData) if the file is broken.
  void replay(const std::filesystem::path& metrics, const std::set<std::string>& stages);
  /// Writes a line into log.txt alone.
  void log(std::string_view text);
  /// Writes and syncs buffered lines, and renews status.json, so that a kill loses no time before; to be called before a checkpoint is
  /// written.
  void flush();

  /// status.json: {"state": "running" | "done" | "stopped" | "failed", ...} and the time so far by phase; `more` has further keys.
  void set_status(std::string_view state, const Json& more = Json::object());
  void write_json(std::string_view name, const Json& json);

 private:
  struct Writers;
  void check();
  void cut_metrics(std::optional<std::int64_t> resumed);
  std::size_t keep_records(std::int64_t step, AtomicFile& table, std::string& spoilt);
  template <class Record>
  void append(const Record& record);
  void record(const StepRecord& step);
  void record(const EvalRecord& eval);
  void curve(const std::string& tag, double value);

  std::filesystem::path path_;
  OpenRun how_;
  std::string config_, input_;
  std::optional<RunStatus> status_;  // of the run that is resumed
  std::string early_log_;            // before begin()
  PhaseClock clock_;
  PhaseSeconds earlier_;  // of the processes before this one
  bool is_new_ = false, finished_ = false;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<Writers> writers_;
  std::vector<EvalRecord> evals_;
  TrainEvents* next_;
};

/// checkpoints/stage-NAME/best of a run.
std::filesystem::path stage_best(const std::filesystem::path& run, const StageSpec& stage);

/// The first key, except log_every, eval_train and keep, in which a run folder's config.toml differs from `config`: "stage.0.lr was 1e-05,
/// is now 0.001". Nothing if they agree or there is no config.toml.
std::optional<std::string> config_difference(const std::filesystem::path& folder, std::string_view config);

/// env.json: version, compiler, CPU, threads, backend with its instruction set and libraries.
Json environment_json(std::string_view backend_name, std::string_view backend_description);

}  // namespace minbert
