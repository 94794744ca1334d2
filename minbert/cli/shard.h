// Shards: the rows of an input that one of several processes answers, and the files of its answers.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "minbert/base/clock.h"
#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/cli/session.h"

namespace minbert {

/// Shard `index` of `count`: the usable rows index, index + count, index + 2 count ... of an input.
struct Shard {
  std::size_t index = 0, count = 1;

  /// How many of `rows` rows are the shard's.
  std::size_t rows_of(std::size_t rows) const { return rows <= index ? 0 : (rows - index - 1) / count + 1; }
  bool operator==(const Shard&) const = default;
};

/// Declares --shard.
void add_shard(CLI::App& app, std::string& shard);
/// Reads "2/8"; "auto", which a Slurm array fills in; or "auto/8", where an array or an indexed job of Kubernetes gives the index alone.
/// Throws Error(kUsage).
Shard parse_shard(std::string_view text, const Env& env);
/// "out.npy" as "out-00002-of-00008.npy".
std::filesystem::path shard_path(const std::filesystem::path& output, Shard shard);

/// The marker FILE.done of a finished shard's FILE.
struct ShardRecord {
  Shard shard;
  std::size_t rows = 0;          ///< rows in the shard
  std::size_t input_rows = 0;    ///< usable rows of the whole input
  std::uintmax_t bytes = 0;      ///< size of the file
  std::size_t header_bytes = 0;  ///< size of the header before the first row
  Json settings;                 ///< flags and hashes that the answers depend on
  std::string format;            ///< of the file, such as "csv" or "npy"; one of the settings
};
/// Nothing without a marker. Throws Error(kData) if it is broken.
std::optional<ShardRecord> find_shard_record(const std::filesystem::path& file);

/// The file of a shard while it grows under the name FILE.part. FILE.part.json says how many rows of it are safe on disk, so that the same
/// command goes on there after a kill. A lock keeps a second process away.
class ShardFile {
 public:
  /// `settings`: what the answers depend on. Throws Error(kUsage) if the shard was begun or finished with others; Error(kResources).
  ShardFile(const std::filesystem::path& output, Shard shard, Json settings);
  /// Without commit() the rows so far stay, for the next process.
  ~ShardFile();
  ShardFile(const ShardFile&) = delete;
  ShardFile& operator=(const ShardFile&) = delete;

  /// Whether the shard is finished, so that nothing is left to do.
  bool is_done() const { return done_; }
  const Shard& shard() const { return record_.shard; }
  const std::filesystem::path& path() const { return path_; }
  /// Rows of the shard that are written already.
  std::size_t rows() const { return record_.rows; }

  /// Writes what stands before the first row; nothing if an earlier process has.
  void write_header(std::string_view text);
  void write(std::string_view text) { pending_ += text; }
  /// Says that what was written since the last call are `rows` whole rows.
  void end_rows(std::size_t rows);
  /// Gives the file its name, then writes the marker. `input_rows`: of the whole input.
  void commit(std::size_t input_rows);

 private:
  void save_progress();
  std::filesystem::path beside(std::string_view ending) const { return path_.string() + std::string(ending); }

  std::filesystem::path path_;
  ShardRecord record_;
  std::unique_ptr<FileLock> lock_;
  std::optional<AppendFile> file_;
  std::string pending_;
  Stopwatch since_saved_;
  bool done_ = false;
};

/// Opens the shard that the flag names; nothing if it names none. The settings are all flags of `app` that were given, without those that
/// change no answer, the output's `format`, and the hashes of the models and of `input`. Throws Error(kUsage) where input or output is a
/// pipe.
std::unique_ptr<ShardFile> open_shard(const CLI::App& app, const std::string& flag, std::span<const std::string> models,
                                      const std::string& input, const std::string& output, const std::string& format, Session& session);

/// Answers the rows of a shard with `work`. Returns the exit code: 0, also for a shard that is finished already, and kStoppedCode if a
/// signal stopped it. Without a shard it just calls `work`.
int run_shard(ShardFile* shard, Session& session, const std::function<void()>& work);

}  // namespace minbert
