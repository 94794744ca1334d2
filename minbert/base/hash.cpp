// Hashes by OpenSSL, which uses the processor's instructions for them.
#include "minbert/base/hash.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "minbert/base/base64.h"
#include "minbert/base/input_bytes.h"

namespace minbert {
namespace {

void expect_ok(int result) { MINBERT_CHECK(result == 1, "OpenSSL refuses a hash function"); }

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  MINBERT_CHECK(context_ != nullptr, "out of memory");
  expect_ok(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
}

void Sha256::update(std::span<const std::byte> bytes) { expect_ok(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size())); }

std::array<std::byte, 32> Sha256::digest() {
  std::array<std::byte, 32> bytes;
  expect_ok(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(bytes.data()), nullptr));
  return bytes;
}

std::string Sha256::hex() {
  std::string text;
  for (const std::byte byte : digest()) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

std::string sha256_hex(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return hash.hex();
}

std::string sha256_base64(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return base64(hash.digest());
}

std::string git_blob_hex(std::string_view content) {
  const std::string header = fmt::format("blob {}", content.size());
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  MINBERT_CHECK(context != nullptr, "out of memory");
  expect_ok(EVP_DigestInit_ex(context.get(), EVP_sha1(), nullptr));
  expect_ok(EVP_DigestUpdate(context.get(), header.c_str(), header.size() + 1));
  expect_ok(EVP_DigestUpdate(context.get(), content.data(), content.size()));
  std::array<unsigned char, 20> digest;
  expect_ok(EVP_DigestFinal_ex(context.get(), digest.data(), nullptr));
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

std::string sha256_file(const std::filesystem::path& path, ErrorTag tag) {
  const InputBytes file(path, tag);
  Sha256 hash;
  hash.update(file.text());
  return hash.hex();
}

std::string hash_library_version() { return OpenSSL_version(OPENSSL_VERSION); }

}  // namespace minbert
