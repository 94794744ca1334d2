// TFRecord framing and the five fields of tensorflow/core/util/event.proto that scalars need.
#include "minbert/train/tensorboard.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <string>
#include <system_error>
#include <type_traits>

#include "minbert/base/check.h"
#include "minbert/base/files.h"

namespace minbert {
namespace {

static_assert(std::endian::native == std::endian::little, "records are little-endian");

/// CRC-32C (Castagnoli), reflected, byte by byte.
constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? 0x82f63b78u : 0u);
    table[byte] = remainder;
  }
  return table;
}();

/// TFRecord's form of CRC-32C: rotated and offset, so that a checksum of data that holds checksums stays strong.
std::uint32_t masked_crc(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char c : bytes) crc = kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  return std::rotr(~crc, 15) + 0xa282ead8u;
}

template <class T>
void append_raw(std::string& out, T value) {
  static_assert(std::is_arithmetic_v<T>);
  const auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(value);
  out.append(bytes.data(), bytes.size());
}

// Protocol buffers: a key (field number, wire type), then the value.
enum FieldType : unsigned { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void append_key(std::string& out, unsigned field, FieldType type) { append_varint(out, field << 3 | type); }

void append_double(std::string& out, unsigned field, double value) {
  append_key(out, field, kFixed64);
  append_raw(out, value);
}

void append_float(std::string& out, unsigned field, float value) {
  append_key(out, field, kFixed32);
  append_raw(out, value);
}

void append_integer(std::string& out, unsigned field, std::int64_t value) {
  append_key(out, field, kVarint);
  append_varint(out, static_cast<std::uint64_t>(value));
}

void append_bytes(std::string& out, unsigned field, std::string_view value) {
  append_key(out, field, kBytes);
  append_varint(out, value.size());
  out.append(value);
}

// Field numbers of event.proto and summary.proto.
namespace event_field {
constexpr unsigned kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
}
namespace summary_field {
constexpr unsigned kValue = 1;
}
namespace value_field {
constexpr unsigned kTag = 1, kSimpleValue = 2;
}
namespace session_field {
constexpr unsigned kStatus = 1;
constexpr std::int64_t kStart = 1;
}  // namespace session_field

std::string begin_event(double wall_time_s, std::optional<std::int64_t> step) {
  std::string event;
  append_double(event, event_field::kWallTime, wall_time_s);
  if (step) append_integer(event, event_field::kStep, *step);
  return event;
}

[[noreturn]] void fail(const std::filesystem::path& path, int error_number) {
  throw Error(ErrorTag::kResources, path.string(), fmt::format("cannot write: {}", std::generic_category().message(error_number)),
              error_number == ENOSPC ? "the disk is full" : "");
}

}  // namespace

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& folder, double wall_time_s, std::optional<std::int64_t> purge_step) {
  make_directories(folder);
  // TensorBoard reads files in the order of their names: ten digits of seconds, then a number within the second.
  for (int n = 0; file_ == nullptr; ++n) {
    path_ = folder / fmt::format("events.out.tfevents.{:010}.{:04}.minbert", static_cast<std::int64_t>(wall_time_s), n);
    file_.reset(std::fopen(path_.c_str(), "wbx"));
    if (file_ == nullptr && errno != EEXIST) fail(path_, errno);
  }
  std::string version = begin_event(wall_time_s, std::nullopt);
  append_bytes(version, event_field::kFileVersion, "brain.Event:2");
  write_record(version);
  if (purge_step) {
    std::string session;
    append_integer(session, session_field::kStatus, session_field::kStart);
    std::string event = begin_event(wall_time_s, *purge_step);
    append_bytes(event, event_field::kSessionLog, session);
    write_record(event);
  }
  flush();
}

void TensorBoardWriter::scalar(std::string_view tag, std::int64_t step, float value, double wall_time_s) {
  std::string point, summary, event = begin_event(wall_time_s, step);
  append_bytes(point, value_field::kTag, tag);
  append_float(point, value_field::kSimpleValue, value);
  append_bytes(summary, summary_field::kValue, point);
  append_bytes(event, event_field::kSummary, summary);
  write_record(event);
}

void TensorBoardWriter::flush() {
  if (std::fflush(file_.get()) != 0) fail(path_, errno);
}

void TensorBoardWriter::write_record(std::string_view event) {
  std::string record;
  append_raw(record, static_cast<std::uint64_t>(event.size()));
  append_raw(record, masked_crc(record));
  record.append(event);
  append_raw(record, masked_crc(event));
  if (std::fwrite(record.data(), 1, record.size(), file_.get()) != record.size()) fail(path_, errno);
}

}  // namespace minbert
