// TrialJournal: a search's log of events, one JSON line each, and the trials that they describe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "minbert/base/files.h"
#include "minbert/base/json_node.h"
#include "minbert/data/phase_seconds.h"
#include "minbert/study/early_stop.h"
#include "minbert/study/search_file.h"

namespace minbert {

/// One evaluation of a trial on dev.
struct TrialEval {
  std::string stage;
  int epoch = 0;
  std::int64_t step = 0;  ///< optimizer steps that the run had made
  double score = 0;       ///< the score that search.metric names
};

enum class TrialState : std::uint8_t { kRunning, kDone, kStopped, kBudget, kFailed };
constexpr std::array<OptionName<TrialState>, 5> option_names(TrialState) {
  return {{{TrialState::kRunning, "running"},
           {TrialState::kDone, "done"},
           {TrialState::kStopped, "stopped"},
           {TrialState::kBudget, "budget"},
           {TrialState::kFailed, "failed"}}};
}

struct Trial {
  std::int64_t number = 0;
  Json values;                     ///< {key: value}
  std::int64_t planned_steps = 0;  ///< steps of the whole run
  std::vector<TrialEval> evals;
  TrialState state = TrialState::kRunning;
  std::string reason = {};                     ///< why it stopped or failed
  std::map<std::string, double> scores = {};   ///< its best model's score by task, once it is done
  std::int64_t steps = 0;                      ///< optimizer steps made, at a stopped trial up to the evaluation that stopped it
  std::optional<double> score = std::nullopt;  ///< the best score so far; its best model's score once it is done
  std::optional<PhaseSeconds> phases = {};     ///< wall-clock time of its run, which is not in the journal

  bool ended() const { return state != TrialState::kRunning; }
  TrialCurve curve() const;
};

/// Owns DIR/journal.jsonl. An event is on disk when its function returns, and changes trials() just as reading its line again would.
class TrialJournal {
 public:
  /// Reads the file if there is one, and cuts off an incomplete last line, which a killed process may leave. Throws Error(kUsage) naming a
  /// key in which the first line differs from `header`, and Error(kData) "file:line" for a broken line. A new file appears with the first
  /// event.
  TrialJournal(std::filesystem::path path, Json header);

  /// Whether the file exists.
  bool begun() const { return file_.has_value(); }
  const std::vector<Trial>& trials() const { return trials_; }
  /// The last trial if it has not ended; else null.
  const Trial* running() const;

  void start(const Json& values, std::int64_t planned_steps);
  void eval(const TrialEval& eval);
  /// `steps` and `score` default to those of the trial's evaluations.
  void end(TrialState state, std::string_view reason, std::optional<std::int64_t> steps = {}, std::optional<double> score = {},
           const std::map<std::string, double>& scores = {});

 private:
  void append(const Json& event);
  void apply(const JsonNode& event);

  std::filesystem::path path_;
  Json header_;
  std::vector<Trial> trials_;
  std::optional<AppendFile> file_;
};

}  // namespace minbert
