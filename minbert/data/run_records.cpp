// Records of a run to and from JSON.
#include "minbert/data/run_records.h"

#include <limits>

#include "minbert/base/json_node.h"

namespace minbert {
namespace {

/// A number from 0, or null; NaN when it is absent too.
double magnitude(const JsonNode& record, std::string_view key) {
  const auto member = record.find(key);
  return member ? member->as_number_or_nan(0) : std::numeric_limits<double>::quiet_NaN();
}

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
  const JsonNode record(parse_json(line, place, ErrorTag::kData), place, ErrorTag::kData);
  const std::string& event = record.at("event").as_text();
  if (event == "step")
    return StepRecord{.stage = record.at("stage").as_text(),
                      .task = record.at("task").as_text(),
                      .step = record.at("step").as_whole<std::int64_t>(1),
                      .epoch = record.at("epoch").as_whole<int>(1),
                      .loss = record.at("loss").as_number_or_nan(),
                      .lr = magnitude(record, "lr"),
                      .grad_norm = magnitude(record, "grad_norm"),
                      .tokens = record.at("tokens").as_whole<std::int64_t>(0),
                      .tokens_per_s = magnitude(record, "tokens_per_s"),
                      .wall_s = record.at("wall_s").as_number(0)};
  if (event != "eval") record.at("event").fail("\"step\" or \"eval\"");
  const auto perplexity = record.find("perplexity"), best = record.find("best");
  return EvalRecord{.stage = record.at("stage").as_text(),
                    .split = record.at("split").as_text(),
                    .epoch = record.at("epoch").as_whole<int>(0),
                    .scores = record.at("scores").as_numbers(),
                    .loss = record.at("loss").as_numbers(),
                    .perplexity = perplexity ? perplexity->as_numbers() : std::map<std::string, double>(),
                    .mean = record.at("mean").as_number_or_nan(),
                    .best = best && best->as_flag()};
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
