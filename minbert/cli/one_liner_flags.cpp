// Flags as keys, the stages of a one-liner, and hints for flags that exist only as keys.
#include "minbert/cli/one_liner_flags.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "minbert/base/nearest.h"
#include "minbert/cli/session.h"
#include "minbert/train/config.h"

namespace minbert {
namespace {

constexpr std::string_view kStage = "stage.finetune.";

/// A flag that is given, the key that it sets in a one-liner's config, and its value.
struct GivenKey {
  std::string flag;
  std::string key;
  TomlValue value;
};

std::vector<GivenKey> given_keys(const TrainingFlags& flags) {
  std::vector<GivenKey> given;
  const auto add = [&](std::string flag, const auto& value, std::string key) {
    if (value) given.push_back({std::move(flag), std::move(key), TomlValue(*value)});
  };
  const std::string stage(kStage);
  add("--lr", flags.lr, stage + "lr");
  add("--head-lr", flags.head_lr, stage + "head_lr");
  add("--epochs", flags.epochs, stage + "epochs");
  add("--batch", flags.batch, stage + "batch");
  add("--max-length", flags.max_length, "model.max_length");
  return given;
}

/// Other programs' names of keys.
constexpr std::array<std::pair<std::string_view, std::string_view>, 13> kOtherNames = {{
    {"learning_rate", "lr"},
    {"batch_size", "batch"},
    {"train_batch_size", "batch"},
    {"num_epochs", "epochs"},
    {"num_train_epochs", "epochs"},
    {"max_seq_length", "max_length"},
    {"max_len", "max_length"},
    {"gradient_accumulation_steps", "accumulate"},
    {"max_grad_norm", "clip"},
    {"patience", "early_stop_patience"},
    {"lr_scheduler", "schedule"},
    {"warmup", "warmup_ratio"},
    {"precision", "dtype"},
}};

/// "stage[].lr" -> "stage.finetune.lr", as a one-liner's stage is called; "task[].pool" -> "task.NAME.pool".
std::string settable(std::string key) {
  for (const auto& [list, item] : {std::pair("stage[].", kStage), {"task[].", std::string_view("task.NAME.")}})
    if (key.starts_with(list)) key.replace(0, std::string_view(list).size(), item);
  return key;
}

}  // namespace

void add_training_flags(CLI::App& app, TrainingFlags& flags) {
  const auto at_least_one = whole_number(1, INT32_MAX);
  app.add_option("--test", flags.test, "rows that only score the result: file, or fraction of train")->type_name("FILE|FRACTION");
  app.add_option("--lr", flags.lr, "learning rate of the encoder (stage.finetune.lr)")->type_name("X");
  app.add_option("--head-lr", flags.head_lr, "learning rate of the head (stage.finetune.head_lr)")->type_name("X");
  app.add_option("--epochs", flags.epochs, "passes over train (stage.finetune.epochs) [by the number of rows]")
      ->check(whole_number(0, INT32_MAX))
      ->type_name("N");
  app.add_option("--batch", flags.batch, "rows in a step (stage.finetune.batch)")->check(at_least_one)->type_name("N");
  app.add_option("--max-length", flags.max_length, "tokens at which texts are cut (model.max_length)")->check(at_least_one)->type_name("N");
  app.add_option("--limit", flags.limit, "train on so many rows of each file, drawn by data.split_seed")
      ->check(at_least_one)
      ->type_name("N");
}

void set_training_keys(ConfigTree& tree, const TrainingFlags& flags) {
  for (const GivenKey& given : given_keys(flags)) tree.set(given.key, given.value, given.flag);
}

void refuse_training_flags(const TrainingFlags& flags) {
  const auto refuse = [](const std::string& flag, const std::string& hint) {
    throw Error(ErrorTag::kUsage, flag, "goes with --train, not with config files", hint);
  };
  for (const GivenKey& given : given_keys(flags)) {
    std::string key = given.key;
    if (key.starts_with(kStage)) key = fmt::format("stage.0.{}", key.substr(kStage.size()));
    refuse(given.flag, fmt::format("--set {}={}", key, print_toml_value(given.value)));
  }
  if (flags.limit) refuse("--limit", "task.data.train = [{ path = \"...\", limit = N }]");
  if (!flags.test.empty()) refuse("--test", fmt::format("--set task.NAME.data.test={}", flags.test));
}

std::optional<double> parse_fraction(std::string_view flag, const std::string& value) {
  const auto fraction = parse_number(value);
  if (fraction && !(*fraction > 0 && *fraction < 1))
    throw Error(ErrorTag::kUsage, std::string(flag), fmt::format("expected a file, or a fraction above 0 and below 1, got {}", value));
  return fraction;
}

std::string set_hint(std::string_view flag) {
  std::string word(flag.substr(std::min(flag.find_first_not_of('-'), flag.size())));
  word.resize(std::min(word.find('='), word.size()));
  std::ranges::replace(word, '-', '_');
  for (const auto& [other, name] : kOtherNames)
    if (word == other) word = name;
  std::vector<std::string> keys, names;
  for (const OptionInfo& option : list_options<RunConfig>()) {
    keys.push_back(option.key);
    names.push_back(option.key.substr(option.key.rfind('.') + 1));
  }
  const std::string* const found = nearest(word, names);
  if (found == nullptr) return "";
  // If several keys have this name, people mostly mean that of a stage.
  const std::string of_stage = "stage[]." + *found;
  const bool is_stage = std::ranges::find(keys, of_stage) != keys.end();
  return fmt::format("--set {}=VALUE", settable(is_stage ? of_stage : keys[static_cast<std::size_t>(found - names.data())]));
}

}  // namespace minbert
