// inspect: prints a model folder's config, tensors, heads and tasks, what was mapped where, and what is missing.
#include <algorithm>
#include <memory>
#include <set>

#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/model/hf_import.h"
#include "minbert/pipeline/sentence_folder.h"

namespace minbert {
namespace {

struct InspectFlags {
  std::string model;
  bool json = false;
};

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kEncoder: return "encoder";
    case Role::kPooler: return "pooler";
    case Role::kHead: return "head";
    case Role::kMlm: return "mlm";
  }
  return "";
}

std::string shape_text(const std::vector<std::int64_t>& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

std::string labels_text(const TaskSpec& task) {
  const TaskLabels& labels = task.labels;
  if (labels.kind == TaskLabels::Kind::kRange) return task.data.range_text();
  return labels.kind == TaskLabels::Kind::kNames ? fmt::format("{}", fmt::join(labels.names, ", ")) : std::to_string(labels.count);
}

std::string head_text(const TaskSpec& task) {
  if (task.head.kind == HeadKind::kCosine) return "cosine";
  std::string text =
      !task.is_separate() || task.head.features == PairFeatures::kAuto ? "" : fmt::format("{} -> ", option_name(task.head.features));
  for (const DenseWidth& width : task.head.dense) text += width.text() + " -> ";
  return text + std::to_string(task.outputs());
}

/// What the folder holds, and how its tensors map to parameters.
struct Inspection {
  ModelFolder folder;
  SentenceModules vectors;
  Prompts prompts;
  std::string vectors_refused;  ///< why embed refuses the folder's modules; empty if it does not
  MlmHeadKind mlm = MlmHeadKind::kNone;
  std::vector<ParamInfo> table;
  ImportReport report;

  std::int64_t parameters() const {
    std::int64_t count = 0;
    for (std::size_t i = 0; i < table.size(); ++i)
      if (!report.parameters[i].missing()) count += table[i].numel();
    return count;
  }
  std::set<std::string> found(std::string ImportReport::Parameter::*what) const {
    std::set<std::string> values;
    for (const auto& parameter : report.parameters)
      if (!parameter.missing()) values.insert(parameter.*what);
    return values;
  }
};

/// The masked-LM head that the weights hold, if any.
MlmHeadKind mlm_head_in(const WeightSource& source) {
  const auto holds = [&](std::string_view name) {
    return std::ranges::any_of(source.tensors(), [&](const SourceTensor& tensor) { return canonical_name(tensor.name) == name; });
  };
  if (holds("mlm.weight")) return MlmHeadKind::kLinear;
  return holds("cls.predictions.transform.dense.weight") ? MlmHeadKind::kTied : MlmHeadKind::kNone;
}

std::string_view mlm_name(MlmHeadKind kind) {
  return kind == MlmHeadKind::kNone ? "none" : kind == MlmHeadKind::kLinear ? "linear" : "tied to the word embeddings";
}

Inspection inspect(const std::string& model) {
  Inspection found;
  found.folder = read_model_folder(model);
  try {
    found.vectors = read_sentence_modules(found.folder, found.folder.warnings);
    found.prompts = read_prompts(found.folder);
  } catch (const Error& error) {
    found.vectors_refused = error.what();
  }
  const WeightSource source = open_model_weights(found.folder.path);
  found.mlm = mlm_head_in(source);
  ModelShape shape = model_shape(found.folder.config, found.folder.tasks, true);
  shape.mlm = found.mlm;
  found.table = param_table(shape);
  found.report = plan_import(source, shape, {.wanted = {}, .require_encoder = false});
  return found;
}

Json vectors_json(const Inspection& found) {
  if (!found.vectors_refused.empty()) return {{"refused", found.vectors_refused}};
  return {{"pool", found.vectors.pooling.text()}, {"normalize", found.vectors.normalizes()},
          {"modules", found.vectors.text()},      {"width", found.vectors.width(found.folder.config.hidden_size)},
          {"prompts", found.prompts.texts},       {"default_prompt", found.prompts.by_default}};
}

std::string vectors_text(const Inspection& found) {
  if (!found.vectors_refused.empty()) return "refused: " + found.vectors_refused;
  return found.vectors.text() + (found.prompts.by_default.empty() ? "" : ", after a prompt");
}

Json inspection_json(const Inspection& found) {
  const ImportReport& report = found.report;
  Json tensors = Json::array(), heads = Json::array(), tasks = Json::array(), missing = Json::array();
  for (std::size_t i = 0; i < found.table.size(); ++i) {
    const auto& parameter = report.parameters[i];
    if (parameter.missing()) {
      missing.push_back(parameter.name);
      continue;
    }
    tensors.push_back({{"parameter", parameter.name},
                       {"role", role_name(parameter.role)},
                       {"tensor", parameter.tensor},
                       {"file", parameter.file},
                       {"dtype", parameter.dtype},
                       {"shape", found.table[i].shape}});
  }
  for (const auto& head : report.heads) heads.push_back({{"task", head.task}, {"loaded", head.loaded}, {"reason", head.reason}});
  for (const TaskSpec& task : found.folder.tasks) tasks.push_back(task_json(task));
  return {{"path", found.folder.path.string()},
          {"config", model_config_json(found.folder.config)},
          {"parameters", found.parameters()},
          {"max_length", found.folder.max_length},
          {"dtype", found.folder.dtype},
          {"embed", vectors_json(found)},
          {"mlm_head", mlm_name(found.mlm)},
          {"tasks", tasks},
          {"heads", heads},
          {"tensors", tensors},
          {"missing", missing},
          {"misshapen", report.misshapen},
          {"unexpected", report.unexpected},
          {"unused", report.unused},
          {"dropped", report.dropped},
          {"hint", report.hint}};
}

/// The number of names and the first of them, or all.
std::string listed(const std::vector<std::string>& names, bool all) {
  constexpr std::size_t kShown = 4;
  const std::size_t shown = all ? names.size() : std::min(kShown, names.size());
  std::string text =
      fmt::format("{}: {}", names.size(), fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  return shown == names.size() ? text : text + fmt::format(" and {} more", names.size() - shown);
}

std::string parts_table(const Inspection& found, bool all) {
  const ModelConfig& config = found.folder.config;
  const ImportReport& report = found.report;
  TextTable table({"part", "what"});
  table.add({"folder", found.folder.path.string()});
  table.add({"encoder", fmt::format("{} layers, hidden {}, {} heads, intermediate {}, {}", config.num_hidden_layers, config.hidden_size,
                                    config.num_attention_heads, config.intermediate_size, activation_name(config.hidden_act))});
  table.add({"vocabulary",
             fmt::format("{} tokens, {} positions, {} types", config.vocab_size, config.max_position_embeddings, config.type_vocab_size)});
  table.add({"weights",
             fmt::format("{} parameters, {}, in {}", found.parameters(), fmt::join(found.found(&ImportReport::Parameter::dtype), " and "),
                         fmt::join(found.found(&ImportReport::Parameter::file), ", "))});
  table.add({"max_length", std::to_string(found.folder.max_length)});
  table.add({"vectors", vectors_text(found)});
  const auto add = [&](const char* part, const std::vector<std::string>& names) {
    if (!names.empty()) table.add({part, listed(names, all)});
  };
  add("missing", report.missing(Role::kEncoder));
  if (!report.missing(Role::kPooler).empty()) table.add({"pooler", "none; initialised where a task wants it"});
  if (found.mlm != MlmHeadKind::kNone) table.add({"MLM head", std::string(mlm_name(found.mlm))});
  add("misshapen", report.misshapen);
  add("unexpected", report.unexpected);
  add("unused", report.unused);
  add("dropped", report.dropped);
  if (!report.hint.empty()) table.add({"hint", report.hint});
  return table.text();
}

std::string tasks_table(const Inspection& found) {
  TextTable table({"task", "type", "labels", "encode", "pool", "head", "metric", "weights"});
  for (const TaskSpec& task : found.folder.tasks) {
    std::string weights = "none needed";
    for (const auto& head : found.report.heads)
      if (head.task == task.name) weights = head.loaded ? "loaded" : head.reason;
    table.add({task.name, std::string(option_name(task.type)), labels_text(task),
               task.is_pair() ? std::string(option_name(task.encode)) : "", std::string(option_name(task.pool)), head_text(task),
               std::string(option_name(task.scored_by())), weights});
  }
  return table.text();
}

std::string tensors_table(const Inspection& found) {
  TextTable table({"parameter", "shape", "dtype", "tensor", "file"});
  for (std::size_t i = 0; i < found.table.size(); ++i) {
    const auto& parameter = found.report.parameters[i];
    table.add({parameter.name, shape_text(found.table[i].shape), parameter.dtype, parameter.missing() ? "missing" : parameter.tensor,
               parameter.file});
  }
  return table.text();
}

int run_inspect(const InspectFlags& flags, const Session& session) {
  const Inspection found = inspect(flags.model);
  if (flags.json) {
    print_json(inspection_json(found));
    return 0;
  }
  print_text(parts_table(found, session.console.verbose()));
  if (!found.folder.tasks.empty()) print_text("\n" + tasks_table(found));
  if (session.console.verbose()) print_text("\n" + tensors_table(found));
  return 0;
}

}  // namespace

Action declare_inspect(CLI::App& app, Session& session) {
  auto flags = std::make_shared<InspectFlags>();
  add_model(app, flags->model);
  add_json(app, flags->json);
  add_examples(app, "  minbert inspect models/all-MiniLM-L6-v2\n  minbert inspect runs/mine -v        # every tensor");
  return [flags, &session] { return run_inspect(*flags, session); };
}

}  // namespace minbert
