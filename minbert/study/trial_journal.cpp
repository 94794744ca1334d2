// TrialJournal: writes events as lines, and applies them to trials.
#include "minbert/study/trial_journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostSteps = std::int64_t{1} << 52;  // beyond any run; sums of them do not overflow

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
    const JsonNode event(parse_json(std::string_view(text).substr(begin, end - begin), place, ErrorTag::kData), place, ErrorTag::kData);
    if (line == 0)
      require_same(path_, event.json(), header_);
    else
      apply(event);
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
  apply({event, path_.string(), ErrorTag::kInternal});
}

void TrialJournal::eval(const TrialEval& eval) {
  const Json event = {{"event", "eval"},     {"trial", trials_.size() - 1}, {"stage", eval.stage},
                      {"epoch", eval.epoch}, {"step", eval.step},           {"score", eval.score}};
  append(event);
  apply({event, path_.string(), ErrorTag::kInternal});
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
  apply({event, path_.string(), ErrorTag::kInternal});
}

void TrialJournal::append(const Json& event) {
  if (!file_) {
    write_file(path_, dump_json(header_) + "\n");
    file_.emplace(path_);
  }
  file_->write(dump_json(event) + "\n");
  file_->sync();
}

void TrialJournal::apply(const JsonNode& event) {
  const std::string& what = event.at("event").as_text();
  const auto number = event.at("trial").as_whole<std::int64_t>(0);
  const bool is_next = running() == nullptr && number == std::ssize(trials_);
  if (what == "start" ? !is_next : running() == nullptr || number != running()->number)
    event.complain(fmt::format("expected the events of one trial after the other, got {}", dump_json(event.json())));
  if (what == "start") {
    trials_.push_back({.number = number,
                       .values = event.at("values").json(),
                       .planned_steps = event.at("planned_steps").as_whole<std::int64_t>(0, kMostSteps),
                       .evals = {}});
    return;
  }
  Trial& trial = trials_.back();
  if (what == "eval") {
    trial.evals.push_back({event.at("stage").as_text(), event.at("epoch").as_whole<int>(0),
                           event.at("step").as_whole<std::int64_t>(0, kMostSteps), event.at("score").as_number()});
    trial.steps = trial.evals.back().step;
    trial.score = std::max(trial.score.value_or(trial.evals.back().score), trial.evals.back().score);
    return;
  }
  if (what != "end") event.at("event").fail("start, eval or end");
  trial.state = event.at("state").as_choice<TrialState>();
  if (!trial.ended()) event.at("state").fail("a state that ends a trial");
  trial.reason = event.at("reason").as_text();
  trial.steps = event.at("steps").as_whole<std::int64_t>(0, kMostSteps);
  if (const auto score = event.find("score")) trial.score = score->as_number();
  if (const auto scores = event.find("scores")) trial.scores = scores->as_numbers();
  if (trial.state == TrialState::kFailed) trial.score.reset();
}

}  // namespace minbert
