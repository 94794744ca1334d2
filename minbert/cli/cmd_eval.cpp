// eval: scores a model on a split, as a table, as JSON, or as a gate.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "minbert/base/clock.h"
#include "minbert/base/nearest.h"
#include "minbert/cli/config_flags.h"
#include "minbert/cli/input_flags.h"
#include "minbert/cli/output.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/labels.h"
#include "minbert/pipeline/ensemble.h"
#include "minbert/train/config.h"
#include "minbert/train/data_report.h"
#include "minbert/train/evaluation.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

struct EvalFlags {
  std::vector<std::string> models;
  std::string task, file, encoding, split = "dev", against;
  ConfigFlags config;
  ColumnFlags columns;
  bool json = false;
  int bootstrap = BootstrapOptions{}.resamples;
  std::vector<std::string> gates;
};

/// `--fail-under NAME=VALUE`
struct Gate {
  std::string name;
  double least;
};

std::vector<Gate> parse_gates(const std::vector<std::string>& flags) {
  std::vector<Gate> gates;
  for (const std::string& flag : flags) {
    const auto equals = flag.find('=');
    const auto least = equals == std::string::npos ? std::nullopt : parse_number(std::string_view(flag).substr(equals + 1));
    if (!least) throw Error(ErrorTag::kUsage, "--fail-under", fmt::format("expected NAME=VALUE, got \"{}\"", flag));
    gates.push_back({flag.substr(0, equals), *least});
  }
  return gates;
}

Split split_of(const std::string& name) { return name == "train" ? Split::kTrain : name == "test" ? Split::kTest : Split::kDev; }

/// Where the rows of each task come from, and the seed of the bootstrap.
struct EvalData {
  std::map<std::string, DataSpec> tasks;
  SplitDraw draw = {};
  std::uint64_t seed = RunSection{}.seed;
};

/// Makes the file of --data every split of the task; columns are the task's unless flags name others.
EvalData data_of_file(const EvalFlags& flags, const TaskSpec& task) {
  DataSpec data = task.data;
  const auto replace = [](std::string& key, const std::string& flag) {
    if (!flag.empty()) key = flag;
  };
  replace(data.text, flags.columns.text);
  replace(data.text_pair, flags.columns.text_pair);
  replace(data.label, flags.columns.label);
  replace(data.encoding, flags.encoding);
  data.id = flags.columns.id;  // scores need none
  data.train = {{.path = flags.file}};
  data.dev = data.test = {.files = data.train};
  data.hints = file_hints("minbert data check lists all such rows");
  return {.tasks = {{task.name, data}}};
}

/// The data of the tasks that the config and models have. Tasks that no model has are left out with a warning.
EvalData data_of(const ConfigFlags& files, const EvalFlags& flags, Session& session, std::span<const TaskSpec> known) {
  const RunConfig config = load_run_config(load_config_tree(files));
  EvalData data{.tasks = {}, .draw = config.data.draw(), .seed = config.run.seed};
  for (const TaskSpec& task : config.tasks) {
    if (!flags.task.empty() && task.name != flags.task) continue;
    const auto same = std::find_if(known.begin(), known.end(), [&](const TaskSpec& model_task) { return model_task.name == task.name; });
    if (same == known.end()) {
      session.console.warning(fmt::format("the model has no task \"{}\"; left out", task.name));
      continue;
    }
    DataSpec& spec = data.tasks[task.name] = task.data;
    spec.label_range = same->data.label_range;  // what its head was trained for
    spec.preprocess = same->data.preprocess;
  }
  return data;
}

/// Whether a draw decides which rows some split of the task has.
bool draws_rows(const DataSpec& spec, const SplitDraw& draw) {
  const auto is_limited = [](const DataSource& source) { return source.limit > 0 && !source.first; };
  return is_drawn(spec, Split::kTrain, draw) || std::ranges::any_of(spec.dev.files, is_limited) ||
         std::ranges::any_of(spec.test.files, is_limited) || std::ranges::any_of(spec.train, is_limited);
}

/// Adds the tasks of another run's config. Throws Error(kUsage) if the two would score other rows of a task, since no model may have been
/// trained on rows that score another.
void add_data(EvalData& data, const EvalData& more, const std::string& place) {
  const auto text = [](const DataSpec& spec) { return print_toml(write_options(spec), false); };
  for (const auto& [task, spec] : more.tasks) {
    const auto [known, is_new] = data.tasks.emplace(task, spec);
    const bool same_draw = data.draw == more.draw || !draws_rows(spec, more.draw);
    if (same_draw && (is_new || text(known->second) == text(spec))) continue;
    throw Error(ErrorTag::kUsage, place, fmt::format("its data of task \"{}\" is not that of the models before it", task),
                "--config CONFIG.toml names rows that score all of them");
  }
}

/// Reads the data of the config that flags name, else of the runs' own configs.
EvalData data_of_config(const EvalFlags& flags, Session& session, std::span<const TaskSpec> known) {
  if (!flags.config.files.empty()) return data_of(flags.config, flags, session, known);
  std::optional<EvalData> data;
  for (const std::string& model : flags.models) {
    ConfigFlags own = flags.config;
    own.files.push_back((fs::path(model) / "config.toml").string());
    if (!fs::exists(own.files.front()))
      throw Error(ErrorTag::kUsage, "eval", "expected data to score", "--config CONFIG.toml, or --task NAME --data FILE");
    const EvalData more = data_of(own, flags, session, known);
    if (data)
      add_data(*data, more, own.files.front());
    else
      data = more;
  }
  return *data;
}

/// The scores with another dtype and the change from them: {"dtype", "scores", "mean", "change": {task: number, "mean": number}}.
Json change_json(const Json& json, const Json& other, const std::string& dtype) {
  Json change = Json::object();
  for (const auto& [task, score] : json.at("scores").items())
    change[task] = score.get<double>() - other.at("scores").at(task).get<double>();
  if (json.at("mean").is_number()) change["mean"] = json["mean"].get<double>() - other.at("mean").get<double>();
  return {{"dtype", dtype}, {"scores", other.at("scores")}, {"mean", other.at("mean")}, {"change", change}};
}

std::string score_table(const Json& json, std::span<const TaskEvaluation> evaluations) {
  const auto number = [](const Json& value) { return value.is_number() ? fmt::format("{:.4f}", value.get<double>()) : std::string("-"); };
  const Json change = json.contains("against") ? json["against"]["change"] : Json();
  std::vector<std::string> header = {"task", "metric", "score", "interval", "rows", "loss"};
  if (change.is_object()) header.push_back(fmt::format("change from {}", json["against"]["dtype"].get<std::string>()));
  TextTable table(header);
  const auto add = [&](const std::string& name, std::vector<std::string> row) {
    if (change.is_object()) row.push_back(change.contains(name) ? fmt::format("{:+.4f}", change[name].get<double>()) : "-");
    table.add(std::move(row));
  };
  for (const TaskEvaluation& evaluation : evaluations) {
    const std::string& name = evaluation.task->name;
    const Json details = json.at("tasks").value(name, Json::object()), interval = details.value("interval", Json::object());
    add(name, {name, std::string(option_name(evaluation.task->scored_by())), number(json.at("scores").value(name, Json())),
               interval.empty() ? "-" : fmt::format("[{}, {}]", number(interval["low"]), number(interval["high"])),
               std::to_string(evaluation.rows->rows.size()), number(json.at("loss").value(name, Json()))});
  }
  if (evaluations.size() > 1) add("mean", {"mean", "", number(json.at("mean")), "", "", ""});
  return table.text();
}

/// Checks before any work is done that the gates' scores will be there; check_gates compares them after it.
void check_gate_names(std::span<const Gate> gates, std::span<const TaskEvaluation> evaluations) {
  std::vector<std::string> names = {"mean"}, scored;
  for (const TaskEvaluation& evaluation : evaluations) {
    names.push_back(evaluation.task->name);
    if (evaluation.labelled()) scored.push_back(evaluation.task->name);
  }
  if (!scored.empty()) scored.emplace_back("mean");
  const auto holds = [](const std::vector<std::string>& list, const std::string& name) {
    return std::ranges::find(list, name) != list.end();
  };
  for (const Gate& gate : gates) {
    if (!holds(names, gate.name))
      throw Error(ErrorTag::kUsage, "--fail-under", fmt::format("unknown score \"{}\"", gate.name), suggest(gate.name, names));
    if (!holds(scored, gate.name))
      throw Error(ErrorTag::kData, "--fail-under", fmt::format("expected labels to score \"{}\" by, got rows without them", gate.name));
  }
}

void check_gates(std::span<const Gate> gates, const Json& json) {
  for (const Gate& gate : gates) {
    const Json value = gate.name == "mean" ? json.at("mean") : json.at("scores").value(gate.name, Json());
    if (value.is_number() && value.get<double>() >= gate.least) continue;
    throw Error(ErrorTag::kGate, gate.name, fmt::format("expected at least {}, got {}", gate.least, dump_json(value)));
  }
}

/// Reads the rows of every task that has the split; predictions are still empty.
std::vector<TaskEvaluation> load_split(const EvalFlags& flags, const EvalData& data, const Ensemble& model,
                                       std::map<std::string, Rows>& rows, Session& session) {
  const Split split = split_of(flags.split);
  std::vector<TaskEvaluation> evaluations;
  for (const TaskSpec& task : model.tasks()) {
    const auto found = data.tasks.find(task.name);
    if (found == data.tasks.end() || !has_split(found->second, split, data.draw)) continue;
    SplitReport report;
    Rows& loaded = rows[task.name] = load_rows(found->second, split, task.labels, data.draw, &report);
    if (const std::string bad = bad_rows_text(report); !bad.empty())
      session.console.warning(fmt::format("{} {}: {}; minbert data check lists them", task.name, flags.split, bad));
    evaluations.push_back({&task, &loaded, {}});
  }
  if (evaluations.empty())
    throw Error(ErrorTag::kUsage, "--split", fmt::format("no task of the model has data for the split {}", flags.split));
  return evaluations;
}

void predict_split(std::span<TaskEvaluation> evaluations, Ensemble& model, Session& session) {
  for (TaskEvaluation& evaluation : evaluations) {
    const std::string& name = evaluation.task->name;
    const std::span<const Row> rows = evaluation.rows->rows;
    evaluation.predictions = model.predict(model.find_task(name), rows, [&](std::int64_t done) {
      throw_if_stopped();
      session.console.progress(fmt::format("{}  {} of {} rows", name, done, rows.size()));
    });
  }
  session.console.clear_progress();
}

/// Throws Error(kData) if a split that a run drew from train's files is drawn anew from files that have changed: it would then hold rows
/// that the model has learnt.
void expect_the_runs_rows(const EvalFlags& flags, const EvalData& data, std::span<const TaskEvaluation> evaluations) {
  if (!flags.file.empty() || !flags.config.files.empty()) return;
  for (const std::string& model : flags.models) {
    const auto digests = read_digests(model, flags.split);
    for (const TaskEvaluation& evaluation : evaluations) {
      const std::string& name = evaluation.task->name;
      if (!is_drawn(data.tasks.at(name), split_of(flags.split), data.draw)) continue;
      const auto digest = digests.find(name);
      if (digest != digests.end() && digest->second != rows_digest(*evaluation.rows))
        throw Error(
            ErrorTag::kData, fmt::format("{}, task {}", model, name),
            fmt::format("{} is drawn from train, whose files or draw have changed since: expected the run's rows, got others, of which the "
                        "model may have learnt some",
                        flags.split),
            "--data FILE scores rows that it has not seen");
    }
  }
}

int run_eval(const EvalFlags& flags, Session& session) {
  const auto gates = parse_gates(flags.gates);
  if (!flags.file.empty() && !flags.config.files.empty()) throw Error(ErrorTag::kUsage, "--data", "expected --config or --data, got both");
  const auto backend = open_backend(session);
  Stopwatch watch;
  Ensemble model = open_models(session, *backend, flags.models);
  if (!flags.file.empty() && flags.task.empty() && model.tasks().size() != 1)
    throw Error(ErrorTag::kUsage, "--data", "expected --task NAME beside it", "one file holds the rows of one task");
  const std::string only = flags.task.empty() && model.tasks().size() == 1 ? model.tasks().front().name : flags.task;
  if (!only.empty() || model.tasks().empty()) model.find_task(only);
  const EvalData data =
      flags.file.empty() ? data_of_config(flags, session, model.tasks()) : data_of_file(flags, model.tasks()[model.find_task(only)]);
  std::map<std::string, Rows> rows;
  auto evaluations = load_split(flags, data, model, rows, session);
  expect_the_runs_rows(flags, data, evaluations);
  check_gate_names(gates, evaluations);
  session.console.detail(fmt::format("model and rows: {:.2f} s", watch.lap()));
  catch_signals();
  predict_split(evaluations, model, session);
  session.console.detail(fmt::format("predictions: {:.2f} s", watch.lap()));
  for (const EvaluationNote& note : evaluation_notes(flags.split, evaluations)) session.console.warning(note.text);
  Json json = evaluation_json(flags.split, evaluations, flags.bootstrap, data.seed);
  if (!flags.against.empty()) {
    std::vector<TextModel> models;
    for (const TextModel& each : model.models())
      models.emplace_back(*backend, each.folder(), session_compute(session, *backend, flags.against));
    Ensemble other(std::move(models));
    predict_split(evaluations, other, session);
    json["against"] = change_json(json, evaluation_json(flags.split, evaluations, 0, data.seed), flags.against);
  }
  if (flags.json)
    print_json(json);
  else
    print_text(score_table(json, evaluations));
  show_profile(session, *backend);
  warn_of_texts(session, model);
  check_gates(gates, json);
  return 0;
}

}  // namespace

Action declare_eval(CLI::App& app, Session& session) {
  auto flags = std::make_shared<EvalFlags>();
  add_models(app, flags->models);
  app.add_option("--config", flags->config.files, "TOML file that names the data (repeatable) [the run's own]")
      ->allow_extra_args(false)
      ->type_name("FILE");
  add_set(app, flags->config);
  app.add_option("--task", flags->task, "only this task")->type_name("NAME");
  app.add_option("--data", flags->file, "this file instead of a config's")->type_name("FILE");
  app.add_option("--split", flags->split, "train | dev | test")
      ->check(one_of({"train", "dev", "test"}))
      ->capture_default_str()
      ->type_name("NAME");
  add_columns(app, flags->columns, true);
  add_encoding(app, flags->encoding);
  need_file(app, {"--text", "--text-pair", "--label", "--id", "--encoding"}, "--data");
  app.get_option("--data")->excludes(app.get_option("--set"));
  app.add_option("--bootstrap", flags->bootstrap, "resamples for 95% intervals; 0 = none")
      ->check(whole_number(0, 1'000'000))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--fail-under", flags->gates, "end with 7 when a task's score, or mean, is below (repeatable)")
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE");
  app.add_option("--against", flags->against, "also score with this dtype, and show the change: f32 | bf16 | int8")
      ->check(one_of({"f32", "bf16", "int8"}))
      ->type_name("DTYPE");
  add_json(app, flags->json);
  add_compute(app, session, true);
  add_examples(
      app,
      "  minbert eval runs/mine --split test\n  minbert eval runs/mine --task sst --data other.csv --fail-under sst=0.45\n"
      "  minbert eval runs/mine --dtype int8 --against f32\n  minbert eval runs/seed-1 runs/seed-2 --config data.toml     # an ensemble");
  return [flags, &session] { return run_eval(*flags, session); };
}

}  // namespace minbert
