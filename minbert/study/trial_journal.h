// TrialJournal: what happened in a search, line by line, and the trials that follow from it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/study/early_stop.h"
#include "minbert/study/search_file.h"

namespace minbert {

/// One evaluation of a trial on dev.
struct TrialEval {
  std::string stage;
  int epoch = 0;
  std::int64_t step = 0;  ///< optimizer steps of the run by then
  double score = 0;       ///< by search.metric
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
  std::int64_t planned_steps = 0;  ///< when nothing stops it
  std::vector<TrialEval> evals;
  TrialState state = TrialState::kRunning;
  std::string reason = {};                     ///< why it was stopped, or failed
  std::map<std::string, double> scores = {};   ///< by task, of its best model; known when it is done
  std::int64_t steps = 0;                      ///< optimizer steps made; of a stopped one, up to the evaluation that stopped it
  std::optional<double> score = std::nullopt;  ///< the best so far; of a finished one, its best model's

  bool ended() const { return state != TrialState::kRunning; }
  TrialCurve curve() const;
};

/// Owns DIR/journal.jsonl. Each event is on disk when its function returns, and changes trials() as its line does when it is read again.
class TrialJournal {
 public:
  /// Reads what is there: a torn last line is cut off, as a killed process leaves one. `header` is the first line's; throws Error(kUsage)
  /// naming a key in which it differs, and Error(kData) "file:line" for a broken line. A new file appears with the first event.
  TrialJournal(std::filesystem::path path, Json header);

  bool begun() const { return file_.has_value(); }
  const std::vector<Trial>& trials() const { return trials_; }
  /// The trial that has begun and not ended, which is the last one; null when there is none.
  const Trial* running() const;

  void start(const Json& values, std::int64_t planned_steps);
  void eval(const TrialEval& eval);
  /// `steps` and `score` of a trial that its evaluations do not tell: the others are taken from them.
  void end(TrialState state, std::string_view reason, std::optional<std::int64_t> steps = {}, std::optional<double> score = {},
           const std::map<std::string, double>& scores = {});

 private:
  void append(const Json& event);
  void apply(const Json& event);

  std::filesystem::path path_;
  Json header_;
  std::vector<Trial> trials_;
  std::optional<AppendFile> file_;
};

}  // namespace minbert
