// TrialJournal: writes events as lines, and applies them to trials.
#include "minbert/study/trial_journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace minbert {
namespace {

namespace fs = std::filesystem;

TrialState state_named(const std::string& name) {
  for (const auto& row : option_names(TrialState{}))
    if (row.name == name) return row.value;
  throw std::invalid_argument(fmt::format("expected a state of a trial, got \"{}\"", name));
}

/// Compares the first lines of two journals. Throws Error(kUsage) at the first key that differs.
void require_same(const fs::path& path, const Json& was, const Json& now) {
  for (const auto& [key, value] : now.items()) {
    const Json before = was.is_object() ? was.value(key, Json()) : Json();
    if (before != value)
      throw Error(ErrorTag::kUsage, path.string(),
                  fmt::format("cannot go on with another search: {} was {}, is now {}", key, dump_json(before), dump_json(value)),
                  "give the same file, or name another folder with -o");
  }
}

}  // namespace

TrialCurve Trial::curve() const {
  TrialCurve best;
  for (const TrialEval& eval : evals)
    if (eval.step > 0) best.push_back(best.empty() ? eval.score : std::max(best.back(), eval.score));
  return best;
}

TrialJournal::TrialJournal(fs::path path, Json header) : path_(std::move(path)), header_(std::move(header)) {
  std::string text = fs::exists(path_) ? read_file(path_) : std::string();
  text.resize(text.rfind('\n') + 1);  // without any newline, npos + 1 = 0
  std::size_t line = 0;
  for (std::size_t begin = 0; begin < text.size(); ++line) {
    const std::size_t end = text.find('\n', begin);
    const std::string place = fmt::format("{}:{}", path_.string(), line + 1);
    const Json event = parse_json(std::string_view(text).substr(begin, end - begin), place, ErrorTag::kData);
    try {
      if (line == 0)
        require_same(path_, event, header_);
      else
        apply(event);
    } catch (const std::invalid_argument& error) {
      throw Error(ErrorTag::kData, place, error.what());
    } catch (const Json::exception& error) {
      throw Error(ErrorTag::kData, place, error.what());
    }
    begin = end + 1;
  }
  if (text.empty()) return;
  file_.emplace(path_);
  fs::resize_file(path_, text.size());
}

const Trial* TrialJournal::running() const { return trials_.empty() || trials_.back().ended() ? nullptr : &trials_.back(); }

void TrialJournal::start(const Json& values, std::int64_t planned_steps) {
  MINBERT_CHECK(running() == nullptr, "one trial after the other");
  const Json event = {{"event", "start"}, {"trial", trials_.size()}, {"values", values}, {"planned_steps", planned_steps}};
  append(event);
  apply(event);
}

void TrialJournal::eval(const TrialEval& eval) {
  const Json event = {{"event", "eval"},     {"trial", trials_.size() - 1}, {"stage", eval.stage},
                      {"epoch", eval.epoch}, {"step", eval.step},           {"score", eval.score}};
  append(event);
  apply(event);
}

void TrialJournal::end(TrialState state, std::string_view reason, std::optional<std::int64_t> steps, std::optional<double> score,
                       const std::map<std::string, double>& scores) {
  MINBERT_CHECK(running() != nullptr, "no trial is running");
  const Trial& trial = trials_.back();
  const auto last_step = trial.evals.empty() ? 0 : trial.evals.back().step;
  Json event = {
      {"event", "end"}, {"trial", trial.number}, {"state", option_name(state)}, {"reason", reason}, {"steps", steps.value_or(last_step)}};
  if (score) event["score"] = *score;
  if (!scores.empty()) event["scores"] = scores;
  append(event);
  apply(event);
}

void TrialJournal::append(const Json& event) {
  if (!file_) {
    write_file(path_, dump_json(header_) + "\n");
    file_.emplace(path_);
  }
  file_->write(dump_json(event) + "\n");
  file_->sync();
}

void TrialJournal::apply(const Json& event) {
  const auto what = event.at("event").get<std::string>();
  const auto number = event.at("trial").get<std::int64_t>();
  if (what == "start") {
    trials_.push_back(
        {.number = number, .values = event.at("values"), .planned_steps = event.at("planned_steps").get<std::int64_t>(), .evals = {}});
    if (number == std::ssize(trials_) - 1) return;
  }
  if (running() == nullptr || number != trials_.back().number || what == "start")
    throw std::invalid_argument(fmt::format("expected the events of one trial after the other, got {}", dump_json(event)));
  Trial& trial = trials_.back();
  if (what == "eval") {
    trial.evals.push_back({event.at("stage").get<std::string>(), event.at("epoch").get<int>(), event.at("step").get<std::int64_t>(),
                           event.at("score").get<double>()});
    trial.steps = trial.evals.back().step;
    trial.score = std::max(trial.score.value_or(trial.evals.back().score), trial.evals.back().score);
    return;
  }
  trial.state = state_named(event.at("state").get<std::string>());
  trial.reason = event.at("reason").get<std::string>();
  trial.steps = event.at("steps").get<std::int64_t>();
  if (event.contains("score")) trial.score = event["score"].get<double>();
  if (event.contains("scores")) trial.scores = event["scores"].get<std::map<std::string, double>>();
  if (trial.state == TrialState::kFailed) trial.score.reset();
}

}  // namespace minbert
