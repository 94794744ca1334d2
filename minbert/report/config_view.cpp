// ConfigView: reads config.toml for the report.
#include "minbert/report/config_view.h"

#include <algorithm>
#include <charconv>

namespace minbert {
namespace {

std::string text_of(const TomlNode& table, std::string_view key) {
  const auto node = table.find(key);
  return node && node->is<std::string>() ? node->as_string() : "";
}

/// The items of a list as text, numbers as TOML writes them.
std::vector<std::string> list_of(const TomlNode& table, std::string_view key) {
  std::vector<std::string> values;
  if (const auto node = table.find(key))
    for (const TomlNode& item : node->items()) values.push_back(item.is<std::string>() ? item.as_string() : print_toml_value(item.value()));
  return values;
}

TaskConfig read_task(const TomlNode& table) {
  TaskConfig task{.name = text_of(table, "name"),
                  .type = text_of(table, "type"),
                  .encode = text_of(table, "encode"),
                  .pool = text_of(table, "pool"),
                  .head_kind = {},
                  .head_features = {},
                  .dense = {}};
  if (const auto labels = table.find("labels")) {
    if (labels->is<std::int64_t>()) task.classes = static_cast<int>(labels->as_int());
    if (labels->is<TomlArray>()) task.classes = static_cast<int>(labels->items().size());
  }
  if (const auto head = table.find("head")) {
    task.head_kind = text_of(*head, "kind");
    task.head_features = text_of(*head, "features");
    task.dense = list_of(*head, "dense");
    if (const auto dropout = head->find("dropout")) task.dropout = dropout->as_double();
  }
  if (const auto data = table.find("data")) {
    if (const auto range = data->find("label_range"); range && range->items().size() == 2) {
      task.low = range->items()[0].as_double();
      task.high = range->items()[1].as_double();
    }
  }
  return task;
}

/// `from`, which is one name or a list of them.
std::vector<std::string> sources_of(const TomlNode& table) {
  const auto node = table.find("from");
  if (node && node->is<TomlArray>() && !node->items().empty()) return list_of(table, "from");
  return {text_of(table, "from")};
}

StageConfig read_stage(const TomlNode& table) {
  StageConfig stage{.name = text_of(table, "name"),
                    .kind = text_of(table, "kind"),
                    .from = sources_of(table),
                    .tasks = list_of(table, "tasks"),
                    .texts = {},
                    .values = table.as_table()};
  if (!stage.reads_texts()) return stage;
  if (const auto section = table.find(stage.kind)) stage.texts = list_of(*section, "texts");
  stage.tasks.clear();
  return stage;
}

const TomlTable& table_of(const TomlNode& root, std::string_view key) {
  static const TomlTable kNone;
  const auto node = root.find(key);
  return node ? node->as_table() : kNone;
}

template <class T>
const T* find_named(const std::vector<T>& list, std::string_view name) {
  const auto found = std::ranges::find(list, name, &T::name);
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

const TaskConfig* ConfigView::find_task(std::string_view name) const { return find_named(tasks, name); }

const StageConfig* ConfigView::find_stage(std::string_view name) const { return find_named(stages, name); }

bool ConfigView::has_head(std::string_view task) const {
  return std::ranges::any_of(stages, [&](const StageConfig& stage) { return std::ranges::find(stage.tasks, task) != stage.tasks.end(); });
}

ConfigView read_config_view(std::string_view text, std::string_view place) {
  const TomlValue value = parse_toml(text, place, {});
  const TomlNode root(value);
  ConfigView config{.init = {}, .run = table_of(root, "run"), .model = table_of(root, "model"), .tasks = {}, .stages = {}};
  config.init = setting(config.model, "init");
  if (const auto tasks = root.find("task"))
    for (const TomlNode& task : tasks->items()) config.tasks.push_back(read_task(task));
  if (const auto stages = root.find("stage"))
    for (const TomlNode& stage : stages->items()) config.stages.push_back(read_stage(stage));
  return config;
}

std::string setting(const TomlTable& table, std::string_view key) {
  const std::size_t dot = key.find('.');
  const TomlValue* value = table.find(key.substr(0, dot));
  if (value == nullptr) return "";
  if (dot != std::string_view::npos) {
    const auto* inner = value->get_if<TomlTable>();
    return inner == nullptr ? "" : setting(*inner, key.substr(dot + 1));
  }
  const auto* text = value->get_if<std::string>();
  return text != nullptr ? *text : print_toml_value(*value);
}

bool StageConfig::has_epochs() const { return setting(values, "epochs") != "0"; }

std::int64_t dense_width(std::string_view text, std::int64_t hidden) {
  const bool multiple = text.ends_with('H');
  std::int64_t number = 1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return multiple ? number * hidden : number;
}

}  // namespace minbert
