// Models, settings and data: figures 1 and 2, tables 1 to 3 of the paper, and what differs between models.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "minbert/base/config_tree.h"
#include "minbert/report/diagram.h"
#include "minbert/report/numbers.h"
#include "minbert/report/sections.h"

namespace minbert {
namespace {

constexpr std::string_view kKeptEpoch = "epoch kept";  // differs between runs of one model: a report of several models leaves it out
constexpr std::size_t kMostSettingColumns = 6;         // a table with more columns is transposed

Html figure(const std::string& id, const Html& drawing, std::string_view caption) {
  return element("figure", {{"id", id}}, drawing + element("figcaption", {}, caption)) + "\n";
}

/// The different dropout rates of a stage's heads.
std::string head_dropouts(const StageConfig& stage, const ConfigView& config) {
  std::vector<std::string> values;
  for (const std::string& name : stage.tasks) {
    const TaskConfig* task = config.find_task(name);
    if (task == nullptr) continue;
    const std::string value = number_text(task->dropout, 4);
    if (std::ranges::find(values, value) == values.end()) values.push_back(value);
  }
  return list_text(values);
}

/// A row of Table 2: its name, the paper's value, and a function that gives a stage's value.
struct Setting {
  std::string_view name, paper;
  std::string (*value)(const StageConfig& stage, const RunData& run);
};

std::string stage_value(const StageConfig& stage, std::string_view key) { return setting(stage.values, key); }

std::string encoder_value(const RunData& run, std::int64_t EncoderSizes::*size) {
  return run.encoder ? std::to_string((*run.encoder).*size) : "";
}

std::string on_mlm(const StageConfig& stage, std::string_view key) { return stage.is_mlm() ? stage_value(stage, key) : ""; }

std::string not_mlm(const StageConfig& stage, std::string_view key) { return stage.is_mlm() ? "" : stage_value(stage, key); }

std::string warmup(const StageConfig& stage) {
  const std::string steps = stage_value(stage, "warmup_steps");
  return steps.empty() ? stage_value(stage, "warmup_ratio") : steps + " steps";
}

std::string head_rate(const StageConfig& stage) {
  const std::string own = stage_value(stage, "head_lr");
  return own.empty() ? stage_value(stage, "lr") : own;
}

std::string kept_text(const StageConfig& stage, const RunData& run) {
  const std::optional<int> epoch = kept_epoch(run, stage.name);
  return epoch ? std::to_string(*epoch) : "";
}

const std::vector<Setting>& settings() {
  using Stage = const StageConfig&;
  using Run = const RunData&;
  static const std::vector<Setting> kSettings = {
      {"kind", "", [](Stage s, Run) { return s.kind; }},
      {"trained on", "", [](Stage s, Run) { return list_text(s.reads_texts() ? s.texts : s.tasks); }},
      {"learning rate", "1e-5 pretraining, 1e-3 fine-tuning",
       [](Stage s, Run) { return s.kind == "heads" ? "frozen" : stage_value(s, "lr"); }},
      {"learning rate of heads", "1e-3", [](Stage s, Run) { return s.kind == "contrastive" ? "" : head_rate(s); }},
      {"batch size", "8", [](Stage s, Run) { return stage_value(s, "batch"); }},
      {"batches a step", "", [](Stage s, Run) { return stage_value(s, "accumulate"); }},
      {"epochs", "10", [](Stage s, Run) { return stage_value(s, "epochs"); }},
      {"dropout before heads", "0.3", [](Stage s, Run r) { return head_dropouts(s, r.config); }},
      {"dropout in the encoder", "", [](Stage, Run r) { return r.encoder ? number_text(r.encoder->hidden_dropout, 4) : ""; }},
      {"dropout of attention", "0.1", [](Stage, Run r) { return r.encoder ? number_text(r.encoder->attention_dropout, 4) : ""; }},
      {"layers", "12", [](Stage, Run r) { return encoder_value(r, &EncoderSizes::layers); }},
      {"hidden size", "768", [](Stage, Run r) { return encoder_value(r, &EncoderSizes::hidden); }},
      {"intermediate size", "3072", [](Stage, Run r) { return encoder_value(r, &EncoderSizes::intermediate); }},
      {"attention heads", "", [](Stage, Run r) { return encoder_value(r, &EncoderSizes::heads); }},
      {"longest text, tokens", "", [](Stage, Run r) { return setting(r.config.model, "max_length"); }},
      {"optimizer", "modified Adam", [](Stage s, Run) { return stage_value(s, "optimizer"); }},
      {"decay rates", "0.9, 0.999", [](Stage s, Run) { return stage_value(s, "betas"); }},
      {"eps", "", [](Stage s, Run) { return stage_value(s, "eps"); }},
      {"weight decay", "", [](Stage s, Run) { return stage_value(s, "weight_decay"); }},
      {"schedule", "", [](Stage s, Run) { return stage_value(s, "schedule"); }},
      {"warm-up", "", [](Stage s, Run) { return warmup(s); }},
      {"gradient clipped at", "", [](Stage s, Run) { return stage_value(s, "clip"); }},
      {"order of tasks", "", [](Stage s, Run) { return not_mlm(s, "sampler"); }},
      {"rows shuffled", "", [](Stage s, Run) { return stage_value(s, "shuffle"); }},
      {"epoch kept by", "dev mean",
       [](Stage s, Run) { return s.is_mlm()        ? "held-out loss"
                                 : s.reads_texts() ? "last"
                                                   : stage_value(s, "select"); }},
      {kKeptEpoch, "", [](Stage s, Run r) { return s.kind == "heads" ? "" : kept_text(s, r); }},
      {"patience, epochs", "", [](Stage s, Run) { return stage_value(s, "early_stop_patience"); }},
      {"masked share", "0.15", [](Stage s, Run) { return on_mlm(s, "mlm.mask"); }},
      {"masked-word head", "linear", [](Stage s, Run) { return on_mlm(s, "mlm.head"); }},
      {"dropout before it", "0.3", [](Stage s, Run) { return on_mlm(s, "mlm.dropout"); }},
      {"pairs in pretraining", "single", [](Stage s, Run) { return on_mlm(s, "mlm.pairs"); }},
      {"held-out share", "", [](Stage s, Run) { return on_mlm(s, "mlm.held_out"); }},
      {"seed", "", [](Stage, Run r) { return setting(r.config.run, "seed"); }},
      {"arithmetic", "", [](Stage, Run r) { return setting(r.config.model, "dtype"); }},
  };
  return kSettings;
}

/// A column of Table 2: stages with the same name and settings, and the models that have them.
struct SettingColumn {
  std::string stage;
  std::vector<std::string> models;
  std::vector<std::string> values;

  std::string name(bool several) const {
    if (!several) return stage;
    const std::string first = models.front() + ": " + stage;
    return models.size() == 1 ? first : fmt::format("{} and {} more", first, models.size() - 1);
  }
};

std::vector<SettingColumn> setting_columns(const ModelRows& rows) {
  std::vector<SettingColumn> columns;
  for (const ModelRow& row : rows) {
    if (row.first() == nullptr) continue;
    for (const StageConfig& stage : row.first()->config.stages) {
      SettingColumn column{.stage = stage.name, .models = {row.title}, .values = {}};
      for (const Setting& setting : settings())
        column.values.push_back(rows.size() > 1 && setting.name == kKeptEpoch ? "" : setting.value(stage, *row.first()));
      const auto same =
          std::ranges::find_if(columns, [&](const SettingColumn& c) { return c.stage == column.stage && c.values == column.values; });
      if (same == columns.end())
        columns.push_back(std::move(column));
      else
        same->models.push_back(row.title);
    }
  }
  return columns;
}

Sheet transposed(const Sheet& sheet) {
  Sheet side = sheet;
  side.columns = {sheet.columns.front()};
  side.rows.assign(sheet.columns.size() - 1, {});
  for (std::size_t c = 1; c < sheet.columns.size(); ++c) side.rows[c - 1].push_back(sheet.columns[c]);
  for (const auto& row : sheet.rows) {
    side.columns.push_back(row.front());
    for (std::size_t c = 1; c < row.size(); ++c) side.rows[c - 1].push_back(row[c]);
  }
  return side;
}

std::string tick(bool holds) { return holds ? "✓" : ""; }

std::string encoder_text(const RunData& run) {
  const std::string name = run.config.init_name();
  return run.encoder ? fmt::format("{}, {} × {}", name, run.encoder->layers, run.encoder->hidden) : name;
}

std::vector<std::string> feature_row(const ModelRow& row) {
  if (row.first() == nullptr) return {row.title, "", "", "", "", "", "", ""};
  const RunData& run = *row.first();
  bool multitask = false, heads = false, dense = true;
  std::vector<std::string> texts, deep, orders;
  for (const StageConfig& stage : run.config.stages) {
    multitask |= stage.finetunes() && stage.tasks.size() > 1;
    heads |= stage.kind == "heads";
    texts.insert(texts.end(), stage.texts.begin(), stage.texts.end());
    const std::string order = setting(stage.values, "sampler");
    if (stage.finetunes() && std::ranges::find(orders, order) == orders.end()) orders.push_back(order);
  }
  for (const TaskConfig& task : run.config.tasks) {
    if (!run.config.has_head(task.name)) continue;
    dense &= !task.dense.empty();
    if (task.dense.size() > 1) deep.push_back(fmt::format("{}: {}", task.name, list_text(task.dense)));
  }
  dense &= !run.tasks.empty();
  return {row.title, tick(multitask), tick(dense), list_text(texts), tick(heads), list_text(deep), list_text(orders), encoder_text(run)};
}

/// A row of Table 1: a split, and the models that were trained with the same rows of it.
struct DataLine {
  const SplitRows* rows;
  std::vector<std::string> models;
};

bool same_rows(const SplitRows& a, const SplitRows& b) {
  const auto key = [](const SplitRows& s) {
    return std::tie(s.task, s.split, s.read, s.used, s.skipped, s.removed, s.aside, s.truncated, s.labels);
  };
  return key(a) == key(b);
}

}  // namespace

Html architecture_and_flow(const ModelRows& rows, const RunData& run, const Sheets& sheets) {
  const Html architecture = architecture_diagram(run, "architecture"), flow = flow_diagram(rows, "flow");
  std::string whose;
  for (const ModelRow& row : rows)
    if (rows.size() > 1 && std::ranges::any_of(row.runs, [&](const RunData& other) { return &other == &run; })) whose = " " + row.title;
  const std::string vectors = std::ranges::any_of(run.config.tasks, &TaskConfig::is_pair)
                                  ? " u and v are the vectors of a pair's two texts, x that of one sequence."
                                  : "";
  Html html = architecture.empty()
                  ? sheets.missing(kArchitecture, "the config names no task to draw an architecture of.")
                  : figure(sheets.id(kArchitecture), architecture,
                           sheets.caption(kArchitecture, fmt::format("The model{}, drawn from its config.{}", whose, vectors)));
  html += flow.empty() ? sheets.missing(kFlow, "the config names no stage.")
                       : figure(sheets.id(kFlow), flow,
                                sheets.caption(kFlow, rows.size() > 1 ? "The stages of all models, each drawn once; a coloured frame is "
                                                                        "where a model is complete."
                                                                      : "The stages of the run, each of which starts from the best "
                                                                        "epoch before it."));
  return html.empty() ? html : element("div", {{"class", "diagrams"}}, html) + "\n";
}

Html features_table(const ModelRows& rows, Sheets& sheets) {
  Sheet sheet{.file = sheets.file(kFeaturesTable),
              .caption = sheets.caption(kFeaturesTable, "Models and their features."),
              .columns = {"model", "multitask fine-tuning", "dense layer in each head", "further pretraining on", "single-task fine-tuning",
                          "more than one dense layer", "order of tasks", "encoder"}};
  for (const ModelRow& row : rows) sheet.rows.push_back(feature_row(row));
  sheet.words = sheet.columns.size();
  return sheets.show(sheet, sheets.id(kFeaturesTable));
}

Html settings_table(const ModelRows& rows, Sheets& sheets) {
  const std::vector<SettingColumn> columns = setting_columns(rows);
  if (columns.empty()) return sheets.missing(kSettingsTable, "the config names no stage.");
  const std::string_view beside = sheets.beside_paper() ? ", beside those that the paper prints" : "";
  Sheet sheet{.file = sheets.file(kSettingsTable),
              .caption = sheets.caption(kSettingsTable, fmt::format("Hyperparameters of each stage as realised{}.", beside)),
              .columns = {"hyperparameter"}};
  if (sheets.beside_paper()) sheet.columns.emplace_back("paper");
  for (const SettingColumn& column : columns) sheet.columns.push_back(column.name(rows.size() > 1));
  for (std::size_t i = 0; i < settings().size(); ++i) {
    if (std::ranges::all_of(columns, [&](const SettingColumn& column) { return column.values[i].empty(); })) continue;
    std::vector<std::string> row = {std::string(settings()[i].name)};
    if (sheets.beside_paper()) row.emplace_back(settings()[i].paper);
    for (const SettingColumn& column : columns) row.push_back(column.values[i]);
    sheet.rows.push_back(row);
  }
  return sheets.show(columns.size() > kMostSettingColumns ? transposed(sheet) : sheet, sheets.id(kSettingsTable));
}

Html differences_table(const ModelRows& rows, Sheets& sheets) {
  constexpr std::size_t kMostDifferences = 40;
  std::vector<TomlValue> configs;
  Sheet sheet{.file = "config-differences", .caption = "What differs in the configs.", .columns = {"key"}};
  for (const ModelRow& row : rows) {
    if (row.first() == nullptr || row.first()->config_text.empty()) continue;
    configs.push_back(parse_toml(row.first()->config_text, (row.first()->folder / "config.toml").string(), {}));
    sheet.columns.push_back(row.title);
  }
  if (configs.size() < 2) return {};
  for (const ConfigDifference& difference : config_differences(configs)) {
    if (difference.key == "run.name") continue;
    std::vector<std::string> cells = {difference.key};
    cells.insert(cells.end(), difference.values.begin(), difference.values.end());
    sheet.rows.push_back(std::move(cells));
  }
  if (sheet.rows.empty()) return element("p", {}, "The configs are the same, but for the names.") + "\n";
  sheet.words = sheet.columns.size();
  if (sheet.rows.size() > kMostDifferences) {
    sheets.keep(sheet);
    return element("p", {}, fmt::format("The configs differ in {} keys.", sheet.rows.size())) + "\n";
  }
  return sheets.show(sheet);
}

Html data_table(const ModelRows& rows, Sheets& sheets) {
  std::vector<DataLine> lines;
  for (const ModelRow& row : rows) {
    if (row.first() == nullptr) continue;
    for (const SplitRows& split : row.first()->rows) {
      const auto same = std::ranges::find_if(lines, [&](const DataLine& line) { return same_rows(*line.rows, split); });
      if (same == lines.end())
        lines.push_back({&split, {row.title}});
      else
        same->models.push_back(row.title);
    }
  }
  if (lines.empty()) return sheets.missing(kRowsTable, "no data has been read yet.");
  std::ranges::stable_sort(lines, {}, [](const DataLine& line) { return line.rows->task; });
  const auto begun = static_cast<std::size_t>(std::ranges::count_if(rows, [](const ModelRow& row) { return row.first() != nullptr; }));
  const auto given_to = [&](const DataLine& line) {
    return line.models.size() == begun ? "all"
           : line.models.size() > 2    ? fmt::format("{} models", line.models.size())
                                       : list_text(line.models);
  };
  const bool differ = std::ranges::any_of(lines, [&](const DataLine& line) { return line.models.size() < begun; });
  Sheet sheet{.file = sheets.file(kRowsTable),
              .caption = sheets.caption(
                  kRowsTable,
                  "Rows of each split. Skipped ones were broken; removed ones hold a text of an excluded file; set aside were those "
                  "filtered, over a limit or moved to another split; truncated ones are longer than the model's limit."),
              .columns = {"task", "split"},
              .words = 2};
  if (differ) sheet.columns.emplace_back("models");
  for (const char* column : {"read", "used", "skipped", "removed", "set aside", "truncated", "labels"}) sheet.columns.emplace_back(column);
  for (const DataLine& line : lines) {
    const SplitRows& split = *line.rows;
    std::vector<std::string> row = {split.task, split.split};
    if (differ) row.push_back(given_to(line));
    for (const std::int64_t count : {split.read, split.used, split.skipped, split.removed, split.aside, split.truncated})
      row.push_back(std::to_string(count));
    row.push_back(split.labels);
    sheet.rows.push_back(row);
  }
  if (differ) sheet.words = 3;
  return sheets.show(sheet, sheets.id(kRowsTable));
}

}  // namespace minbert
