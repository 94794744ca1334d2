// Writes and reads checkpoints.
#include "minbert/train/progress.h"

#include <limits>

#include "minbert/base/files.h"
#include "minbert/base/json_node.h"

namespace minbert {
namespace {

constexpr int kStateFormat = 1;
constexpr std::int64_t kMostSteps = std::int64_t{1} << 52;  // beyond any run, and far from overflow

Json to_json(const Progress& p) {
  return {{"format", kStateFormat},
          {"stage", p.stage},
          {"epoch", p.epoch},
          {"epoch_step", p.epoch_step},
          {"stage_step", p.stage_step},
          {"run_step", p.run_step},
          {"wall_s", p.wall_s},
          {"stage_s", p.stage_s},
          {"selection", p.selection ? p.selection->json() : Json()},
          {"data", p.data}};
}

Progress progress_from(const JsonNode& json) {
  json.expect_format(kStateFormat);
  Progress p;
  p.stage = json.at("stage").as_whole<std::size_t>();
  p.epoch = json.at("epoch").as_whole<int>(0, std::numeric_limits<int>::max() - 1);
  p.run_step = json.at("run_step").as_whole<std::int64_t>(0, kMostSteps);
  p.stage_step = json.at("stage_step").as_whole<std::int64_t>(0, p.run_step);
  p.epoch_step = json.at("epoch_step").as_whole<std::int64_t>(0, p.stage_step);
  p.wall_s = json.at("wall_s").as_number(0);
  if (const auto seconds = json.find("stage_s")) p.stage_s = seconds->as_number(0);  // older versions did not write it
  if (p.epoch > 0) p.selection = SelectionState::read(json.at("selection"));
  p.data = json.at("data").as_text();
  return p;
}

}  // namespace

void save_stage_record(const std::filesystem::path& stage, const StageRecord& record) {
  Json json = {{"format", kStateFormat}, {"run_step", record.run_step}, {"wall_s", record.wall_s}, {"best_epoch", record.best_epoch}};
  if (!record.from.empty()) json["from"] = record.from;
  write_file(stage / "stage.json", dump_json(json, 2) + "\n");
}

std::optional<StageRecord> find_stage_record(const std::filesystem::path& stage) {
  const std::filesystem::path file = stage / "stage.json";
  if (!std::filesystem::exists(file)) return std::nullopt;
  const JsonNode json = JsonNode::read(file, ErrorTag::kModel);
  json.expect_format(kStateFormat);
  const auto from = json.find("from");
  return StageRecord{.run_step = json.at("run_step").as_whole<std::int64_t>(0, kMostSteps),
                     .wall_s = json.at("wall_s").as_number(0),
                     .best_epoch = json.at("best_epoch").as_whole<int>(-1),
                     .from = from ? from->as_text() : ""};
}

void save_checkpoint(const std::filesystem::path& folder, const Params& params, const Optimizer* optimizer, const Progress& progress,
                     const Comm& ranks) {
  if (!ranks.is_first()) {
    if (optimizer != nullptr) optimizer->save({});
    return;
  }
  AtomicFolder files(folder);
  save_weights(files.temporary() / "model.safetensors", params, is_backbone);
  save_weights(files.temporary() / "heads.safetensors", params, is_head);
  if (params.shape().mlm != MlmHeadKind::kNone) save_weights(files.temporary() / "mlm.safetensors", params, is_mlm);
  if (optimizer != nullptr) optimizer->save(files.temporary() / "optimizer.safetensors");
  write_file(files.temporary() / "state.json", dump_json(to_json(progress), 2) + "\n");
  write_file(files.temporary() / "DONE", "");
  files.commit();
}

std::optional<Progress> find_checkpoint(const std::filesystem::path& folder) {
  AtomicFolder::recover(folder);
  if (!std::filesystem::exists(folder / "DONE")) return std::nullopt;
  return progress_from(JsonNode::read(folder / "state.json", ErrorTag::kModel));
}

Progress broadcast(Comm& ranks, const Progress& progress) {
  if (ranks.is_alone()) return progress;
  constexpr const char* kPlace = "the first rank's state";
  return progress_from(
      {parse_json(ranks.broadcast(dump_json(to_json(progress))), kPlace, ErrorTag::kInternal), kPlace, ErrorTag::kInternal});
}

void broadcast(Comm& ranks, Params& params) {
  if (ranks.is_alone()) return;
  std::vector<float> values;
  for (std::size_t i = 0; i < params.table().size(); ++i) {
    const Tensor value = params.value(i);
    values.resize(static_cast<std::size_t>(value.numel()));
    if (ranks.is_first()) params.backend().copy_to_host(values.data(), value);
    ranks.broadcast(std::span(values));
    if (!ranks.is_first()) params.backend().copy_to_device(value, values.data());
  }
  params.changed();
}

void expect_at_most(const std::filesystem::path& folder, std::string_view key, std::int64_t value, std::int64_t most) {
  if (value > most)
    throw Error(ErrorTag::kModel, (folder / "state.json").string(),
                fmt::format("key \"{}\": expected a whole number up to {}, got {}", key, most, value), "--overwrite starts anew");
}

void load_checkpoint_weights(const std::filesystem::path& folder, Params& params) {
  load_weights(folder / "model.safetensors", params, is_backbone);
  load_weights(folder / "heads.safetensors", params, is_head);
  if (params.shape().mlm != MlmHeadKind::kNone) load_weights(folder / "mlm.safetensors", params, is_mlm);
}

void load_checkpoint_optimizer(const std::filesystem::path& folder, Optimizer& optimizer) {
  optimizer.load(folder / "optimizer.safetensors");
}

}  // namespace minbert
