// Names shards, and keeps their files whole.
#include "minbert/cli/shard.h"

#include <fmt/format.h>

#include <array>
#include <set>

#include "minbert/base/hash.h"
#include "minbert/base/input_bytes.h"
#include "minbert/base/json_node.h"
#include "minbert/base/number.h"
#include "minbert/cli/signals.h"
#include "minbert/pipeline/model_folder.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr int kShardFormat = 2;
constexpr std::size_t kMostShards = 100'000;
constexpr const char* kOutputFormat = "output_format";

[[noreturn]] void fail_shard(std::string_view text, std::string_view why) {
  throw Error(ErrorTag::kUsage, "--shard", fmt::format("expected I/N with I from 0 to N - 1, or auto, got \"{}\"{}", text, why),
              "in a Slurm array auto is the task of the array; auto/N takes its number alone as I, as in an indexed job of Kubernetes");
}

/// The number that the launcher gave this process in an array: from 0, or as `raw` says the id itself.
std::optional<std::size_t> launched_index(const Env& env, bool raw) {
  if (const auto id = number_from<std::size_t>(env.slurm_array_id)) {
    const std::size_t first = raw ? 0 : number_from<std::size_t>(env.slurm_array_first).value_or(0);
    if (*id >= first) return *id - first;
  }
  return number_from<std::size_t>(env.job_index);
}

Json record_json(const ShardRecord& record, bool done) {
  Json json = {{"format", kShardFormat}, {"shard", record.shard.index}, {"of", record.shard.count},
               {"rows", record.rows},    {"bytes", record.bytes},       {"header_bytes", record.header_bytes}};
  if (done) json["input_rows"] = record.input_rows;
  json["settings"] = record.settings;
  return json;
}

std::optional<ShardRecord> read_record(const fs::path& file, bool done) {
  if (!fs::exists(file)) return std::nullopt;
  const JsonNode json = JsonNode::read(file, ErrorTag::kData);
  json.expect_format(kShardFormat);
  ShardRecord record;
  record.shard.count = json.at("of").as_whole<std::size_t>(1, kMostShards);
  record.shard.index = json.at("shard").as_whole<std::size_t>(0, record.shard.count - 1);
  record.rows = json.at("rows").as_whole<std::size_t>();
  record.bytes = json.at("bytes").as_whole<std::uintmax_t>();
  record.header_bytes = json.at("header_bytes").as_whole<std::size_t>(0, static_cast<std::size_t>(record.bytes));
  if (done) record.input_rows = json.at("input_rows").as_whole<std::size_t>(record.rows);
  record.settings = json.at("settings").json();
  record.format = json.at("settings").at(kOutputFormat).as_text();
  return record;
}

void expect_same_settings(const fs::path& file, const ShardRecord& was, const ShardRecord& now) {
  if (was.settings == now.settings && was.shard == now.shard) return;
  std::string difference;
  for (const auto& [key, value] : now.settings.items())
    if (!was.settings.contains(key) || was.settings[key] != value)
      difference = fmt::format(": {} was {}, is now {}", key, was.settings.contains(key) ? dump_json(was.settings[key]) : "absent",
                               dump_json(value));
  for (const auto& [key, value] : was.settings.items())
    if (!now.settings.contains(key)) difference = fmt::format(": {} was {}, is now absent", key, dump_json(value));
  throw Error(ErrorTag::kUsage, file.string(), "this shard was made by another command" + difference,
              "remove it, or give the output another name");
}

}  // namespace

void add_shard(CLI::App& app, std::string& shard) {
  app.add_option("--shard", shard,
                 "answer rows I, I + N, I + 2N ... into FILE-0000I-of-0000N.EXT, which merge joins; auto: of a Slurm array; auto/N: I is "
                 "the task's number")
      ->type_name("I/N");
}

Shard parse_shard(std::string_view text, const Env& env) {
  if (text == "auto") {
    const auto index = launched_index(env, false), count = number_from<std::size_t>(env.slurm_array_count);
    if (!index || !count) fail_shard(text, ", and no SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT");
    if (*index >= *count) fail_shard(text, fmt::format(" as task {} of an array of {} with gaps", env.slurm_array_id, *count));
    return {*index, *count};
  }
  const std::size_t slash = text.find('/');
  if (slash == text.npos) fail_shard(text, "");
  const std::string_view first = text.substr(0, slash);
  const auto index = first == "auto" ? launched_index(env, true) : number_from<std::size_t>(first),
             count = number_from<std::size_t>(text.substr(slash + 1));
  if (first == "auto" && !index) fail_shard(text, ", and no SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX");
  if (!index || !count || *count > kMostShards || *index >= *count)
    fail_shard(text, first == "auto" && index ? fmt::format(" as task {}", *index) : "");
  return {*index, *count};
}

fs::path shard_path(const fs::path& output, Shard shard) {
  fs::path path = output;
  return path.replace_filename(
      fmt::format("{}-{:05}-of-{:05}{}", output.stem().string(), shard.index, shard.count, output.extension().string()));
}

std::optional<ShardRecord> find_shard_record(const fs::path& file) { return read_record(file.string() + ".done", true); }

ShardFile::ShardFile(const fs::path& output, Shard shard, Json settings) : path_(shard_path(output, shard)) {
  record_.shard = shard;
  record_.settings = std::move(settings);
  const auto finished = find_shard_record(path_);
  if (finished && fs::exists(path_)) {
    expect_same_settings(path_, *finished, record_);
    done_ = true;
    return;
  }
  const fs::path part = beside(".part");
  lock_ = std::make_unique<FileLock>(part);  // which creates it
  const auto begun = read_record(beside(".part.json"), false);
  if (begun) expect_same_settings(part, *begun, record_);
  if (begun && fs::file_size(part) >= begun->bytes) record_ = *begun;
  std::error_code error;
  fs::resize_file(part, record_.bytes, error);  // what follows is a piece of a row, or not safe on disk
  if (error) throw Error(ErrorTag::kResources, part.string(), fmt::format("cannot write: {}", error.message()));
  file_.emplace(part);
}

ShardFile::~ShardFile() {
  if (!file_) return;
  try {
    save_progress();
  } catch (const Error&) {  // the rows since the last time are answered again
  }
}

void ShardFile::write_header(std::string_view text) {
  if (record_.bytes > 0) return;
  record_.header_bytes = text.size();
  write(text);
  end_rows(0);
}

void ShardFile::end_rows(std::size_t rows) {
  constexpr double kSave_s = 5;
  file_->write(pending_);
  record_.bytes += pending_.size();
  record_.rows += rows;
  pending_.clear();
  if (since_saved_.seconds() > kSave_s) save_progress();
}

void ShardFile::save_progress() {
  file_->sync();
  write_file(beside(".part.json"), dump_json(record_json(record_, false), 2) + "\n");
  since_saved_.lap();
}

void ShardFile::commit(std::size_t input_rows) {
  MINBERT_CHECK(pending_.empty() && record_.rows == record_.shard.rows_of(input_rows), "{} rows of {}", record_.rows, input_rows);
  record_.input_rows = input_rows;
  file_->sync();
  file_.reset();
  std::error_code error;
  fs::rename(beside(".part"), path_, error);
  if (error) throw Error(ErrorTag::kResources, path_.string(), fmt::format("cannot rename: {}", error.message()));
  write_file(beside(".done"), dump_json(record_json(record_, true), 2) + "\n");
  fs::remove(beside(".part.json"), error);  // it does no harm if it stays
}

std::unique_ptr<ShardFile> open_shard(const CLI::App& app, const std::string& flag, std::span<const std::string> models,
                                      const std::string& input, const std::string& output, const std::string& format, Session& session) {
  if (flag.empty()) return nullptr;
  const Shard shard = parse_shard(flag, session.env);
  if (is_read_once(input))
    throw Error(ErrorTag::kUsage, "--shard", fmt::format("expected -i FILE, which every shard reads, got {}", input_name(input)));
  if (output == "-") throw Error(ErrorTag::kUsage, "--shard", "expected -o FILE, got standard output");
  constexpr std::array<std::string_view, 6> kAside = {"--output", "--shard", "--threads", "--quiet", "--verbose", "--help"};
  Json settings = {{"verb", app.get_name()}, {kOutputFormat, format}};
  for (const CLI::Option* option : app.get_options())
    if (const std::string name = option->get_name(); option->count() > 0 && std::ranges::find(kAside, name) == kAside.end())
      settings[name] = option->results();
  if (std::error_code missing; fs::exists(input, missing))
    settings["input_sha256"] = sha256_file(input, ErrorTag::kData);  // else its reader says so
  std::set<fs::path> folders;
  for (const std::string& model : models) {
    folders.insert(find_model_folder(model));  // vectors come from there, whoever answers tasks
    for (const fs::path& answering : answering_folders(model)) folders.insert(find_model_folder(answering));
  }
  settings["model_sha256"] = models_digest(folders);
  return std::make_unique<ShardFile>(output, shard, std::move(settings));
}

int run_shard(ShardFile* shard, Session& session, const std::function<void()>& work) {
  if (shard != nullptr && shard->is_done()) {
    session.console.info(fmt::format("{} is finished already", shard->path().string()));
    return 0;
  }
  try {
    work();
  } catch (const Interrupted&) {
    if (shard == nullptr) throw;
    session.console.clear_progress();
    session.console.info(fmt::format("stopped after {} rows of the shard; the same command goes on", shard->rows()));
    return kStoppedCode;
  }
  return 0;
}

}  // namespace minbert
