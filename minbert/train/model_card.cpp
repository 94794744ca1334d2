// The model card that Hugging Face shows for a folder, written from the run's config.
#include "minbert/train/model_card.h"

#include <algorithm>

namespace minbert {
namespace {

std::string task_row(const TaskData& task) {
  const TaskSpec& spec = task.spec;
  const std::string labels = spec.is_regression() ? spec.data.range_text() : fmt::format("{} classes", spec.labels.count);
  return fmt::format("| {} | {} | {} | {} | {} |\n", spec.name, option_name(spec.type), labels, option_name(spec.pool),
                     task.rows.train.rows.size());
}

std::string pretraining_card(const RunSetup& setup, const RunConfig& config, const StageSpec& stage) {
  const ModelConfig& model = setup.params->config();
  std::string card = fmt::format(
      "---\nlibrary_name: transformers\n---\n\n# {}\n\n"
      "A BERT encoder ({} layers, {} wide, {} heads) further pretrained by minbert as a masked language model, seed "
      "{}.\n`model.safetensors` holds "
      "the encoder, `mlm.safetensors` the MLM head (`{}`).\n\n| texts | sequences |\n|---|---|\n",
      config.run.name, model.num_hidden_layers, model.hidden_size, model.num_attention_heads, config.run.seed,
      option_name(stage.mlm->head));
  for (const MlmSource& source : setup.mlm[config.stage_index(stage.name)].sources)
    if (!source.probe) card += fmt::format("| {} | {} |\n", source.name, source.end - source.begin);
  return card;
}

std::string model_card(const RunSetup& setup, const RunConfig& config, const StageSpec& stage, std::span<const TaskData> tasks) {
  if (stage.mlm) return pretraining_card(setup, config, stage);
  const ModelConfig& model = setup.params->config();
  std::string card = fmt::format(
      "---\nlibrary_name: sentence-transformers\ntags:\n- sentence-similarity\n{}---\n\n# {}\n\n"
      "A BERT encoder ({} layers, {} wide, {} heads) fine-tuned by minbert, seed {}.\n`model.safetensors` holds the encoder for "
      "transformers and sentence-transformers",
      tasks.empty() ? "" : "- text-classification\n", config.run.name, model.num_hidden_layers, model.hidden_size,
      model.num_attention_heads, config.run.seed);
  if (tasks.empty()) return card + ".\n";
  card +=
      ", `heads.safetensors` the task heads\nand `minbert.json` what they read; `minbert predict` uses all three.\n\n"
      "| task | type | labels | pool | train rows |\n|---|---|---|---|---|\n";
  for (const TaskData& task : tasks) card += task_row(task);
  return card;
}

}  // namespace

void save_model(const std::filesystem::path& folder, const RunSetup& setup, const RunConfig& config, const StageSpec& stage,
                std::optional<std::size_t> only) {
  const auto tasks = only ? std::span(setup.tasks).subspan(*only, 1) : std::span(setup.tasks);
  std::vector<TaskSpec> specs;
  for (const TaskData& task : tasks) specs.push_back(task.spec);
  AtomicFolder files(folder);
  save_model_folder(files.temporary(), *setup.params, specs, setup.tokenizer,
                    {.max_length = setup.max_length,
                     .dtype = std::string(dtype_name(setup.compute())),
                     .model_card = model_card(setup, config, stage, tasks),
                     .mlm = stage.mlm.has_value()});
  files.commit();
}

}  // namespace minbert
