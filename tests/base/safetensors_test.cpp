// safetensors: exact bytes, round trips, the Python package, and files made to break a reader.
#include "minbert/base/safetensors.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

std::string file_of(std::string_view header, std::string_view data = {}) {
  const std::uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file.append(header).append(data);
}

SafetensorsContent parse(std::string_view file) { return parse_safetensors(std::as_bytes(std::span(file)), "f.safetensors"); }

/// A header with one tensor "x".
std::string one(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return std::string("{\"x\":{\"dtype\":\"")
      .append(dtype)
      .append("\",\"shape\":")
      .append(shape)
      .append(",\"data_offsets\":")
      .append(offsets)
      .append("}}");
}

void expect_refused(std::string_view file, std::initializer_list<std::string_view> parts) {
  expect_error(ErrorTag::kModel, parts, [&] { parse(file); });
}

template <class T>
std::span<const std::byte> bytes_of(const T& values) {
  return std::as_bytes(std::span(values));
}

TEST(SafetensorsWrite, BytesAreThoseOfTheRustImplementation) {
  const TempFolder folder;
  const std::array<float, 6> f32 = {};
  const std::array<std::uint16_t, 3> f16 = {};
  const std::array<std::int64_t, 1> i64 = {};
  const std::array<std::uint8_t, 5> u8 = {};
  write_safetensors(folder / "f",
                    {{"zz", "F32", {2, 3}, bytes_of(f32)},
                     {"u", "U8", {5}, bytes_of(u8)},
                     {"a", "F16", {3}, bytes_of(f16)},
                     {"e", "F32", {0, 4}, {}},
                     {"i", "I64", {}, bytes_of(i64)}},
                    {{"format", "pt"}});
  // Written by safetensors 0.4 in Python from the same tensors.
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"i":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"e":{"dtype":"F32","shape":[0,4],"data_offsets":[8,8]},)"
      R"("zz":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},"a":{"dtype":"F16","shape":[3],"data_offsets":[32,38]},)"
      R"("u":{"dtype":"U8","shape":[5],"data_offsets":[38,43]}})";
  EXPECT_EQ(read_file(folder / "f"), file_of(header + std::string((8 - header.size() % 8) % 8, ' '), std::string(43, '\0')));
  write_safetensors(folder / "empty", {});
  EXPECT_EQ(read_file(folder / "empty"), file_of("{}      "));
}

TEST(SafetensorsWrite, RoundTripsWhateverTheOrder) {
  const TempFolder folder;
  std::vector<float> a = {1, 2, 3, 4, 5, 6};
  std::vector<BFloat16> b = {BFloat16(0.5f), BFloat16(-2.0f)};
  const auto ea = safetensors_entry("encoder.\"quoted\".wéight", Tensor::of(std::span(a), {2, 3}));
  const auto eb = safetensors_entry("b", Tensor::of(std::span(b), {2}));
  write_safetensors(folder / "1", {ea, eb}, {{"step", "12"}, {"a", "b"}});
  write_safetensors(folder / "2", {eb, ea}, {{"a", "b"}, {"step", "12"}});
  EXPECT_EQ(read_file(folder / "1"), read_file(folder / "2"));

  const SafetensorsFile file(folder / "1");
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"a", "b"}, {"step", "12"}}));
  ASSERT_EQ(file.entries().size(), 2u);
  const auto* entry = file.find("encoder.\"quoted\".wéight");
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->describe(), "F32 (2, 3)");
  EXPECT_EQ(std::memcmp(entry->bytes.data(), a.data(), 24), 0);
  std::vector<float> converted(2);
  convert_to_f32(file.find("b")->dtype, file.find("b")->bytes, converted);
  EXPECT_EQ(converted, (std::vector<float>{0.5f, -2.0f}));
  EXPECT_EQ(file.find("c"), nullptr);
}

TEST(SafetensorsWrite, RefusesWrongEntries) {
  const TempFolder folder;
  const std::array<float, 2> data = {};
  expect_error(ErrorTag::kInternal, {"x", "F32 (3)", "8 bytes"},
               [&] { write_safetensors(folder / "f", {{"x", "F32", {3}, bytes_of(data)}}); });
  expect_error(ErrorTag::kInternal, {"f32"}, [&] { write_safetensors(folder / "f", {{"x", "f32", {2}, bytes_of(data)}}); });
  EXPECT_EQ(folder.count(), 0);
}

TEST(SafetensorsWrite, RefusesANameTwice) {
  const TempFolder folder;
  const std::array<float, 1> data = {};
  const std::array<std::uint8_t, 1> small = {};
  for (const auto& second : {SafetensorsEntry{"x", "F32", {1}, bytes_of(data)}, SafetensorsEntry{"x", "U8", {1}, bytes_of(small)}})
    expect_error(ErrorTag::kInternal, {"two tensors named x"},
                 [&] { write_safetensors(folder / "f", {{"x", "F32", {1}, bytes_of(data)}, second}); });
}

TEST(SafetensorsWrite, OpensInPython) {
  if (std::system("python3 -c 'import safetensors.numpy' 2>/dev/null") != 0) GTEST_SKIP() << "python3 has no safetensors package";
  const TempFolder folder;
  const std::array<double, 2> f64 = {1.5, -2.25};
  const std::array<float, 6> f32 = {0, 1, 2, 3, 4, 5};
  const std::array<std::int32_t, 1> i32 = {-7};
  write_safetensors(folder / "ours",
                    {{"w", "F32", {3, 2}, bytes_of(f32)},
                     {"d", "F64", {2}, bytes_of(f64)},
                     {"s", "I32", {1, 1}, bytes_of(i32)},
                     {"none", "F32", {0}, {}}},
                    {{"format", "pt"}});
  write_file(folder / "check.py",
             "import sys, numpy as np, safetensors, safetensors.numpy as st\n"
             "folder = sys.argv[1]\n"
             "t = st.load_file(folder + '/ours')\n"
             "assert t['w'].shape == (3, 2) and (t['w'].ravel() == np.arange(6)).all()\n"
             "assert list(t['d']) == [1.5, -2.25] and t['s'].dtype == np.int32 and t['s'][0, 0] == -7 and t['none'].shape == (0,)\n"
             "with safetensors.safe_open(folder + '/ours', 'np') as f: assert f.metadata() == {'format': 'pt'}\n"
             "st.save_file(t, folder + '/theirs', metadata={'format': 'pt'})\n");
  ASSERT_EQ(std::system(("python3 " + (folder / "check.py").string() + " " + folder.path().string()).c_str()), 0);
  EXPECT_EQ(read_file(folder / "ours"), read_file(folder / "theirs"));
}

TEST(SafetensorsRead, AcceptsWhatIsOdd) {
  EXPECT_TRUE(parse(file_of("{}")).entries.empty());
  EXPECT_TRUE(parse(file_of("{}      ")).entries.empty());
  EXPECT_EQ(parse(file_of(one("F32", "[]", "[0,4]"), "abcd")).entries.at(0).describe(), "F32 ()");
  EXPECT_EQ(parse(file_of(one("F32", "[0,9223372036854775807]", "[0,0]"))).entries.at(0).bytes.size(), 0u);
  // Keys in another order, data in another order than the names, empty tensors between.
  const std::string file =
      file_of(R"( {"b":{"data_offsets":[1,3],"shape":[2],"dtype":"U8"},"z":{"dtype":"F32","shape":[0],"data_offsets":[1,1]},)"
              R"("a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]},"__metadata__":{}})" +
                  1,
              "abc");
  const auto content = parse(file);
  ASSERT_EQ(content.entries.size(), 3u);
  EXPECT_EQ(content.entries[0].name, "a");
  EXPECT_EQ(content.entries[1].name, "z");
  EXPECT_EQ(content.entries[2].name, "b");
  EXPECT_EQ(static_cast<char>(content.entries[2].bytes[1]), 'c');
}

TEST(SafetensorsRead, RefusesEveryTruncation) {
  const std::string whole = file_of(one("F32", "[2,2]", "[0,16]"), std::string(16, 'x'));
  EXPECT_EQ(parse(whole).entries.size(), 1u);
  for (std::size_t size = 0; size < whole.size(); ++size)
    expect_refused(whole.substr(0, size), {"f.safetensors", "expected", "download it again"});
  expect_refused(whole + "y", {"expected 16 bytes of data, got 17"});
}

TEST(SafetensorsRead, RefusesWrongHeaderLengths) {
  const auto with_length = [](std::uint64_t length) {
    std::string file = file_of("{}", "data");
    std::memcpy(file.data(), &length, 8);
    return file;
  };
  expect_refused(with_length(100'000'001), {"at most 100000000 bytes, got 100000001"});
  expect_refused(with_length(std::numeric_limits<std::uint64_t>::max()), {"at most 100000000"});
  expect_refused(with_length(std::numeric_limits<std::uint64_t>::max() - 7), {"at most 100000000"});
  expect_refused(with_length(7), {"expected a header of 7 bytes, got 6", "download it again"});
  expect_refused(with_length(0), {"starts with \"{\""});
}

TEST(SafetensorsRead, KnowsForeignFiles) {
  expect_refused("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", {"git-lfs pointer", "git lfs pull"});
  expect_refused("<!DOCTYPE html><html></html>", {"web page"});
  expect_refused(std::string("PK\x03\x04\0\0\0\0\0\0\0\0", 12), {"PyTorch file"});
}

TEST(SafetensorsRead, RefusesBrokenJson) {
  expect_refused(file_of("{"), {"not valid JSON"});
  expect_refused(file_of("{}{}"), {"not valid JSON"});
  expect_refused(file_of(" {}"), {"starts with \"{\""});
  expect_refused(file_of("[]"), {"starts with \"{\""});
  expect_refused(file_of("{\"x\xFF\":{}}"), {"not valid JSON"});
  expect_refused(file_of("{\"x\":" + std::string(1000000, '[')), {"tensor \"x\"", "an object for each tensor, got an array"});
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"x\":";
  expect_refused(file_of(deep), {"tensor \"x\"", "dtype, shape and data_offsets"});
  expect_refused(file_of("{\"x\":{\"dtype\":\"F32\",\"shape\":" + std::string(1000000, '[')), {"whole numbers in shape, got an array"});
}

TEST(SafetensorsRead, RefusesWrongKindsOfValues) {
  expect_refused(file_of("{\"x\":1}"), {"tensor \"x\": expected an object for each tensor, got the number 1"});
  expect_refused(file_of("{\"x\":null}"), {"got null"});
  expect_refused(file_of("{\"x\":{}}"), {"tensor \"x\": expected dtype, shape and data_offsets"});
  expect_refused(file_of("{\"x\":{\"dtype\":\"U8\",\"shape\":[]}}"), {"expected dtype, shape and data_offsets"});
  expect_refused(file_of("{\"x\":{\"kind\":1}}"), {"got key \"kind\""});
  expect_refused(file_of("{\"x\":{\"dtype\":5}}"), {"got the number 5"});
  expect_refused(file_of("{\"x\":{\"shape\":\"5\"}}"), {"got a string"});
  expect_refused(file_of("{\"__metadata__\":{\"a\":1}}"), {"texts in __metadata__, got the number 1"});
  expect_refused(file_of("{\"__metadata__\":{\"a\":{}}}"), {"texts in __metadata__, got an object"});
  expect_refused(file_of("{\"__metadata__\":[]}"), {"got an array"});
  for (const char* bad : {"[-1]", "[1.0]", "[\"1\"]", "[true]", "[null]", "[{}]", "[1e2]", "[99999999999999999999]"})
    expect_refused(file_of(one("U8", bad, "[0,1]"), "x"), {"tensor \"x\"", "whole numbers in shape, got"});
  expect_refused(file_of(one("U8", "[9223372036854775808]", "[0,1]"), "x"), {"too large"});
  expect_refused(file_of(one("U8", "[1]", "[0,-1]"), "x"), {"whole numbers in data_offsets"});
  expect_refused(file_of(one("U8", "[1]", "[0]"), "x"), {"expected 2 data_offsets, got 1"});
  expect_refused(file_of(one("U8", "[1]", "[0,1,1]"), "x"), {"expected 2 data_offsets, got 3"});
}

TEST(SafetensorsRead, RefusesDuplicates) {
  const std::string tensor = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  expect_refused(file_of("{\"x\":" + tensor + ",\"x\":" + tensor + "}", "a"), {"tensor \"x\"", "twice"});
  expect_refused(file_of(R"({"x":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "a"), {"key \"dtype\" appears twice"});
  expect_refused(file_of(R"({"__metadata__":{"a":"1","a":"2"}})"), {"key \"a\" appears twice"});
  expect_refused(file_of(R"({"__metadata__":{},"__metadata__":{}})"), {"twice"});
}

TEST(SafetensorsRead, RefusesSizesThatDisagree) {
  expect_refused(file_of(one("F33", "[1]", "[0,4]"), "abcd"), {"tensor \"x\"", "got \"F33\""});
  expect_refused(file_of(one("F32", "[3]", "[0,8]"), "abcdefgh"), {"expected 12 bytes for F32 (3), got 8"});
  expect_refused(file_of(one("U8", "[1]", "[1,0]"), "a"), {"ascending order, got [1, 0]"});
  expect_refused(file_of(one("F32", "[4294967296,4294967296]", "[0,0]")), {"too large"});
  expect_refused(file_of(one("F64", "[2305843009213693952]", "[0,0]")), {"too large"});
  expect_refused(file_of(one("U8", "[9223372036854775807]", "[0,9223372036854775807]")),
                 {"expected data up to byte 9223372036854775807, got 0"});
  expect_refused(file_of(one("U8", "[1]", "[1,2]"), "ab"), {"expected data from byte 0, got 1: tensors leave a gap"});
}

TEST(SafetensorsRead, RefusesOverlapsAndGaps) {
  const auto two = [](const char* first, const char* second) {
    return file_of(std::string(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)") + first +
                       R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + second + "}}",
                   "wxyz");
  };
  EXPECT_EQ(parse(two("[2,4]", "[0,2]")).entries.size(), 2u);
  expect_refused(two("[0,2]", "[0,2]"), {"tensor \"b\": expected data from byte 2, got 0: tensors overlap"});
  expect_refused(two("[0,2]", "[1,3]"), {"tensors overlap"});
  expect_refused(
      file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})", "xyz"),
      {"tensor \"b\"", "leave a gap"});
  expect_refused(
      file_of(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"e":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}})", "xy"),
      {"tensor \"e\"", "overlap"});
}

TEST(SafetensorsRead, ManyTensorsTakeLinearTime) {
  std::string header = "{";
  for (int i = 0; i < 100000; ++i)
    header += (i > 0 ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_EQ(parse(file_of(header + "}")).entries.size(), 100000u);
}

TEST(SafetensorsRead, NamesTheFile) {
  const TempFolder folder;
  write_file(folder / "model.safetensors", file_of("{"));
  expect_error(ErrorTag::kModel, {"model.safetensors"}, [&] { SafetensorsFile file(folder / "model.safetensors"); });
  expect_error(ErrorTag::kModel, {"none", "No such file"}, [&] { SafetensorsFile file(folder / "none"); });
}

TEST(ConvertToF32, EveryHalfIsExact) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const std::array<std::uint16_t, 1> half = {static_cast<std::uint16_t>(bits)};
    std::array<float, 1> out;
    convert_to_f32("F16", bytes_of(half), out);
    const int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
    const float sign = bits & 0x8000 ? -1.0f : 1.0f;
    if (exponent == 31 && mantissa != 0) {
      EXPECT_TRUE(std::isnan(out[0]));
    } else {
      const float expected = exponent == 31
                                 ? std::numeric_limits<float>::infinity()
                                 : std::ldexp(static_cast<float>(exponent == 0 ? mantissa : 1024 + mantissa), std::max(exponent, 1) - 25);
      ASSERT_EQ(out[0], sign * expected) << bits;
      ASSERT_EQ(std::signbit(out[0]), sign < 0) << bits;
    }
  }
}

TEST(ConvertToF32, ReadsUnalignedBytesOfEveryFloatingType) {
  const std::array<double, 2> f64 = {0.1, -1e300};
  const std::array<float, 2> f32 = {0.1f, -3.5f};
  std::vector<std::byte> shifted(1 + sizeof f64);
  std::array<float, 2> out;
  std::memcpy(shifted.data() + 1, f64.data(), sizeof f64);
  convert_to_f32("F64", std::span(shifted).subspan(1), out);
  EXPECT_EQ(out[0], 0.1f);
  EXPECT_EQ(out[1], -std::numeric_limits<float>::infinity());
  std::memcpy(shifted.data() + 1, f32.data(), sizeof f32);
  convert_to_f32("F32", std::span(shifted).subspan(1, sizeof f32), out);
  EXPECT_EQ(out, f32);
  convert_to_f32("F32", {}, std::span<float>());
  for (const char* dtype : {"I64", "BOOL", "f32", ""}) {
    EXPECT_FALSE(is_floating_dtype(dtype));
    expect_error(ErrorTag::kModel, {"expected F64, F32, F16 or BF16 values, got"}, [&] { convert_to_f32(dtype, bytes_of(f32), out); });
  }
  expect_error(ErrorTag::kInternal, {"8 bytes of F64 for 2"}, [&] { convert_to_f32("F64", bytes_of(f32), out); });
}

TEST(SafetensorsRead, OpensRealWeights) {
  const std::filesystem::path path = MINBERT_SOURCE_DIR "/../shared/models/minilm-l6/model.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no real weights beside the source tree";
  const SafetensorsFile file(path);
  const auto* ids = file.find("embeddings.position_ids");
  ASSERT_NE(ids, nullptr);
  EXPECT_EQ(ids->describe(), "I64 (1, 512)");
  EXPECT_EQ(file.find("embeddings.word_embeddings.weight")->describe(), "F32 (30522, 384)");
}

}  // namespace
}  // namespace minbert
