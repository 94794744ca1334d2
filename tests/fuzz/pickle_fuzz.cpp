// Fuzz target: a torch checkpoint is read, or refused with Error(kModel); what is read lies inside the file.
#include <algorithm>

#include "minbert/model/pickle.h"
#include "minbert/model/torch_checkpoint.h"
#include "minbert/model/weight_source.h"
#include "tests/base/zip_builder.h"
#include "tests/fuzz/fuzz.h"
#include "tests/model/pickle_builder.h"

namespace {

using namespace minbert;

bool is_float(const std::string& dtype) { return dtype == "F64" || dtype == "F32" || dtype == "F16" || dtype == "BF16"; }

void read(std::span<const std::byte> file) {
  try {
    for (const TorchTensor& t : read_torch_checkpoint(file, "fuzz")) {
      MINBERT_CHECK(t.bytes.empty() || (t.bytes.data() >= file.data() && t.bytes.data() + t.bytes.size() <= file.data() + file.size()));
      if (!is_float(t.dtype)) continue;
      const SourceTensor source{t.name, t.dtype, t.shape, t.strides, t.bytes, t.big_endian, ""};
      std::vector<float> values(static_cast<std::size_t>(std::min<std::int64_t>(source.numel(), 64)));
      source.read(0, values);
      source.read(source.numel() - std::ssize(values), values);
    }
  } catch (const Error& error) {
    if (error.tag() != ErrorTag::kModel) throw;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  read(bytes);
  // The same as the pickle of a good archive, so that changes are not stopped by the container.
  const std::string storage(64, 'a');
  const std::string archive =
      stored_zip({{"m/data.pkl", {reinterpret_cast<const char*>(data), size}}, {"m/byteorder", "big"}, {"m/data/0", storage}});
  read(std::as_bytes(std::span(archive)));
  return 0;
}

std::vector<std::string> minbert::fuzz_seeds() {
  using namespace pickled;
  const std::string floats = storage("FloatStorage", "0", 16), halves = storage("HalfStorage", "0", 32);
  const std::string whole = pickle(dict({text("w"), tensor(floats, 0, numbers({4, 4}), numbers({4, 1})), text("n"), number(3)}));
  const std::string views = pickle(dict({text("state_dict"), dict({text("t"), tensor(floats, 0, numbers({4, 4}), numbers({1, 4})),
                                                                   text("s"), tensor(floats, 15, numbers({}), numbers({})), text("e"),
                                                                   tensor(floats, 3, numbers({0, 4}), numbers({4, 1}))})}));
  const std::string other =
      pickle(global("collections", "OrderedDict") + ")R(" + text("h") + tensor(halves, 1, numbers({5}), numbers({2})) + "u}b");
  const std::string magic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", protocol = pickle("M\xe9\x03");
  const std::string numel("\x10\0\0\0\0\0\0\0", 8);
  return {whole,
          views,
          other,
          magic + protocol + pickle("}") + whole + pickle("](" + text("0") + "e") + numel + std::string(64, 'b'),
          stored_zip({{"m/data.pkl", whole}, {"m/data/0", std::string(64, 'c')}}),
          stored_zip({{"m/data.pkl", views}, {"m/data/0", std::string(64, 'd')}}, true)};
}
