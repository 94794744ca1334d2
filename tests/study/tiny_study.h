// TinyStudyTest: studies of runs small enough for a test.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "minbert/study/study.h"
#include "tests/train/tiny_run.h"

namespace minbert {

/// Records which runs a call trained, their events, and how they ended; keys are "row/seed".
struct RecordedStudy final : StudyEvents {
  std::vector<std::string> begun, kept;
  std::map<std::string, RecordedEvents> events;
  std::map<std::string, SeedResult> ended;
  std::vector<std::string> messages;

  TrainEvents& begin(const StudyRun& run, std::size_t, std::size_t) override {
    begun.push_back(key(run));
    return events[begun.back()];
  }
  void end(const StudyRun& run, const SeedResult& result, bool was_kept) override {
    if (was_kept) kept.push_back(key(run));
    ended[key(run)] = result;
  }
  void message(std::string_view text) override { messages.emplace_back(text); }

  /// The number of trained steps, by stage.
  std::map<std::string, int> steps(const std::string& run) const {
    std::map<std::string, int> counts;
    if (const auto at = events.find(run); at != events.end())
      for (const StepEvent& step : at->second.steps) ++counts[step.stage];
    return counts;
  }

 private:
  static std::string key(const StudyRun& run) { return fmt::format("{}/{}", run.folder.parent_path().filename().string(), run.seed); }
};

class TinyStudyTest : public TinyRunTest {
 protected:
  TinyStudyTest() { write("base.toml", kBase); }

  void write(std::string_view name, std::string_view text) const { write_file(folder.path() / name, text); }
  std::filesystem::path study_path(std::string_view name) const { return folder.path() / "studies" / name; }

  Study load(std::string_view name, StudyOptions options = {}) const {
    options.folder = study_path(name);
    return load_study(folder.path() / (std::string(name) + ".toml"), backend->name(), options);
  }
  /// Runs NAME.toml in studies/NAME; `recorded` then has only the events of this call.
  StudyOutcome study(std::string_view name, StudyOptions options = {}) {
    recorded = {};
    return run_study(*backend, load(name, options), options, recorded);
  }

  RecordedStudy recorded;
};

}  // namespace minbert
