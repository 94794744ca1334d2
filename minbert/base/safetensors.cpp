// safetensors: checks of the layout, the writer, and conversion to float.
#include "minbert/base/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "minbert/base/bfloat16.h"
#include "minbert/base/json.h"
#include "minbert/base/safetensors_header.h"

namespace minbert {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are read in place");

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the Rust implementation's MAX_HEADER_SIZE
constexpr const char* kTruncatedHint =
    "the file is cut short: download it again; a run whose checkpoint it is starts anew with --overwrite";

struct DTypeRow {
  std::string_view name;
  std::uint64_t bytes;
};
// In the order of the Rust enumeration, by which its writer sorts.
constexpr std::array<DTypeRow, 13> kDTypes = {{{"BOOL", 1},
                                               {"U8", 1},
                                               {"I8", 1},
                                               {"I16", 2},
                                               {"U16", 2},
                                               {"F16", 2},
                                               {"BF16", 2},
                                               {"I32", 4},
                                               {"U32", 4},
                                               {"F32", 4},
                                               {"F64", 8},
                                               {"I64", 8},
                                               {"U64", 8}}};

const DTypeRow* find_dtype(std::string_view name) {
  const auto* found = std::find_if(kDTypes.begin(), kDTypes.end(), [&](const DTypeRow& row) { return row.name == name; });
  return found == kDTypes.end() ? nullptr : found;
}

/// Bytes of a tensor, or nothing when they do not fit in 64 bits.
std::optional<std::uint64_t> byte_count(const std::vector<std::int64_t>& shape, std::uint64_t element_bytes) {
  std::uint64_t total = element_bytes;
  for (const std::int64_t size : shape)
    if (__builtin_mul_overflow(total, static_cast<std::uint64_t>(size), &total)) return std::nullopt;
  return total;
}

std::string shape_text(const std::vector<std::int64_t>& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

/// A hint for files of other kinds that end up under the name of a safetensors file.
std::string hint_for_foreign_file(std::string_view text) {
  if (text.starts_with("version https://git-lfs"))
    return "this is a git-lfs pointer, not the weights: run `git lfs pull`, or download the file itself";
  if (text.starts_with("<")) return "this is a web page, not the weights; download the file itself";
  if (text.starts_with("PK")) return "this looks like a PyTorch file; name it pytorch_model.bin";
  return {};
}

/// The header's JSON text. Throws when the file cannot hold it.
std::string_view header_text(std::string_view file, std::string_view place) {
  const auto fail = [&](const std::string& message, const char* otherwise) {
    std::string hint = hint_for_foreign_file(file);
    throw Error(ErrorTag::kModel, place, message, hint.empty() ? otherwise : hint);
  };
  if (file.size() < kLengthBytes)
    fail(fmt::format("expected the header's length in {} bytes, got a file of {}", kLengthBytes, file.size()), kTruncatedHint);
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kMaxHeaderBytes)
    fail(fmt::format("expected a header of at most {} bytes, got {}", kMaxHeaderBytes, length), "this is not a safetensors file");
  if (length > file.size() - kLengthBytes)
    fail(fmt::format("expected a header of {} bytes, got {}", length, file.size() - kLengthBytes), kTruncatedHint);
  const auto text = file.substr(kLengthBytes, length);
  if (!text.starts_with('{')) fail("expected a header that starts with \"{\"", "this is not a safetensors file");
  return text;
}

/// Checks one tensor by itself: known dtype, and a size that agrees with its offsets.
void check_tensor(const internal::SafetensorsHeader::Tensor& tensor, std::string_view place) {
  const auto fail = [&](const std::string& message) {
    throw Error(ErrorTag::kModel, place, fmt::format("tensor \"{}\": {}", tensor.name, message));
  };
  const DTypeRow* dtype = find_dtype(tensor.dtype);
  if (dtype == nullptr) fail(fmt::format("expected a dtype such as F32 or BF16, got \"{}\"", tensor.dtype));
  if (tensor.begin > tensor.end) fail(fmt::format("expected data_offsets in ascending order, got [{}, {}]", tensor.begin, tensor.end));
  const auto expected = byte_count(tensor.shape, dtype->bytes);
  if (!expected) fail(fmt::format("{} {} is too large", tensor.dtype, shape_text(tensor.shape)));
  if (*expected != tensor.end - tensor.begin)
    fail(fmt::format("expected {} bytes for {} {}, got {}", *expected, tensor.dtype, shape_text(tensor.shape), tensor.end - tensor.begin));
}

}  // namespace

std::string SafetensorsEntry::describe() const { return dtype + " " + shape_text(shape); }

SafetensorsContent parse_safetensors(std::span<const std::byte> file, std::string_view place) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const auto header_json = header_text(text, place);
  auto header = internal::parse_safetensors_header(header_json, place);
  const auto data = file.subspan(kLengthBytes + header_json.size());

  auto& tensors = header.tensors;
  for (const auto& tensor : tensors) check_tensor(tensor, place);
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& a, const auto& b) { return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name); });
  std::uint64_t covered = 0;
  for (const auto& tensor : tensors) {
    if (tensor.end > data.size())
      throw Error(ErrorTag::kModel, place,
                  fmt::format("tensor \"{}\": expected data up to byte {}, got {} bytes of data", tensor.name, tensor.end, data.size()),
                  kTruncatedHint);
    if (tensor.begin != covered)
      throw Error(ErrorTag::kModel, place,
                  fmt::format("tensor \"{}\": expected data from byte {}, got {}: tensors {}", tensor.name, covered, tensor.begin,
                              tensor.begin < covered ? "overlap" : "leave a gap"));
    covered = tensor.end;
  }
  if (covered != data.size()) throw Error(ErrorTag::kModel, place, fmt::format("expected {} bytes of data, got {}", covered, data.size()));

  SafetensorsContent content;
  content.metadata = std::move(header.metadata);
  content.entries.reserve(tensors.size());
  for (auto& tensor : tensors) {
    content.entries.push_back(
        {std::move(tensor.name), std::move(tensor.dtype), std::move(tensor.shape), data.subspan(tensor.begin, tensor.end - tensor.begin)});
  }
  return content;
}

SafetensorsFile::SafetensorsFile(std::filesystem::path path)
    : path_(std::move(path)), file_(path_, ErrorTag::kModel), content_(parse_safetensors(file_.bytes(), path_.string())) {
  for (const auto& entry : content_.entries) by_name_.emplace(entry.name, &entry);
}

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata) {
  write_safetensors(path, std::move(entries), metadata, [](const SafetensorsEntry& entry) { return entry.bytes; });
}

void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata, const EntryBytes& bytes_of) {
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    const auto *const x = find_dtype(a.dtype), *const y = find_dtype(b.dtype);
    return x != y ? x > y : a.name < b.name;
  });
  std::vector<std::string> items;
  if (!metadata.empty()) items.push_back(fmt::format("\"__metadata__\":{}", dump_json(Json(metadata))));
  std::unordered_set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const auto& entry : entries) {
    MINBERT_CHECK(names.insert(entry.name).second, "two tensors named {}", entry.name);
    const DTypeRow* dtype = find_dtype(entry.dtype);
    MINBERT_CHECK(dtype != nullptr, "tensor {} has dtype {}", entry.name, entry.dtype);
    const std::optional<std::uint64_t> size = byte_count(entry.shape, dtype->bytes);
    MINBERT_CHECK(size.has_value(), "tensor {}: {}", entry.name, entry.describe());
    const std::uint64_t end = offset + *size;
    items.push_back(fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", dump_json(Json(entry.name)), entry.dtype,
                                fmt::join(entry.shape, ","), offset, end));
    offset = end;
  }
  std::string header = fmt::format("{{{}}}", fmt::join(items, ","));
  header.append((8 - header.size() % 8) % 8, ' ');

  AtomicFile file(path);
  const std::uint64_t length = header.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const auto& entry : entries) {
    const std::span<const std::byte> bytes = bytes_of(entry);
    MINBERT_CHECK(byte_count(entry.shape, find_dtype(entry.dtype)->bytes) == bytes.size(), "tensor {}: {} in {} bytes", entry.name,
                  entry.describe(), bytes.size());
    file.write(bytes);
  }
  file.commit();
}

SafetensorsEntry safetensors_entry(std::string name, const Tensor& tensor) {
  MINBERT_CHECK(tensor && tensor.contiguous(), "{}: {}", name, tensor.describe());
  const auto dtype = [&]() -> std::string {
    switch (tensor.dtype()) {
      case DType::kF32: return "F32";
      case DType::kBF16: return "BF16";
      case DType::kF64: return "F64";
      case DType::kI32: return "I32";
      case DType::kI8: return "I8";
      case DType::kU8: return "U8";
      case DType::kC128: break;
    }
    MINBERT_CHECK(false, "{}: no safetensors dtype for {}", name, tensor.describe());
    return {};
  }();
  const auto shape = tensor.shape();
  return {std::move(name), dtype, {shape.begin(), shape.end()}, {static_cast<const std::byte*>(tensor.raw()), tensor.bytes()}};
}

namespace {

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  if (magnitude < 0x400u) {  // subnormal: a whole number of 2^-24
    const float value = static_cast<float>(magnitude) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
}

template <class Stored, class Convert>
void convert_each(std::span<const std::byte> bytes, std::span<float> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(stored);
  }
}

}  // namespace

bool is_floating_dtype(std::string_view dtype) { return dtype == "F64" || dtype == "F32" || dtype == "F16" || dtype == "BF16"; }

void convert_to_f32(std::string_view dtype, std::span<const std::byte> bytes, std::span<float> out) {
  if (!is_floating_dtype(dtype)) throw Error(ErrorTag::kModel, "", fmt::format("expected F64, F32, F16 or BF16 values, got {}", dtype));
  MINBERT_CHECK(bytes.size() == out.size() * find_dtype(dtype)->bytes, "{} bytes of {} for {} values", bytes.size(), dtype, out.size());
  if (dtype == "F32" && !out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  if (dtype == "F64") convert_each<double>(bytes, out, [](double value) { return static_cast<float>(value); });
  if (dtype == "F16") convert_each<std::uint16_t>(bytes, out, half_to_float);
  if (dtype == "BF16") convert_each<BFloat16>(bytes, out, [](BFloat16 value) { return static_cast<float>(value); });
}

}  // namespace minbert
