// A line for each task, for the model, and for the stages.
#include "minbert/train/announce.h"

#include <algorithm>
#include <ranges>

#include "minbert/train/stage.h"

namespace minbert {
namespace {

std::string rows_text(const TaskData& task) {
  const TaskSpec& spec = task.spec;
  std::string text = fmt::format("{}: {}", spec.name, option_name(spec.type));
  if (!spec.is_regression()) text += fmt::format(", {} labels", spec.labels.count);
  text += fmt::format("; {} train", task.rows.train.rows.size());
  if (task.has_dev()) text += fmt::format(", {} dev", task.rows.dev.rows.size());
  if (task.has_test()) text += fmt::format(", {} test", task.rows.test.rows.size());
  return text + " rows";
}

std::string head_text(const TaskSpec& task) {
  if (task.head.kind == HeadKind::kCosine) return "cosine head";
  const std::string pair = task.is_pair() ? fmt::format(", {} pairs", option_name(task.encode)) : "";
  const std::string layers = task.head.dense.empty() ? "one linear layer" : fmt::format("{} dense layers", task.head.dense.size());
  return fmt::format("{} vectors{}, {}", option_name(task.pool), pair, layers);
}

std::string stage_text(const StageSpec& stage, std::span<const SampledTask> sampled) {
  const char* what = stage.kind == StageKind::kHeads         ? " (frozen encoder)"
                     : stage.kind == StageKind::kMlm         ? " (masked words)"
                     : stage.kind == StageKind::kDistill     ? " (from teachers)"
                     : stage.kind == StageKind::kContrastive ? " (texts that belong together)"
                                                             : "";
  const std::string from = stage.sources().size() > 1 ? fmt::format(" (the mean of {})", fmt::join(stage.sources(), ", ")) : "";
  if (stage.epochs == 0) return fmt::format("{}{}{} no steps", stage.name, what, from);
  const std::string lora = stage.lora ? fmt::format(", LoRA of rank {}", stage.lora->rank) : "";
  const auto [least, most] = std::ranges::minmax(sampled | std::views::transform(&SampledTask::batch));
  const std::string rows = least == most ? fmt::to_string(most) : fmt::format("{} to {}", least, most);
  return fmt::format("{}{}{} {} epochs, {} steps of {} rows, lr {}{}", stage.name, what, from, stage.epochs, planned_steps(stage, sampled),
                     rows, stage.shown_lr(), lora);
}

}  // namespace

void announce(RunSetup& setup, const RunConfig& config, TrainEvents& events) {
  const auto say = [&](const std::string& text) { events.message(MessageLevel::kInfo, text); };
  for (const TaskData& task : setup.tasks) say(rows_text(task));
  for (std::size_t i = 0; i < config.stages.size(); ++i)
    for (const auto& [task, texts] : setup.unlabelled[i])
      say(fmt::format("stage {}: {} rows of {} without labels, which the teachers label", config.stages[i].name, texts.rows.size(), task));
  const ModelConfig& model = setup.params->config();
  std::string line =
      fmt::format("model: {} layers, {} wide, {:.1f} million parameters; texts are cut at {} tokens", model.num_hidden_layers,
                  model.hidden_size, static_cast<double>(setup.params->numel()) / 1e6, setup.max_length);
  if (setup.tasks.size() == 1) line += "; " + head_text(setup.tasks.front().spec);
  say(line);
  const ShouldStop never = [] { return false; };
  std::vector<std::string> stages;
  const char* kept = "";
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const std::unique_ptr<Objective> objective = make_objective(setup, config, i, events, never);
    stages.push_back(stage_text(config.stages[i], objective->sampled()));
    kept = keeps_last(config.stages[i], *objective) ? "the last epoch"
           : config.stages[i].mlm ? "the epoch with the lowest loss on texts set aside, epoch 0 being the start of the last stage"
                                  : "the epoch that dev prefers, epoch 0 being the start of the last stage";
  }
  say(fmt::format("stages: {}; kept: {}", fmt::join(stages, "; then "), kept));
}

}  // namespace minbert
