// One-liners: writes a config with one task and its stages.
#include "minbert/cli/one_liner.h"

#include <algorithm>
#include <filesystem>

#include "minbert/base/toml.h"
#include "minbert/cli/presets.h"
#include "minbert/data/dataset.h"
#include "minbert/pipeline/predict.h"
#include "minbert/train/usual.h"

namespace minbert {
namespace {

std::string toml_string(const std::string& text) { return print_toml_value(text); }
std::string absolute(const std::string& path) { return toml_string(PathOption{path, std::filesystem::current_path()}.resolve().string()); }

/// A model of the folder models/, where `minbert fetch` puts them, or how to get one.
std::string init_hint() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("models", ignored))
    if (std::filesystem::exists(entry.path() / "config.json", ignored)) return "--init " + entry.path().string();
  return "minbert fetch sentence-transformers/all-MiniLM-L6-v2 puts one into models/all-MiniLM-L6-v2";
}

std::string init_value(const std::string& init) {
  if (init.empty()) throw Error(ErrorTag::kUsage, "--init", "expected a model to start from", init_hint());
  return init == "scratch" ? toml_string(init) : absolute(init);
}

std::string optional_line(std::string_view key, const std::string& value) {
  return value.empty() ? std::string() : fmt::format("{} = {}\n", key, toml_string(value));
}

std::string train_value(const OneLinerFlags& flags) {
  std::vector<std::string> files;
  for (const std::string& file : flags.train)
    files.push_back(flags.training.limit ? fmt::format("{{ path = {}, limit = {} }}", absolute(file), *flags.training.limit)
                                         : absolute(file));
  return files.size() == 1 && !flags.training.limit ? files.front() : fmt::format("[{}]", fmt::join(files, ", "));
}

/// A fraction as it is, or a file's path.
std::string held_out_value(std::string_view flag, const std::string& value) {
  const auto fraction = parse_fraction(flag, value);
  return fraction ? print_toml_value(*fraction) : absolute(value);
}

/// About how many rows are left to train on.
double train_rows(const OneLinerFlags& flags, const DataSpec& data) {
  auto rows = static_cast<double>(label_texts(data).size());
  if (flags.training.limit) rows = std::min(rows, static_cast<double>(*flags.training.limit) * static_cast<double>(flags.train.size()));
  const double dev = parse_fraction("--dev", flags.dev).value_or(0);
  return rows * (1 - dev - (flags.training.test.empty() ? 0 : parse_fraction("--test", flags.training.test).value_or(0)));
}

std::string task_text(const TaskSpec& task) {
  std::string text = fmt::format("[[task]]\nname = {}\ntype = \"{}\"\n", toml_string(task.name), option_name(task.type));
  if (!task.is_regression()) text += fmt::format("labels = {}\n", print_toml_value(OptionType<TaskLabels>::write(task.labels)));
  return text;
}

std::string data_text(const OneLinerFlags& flags, const TaskSpec& task) {
  const DataSpec& data = task.data;
  std::string text = "[task.data]\ntrain = " + train_value(flags) + "\ndev = " + held_out_value("--dev", flags.dev) + "\n";
  if (!flags.training.test.empty()) text += "test = " + held_out_value("--test", flags.training.test) + "\n";
  if (task.is_multi_label()) text += optional_line("label_separator", data.label_separator);
  text += optional_line("text", data.text) + optional_line("text_pair", data.text_pair) + optional_line("label", data.label) +
          optional_line("id", data.id);
  text += optional_line("format", flags.file.format) + optional_line("header", flags.file.header) +
          optional_line("encoding", flags.file.encoding);
  if (task.is_regression()) text += "label_range = [-inf, inf]  # any number; [0, 5] refuses rows outside\n";
  return text;
}

/// Whether some flag or --set has settings for fine-tuning, or a pair is to be one sequence, which has to be learnt.
bool tunes(const TrainingFlags& flags, std::span<const std::string> sets) {
  return flags.lr || flags.head_lr || flags.batch || std::ranges::any_of(sets, [](const std::string& set) {
           return set.starts_with("stage.finetune.") || set.find(".encode=joint") != set.npos || set.find(".encode=\"joint\"") != set.npos;
         });
}

/// The [[stage]] of the preset "pretrain", without the tables inside it.
std::string pretrain_stage() {
  const std::string_view text = preset_named("pretrain").text;
  const std::size_t begin = text.find("[[stage]]");
  return std::string(text.substr(begin, text.find("[stage.", begin) - begin));
}

}  // namespace

void add_one_liner(CLI::App& app, OneLinerFlags& flags) {
  app.add_option("--init", flags.init, "model to start from: Hugging Face folder or run folder")->type_name("MODEL");
  app.add_option("--train", flags.train, "without a config file: train one task on this file (repeatable)")
      ->allow_extra_args(false)
      ->type_name("FILE");
  app.add_option("--dev", flags.dev, "file, or fraction of train")->capture_default_str()->type_name("FILE|FRACTION");
  add_file_task(app, flags.file);
  need_file(app, {"--dev", "--text", "--text-pair", "--label", "--id", "--type", "--labels", "--header", "--encoding", "--in-format"},
            "--train");
  add_training_flags(app, flags.training);
}

std::string one_liner_config(const OneLinerFlags& flags, std::span<const std::string> sets, Console& console) {
  const std::string init = init_value(flags.init);
  parse_fraction("--dev", flags.dev);  // before files are read
  const FileTask file = infer_task(flags.train, flags.file);
  const TaskSpec& task = file.task;
  say_inferred(file, console);
  const UsualSettings usual = usual_settings(flags.init, {.name = task.name,
                                                          .is_pair = task.is_pair(),
                                                          .is_regression = task.is_regression(),
                                                          .rows = train_rows(flags, task.data),
                                                          .tunes = tunes(flags.training, sets)});
  return fmt::format(
      R"(# One task, made by `minbert train --init ... --train ...`; edit it and train it again with `minbert train THIS.toml`.
[run]
name = {}

[model]
init = {}

{}{}
{}
{})",
      toml_string(task.name), init, task_text(task), usual.task, data_text(flags, task), usual.stages);
}

std::string pretrain_config(const std::string& init, std::span<const std::string> text_files, Console& console) {
  std::vector<std::string> texts;
  for (const std::string& file : text_files) {
    if (!format_of_name(file).empty())
      console.warning(
          fmt::format("{}: each line is taken as a text, with all its columns; mlm.texts = [\"TASK.train\"] of a config reads the "
                      "texts of a table",
                      file));
    texts.push_back(absolute(file));
  }
  return fmt::format(
      R"(# Masked-LM further pretraining, made by `minbert pretrain --init ... --text-file ...`; edit it and run `minbert pretrain THIS.toml`.
[run]
name = "pretrain"

[model]
init = {}

{}[stage.mlm]
texts = [{}]
head = "tied"              # the checkpoint's MLM head where it has one
)",
      init_value(init), pretrain_stage(), fmt::join(texts, ", "));
}

}  // namespace minbert
