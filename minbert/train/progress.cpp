// Checkpoints of a run.
#include "minbert/train/progress.h"

#include "minbert/base/files.h"

namespace minbert {
namespace {

constexpr int kFormat = 1;

Json to_json(const Progress& p) {
  return {{"format", kFormat},           {"stage", p.stage},       {"epoch", p.epoch},   {"epoch_step", p.epoch_step},
          {"stage_step", p.stage_step}, {"run_step", p.run_step}, {"wall_s", p.wall_s}, {"selection", p.selection},
          {"data", p.data}};
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

}  // namespace

void save_checkpoint(const std::filesystem::path& folder, const Params& params, const Optimizer* optimizer, const Progress& progress) {
  AtomicFolder files(folder);
  save_weights(files.temporary() / "model.safetensors", params, is_backbone);
  save_weights(files.temporary() / "heads.safetensors", params, is_head);
  if (optimizer != nullptr) optimizer->save(files.temporary() / "optimizer.safetensors");
  write_file(files.temporary() / "state.json", dump_json(to_json(progress), 2) + "\n");
  write_file(files.temporary() / "DONE", "");
  files.commit();
}

std::optional<Progress> find_checkpoint(const std::filesystem::path& folder) {
  AtomicFolder::recover(folder);
  if (!std::filesystem::exists(folder / "DONE")) return std::nullopt;
  const std::filesystem::path file = folder / "state.json";
  const Json json = read_json(file, ErrorTag::kModel);
  try {
    return from_json(json);
  } catch (const Json::exception& e) {
    throw Error(ErrorTag::kModel, file.string(), e.what());
  }
}

void load_checkpoint_weights(const std::filesystem::path& folder, Params& params) {
  load_weights(folder / "model.safetensors", params, is_backbone);
  load_weights(folder / "heads.safetensors", params, is_head);
}

void load_checkpoint_optimizer(const std::filesystem::path& folder, Optimizer& optimizer) { optimizer.load(folder / "optimizer.safetensors"); }

}  // namespace minbert
