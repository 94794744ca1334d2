// TensorBoard event files: scalars as TFRecords of hand-encoded Event messages.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

namespace minbert {

/// Appends scalars to a fresh event file of a folder; a resumed run opens the next file and TensorBoard shows them as one.
/// Every failure (full disk, no permission) throws Error(kResources) naming the file.
class TensorBoardWriter {
 public:
  /// Creates `folder` if need be, and in it a file whose name sorts after those written before wall_time_s (seconds since
  /// 1970). With purge_step, TensorBoard hides what earlier files hold from that step on, which a resume repeats.
  TensorBoardWriter(const std::filesystem::path& folder, double wall_time_s, std::optional<std::int64_t> purge_step = std::nullopt);
  ~TensorBoardWriter() = default;

  /// Adds a point to the curve `tag`; "group/name" draws groups side by side. NaN and infinity are kept.
  void scalar(std::string_view tag, std::int64_t step, float value, double wall_time_s);
  /// Writes buffered points, so that a running TensorBoard sees them.
  void flush();

  const std::filesystem::path& path() const { return path_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void write_record(std::string_view event);

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace minbert
