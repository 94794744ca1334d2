// torch checkpoints: files that torch.save wrote, and pickles made to run code or to read out of bounds.
#include "minbert/model/pickle.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "minbert/base/files.h"
#include "minbert/model/torch_checkpoint.h"
#include "minbert/model/weight_source.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"
#include "tests/base/zip_builder.h"
#include "tests/model/pickle_builder.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;
using namespace pickled;

const fs::path kFixtures = fs::path(MINBERT_SOURCE_DIR) / "tests/golden/model";

/// A checkpoint that tools/make_pickle_fixtures.py wrote, opened as part of a model folder.
class Fixture {
 public:
  explicit Fixture(const std::string& file)
      : folder_(), source_((fs::copy_file(kFixtures / file, folder_ / "pytorch_model.bin"), folder_.path())) {}

  std::size_t size() const { return source_.tensors().size(); }
  const SourceTensor& operator[](std::string_view name) const {
    for (const SourceTensor& tensor : source_.tensors())
      if (tensor.name == name) return tensor;
    throw std::runtime_error("no tensor " + std::string(name));
  }
  std::vector<float> values(std::string_view name) const {
    std::vector<float> out(static_cast<std::size_t>((*this)[name].numel()));
    (*this)[name].read(0, out);
    return out;
  }

 private:
  TempFolder folder_;
  WeightSource source_;
};

using Floats = std::vector<float>;
using Shape = std::vector<std::int64_t>;

TEST(TorchCheckpoint, EveryFormatGivesTheSameTensors) {
  for (const char* file : {"zip.bin", "zip_protocol4.bin", "legacy.bin", "wrapped.bin"}) {
    SCOPED_TRACE(file);
    const Fixture state(file);
    EXPECT_EQ(state.size(), 12u);
    EXPECT_EQ(state["base"].describe(), "F32 (3, 4)");
    EXPECT_EQ(state.values("base"), (Floats{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
    EXPECT_EQ(state["transposed"].shape, (Shape{4, 3}));
    EXPECT_FALSE(state["transposed"].dense());
    EXPECT_EQ(state.values("transposed"), (Floats{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
    EXPECT_EQ(state.values("column"), (Floats{6, 10}));
    EXPECT_EQ(state.values("expanded"), (Floats{1, 1, 1, 1, 1, 1}));
    EXPECT_EQ(state["half"].dtype, "F16");
    EXPECT_EQ(state.values("half"), (Floats{1.5, -2, 65504}));
    EXPECT_EQ(state.values("bfloat16"), (Floats{1, -3}));
    EXPECT_EQ(state.values("double"), (Floats{0.5, 0.25}));
    EXPECT_EQ(state["ids"].describe(), "I64 (1, 3)");
    EXPECT_EQ(state["flag"].dtype, "BOOL");
    EXPECT_EQ(state["scalar"].shape, Shape{});
    EXPECT_EQ(state.values("scalar"), Floats{7});
    EXPECT_EQ(state["empty"].shape, (Shape{0, 4}));
    EXPECT_EQ(state.values("parameter"), (Floats{8, 9}));
  }
}

TEST(TorchCheckpoint, ViewsMayRepeatElementsButNotWithoutEnd) {
  const auto file_with = [](const std::string& shape, const std::string& strides) {
    return stored_zip({{"m/data.pkl", pickle(dict({text("w"), tensor(storage("FloatStorage", "0", 16), 0, shape, strides)}))},
                       {"m/data/0", std::string(64, 'a')}});
  };
  const auto read = [](const std::string& file) { return read_torch_checkpoint(std::as_bytes(std::span(file)), "f.bin"); };
  EXPECT_EQ(read(file_with(numbers({100, 16}), numbers({0, 1}))).at(0).shape, (Shape{100, 16}));
  for (const auto& [rows, columns] : {std::pair{1 << 26, 1 << 16}, {1 << 20, 1}, {1 << 30, 1 << 30}})
    expect_error(ErrorTag::kModel, {"f.bin", "tensor \"w\"", "repeats the elements"},
                 [&] { read(file_with(numbers({rows, columns}), numbers({0, 0}))); });
}

TEST(WeightSource, EmptyTensorsMayHaveAnySizes) {
  const TempFolder folder;
  for (const Shape& shape :
       {Shape{0, std::int64_t{1} << 62, std::int64_t{1} << 62}, Shape{std::int64_t{1} << 62, 3, 0}, Shape{0, INT64_MAX}}) {
    const std::string header = fmt::format(R"({{"x":{{"dtype":"U8","shape":[{}],"data_offsets":[0,0]}}}})", fmt::join(shape, ","));
    write_file(folder / "model.safetensors", std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header);
    const WeightSource source(folder.path());
    ASSERT_EQ(source.tensors().size(), 1u);
    EXPECT_EQ(source.tensors()[0].shape, shape);
    EXPECT_EQ(source.tensors()[0].strides, (Shape(shape.size(), 1)));
    EXPECT_EQ(source.tensors()[0].numel(), 0);
    EXPECT_TRUE(source.tensors()[0].dense());
  }
}

TEST(WeightSource, SmallFilesCannotAskForMuchMemory) {
  const TempFolder folder;
  EXPECT_NO_THROW(expect_weights_for(folder.path(), 1 << 30));  // no weights: another error's affair
  write_file(folder / "model.safetensors", std::string("\x02\0\0\0\0\0\0\0{}", 10));
  EXPECT_NO_THROW(expect_weights_for(folder.path(), 30'000'000));
  expect_error(ErrorTag::kModel, {"config.json", "4000000000 parameters", "10 bytes"},
               [&] { expect_weights_for(folder.path(), 4'000'000'000); });
  write_file(folder / "model.safetensors", "version https://git-lfs.github.com/spec/v1\n");
  expect_error(ErrorTag::kModel, {"git-lfs"}, [&] { expect_weights_for(folder.path(), 4'000'000'000); });
}

TEST(TorchCheckpoint, BigEndianStoragesAreTurned) {
  const Fixture state("big_endian.bin");
  EXPECT_TRUE(state["base"].big_endian);
  EXPECT_EQ(state.values("base"), (Floats{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(state.values("half"), (Floats{1.5, -2, 65504}));
  EXPECT_EQ(state.values("double"), (Floats{0.5, 0.25}));
}

TEST(TorchCheckpoint, PartsAreReadFromAnyElement) {
  const Fixture state("zip.bin");
  Floats part(3);
  state["transposed"].read(4, part);
  EXPECT_EQ(part, (Floats{5, 9, 2}));
  state["base"].read(9, part);
  EXPECT_EQ(part, (Floats{9, 10, 11}));
}

TEST(TorchCheckpoint, CodeIsRefusedByName) {
  expect_error(ErrorTag::kModel, {"refused to run posix.system"}, [] { Fixture("hostile_zip.bin"); });
  expect_error(ErrorTag::kModel, {"refused to run posix.system"}, [] { Fixture("hostile_legacy.bin"); });
  expect_error(ErrorTag::kModel, {"refused to run __main__.Plain", "safetensors"}, [] { Fixture("class.bin"); });
  EXPECT_FALSE(fs::exists("harm-was-done"));
}

TEST(TorchCheckpoint, OtherFilesAreRefused) {
  expect_error(ErrorTag::kModel, {"expected a dict of tensors"}, [] { Fixture("not_a_dict.bin"); });
  expect_error(ErrorTag::kModel, {"compressed with method 8", "torch.save"}, [] { Fixture("deflated.bin"); });
  const auto refused = [](std::string_view file, std::initializer_list<std::string_view> parts) {
    expect_error(ErrorTag::kModel, parts, [&] { read_torch_checkpoint(std::as_bytes(std::span(file)), "f.bin"); });
  };
  refused("", {"f.bin", "cut short"});
  refused("version https://git-lfs.github.com/spec/v1\n", {"git-lfs pointer"});
  refused("<html>", {"opcode 0x3c"});
  refused(pickle(number(3)), {"another pickle"});
  refused(stored_zip({{"a", "b"}}), {"without data.pkl"});
  refused(stored_zip({{"m/data.pkl", pickle("}")}, {"m/constants.pkl", ""}}), {"TorchScript"});
  refused(stored_zip({{"m/data.pkl", pickle("}")}}), {"holds no tensors"});
  const std::string weights = pickle(dict({text("w"), tensor(storage("FloatStorage", "0", 2), 0, numbers({2}), numbers({1}))}));
  refused(stored_zip({{"m/data.pkl", weights}}), {"storage \"0\" is missing"});
  refused(stored_zip({{"m/data.pkl", weights}, {"m/data/0", "1234"}}), {"expected 8 bytes, got 4"});
  const std::string good = stored_zip({{"m/data.pkl", weights}, {"m/data/0", "12345678"}});
  EXPECT_EQ(read_torch_checkpoint(std::as_bytes(std::span(good)), "f.bin").size(), 1u);
}

TEST(TorchCheckpoint, AnyCutIsRefused) {
  for (const char* name : {"zip.bin", "legacy.bin"}) {
    const std::string file = read_file(kFixtures / name);
    for (std::size_t size = 0; size < file.size(); ++size) {
      const auto cut = std::as_bytes(std::span(file)).first(size);
      EXPECT_THROW(read_torch_checkpoint(cut, name), Error) << name << " of " << size << " bytes";
    }
  }
}

Pickle read(std::string_view bytes) { return read_pickle(std::as_bytes(std::span(bytes)), "p"); }

void expect_pickle_refused(std::string_view value, std::initializer_list<std::string_view> parts) {
  expect_error(ErrorTag::kModel, parts, [&] { read(pickle(std::string(value))); });
}

TEST(Pickle, PlainValues) {
  const std::string bytes = pickle(dict({text("a"), number(-5), text("b"), "\x8a\x01\xff", text("c"),
                                         "(K\x01M\x01\x02NtG12345678"
                                         "0"}));
  const std::string longer = bytes + "rest";
  const Pickle p = read(longer);
  EXPECT_EQ(p.size_bytes, bytes.size());
  const PickleValue& root = p.value(p.root);
  EXPECT_EQ(p.find(root, "a")->integer, -5);
  EXPECT_EQ(p.find(root, "b")->integer, -1);
  ASSERT_EQ(p.find(root, "c")->items.size(), 3u);
  EXPECT_EQ(p.value(p.find(root, "c")->items[1]).integer, 0x201);
  EXPECT_EQ(p.find(root, "d"), nullptr);
}

TEST(Pickle, AListInsideItselfIsHarmless) {
  const std::string itself = pickle(
      "]q\x01"
      "h\x01"
      "a");
  const Pickle p = read(itself);
  EXPECT_EQ(p.value(p.root).items, std::vector<std::uint32_t>{p.root});
}

TEST(Pickle, OnlyTheListedCallablesRun) {
  for (const auto& [module, name] : std::map<std::string, std::string>{{"os", "system"},
                                                                       {"builtins", "eval"},
                                                                       {"__builtin__", "getattr"},
                                                                       {"torch", "load"},
                                                                       {"torch.storage", "_load_from_bytes"},
                                                                       {"collections", "OrderedDict.__init__"},
                                                                       {"numpy.core.multiarray", "_reconstruct"}}) {
    expect_pickle_refused(global(module, name), {"refused to run " + module + "." + name});
    expect_pickle_refused(text(module) + text(name) + "\x93", {"refused to run " + module + "." + name});
  }
  expect_pickle_refused(global("torch", "FloatStorage") + ")R", {"refused to run torch.FloatStorage"});
  expect_pickle_refused(global("torch", "float32") + ")R", {"refused to run torch.float32"});
  expect_pickle_refused(text("os.system") + ")R", {"refused to run a text"});
  expect_pickle_refused(number(1) + "}b", {"refused to run __setstate__ of an int"});
  expect_pickle_refused(tuple({text("module"), global("torch", "FloatStorage"), text("0"), text("cpu"), number(1)}) + "Q",
                        {"persistent id \"module\""});
  expect_pickle_refused("(S'x'\n", {"opcode 0x53"});                   // protocol 0
  expect_pickle_refused("(ios\nsystem\n", {"opcode 0x69"});            // INST
  expect_pickle_refused(std::string("\x82\x01", 2), {"opcode 0x82"});  // extension registry
  expect_pickle_refused("\x80\x09", {"expected protocol 2 to 5, got 9"});
}

TEST(Pickle, ViewsMustStayInTheirStorage) {
  const std::string eight = storage("FloatStorage", "0", 8);
  const auto fits = [&](std::int32_t offset, const std::string& shape, const std::string& strides) {
    EXPECT_EQ(read(pickle(tensor(eight, offset, shape, strides))).tensors.size(), 1u);
  };
  fits(0, numbers({2, 4}), numbers({4, 1}));
  fits(7, numbers({}), numbers({}));
  fits(1, numbers({3, 2}), numbers({1, 4}));
  fits(8, numbers({0}), numbers({1}));
  fits(0, numbers({0, 9}), numbers({1, 1}));
  fits(3, numbers({1 << 30, 1 << 30}), numbers({0, 0}));
  for (const auto& value :
       {tensor(eight, 1, numbers({2, 4}), numbers({4, 1})), tensor(eight, 8, numbers({}), numbers({})),
        tensor(eight, 9, numbers({0}), numbers({1})), tensor(eight, 0, numbers({2}), numbers({8})),
        tensor(eight, -1, numbers({2}), numbers({1})), tensor(eight, 0, numbers({INT32_MAX, INT32_MAX, INT32_MAX}), numbers({0, 0, 0}))}) {
    expect_pickle_refused(value, {"leaves its storage of 8 elements"});
  }
  expect_pickle_refused(tensor(eight, 0, numbers({-2}), numbers({1})), {"size -2 is negative"});
  expect_pickle_refused(tensor(eight, 0, numbers({2}), numbers({-1})), {"size -1 is negative"});
  expect_pickle_refused(tensor(eight, 0, numbers({2, 4}), numbers({1})), {"2 sizes with 1 strides"});
  expect_pickle_refused(tensor(eight, 0, numbers({1, 1, 1, 1, 1, 1, 1, 1, 1}), numbers({1})), {"at most 8 dimensions"});
  expect_pickle_refused(tensor(text("x"), 0, numbers({1}), numbers({1})), {"expected a storage as item 0, got a text"});
  expect_pickle_refused(eight + storage("HalfStorage", "0", 8), {"two types or sizes"});
  expect_pickle_refused(storage("FloatStorage", "0", -1), {"a storage of -1 elements"});
}

TEST(Pickle, BrokenStacksAndMemosAreRefused) {
  expect_pickle_refused("", {"the stack is empty"});
  expect_pickle_refused("0", {"the stack is empty"});
  expect_pickle_refused("t", {"no mark"});
  expect_pickle_refused("N(s", {"the stack is empty"});  // values below a mark are out of reach
  expect_pickle_refused("h\x05", {"memo 5"});
  expect_pickle_refused("Na", {"the stack is empty"});
  expect_pickle_refused("NNa", {"expected a list, got None"});
  expect_pickle_refused("}(Nu", {"a key without a value"});
  expect_pickle_refused(global("torch._utils", "_rebuild_tensor_v2") + ")R", {"expected a storage as item 0, got 0 items"});
  expect_error(ErrorTag::kModel, {"cut short"}, [] { read("\x80\x02X\xff\xff\xff\xff"); });
  expect_error(ErrorTag::kModel, {"cut short"}, [] {
    read(
        "\x80\x02"
        "cos\nsystem");
  });
}

TEST(Pickle, WorkIsBounded) {
  expect_pickle_refused(std::string(5'000'000, 'N'), {"more than 4000000 operations"});
  // It copies a long list again and again.
  std::string copies = "](NN\x86q\x02";
  for (int i = 0; i < 100'000; ++i) copies += "h\x02";
  copies +=
      "eq\x01"
      "0";
  for (int i = 0; i < 1000; ++i) copies += global("collections", "OrderedDict") + "h\x01\x85R0";
  expect_pickle_refused(copies + "N", {"more than 4000000 operations"});
}

}  // namespace
}  // namespace minbert
