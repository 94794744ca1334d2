// Writes and reads checkpoints.
#include "minbert/train/progress.h"

#include "minbert/base/files.h"

namespace minbert {
namespace {

constexpr int kFormat = 1;

Json to_json(const Progress& p) {
  return {{"format", kFormat},          {"stage", p.stage},           {"epoch", p.epoch},
          {"epoch_step", p.epoch_step}, {"stage_step", p.stage_step}, {"run_step", p.run_step},
          {"wall_s", p.wall_s},         {"selection", p.selection},   {"data", p.data}};
}

Progress from_json(const Json& json) {
  Progress p;
  p.stage = json.at("stage").get<std::size_t>();
  p.epoch = json.at("epoch").get<int>();
  p.epoch_step = json.at("epoch_step").get<std::int64_t>();
  p.stage_step = json.at("stage_step").get<std::int64_t>();
  p.run_step = json.at("run_step").get<std::int64_t>();
  p.wall_s = json.at("wall_s").get<double>();
  p.selection = json.at("selection");
  p.data = json.at("data").get<std::string>();
  return p;
}

/// Calls read(JSON of the file). A key that is missing or of another type becomes an Error(kModel).
template <class Read>
auto read_record(const std::filesystem::path& file, Read&& read) {
  const Json json = read_json(file, ErrorTag::kModel);
  try {
    return read(json);
  } catch (const Json::exception& e) {
    throw Error(ErrorTag::kModel, file.string(), e.what());
  }
}

}  // namespace

void save_stage_record(const std::filesystem::path& stage, const StageRecord& record) {
  Json json = {{"format", kFormat}, {"run_step", record.run_step}, {"wall_s", record.wall_s}, {"best_epoch", record.best_epoch}};
  if (!record.from.empty()) json["from"] = record.from;
  write_file(stage / "stage.json", dump_json(json, 2) + "\n");
}

std::optional<StageRecord> find_stage_record(const std::filesystem::path& stage) {
  const std::filesystem::path file = stage / "stage.json";
  if (!std::filesystem::exists(file)) return std::nullopt;
  return read_record(file, [](const Json& json) {
    return StageRecord{.run_step = json.at("run_step").get<std::int64_t>(),
                       .wall_s = json.at("wall_s").get<double>(),
                       .best_epoch = json.at("best_epoch").get<int>(),
                       .from = json.value("from", "")};
  });
}

void save_checkpoint(const std::filesystem::path& folder, const Params& params, const Optimizer* optimizer, const Progress& progress) {
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
  return read_record(folder / "state.json", from_json);
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
