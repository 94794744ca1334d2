// ConfigView: the tasks and stages of a run's config.toml, read without the code that wrote it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/toml.h"

namespace minbert {

/// One [[task]].
struct TaskConfig {
  std::string name;
  std::string type;  ///< classify | pair_classify | pair_regress | regress | multi_label
  std::string encode, pool, head_kind, head_features;
  std::vector<std::string> dense;  ///< widths: "H", "4H", "200"
  double dropout = 0;
  int classes = 0;           ///< 0 for regression and for labels = "auto"
  double low = 0, high = 0;  ///< ends of label_range

  bool is_pair() const { return type.starts_with("pair"); }
  bool is_regression() const { return type.ends_with("regress"); }
};

/// One [[stage]].
struct StageConfig {
  std::string name;
  std::string kind;                ///< finetune | heads | mlm | distill | contrastive
  std::vector<std::string> from;   ///< previous | init | last | a stage's name; or names, whose mean it starts from
  std::vector<std::string> tasks;  ///< empty for a stage that reads texts
  std::vector<std::string> texts;  ///< what a stage reads that trains no tasks: mlm, contrastive
  TomlTable values;                ///< all keys as written

  bool is_mlm() const { return kind == "mlm"; }
  /// Whether it trains no tasks, but reads texts.
  bool reads_texts() const { return is_mlm() || kind == "contrastive"; }
  /// Whether it makes steps: one without is a mean of others, or scores what it starts from.
  bool has_epochs() const;
  /// Whether it trains encoder and heads.
  bool finetunes() const { return kind == "finetune" || kind == "distill"; }
};

struct ConfigView {
  std::string init;  ///< value of model.init
  TomlTable run, model;
  std::vector<TaskConfig> tasks;
  std::vector<StageConfig> stages;

  /// Last part of init's path, or "scratch".
  std::string init_name() const { return std::filesystem::path(init).filename().string(); }
  const TaskConfig* find_task(std::string_view name) const;
  const StageConfig* find_stage(std::string_view name) const;
  /// Whether a stage trains the task's head. A task without a head only lends its texts.
  bool has_head(std::string_view task) const;
};

/// Reads a resolved config.toml; missing parts stay empty. Throws Error(kUsage) "place:line: ..." when the text is not TOML or a value has
/// the wrong type.
ConfigView read_config_view(std::string_view text, std::string_view place);

/// A value as TOML writes it, but text without quotes; empty when there is no such key. Dots step into tables: "mlm.mask".
std::string setting(const TomlTable& table, std::string_view key);

/// The width that "H", "4H" or "200" means for an encoder of width `hidden`.
std::int64_t dense_width(std::string_view text, std::int64_t hidden);

}  // namespace minbert
