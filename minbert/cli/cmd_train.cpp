// train, pretrain: train as config files say, or on the files that flags name.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "minbert/base/clock.h"
#include "minbert/base/cpu_limits.h"
#include "minbert/cli/config_flags.h"
#include "minbert/cli/input_flags.h"
#include "minbert/cli/one_liner.h"
#include "minbert/cli/output.h"
#include "minbert/cli/plan_text.h"
#include "minbert/cli/run_report.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/train_view.h"
#include "minbert/cli/verbs.h"
#include "minbert/stats/spread.h"
#include "minbert/study/study.h"
#include "minbert/train/selection.h"
#include "minbert/train/trainer.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

struct TrainFlags {
  ConfigFlags config;
  OneLinerFlags one_liner;
  std::vector<std::string> text_files;  // --text-file of pretrain
  bool pretrain = false;
  std::string output;
  std::vector<std::uint64_t> seeds;
  double comm_timeout_s = 300;
  std::string wire_dtype = "f32";
  int folds = 0;
  bool resume = false, overwrite = false, dry_run = false, profile = false, overfit_batch = false, json = false;
};

/// The config that flags stand for; empty if config files are given.
std::string config_of_flags(const TrainFlags& flags, Console& console) {
  const OneLinerFlags& one = flags.one_liner;
  const char* flag = flags.pretrain ? "--text-file" : "--train";
  const bool given = flags.pretrain ? !flags.text_files.empty() : !one.train.empty();
  if (given && !flags.config.files.empty())
    throw Error(ErrorTag::kUsage, flag, fmt::format("expected config files or {}, got both", flag),
                flags.pretrain ? "stage.mlm.texts of a config names its texts" : "--set task.NAME.data.train=FILE changes a config's data");
  if (!given && flags.config.files.empty())
    throw Error(ErrorTag::kUsage, flags.pretrain ? "pretrain" : "train", fmt::format("expected a config file, or --init and {}", flag),
                "minbert init writes a config to start from");
  if (!given) refuse_training_flags(one.training);
  if (!given) return "";
  return flags.pretrain ? pretrain_config(one.init, flags.text_files, console) : one_liner_config(one, flags.config.sets, console);
}

ConfigTree read_input(const TrainFlags& flags, Session& session) {
  ConfigTree tree;
  const std::string text = config_of_flags(flags, session.console);
  if (!text.empty()) tree.load_generated(text, flags.pretrain ? "--text-file" : "--train");
  for (const std::string& file : flags.config.files) tree.load(file);
  if (text.empty() && !flags.one_liner.init.empty()) tree.set("model.init", flags.one_liner.init, "--init");
  if (!text.empty() && !flags.pretrain) set_training_keys(tree, flags.one_liner.training);
  for (const std::string& assignment : flags.config.sets) tree.set(assignment);
  if (!session.dtype.empty()) tree.set("model.dtype", session.dtype, "--dtype");
  return tree;
}

RunConfig load_config(const TrainFlags& flags, const ConfigTree& tree) {
  RunConfig config = load_run_config(tree);
  if (!flags.one_liner.train.empty())  // there is no config to write keys into
    for (TaskSpec& task : config.tasks)
      task.data.hints = file_hints(fmt::format("--set task.{}.data.on_bad_row=skip leaves such rows out", task.name));
  return config;
}

OpenRun open_run(const TrainFlags& flags, const Session& session) {
  return {.resume = flags.resume, .overwrite = flags.overwrite, .writes = session.ranks->is_first()};
}

/// Joins the processes that a launcher started. All but the first are silent from here on, and those of a machine share its cores.
void open_ranks(const TrainFlags& flags, Session& session) {
  const LaunchEnv& launch = session.env.launch;
  session.ranks = open_comm({.timeout_s = flags.comm_timeout_s,
                             .launch = launch,
                             .exchange = {.wire = flags.wire_dtype == "bf16" ? WireType::kBf16 : WireType::kF32}});
  const Comm& ranks = *session.ranks;
  if (launch.ranks == 0 && launch.slurm_tasks > 1)
    session.console.warning(
        fmt::format("SLURM_NTASKS: the job has room for {} processes, this is one: srun or mpirun starts all of them", launch.slurm_tasks));
  if (!ranks.is_first()) session.console.set_silent();
  if (ranks.is_alone()) return;
  const CpuLimits limits = read_cpu_limits();
  if (!session.threads && session.env.threads == 0 && limits.allowed == limits.online)  // else the launcher has dealt out the cores
    session.threads = std::max(1, limits.threads() / ranks.local_size());
  session.console.info(fmt::format("{} ranks, {} of them on this machine", ranks.size(), ranks.local_size()));
}

/// Runs the config once. Returns the exit code and sets `result`.
int train_once(const TrainFlags& flags, const ConfigTree& input, const RunConfig& config, const fs::path& folder, Session& session,
               Backend& backend, TrainResult& result, Json fingerprint = {}) {
  TrainOptions options = train_options(input, config, folder, open_run(flags, session));
  options.fingerprint = std::move(fingerprint);
  options.ranks = session.ranks.get();
  options.overfit_batch = flags.overfit_batch;
  options.profile = flags.profile;
  options.announce = !flags.pretrain;
  options.should_stop = stop_requested;
  TrainView shown(session.console);
  TrainEvents silent;
  TrainEvents& view = session.ranks->is_first() ? shown : silent;
  if (!flags.overfit_batch) session.console.info(fmt::format("run {} in {}", config.run.name, folder.string()));
  result = train(backend, config, options, view);
  session.console.clear_progress();
  if (result.stopped) {
    session.console.info(flags.overfit_batch ? "stopped" : "stopped after a checkpoint; --resume goes on");
    return kStoppedCode;
  }
  if (result.already_finished) session.console.info("this run is finished already");
  if (flags.overfit_batch || !session.ranks->is_first()) return 0;
  const fs::path report = folder / "report.html";
  const Stopwatch watch;
  if (!result.already_finished || !fs::exists(report)) write_run_report(folder, session.console);
  session.console.detail(fmt::format("report: {:.2f} s", watch.seconds()));
  session.console.info(fmt::format("model in {}, report in {}", (folder / "best").string(), report.string()));
  return 0;
}

std::string score(double value) { return fmt::format("{:.4f}", value); }

/// What pretraining did to the losses on held-out texts.
void print_texts(const TrainResult& result, bool json) {
  TextTable table({"stage", "corpus", "role", "texts", "loss_before", "loss_after", "perplexity_after", "accuracy_after"});
  Json rows = Json::array();
  for (const CorpusRecord& corpus : result.corpora) {
    Json& row = rows.emplace_back(Json{{"stage", corpus.stage}, {"corpus", corpus.corpus}, {"role", corpus.role}, {"texts", corpus.texts}});
    std::vector<std::string> cells = {corpus.stage, corpus.corpus, corpus.role, std::to_string(corpus.texts)};
    for (const auto& [name, figure] : {std::pair("loss_before", corpus.loss.before),
                                       {"loss_after", corpus.loss.after},
                                       {"perplexity_after", corpus.perplexity.after},
                                       {"accuracy_after", corpus.accuracy.after}}) {
      row[name] = figure ? Json(*figure) : Json();
      cells.push_back(figure ? score(*figure) : "");
    }
    table.add(std::move(cells));
  }
  if (json) return print_json({{"texts", rows}});
  print_text(table.text());
}

/// Adds a row for each task of a split, with the interval that its metrics.json gives.
void add_scores(TextTable& table, const fs::path& run, const char* split) {
  const fs::path file = run / "eval" / split / "metrics.json";
  if (!fs::exists(file)) return;
  const JsonNode metrics = JsonNode::read(file, ErrorTag::kData);
  const auto tasks = metrics.at("tasks").members();
  for (const auto& [task, figures] : tasks) {
    const auto interval = figures.find("interval");
    table.add({task, split, figures.at("metric").as_text(), score(metrics.at("scores").at(task).as_number_or_nan()),
               interval
                   ? fmt::format("[{}, {}]", score(interval->at("low").as_number_or_nan()), score(interval->at("high").as_number_or_nan()))
                   : "",
               std::to_string(figures.at("rows").as_whole())});
  }
  if (const auto mean = metrics.find_set("mean"); mean && tasks.size() > 1)
    table.add({"mean", split, "", score(mean->as_number()), "", ""});
}

void print_scores(const TrainResult& result, const fs::path& run, bool json) {
  if (json) {
    Json scores = {{"scores", result.dev_scores}, {"mean", result.dev_mean ? Json(*result.dev_mean) : Json()}};
    if (!result.test_scores.empty()) scores["test"] = result.test_scores;
    return print_json(scores);
  }
  if (result.dev_scores.empty() && result.test_scores.empty()) return;
  TextTable table({"task", "split", "metric", "score", "95% interval", "rows"});
  for (const char* split : {"dev", "test"}) add_scores(table, run, split);
  print_text(table.text());
}

/// How long the run took, and what to do with it.
void say_next(const TrainFlags& flags, const RunConfig& config, const fs::path& run, double seconds, Session& session) {
  session.console.info(fmt::format("done in {}", format_duration(seconds)));
  const auto heads = config.heads();
  if (config.stages.back().contrastive)
    session.console.info(
        fmt::format("next: minbert embed {0} -i LINES.txt -o vectors.npy, or minbert similar {0} -i LINES.txt", shell_word(run.string())));
  if (heads.empty()) return;
  const TaskSpec& first = *std::ranges::find(config.tasks, heads.front(), &TaskSpec::name);
  const std::string folder = shell_word(run.string()), task = heads.size() == 1 ? "" : " --task " + shell_word(first.name);
  session.console.info(
      fmt::format("next: minbert predict {0}{1} -i NEW.csv -o answers.csv, or minbert eval {0}{1} --data MORE.csv", folder, task));
  if (first.fits_classifier())
    session.console.info(fmt::format("for transformers: minbert export {} -o FOLDER --as seqcls:{}", folder, shell_word(first.name)));
  else if (flags.config.files.empty())
    session.console.info(
        fmt::format("for onnxruntime: minbert export {} -o FOLDER --as onnx; for transformers: --set task.{}.pool=pooler{} trains a head "
                    "that its classifiers have too",
                    folder, first.name, first.is_separate() ? fmt::format(" --set task.{}.encode=joint", first.name) : ""));
}

/// Mean and standard deviation (n - 1) over the runs, which a single one has not.
Json spread_json(const std::vector<double>& values) {
  const Spread summary = spread(values);
  return {{"mean", summary.mean}, {"std", values.size() > 1 ? Json(summary.deviation) : Json()}, {"values", values}};
}

/// One of several runs: its folder, and the config that sets it apart.
struct Variant {
  fs::path folder;
  ConfigTree input;
  RunConfig config;
  Fingerprint fingerprint;
};

/// The runs of --seeds, or those of --folds. Throws what refuses one of them, before the first is trained, such as a finished run that was
/// trained on other files; --dry-run looks into no folder.
std::vector<Variant> plan_variants(const TrainFlags& flags, const ConfigTree& input, const fs::path& folder, const Session& session,
                                   std::string_view backend) {
  if (fs::exists(folder / "status.json"))
    throw Error(ErrorTag::kUsage, folder.string(), "expected a folder for several runs, got that of one");
  if (!flags.seeds.empty() && flags.folds > 0)
    throw Error(ErrorTag::kUsage, "--folds", "expected --seeds or --folds, got both", "--set run.seed=N gives all folds another seed");
  std::vector<Variant> runs;
  FileHashes hashes;
  const auto add = [&](const std::string& name, const char* flag, std::initializer_list<std::pair<const char*, std::int64_t>> keys) {
    Variant& run = runs.emplace_back(Variant{folder / name, input, {}, {}});
    for (const auto& [key, value] : keys) run.input.set(key, value, flag);
    run.config = load_config(flags, run.input);
    if (flags.dry_run) return;
    TrainEvents silent;
    RunFolder(run.folder, open_run(flags, session), run.input.print_resolved(write_options(run.config)), "", silent);
    run.fingerprint = fingerprint_of(run.config, backend, hashes);
    const auto before = flags.resume ? find_fingerprint(run.folder) : std::nullopt;
    if (const std::string what = before ? difference(*before, run.fingerprint) : ""; !what.empty())
      throw Error(ErrorTag::kUsage, run.folder.string(), "cannot stand beside other runs: " + what, "--overwrite trains all anew");
  };
  for (const std::uint64_t seed : flags.seeds)
    add(fmt::format("seed-{}", seed), "--seeds", {{"run.seed", static_cast<std::int64_t>(seed)}});
  for (int fold = 0; fold < flags.folds; ++fold)
    add(fmt::format("fold-{}", fold + 1), "--folds", {{"data.folds", flags.folds}, {"data.fold", fold}});
  return runs;
}

/// Trains one run for each seed, scored on dev, or for each fold, scored on test, which is the fold.
int train_several(const TrainFlags& flags, const ConfigTree& input, const fs::path& folder, Session& session, Backend& backend) {
  const bool folds = flags.folds > 0;
  std::map<std::string, std::vector<double>> scores;
  std::vector<double> means;
  std::vector<std::string> columns = wall_columns();
  columns.insert(columns.begin(), "seconds");
  std::vector<std::vector<double>> times(columns.size());
  for (const Variant& run : plan_variants(flags, input, folder, session, backend.name())) {
    TrainResult result;
    const int code = train_once(flags, run.input, run.config, run.folder, session, backend, result, run.fingerprint.json());
    if (code != 0) return code;
    if (!session.ranks->is_first()) continue;
    const auto& scored = folds ? result.test_scores : result.dev_scores;
    for (const auto& [task, value] : scored) scores[task].push_back(value);
    if (!scored.empty()) means.push_back(mean_score(scored));
    times[0].push_back(result.step_seconds);
    const auto wall = wall_cells(result.phases);
    for (std::size_t i = 0; i < wall.size(); ++i) times[i + 1].push_back(wall[i].value());
  }
  if (!session.ranks->is_first()) return 0;
  Json summary = {{"format", 1}, {"tasks", Json::object()}};
  if (folds)
    summary["folds"] = flags.folds;
  else
    summary["seeds"] = flags.seeds;
  TextTable table({"task", "split", "mean", "std", folds ? "folds" : "seeds"});
  const auto add = [&](const std::string& name, const Json& row) {
    table.add({name, folds ? "test" : "dev", score(row.at("mean").get<double>()),
               row.at("std").is_null() ? "-" : score(row["std"].get<double>()), std::to_string(row.at("values").size())});
  };
  for (const auto& [task, values] : scores) add(task, summary["tasks"][task] = spread_json(values));
  if (!means.empty()) summary["mean"] = spread_json(means);
  if (scores.size() > 1) add("mean", summary["mean"]);
  const auto seconds_text = [](const Json& seconds) { return fmt::format("{:.1f}", seconds.get<double>()); };
  TextTable time_table({"time", "mean", "std"});
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const Json& row = summary[columns[i]] = spread_json(times[i]);
    time_table.add({columns[i], seconds_text(row.at("mean")), row.at("std").is_null() ? "-" : seconds_text(row["std"])});
  }
  write_file(folder / "summary.json", dump_json(summary, 2) + "\n");
  if (flags.json)
    print_json(summary);
  else
    print_text(table.text() + "\n" + time_table.text());
  return 0;
}

void require_mlm(const RunConfig& config, const ConfigTree& tree) {
  for (const StageSpec& stage : config.stages)
    if (!stage.mlm)
      throw Error(
          ErrorTag::kUsage, tree.place("stage." + stage.name),
          fmt::format("pretrain: expected stages of kind \"mlm\" only, stage \"{}\" is \"{}\"", stage.name, option_name(stage.kind)),
          "minbert train runs stages of every kind");
}

int run_train(const TrainFlags& flags, Session& session) {
  expect_different_seeds(flags.seeds, "--seeds");
  OpenRun{.resume = flags.resume, .overwrite = flags.overwrite}.check();
  open_ranks(flags, session);
  ConfigTree input = read_input(flags, session);
  show_notes(input, session);
  const RunConfig config = load_config(flags, input);
  if (flags.pretrain) require_mlm(config, input);
  const auto backend = open_backend(session);
  const bool several = !flags.seeds.empty() || flags.folds > 0;
  if (flags.dry_run) {
    if (!session.ranks->is_first()) return 0;
    const std::vector<Variant> runs = several ? plan_variants(flags, input, {}, session, {}) : std::vector<Variant>();
    Json plan = plan_training(*backend, several ? runs.front().config : config);
    if (several) plan["runs"] = runs.size();
    if (flags.json)
      print_json(plan);
    else
      print_text(plan_text(plan));
    return 0;
  }
  const fs::path folder = run_folder_of(flags.output, config);
  catch_signals();
  if (several) return train_several(flags, input, folder, session, *backend);
  const Stopwatch watch;
  TrainResult result;
  const int code = train_once(flags, input, config, folder, session, *backend, result);
  show_profile(session, *backend);
  if (code != 0 || flags.overfit_batch || !session.ranks->is_first()) return code;
  if (flags.pretrain || (config.tasks.empty() && config.mlm_head() != MlmHeadKind::kNone)) {
    print_texts(result, flags.json);
    return 0;
  }
  print_scores(result, folder, flags.json);
  say_next(flags, config, folder, watch.seconds(), session);
  return 0;
}

/// Declares the flags that train and pretrain share.
void add_run_flags(CLI::App& app, const std::shared_ptr<TrainFlags>& flags, Session& session) {
  app.add_flag("--resume", flags->resume, "go on where the folder's last checkpoint stands");
  app.add_flag("--overwrite", flags->overwrite, "remove the run that is there");
  app.add_option("--seeds", flags->seeds, "one run for each, in RUN/seed-N, and RUN/summary.json")
      ->check(whole_number(0, INT64_MAX))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("1,2,3");
  if (!flags->pretrain)
    app.add_option("--folds", flags->folds,
                   "cross-validation: K runs in RUN/fold-N, each tested on another Kth of train, and RUN/summary.json")
        ->check(whole_number(2, 1000))
        ->type_name("K");
  app.add_flag("--dry-run", flags->dry_run, "print what would be done: rows, steps, minutes and memory (as JSON with --json)");
  app.add_flag("--profile", flags->profile, "write the time of each kind of work to profile.json");
  app.add_flag("--overfit-batch", flags->overfit_batch, "train on one batch of each task over and over: its loss must go to 0");
  app.add_option("--comm-timeout", flags->comm_timeout_s, "several processes (docs/scale.md): how long one may be late, in seconds")
      ->check(CLI::Range(0.1, 1e6))
      ->capture_default_str()
      ->type_name("S");
  app.add_option("--wire-dtype", flags->wire_dtype, "several processes: as what gradients travel: f32 | bf16, half the bytes")
      ->check(one_of({"f32", "bf16"}))
      ->capture_default_str()
      ->type_name("DTYPE");
  add_json(app, flags->json);
  for (const char* other : {"--output", "--seeds", "--folds", "--resume", "--overwrite", "--profile", "--json"})  // it writes no run
    if (CLI::Option* option = app.get_option_no_throw(other)) app.get_option("--overfit-batch")->excludes(option);
  add_compute(app, session);
}

}  // namespace

Action declare_train(CLI::App& app, Session& session) {
  auto flags = std::make_shared<TrainFlags>();
  add_config(app, flags->config, false);
  app.add_option("-o,--output", flags->output, "run folder [runs/NAME, NAME being run.name]")->type_name("RUN");
  add_one_liner(app, flags->one_liner);
  add_run_flags(app, flags, session);
  add_examples(app,
               "  minbert train base.toml mine.toml --set stage.0.lr=3e-5 -o runs/mine\n"
               "  minbert train --init models/all-MiniLM-L6-v2 --train my.csv --text review --label stars");
  return [flags, &session] { return run_train(*flags, session); };
}

Action declare_pretrain(CLI::App& app, Session& session) {
  auto flags = std::make_shared<TrainFlags>();
  flags->pretrain = true;
  add_config(app, flags->config, false);
  app.add_option("-o,--output", flags->output, "run folder [runs/NAME, NAME being run.name]")->type_name("RUN");
  app.add_option("--init", flags->one_liner.init, "model to start from: Hugging Face folder or run folder")->type_name("MODEL");
  app.add_option("--text-file", flags->text_files, "without a config file: train on this file, a text a line (repeatable)")
      ->allow_extra_args(false)
      ->type_name("FILE");
  add_run_flags(app, flags, session);
  add_examples(app,
               "  minbert pretrain recipes/paper/fp-sst.toml --set model.init=models/all-MiniLM-L6-v2 -o runs/mine\n"
               "  minbert pretrain --init models/all-MiniLM-L6-v2 --text-file lines.txt\n"
               "  minbert train base.toml --set model.init=runs/mine     # goes on from the result");
  return [flags, &session] { return run_train(*flags, session); };
}

}  // namespace minbert
