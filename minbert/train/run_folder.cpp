// Opens run folders or refuses them, appends records, and cuts records back to a checkpoint.
#include "minbert/train/run_folder.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "minbert/base/clock.h"
#include "minbert/base/parallel.h"
#include "minbert/base/system.h"
#include "minbert/base/unicode.h"
#include "minbert/data/fields.h"
#include "minbert/train/config.h"
#include "minbert/train/tensorboard.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLock = ".lock";
constexpr std::string_view kStatus = "status.json";
constexpr std::string_view kConfig = "config.toml";
constexpr std::string_view kMetrics = "metrics.jsonl";
constexpr std::string_view kTable = "metrics.csv";
constexpr std::string_view kColumns = "event,stage,step,epoch,split,task,loss,score,lr,grad_norm,tokens,tokens_per_s,wall_s\n";

/// Whether an unfinished write or removal left this file; AtomicFile's temporary names match too.
bool is_leftover(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with('.') && name.ends_with(".tmp");
}

/// The paths directly inside a folder, without the lock.
std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename() != kLock) paths.push_back(entry.path());
  return paths;
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) throw Error(ErrorTag::kResources, path.string(), fmt::format("cannot remove: {}", error.message()));
}

void remove_leftovers(const fs::path& folder) {
  std::vector<fs::path> leftovers;
  for (auto at = fs::recursive_directory_iterator(folder); at != fs::recursive_directory_iterator(); ++at) {
    if (!is_leftover(at->path())) continue;
    leftovers.push_back(at->path());
    at.disable_recursion_pending();
  }
  for (const auto& path : leftovers) remove_tree(path);
}

/// Removes everything but the lock and status.json. First renames each entry into a leftover, checkpoints before their config, so that a
/// process killed half-way never leaves half a checkpoint.
void clear(const fs::path& folder) {
  auto paths = entries(folder);
  std::sort(paths.begin(), paths.end());  // checkpoints < config
  for (const auto& path : paths) {
    if (path.filename() == kStatus) continue;
    std::error_code error;
    fs::rename(path, folder / fmt::format(".{}.removed.tmp", path.filename().string()), error);
    if (error) throw Error(ErrorTag::kResources, path.string(), fmt::format("cannot remove: {}", error.message()));
  }
  remove_leftovers(folder);
}

/// Throws Error(kUsage) for a folder with files that are not a run's, before anything is created in it.
void refuse_foreign(const fs::path& folder) {
  if (!fs::exists(folder)) return;
  constexpr auto kHint = "name another folder with -o";
  if (!fs::is_directory(folder)) throw Error(ErrorTag::kUsage, folder.string(), "expected a folder, got a file", kHint);
  const auto paths = entries(folder);
  if (std::all_of(paths.begin(), paths.end(), is_leftover) || fs::exists(folder / kStatus)) return;
  throw Error(ErrorTag::kUsage, folder.string(), "is not empty and is no run folder: it has no status.json", kHint);
}

/// Keys that change neither weights nor results: what is logged, scored on the side and kept.
bool is_aside(const std::string& key) {
  const std::vector<std::string> parts = split_key(key, key);
  if (parts.size() == 2) return key == "run.keep";
  return parts.size() == 3 && parts[0] == "stage" && (parts[2] == "log_every" || parts[2] == "eval_train");
}

/// Names the first value that differs, except those set aside.
std::optional<std::string> first_difference(const TomlNode& was, const TomlNode& now) {
  const auto differ = [](const std::string& key, std::string_view before, std::string_view after) {
    return fmt::format("{} was {}, is now {}", key, before, after);
  };
  if (was.is<TomlTable>() && now.is<TomlTable>()) {
    for (const auto& [key, value] : was.as_table()) {
      const std::string whole = join_key(was.key(), key);
      if (is_aside(whole)) continue;
      const auto other = now.find(key);
      if (!other) return differ(whole, print_toml_value(value), "absent");
      if (auto inside = first_difference(*was.find(key), *other)) return inside;
    }
    for (const auto& [key, value] : now.as_table())
      if (const std::string whole = join_key(was.key(), key); !is_aside(whole) && !was.find(key))
        return differ(whole, "absent", print_toml_value(value));
  } else if (was.is<TomlArray>() && now.is<TomlArray>() && was.items().size() == now.items().size()) {
    const auto before = was.items(), after = now.items();
    for (std::size_t i = 0; i < before.size(); ++i)
      if (auto inside = first_difference(before[i], after[i])) return inside;
  } else if (const auto before = print_toml_value(was.value()), after = print_toml_value(now.value()); before != after) {
    return differ(was.key(), before, after);
  }
  return std::nullopt;
}

std::string cell(double value) { return std::isfinite(value) ? dump_json(value) : ""; }

/// A record as rows of metrics.csv: one row for a step; for an evaluation one row a task and one without a task for the mean. `step` is the
/// last step before an evaluation.
std::string csv_lines(const StepRecord& record, std::int64_t) {
  return fmt::format("step,{},{},{},,{},{},,{},{},{},{},{}\n", csv_field(record.stage), record.step, record.epoch, csv_field(record.task),
                     cell(record.loss), cell(record.lr), cell(record.grad_norm), record.tokens, cell(record.tokens_per_s),
                     cell(record.wall_s));
}

std::string csv_lines(const EvalRecord& record, std::int64_t step) {
  const std::string start = fmt::format("eval,{},{},{},{}", csv_field(record.stage), step, record.epoch, csv_field(record.split));
  std::string lines;
  for (const auto& [task, score] : record.scores) {
    const auto loss = record.loss.find(task);
    lines += fmt::format("{},{},{},{},,,,,\n", start, csv_field(task), loss == record.loss.end() ? "" : cell(loss->second), cell(score));
  }
  return lines + fmt::format("{},,,{},,,,,\n", start, cell(record.mean));
}

double unix_time() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

struct RunFolder::Writers {
  std::optional<AppendFile> log, metrics, table;
  std::optional<TensorBoardWriter> tb;
  std::int64_t step = 0;  ///< the last step written
  std::string started = utc_timestamp();
  int resumes = 0;
};

void OpenRun::check() const {
  if (resume && overwrite) throw Error(ErrorTag::kUsage, "--resume", "cannot go together with --overwrite");
}

RunFolder::RunFolder(const fs::path& path, const OpenRun& how, std::string_view config, std::string_view input, TrainEvents& next)
    : path_(path), how_(how), config_(config), input_(input), next_(&next) {
  if (!how.writes) return;
  how.check();
  refuse_foreign(path_);
  is_new_ = !fs::exists(path_);
  make_directories(path_);
  lock_ = std::make_unique<FileLock>(path_ / kLock);
  check();
}

RunFolder::~RunFolder() {
  if (begun() || !is_new_) return;
  std::error_code ignored;
  fs::remove(path_ / kLock, ignored);
  fs::remove(path_, ignored);
}

/// Throws if the run that is there may not be overwritten and cannot be resumed with this config.
void RunFolder::check() {
  if (!fs::exists(path_ / kStatus) || how_.overwrite) return;
  if (!how_.resume)
    throw Error(ErrorTag::kUsage, path_.string(), "holds a run already",
                "--resume goes on with it, --overwrite removes it, -o names another folder");
  status_ = read_run_status(path_ / kStatus);
  earlier_ = status_->phases.value_or(PhaseSeconds{});
  finished_ = status_->state == "done";
  const fs::path place = path_ / kConfig;
  if (const auto difference = config_difference(path_, config_))
    throw Error(ErrorTag::kUsage, place.string(), "cannot resume with another config: " + *difference,
                finished_ ? fmt::format("this run is finished; a new one goes on from its model with --set model.init={}", path_.string())
                          : "give the same config, or start anew with --overwrite or another -o");
  if (!fs::exists(place) && fs::exists(path_ / "checkpoints")) {
    throw Error(ErrorTag::kUsage, place.string(), "is missing: the checkpoints cannot be told to belong to this config",
                "--overwrite starts anew");
  }
}

void RunFolder::begin(std::optional<std::int64_t> step) {
  if (!writes()) return;
  MINBERT_CHECK(!begun() && !finished(), "begin: once, on a run that is not finished");
  remove_leftovers(path_);
  if (how_.overwrite) clear(path_);
  writers_ = std::make_unique<Writers>();
  if (status_) writers_->resumes = status_->resumes + 1;
  if (status_ && !status_->started.empty()) writers_->started = status_->started;
  set_status("running");  // the first file: without it the folder is not recognised as a run
  write_file(path_ / "config.input.toml", input_);
  write_file(path_ / kConfig, config_);
  const fs::path log = path_ / "log.txt";
  writers_->log.emplace(log);
  if (const MappedFile file(log); !file.text().empty() && !file.text().ends_with('\n')) writers_->log->write("\n");
  writers_->log->write(early_log_);
  cut_metrics(step);
}

void RunFolder::cut_metrics(std::optional<std::int64_t> resumed) {
  const fs::path path = path_ / kMetrics;
  AtomicFile table(path_ / kTable);
  table.write(kColumns);
  std::string spoilt;
  const std::int64_t step = resumed.value_or(0);
  const std::size_t kept = resumed && fs::exists(path) ? keep_records(step, table, spoilt) : 0;
  if (writers_->step < step || !spoilt.empty())
    message(MessageLevel::kWarning,
            fmt::format("{} ends at step {}{}{}", path.string(), writers_->step,
                        writers_->step < step ? fmt::format(", before the checkpoint's step {}", step) : "", spoilt));
  table.commit();
  writers_->metrics.emplace(path);
  fs::resize_file(path, kept);
  writers_->table.emplace(path_ / kTable);
  const bool again = fs::exists(path_ / "tb");
  // Evaluations at the checkpoint's own step stay.
  writers_->tb.emplace(path_ / "tb", unix_time(), again ? std::optional(resumed ? step + 1 : 0) : std::nullopt);
  writers_->step = step;
}

/// Keeps the records before the first step after `step` and writes them into `table`. Returns how many bytes of metrics.jsonl they take.
/// What is wrong with a broken line goes into `spoilt`; it and what follows is left out.
std::size_t RunFolder::keep_records(std::int64_t step, AtomicFile& table, std::string& spoilt) {
  RunRecordReader reader(path_ / kMetrics);
  std::size_t kept = 0;
  try {
    for (auto record = reader.next(); record; record = reader.next()) {
      if (const auto* made = std::get_if<StepRecord>(&*record)) {
        if (made->step > step) break;
        writers_->step = made->step;
      } else {
        evals_.push_back(std::get<EvalRecord>(*record));
      }
      table.write(std::visit([&](const auto& r) { return csv_lines(r, writers_->step); }, *record));
      kept = reader.bytes();
    }
  } catch (const Error& error) {  // a crash of the machine may spoil lines
    spoilt = fmt::format(": {}", error.what());
  }
  return kept;
}

void RunFolder::log(std::string_view text) {
  if (!writes()) return;
  const std::string line = fmt::format("{} {}\n", utc_timestamp(), printable(text));
  if (begun())
    writers_->log->write(line);
  else
    early_log_ += line;
}

/// Writes a record into metrics.jsonl and metrics.csv.
template <class Record>
void RunFolder::append(const Record& record) {
  MINBERT_CHECK(begun(), "a record before begin");
  writers_->metrics->write(record_line(record) + '\n');
  writers_->table->write(csv_lines(record, writers_->step));
}

void RunFolder::curve(const std::string& tag, double value) {
  writers_->tb->scalar(tag, writers_->step, static_cast<float>(value), unix_time());
}

/// Writes a record into all files but the log.
void RunFolder::record(const StepRecord& step) {
  if (!writes()) return;
  append(step);
  writers_->step = step.step;
  curve("loss/" + step.task, step.loss);
  curve("train/lr", step.lr);
  curve("train/grad_norm", step.grad_norm);
}

void RunFolder::record(const EvalRecord& eval) {
  if (!writes()) return;
  append(eval);
  evals_.push_back(eval);
  for (const auto& [task, score] : eval.scores) curve(eval.split + "/" + task, score);
  for (const auto& [texts, perplexity] : eval.perplexity) curve(eval.split + "_perplexity/" + texts, perplexity);
  curve(eval.split + "/mean", eval.mean);
  writers_->tb->flush();
}

void RunFolder::step(const StepEvent& event) {
  record(event);
  if (event.log && writes()) {
    log(fmt::format("step {}, stage {}, epoch {}: {} loss {:.4f}, lr {:.3g}, gradient norm {:.3g}, {:.0f} tokens/s", event.step,
                    event.stage, event.epoch, event.task, event.loss, event.lr, event.grad_norm, event.tokens_per_s));
    writers_->tb->flush();
  }
  next_->step(event);
}

void RunFolder::eval(const EvalEvent& event) {
  const auto is_same = [&](const EvalRecord& e) { return e.stage == event.stage && e.epoch == event.epoch && e.split == event.split; };
  if (std::ranges::none_of(evals_, is_same)) {
    record(event);
    std::string scores;
    for (const auto& [task, score] : event.scores) scores += fmt::format(" {} {:.4f},", task, score);
    for (const auto& [texts, perplexity] : event.perplexity) scores += fmt::format(" {} perplexity {:.2f},", texts, perplexity);
    log(fmt::format("{}, stage {}, epoch {}:{} mean {:.4f}{}", event.split, event.stage, event.epoch, scores, event.mean,
                    event.best ? ", the best so far" : ""));
  }
  next_->eval(event);
}

void RunFolder::replay(const fs::path& metrics, const std::set<std::string>& stages) {
  RunRecordReader reader(metrics);
  for (auto next = reader.next(); next; next = reader.next()) {
    if (!std::visit([&](const auto& r) { return stages.contains(r.stage); }, *next)) break;
    std::visit([&](const auto& r) { record(r); }, *next);
  }
}

void RunFolder::message(MessageLevel level, std::string_view text) {
  log(level == MessageLevel::kWarning ? fmt::format("warning: {}", text) : text);
  next_->message(level, text);
}

void RunFolder::flush() {
  if (!writes()) return;
  MINBERT_CHECK(begun(), "flush before begin");
  writers_->metrics->sync();
  writers_->table->sync();
  writers_->log->sync();
  writers_->tb->flush();
  set_status("running");
}

PhaseSeconds RunFolder::phase_seconds() {
  PhaseSeconds seconds = clock_.seconds();
  return seconds += earlier_;
}

void RunFolder::set_status(std::string_view state, const Json& more) {
  if (!writes()) return;
  MINBERT_CHECK(begun(), "a status before begin");
  Json status = {{"format", kRunFormat},
                 {"state", state},
                 {"started", writers_->started},
                 {"updated", utc_timestamp()},
                 {"resumes", writers_->resumes}};
  status.update(wall_json(phase_seconds()));
  status.update(more);
  write_json(kStatus, status);
}

void RunFolder::write_json(std::string_view name, const Json& json) {
  if (writes()) write_file(path_ / name, dump_json(json, 2) + '\n');
}

fs::path stage_best(const fs::path& run, const StageSpec& stage) { return run / "checkpoints" / ("stage-" + stage.name) / "best"; }

std::optional<std::string> config_difference(const fs::path& folder, std::string_view config) {
  const fs::path place = folder / kConfig;
  if (!fs::exists(place)) return std::nullopt;
  const std::string before = read_file(place);
  const auto differ = [&](auto&& read) {
    const TomlValue was = read(before, place.string()), now = read(config, "config");
    return first_difference(TomlNode(was), TomlNode(now));
  };
  try {
    return differ([&](std::string_view text, std::string_view name) {
      ConfigTree tree;  // an option that the earlier version lacked counts as its default
      tree.load_text(text, name, folder);
      return write_options(load_run_config(tree));
    });
  } catch (const Error&) {  // the earlier version had an option that is gone
    return differ([&](std::string_view text, std::string_view name) { return parse_toml(text, name, folder); });
  }
}

Json environment_json(std::string_view backend_name, std::string_view backend_description) {
  Json libraries = Json::object();
  for (const auto& [name, version] : library_versions()) libraries[name] = version;
  return {{"format", kRunFormat},
          {"minbert", program_version()},
          {"compiler", compiler_version()},
          {"system", system_name()},
          {"cpu", cpu_model()},
          {"cores", available_cores()},
          {"threads", num_threads()},
          {"backend", backend_name},
          {"backend_description", backend_description},
          {"libraries", std::move(libraries)}};
}

}  // namespace minbert
