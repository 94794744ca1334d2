// ConfigView: what a run's config.toml says about its tasks and stages, read without the code that wrote it.
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
  std::string type;  ///< classify | pair_classify | pair_regress | regress
  std::string encode, pool, head_kind;
  std::vector<std::string> dense;  ///< widths: "H", "4H", "200"
  double dropout = 0;
  int classes = 0;           ///< 0: numbers, or labels = "auto"
  double low = 0, high = 0;  ///< label_range

  bool is_pair() const { return type.starts_with("pair"); }
  bool is_regression() const { return type.ends_with("regress"); }
};

/// One [[stage]].
struct StageConfig {
  std::string name;
  std::string kind;                ///< finetune | heads | mlm
  std::string from;                ///< previous | init | last | a stage's name
  std::vector<std::string> tasks;  ///< none in an mlm stage
  std::vector<std::string> texts;  ///< of an mlm stage
  TomlTable values;                ///< all keys as written

  bool is_mlm() const { return kind == "mlm"; }
};

struct ConfigView {
  std::string init;  ///< model.init
  TomlTable run, model;
  std::vector<TaskConfig> tasks;
  std::vector<StageConfig> stages;

  /// Last part of the path of init, or "scratch".
  std::string init_name() const { return std::filesystem::path(init).filename().string(); }
  const TaskConfig* find_task(std::string_view name) const;
  const StageConfig* find_stage(std::string_view name) const;
  /// Whether a stage trains the task's head; others are corpora of mlm stages.
  bool has_head(std::string_view task) const;
};

/// Of a resolved config.toml; parts that it lacks stay empty. Throws Error(kUsage) "place:line: ..." where it is no TOML or a value has
/// another kind.
ConfigView read_config_view(std::string_view text, std::string_view place);

/// A value as TOML writes it, text without quotes; empty when the table has no such key. Dots step into tables: "mlm.mask".
std::string setting(const TomlTable& table, std::string_view key);

/// "H", "4H" or "200" for an encoder of width `hidden`.
std::int64_t dense_width(std::string_view text, std::int64_t hidden);

}  // namespace minbert
