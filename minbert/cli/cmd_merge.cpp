// merge: joins the files of shards in the order of the input's rows.
#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <ranges>
#include <vector>

#include "minbert/base/file_part.h"
#include "minbert/base/files.h"
#include "minbert/cli/npy_format.h"
#include "minbert/cli/output.h"
#include "minbert/cli/shard.h"
#include "minbert/cli/verbs.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// A finished shard: its file, and the bytes of its rows one after the other. The file is open only while a block of it is read, because
/// there may be more shards than a process can have open.
class ShardReader {
 public:
  ShardReader(fs::path path, const ShardRecord& record, std::size_t block_bytes)
      : path_(std::move(path)), at_(record.header_bytes), end_(record.bytes), block_bytes_(block_bytes) {}

  /// The next row: `row_bytes` bytes of it, or with 0 a line, whose quoted parts may hold line ends if `quoted`. The view lives until the
  /// next call. Throws Error(kData) at the end of the file.
  std::string_view next(std::size_t row_bytes, bool quoted) {
    begin_ += row_size_;
    std::size_t size = row_bytes, seen = 0;
    bool inside = false;
    while (row_bytes == 0 && size == 0) {
      for (; begin_ + seen < block_.size() && size == 0; ++seen) {
        const char c = block_[begin_ + seen];
        inside = inside != (quoted && c == '"');
        if (c == '\n' && !inside) size = seen + 1;
      }
      if (size == 0) read_more();
    }
    while (block_.size() - begin_ < size) read_more();
    row_size_ = size;
    return std::string_view(block_).substr(begin_, size);
  }
  bool at_end() const { return at_ == end_ && begin_ + row_size_ == block_.size(); }
  const fs::path& path() const { return path_; }

 private:
  void read_more() {
    if (at_ == end_) throw Error(ErrorTag::kData, path_.string(), "expected more rows: the file is not what its marker says");
    block_.erase(0, begin_);
    begin_ = 0;
    const std::size_t kept = block_.size(), size = static_cast<std::size_t>(std::min<std::uintmax_t>(end_ - at_, block_bytes_));
    block_.resize(kept + size);
    read_at(path_, at_, std::span(block_).subspan(kept));
    at_ += size;
  }

  fs::path path_;
  std::uintmax_t at_, end_;  // the part of the file that was not read yet
  std::size_t block_bytes_;
  std::string block_;
  std::size_t begin_ = 0, row_size_ = 0;  // the last row in block_
};

struct ShardSet {
  std::vector<fs::path> paths;
  std::vector<ShardRecord> records;
};

/// N of "out-00002-of-00008.npy", if the name is that of a shard of `output`.
std::optional<std::size_t> count_in_name(const fs::path& file, const fs::path& output) {
  const std::string name = file.filename().string(), stem = output.stem().string() + "-";
  std::size_t index = 0, count = 0;
  if (!name.starts_with(stem)) return std::nullopt;
  const char *const begin = name.data() + stem.size(), *const end = name.data() + name.size();
  const auto [after, error] = std::from_chars(begin, end, index);
  const std::string_view rest(after, end);
  if (error != std::errc{} || !rest.starts_with("-of-")) return std::nullopt;
  if (std::from_chars(after + 4, end, count).ec != std::errc{} || index >= count) return std::nullopt;
  if (shard_path(output, {index, count}).filename() != name) return std::nullopt;
  return count;
}

/// How many shards `output` has in its folder. Throws Error(kUsage) if there are none, or sets of several sizes.
std::size_t count_shards(const fs::path& output, std::size_t wanted) {
  if (wanted > 0) return wanted;
  std::map<std::size_t, int> sets;
  const fs::path folder = output.has_parent_path() ? output.parent_path() : fs::path(".");
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (const auto count = count_in_name(entry.path(), output)) ++sets[*count];
  if (sets.empty())
    throw Error(ErrorTag::kUsage, output.string(), "has no shards",
                fmt::format("predict and embed with --shard write {} and its siblings", shard_path(output, {0, 2}).filename().string()));
  if (sets.size() > 1) {
    std::vector<std::size_t> counts;
    for (const auto& [count, files] : sets) counts.push_back(count);
    throw Error(ErrorTag::kUsage, output.string(), fmt::format("has shards of {}", fmt::join(counts, " and of ")),
                "--of says which to join");
  }
  return sets.begin()->first;
}

/// The shards of `output` in its folder, by their names.
std::vector<fs::path> shards_of(const fs::path& output, std::size_t wanted) {
  const std::size_t count = count_shards(output, wanted);
  std::vector<fs::path> paths;
  for (std::size_t i = 0; i < count; ++i) paths.push_back(shard_path(output, {i, count}));
  return paths;
}

/// Sorts shards by their numbers. Throws Error(kData) for a file that has no marker.
std::vector<fs::path> in_order(std::span<const std::string> parts) {
  std::multimap<std::size_t, fs::path> by_index;
  for (const std::string& part : parts) {
    const auto record = find_shard_record(part);
    if (!record) throw Error(ErrorTag::kData, part, "expected a finished shard, got a file without FILE.done beside it");
    by_index.emplace(record->shard.index, part);
  }
  const auto paths = by_index | std::views::values;
  return {paths.begin(), paths.end()};
}

/// Reads the markers of all shards, in order, and checks that the files are whole and fit together.
ShardSet read_shards(const std::vector<fs::path>& paths) {
  const std::size_t count = paths.size();
  ShardSet set;
  for (std::size_t i = 0; i < count; ++i) {
    const fs::path& path = paths[i];
    const auto fail = [&](const std::string& why) { throw Error(ErrorTag::kData, path.string(), why, "run this shard again"); };
    const auto record = find_shard_record(path);
    if (!record || !fs::exists(path)) fail(fmt::format("shard {} of {} is not finished", i, count));
    if (record->shard != Shard{i, count})
      throw Error(ErrorTag::kUsage, path.string(),
                  fmt::format("expected shard {} of {}, got shard {} of {}", i, count, record->shard.index, record->shard.count));
    if (fs::file_size(path) != record->bytes) fail(fmt::format("expected {} bytes, got {}", record->bytes, fs::file_size(path)));
    const ShardRecord& first = set.records.empty() ? *record : set.records.front();
    if (record->input_rows != first.input_rows || record->settings != first.settings)
      fail(fmt::format("was made from another input or by another command than shard 0 of {}", count));
    if (record->rows != record->shard.rows_of(record->input_rows))
      fail(fmt::format("expected {} rows, got {}", record->shard.rows_of(record->input_rows), record->rows));
    set.paths.push_back(path);
    set.records.push_back(*record);
  }
  return set;
}

/// Bytes of a row of vectors; 0 in files of lines. A shard without rows does not tell.
std::size_t row_bytes_of(const ShardRecord& first) {
  if (first.format != "npy" || first.rows == 0) return 0;
  return static_cast<std::size_t>(first.bytes - first.header_bytes) / first.rows;
}

/// The header of the first shard, with the number of all rows where it has one.
void write_header(AtomicFile& file, const ShardSet& set) {
  const ShardRecord& first = set.records.front();
  std::string header(first.header_bytes, '\0');
  read_at(set.paths.front(), 0, std::span(header));
  file.write(first.format == "npy" ? npy_header_with_rows(header, first.input_rows, set.paths.front().string()) : header);
}

void merge(const ShardSet& set, const std::string& output, Session& session) {
  constexpr std::size_t kBufferBytes = std::size_t{64} << 20, kMostBlock = std::size_t{1} << 20;
  const ShardRecord& first = set.records.front();
  const std::size_t row_bytes = row_bytes_of(first), count = set.records.size(), rows = first.input_rows;
  std::vector<ShardReader> readers;
  for (std::size_t i = 0; i < count; ++i)
    readers.emplace_back(set.paths[i], set.records[i], std::clamp<std::size_t>(kBufferBytes / count, 4096, kMostBlock));
  AtomicFile file(output);
  write_header(file, set);
  for (std::size_t row = 0; row < rows; ++row) file.write(readers[row % count].next(row_bytes, first.format == "csv"));
  for (const ShardReader& reader : readers)
    if (!reader.at_end())
      throw Error(ErrorTag::kData, reader.path().string(), "expected no more rows: the file is not what its marker says");
  file.commit();
  session.console.info(fmt::format("{} rows of {} shards in {}", rows, count, output));
}

struct MergeFlags {
  std::vector<std::string> files;
  std::string output;
  std::size_t count = 0;
};

int run_merge(const MergeFlags& flags, Session& session) {
  if (!flags.output.empty()) {
    if (flags.count > 0) throw Error(ErrorTag::kUsage, "--of", "expected it without -o, which comes with a list of all shards");
    merge(read_shards(in_order(flags.files)), flags.output, session);
    return 0;
  }
  if (flags.files.size() > 1)
    throw Error(ErrorTag::kUsage, "-o", fmt::format("expected the file to write, got {} shards without it", flags.files.size()));
  merge(read_shards(shards_of(flags.files.front(), flags.count)), flags.files.front(), session);
  return 0;
}

}  // namespace

Action declare_merge(CLI::App& app, Session& session) {
  auto flags = std::make_shared<MergeFlags>();
  app.add_option("FILE", flags->files, "the name that predict or embed was given with -o; with -o here, all shards")
      ->required()
      ->type_name("");
  app.add_option("-o,--output", flags->output, "file that appears when complete [the name]")->type_name("FILE");
  app.add_option("--of", flags->count, "number of shards [as the names of the files say]")->check(whole_number(1, 100'000))->type_name("N");
  add_examples(app,
               "  minbert embed MODEL -i lines.txt -o out.npy --shard 0/2\n"
               "  minbert embed MODEL -i lines.txt -o out.npy --shard 1/2\n"
               "  minbert merge out.npy\n"
               "  minbert merge out-*-of-00002.npy -o all.npy");
  return [flags, &session] { return run_merge(*flags, session); };
}

}  // namespace minbert
