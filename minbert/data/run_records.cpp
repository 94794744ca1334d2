// Records of a run to and from JSON.
#include "minbert/data/run_records.h"

#include <limits>

#include "minbert/base/json.h"

namespace minbert {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Takes the members of one line's object and checks each.
class Members {
 public:
  Members(const Json& json, const std::string& place) : json_(json), place_(place) {}

  std::string text(const char* key) const {
    const Json& value = at(key);
    if (!value.is_string()) fail(key, "a text", value);
    return value.get<std::string>();
  }
  template <class Int>
  Int count(const char* key, std::int64_t low) const {
    const Json& value = at(key);
    const bool whole =
        value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= std::numeric_limits<Int>::max());
    if (!whole || value.get<std::int64_t>() < low || value.get<std::int64_t>() > std::numeric_limits<Int>::max())
      fail(key, fmt::format("a whole number from {}", low), value);
    return value.get<Int>();
  }
  double seconds(const char* key) const {
    const Json& value = at(key);
    if (!value.is_number() || value.get<double>() < 0) fail(key, "a number from 0", value);
    return value.get<double>();
  }
  double number(const char* key) const { return number(key, at(key)); }
  /// NaN when it is absent.
  double magnitude(const char* key) const {
    if (!json_.contains(key)) return kNaN;
    const double value = number(key);
    if (value < 0) fail(key, "a number from 0 or null", at(key));
    return value;
  }
  std::map<std::string, double> numbers(const char* key) const {
    const Json& value = at(key);
    if (!value.is_object()) fail(key, "an object of numbers", value);
    std::map<std::string, double> numbers;
    for (const auto& [name, item] : value.items()) numbers[name] = number(fmt::format("{}.{}", key, name), item);
    return numbers;
  }
  bool has(const char* key) const { return json_.contains(key); }
  bool flag(const char* key) const {
    if (!has(key)) return false;
    if (!at(key).is_boolean()) fail(key, "true or false", at(key));
    return at(key).get<bool>();
  }
  [[noreturn]] void fail(std::string_view key, std::string_view expected, const Json& got) const {
    constexpr std::size_t kShown = 60;
    std::string shown = dump_json(got);
    if (shown.size() > kShown) shown = shown.substr(0, kShown) + " ...";
    throw Error(ErrorTag::kData, place_, fmt::format("key \"{}\": expected {}, got {}", key, expected, shown));
  }

 private:
  const Json& at(const char* key) const {
    const auto value = json_.find(key);
    if (value == json_.end()) throw Error(ErrorTag::kData, place_, fmt::format("key \"{}\" is missing", key));
    return *value;
  }
  double number(std::string_view key, const Json& value) const {
    if (value.is_null()) return kNaN;
    if (!value.is_number()) fail(key, "a number or null", value);
    return value.get<double>();
  }

  const Json& json_;
  const std::string& place_;
};

}  // namespace

std::string record_line(const StepRecord& step) {
  return dump_json({{"event", "step"},
                    {"stage", step.stage},
                    {"step", step.step},
                    {"epoch", step.epoch},
                    {"task", step.task},
                    {"loss", step.loss},
                    {"lr", step.lr},
                    {"grad_norm", step.grad_norm},
                    {"tokens", step.tokens},
                    {"tokens_per_s", step.tokens_per_s},
                    {"wall_s", step.wall_s}});
}

std::string record_line(const EvalRecord& eval) {
  Json json = {{"event", "eval"},       {"stage", eval.stage}, {"epoch", eval.epoch}, {"split", eval.split},
               {"scores", eval.scores}, {"mean", eval.mean},   {"loss", eval.loss}};
  if (!eval.perplexity.empty()) json["perplexity"] = eval.perplexity;
  if (eval.best) json["best"] = true;
  return dump_json(json);
}

RunRecord parse_record(std::string_view line, const std::string& place) {
  const Json json = parse_json(line, place, ErrorTag::kData);
  if (!json.is_object()) throw Error(ErrorTag::kData, place, "expected a JSON object");
  const Members members(json, place);
  const std::string event = members.text("event");
  if (event == "step")
    return StepRecord{.stage = members.text("stage"),
                      .task = members.text("task"),
                      .step = members.count<std::int64_t>("step", 1),
                      .epoch = members.count<int>("epoch", 1),
                      .loss = members.number("loss"),
                      .lr = members.magnitude("lr"),
                      .grad_norm = members.magnitude("grad_norm"),
                      .tokens = members.count<std::int64_t>("tokens", 0),
                      .tokens_per_s = members.magnitude("tokens_per_s"),
                      .wall_s = members.seconds("wall_s")};
  if (event != "eval") members.fail("event", "\"step\" or \"eval\"", event);
  return EvalRecord{.stage = members.text("stage"),
                    .split = members.text("split"),
                    .epoch = members.count<int>("epoch", 0),
                    .scores = members.numbers("scores"),
                    .loss = members.numbers("loss"),
                    .perplexity = members.has("perplexity") ? members.numbers("perplexity") : std::map<std::string, double>(),
                    .mean = members.number("mean"),
                    .best = members.flag("best")};
}

std::optional<RunRecord> RunRecordReader::next() {
  const std::string_view rest = file_.text().substr(bytes_);
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  RunRecord record = parse_record(rest.substr(0, end), fmt::format("{}:{}", path_, line_ + 1));
  ++line_;
  bytes_ += end + 1;
  return record;
}

}  // namespace minbert
