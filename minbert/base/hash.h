// SHA-256, and the hash by which git names files: they recognise downloads, vocabularies and configurations.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "minbert/base/check.h"

struct evp_md_ctx_st;

namespace minbert {

/// SHA-256 of a stream of bytes.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  /// 64 hexadecimal digits of all bytes so far; called once, last.
  std::string hex();
  /// The 32 bytes of all bytes so far; called once, last.
  std::array<std::byte, 32> digest();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256_hex(std::string_view text);
/// In Base64, as a Content-Security-Policy names scripts and styles.
std::string sha256_base64(std::string_view text);
/// The name that git gives a file of this content, 40 hexadecimal digits. Hugging Face hubs send it as the tag of small files.
std::string git_blob_hex(std::string_view content);
/// Throws Error(tag) when the file cannot be read.
std::string sha256_file(const std::filesystem::path& path, ErrorTag tag = ErrorTag::kData);

/// The version of OpenSSL, which computes the hashes.
std::string hash_library_version();

}  // namespace minbert
