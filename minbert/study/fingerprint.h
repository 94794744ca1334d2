// Fingerprints: all that a run's result depends on, as hashes, so that a result is taken for what a config says only where it is.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/train/config.h"

namespace minbert {

/// SHA-256 of files; each is read once as long as its size and time stay.
class FileHashes {
 public:
  /// Throws Error(tag) when the file cannot be read.
  const std::string& of(const std::filesystem::path& path, ErrorTag tag);

 private:
  struct Known {
    std::uintmax_t size = 0;
    std::filesystem::file_time_type time;
    std::string hash;
  };
  std::map<std::filesystem::path, Known> known_;
};

struct Fingerprint {
  std::string code;                          ///< version of the program and its numbers, and the backend
  std::map<std::string, std::string> files;  ///< path -> SHA-256 of every data, weights, tokenizer and config file that the run reads
  /// By stage, its name and a hash of all that the weights at its end depend on: runs whose first n keys agree agree in their first n stages.
  std::vector<std::pair<std::string, std::string>> stages;

  /// fingerprint.json
  Json json() const;
};

/// Throws Error: kData or kModel for a file that is missing.
Fingerprint fingerprint_of(const RunConfig& config, std::string_view backend, FileHashes& hashes);

/// That of a run folder; nothing when it has none. Throws Error(kData) when it is broken.
std::optional<Fingerprint> find_fingerprint(const std::filesystem::path& run);

/// The number of stages, from the first on, that the two have in common.
std::size_t shared_stages(const Fingerprint& a, const Fingerprint& b);

}  // namespace minbert
