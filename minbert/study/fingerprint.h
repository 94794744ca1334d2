// Fingerprints: hashes of everything that a run's result depends on, to check that a stored result belongs to a given config.
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

/// SHA-256 of files. A file is read again only when its size or modification time changes.
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
  std::string code;                          ///< versions of the program and of its numerics, and the backend
  std::map<std::string, std::string> files;  ///< path -> SHA-256 of every data, weights, tokenizer and config file that the run reads
  /// Each stage's name and key. The key is a hash of everything that the weights at the stage's end depend on, so that two runs with equal
  /// first n keys have equal weights after n stages.
  std::vector<std::pair<std::string, std::string>> stages;

  /// The contents of fingerprint.json.
  Json json() const;
};

/// Throws Error: kData or kModel for a file that is missing.
Fingerprint fingerprint_of(const RunConfig& config, std::string_view backend, FileHashes& hashes);

/// Reads the file fingerprint.json of a run folder. Returns nothing when there is no such file; throws Error(kData) when it is broken.
std::optional<Fingerprint> find_fingerprint(const std::filesystem::path& run);

/// How the code or the files of a run that was trained differ from those of now: "FILE has changed"; empty where they do not.
std::string difference(const Fingerprint& before, const Fingerprint& now);

/// The largest n for which the first n stages of both runs are equal.
std::size_t shared_stages(const Fingerprint& a, const Fingerprint& b);

}  // namespace minbert
