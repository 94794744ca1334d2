// torch checkpoints: finds the pickle and the storages in both file formats.
#include "minbert/model/torch_checkpoint.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "minbert/base/zip.h"
#include "minbert/model/pickle.h"

namespace minbert {
namespace {

using Bytes = std::span<const std::byte>;
using Kind = PickleValue::Kind;

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// The pickled object of a file, and the bytes of each of its storages.
struct Checkpoint {
  Pickle pickle;
  std::vector<Bytes> storages;  // in the order of pickle.storages
  bool big_endian = false;
};

std::size_t storage_bytes(const PickledStorage& storage) { return static_cast<std::size_t>(storage.numel * storage.element_bytes); }

/// torch/serialization.py, _save: NAME/data.pkl, NAME/data/KEY for each storage, and since 2.1 NAME/byteorder.
Checkpoint read_archive(Bytes file, std::string_view place) {
  constexpr std::string_view kPickle = "/data.pkl";
  std::unordered_map<std::string_view, Bytes> records;
  std::string root;
  for (const ZipEntry& entry : read_stored_zip(file, place, ErrorTag::kModel)) {
    records.emplace(entry.name, entry.bytes);
    if (entry.name.ends_with(kPickle)) root = entry.name.substr(0, entry.name.size() - kPickle.size());
  }
  const auto record = [&](const std::string& name) { return records.find(root + "/" + name); };
  if (record("data.pkl") == records.end())
    throw Error(ErrorTag::kModel, place, "expected a PyTorch checkpoint, got a ZIP archive without data.pkl");
  if (record("constants.pkl") != records.end())
    throw Error(ErrorTag::kModel, place, "expected weights, got a TorchScript program", "save the model's state_dict() instead");

  Checkpoint checkpoint{read_pickle(record("data.pkl")->second, fmt::format("{}: {}{}", place, root, kPickle)), {}, false};
  if (const auto order = record("byteorder"); order != records.end()) checkpoint.big_endian = text_of(order->second) == "big";
  for (const PickledStorage& storage : checkpoint.pickle.storages) {
    const auto data = record(fmt::format("data/{}", storage.key));
    if (data == records.end()) throw Error(ErrorTag::kModel, place, fmt::format("storage \"{}\" is missing", storage.key));
    if (data->second.size() != storage_bytes(storage))
      throw Error(ErrorTag::kModel, place,
                  fmt::format("storage \"{}\": expected {} bytes, got {}", storage.key, storage_bytes(storage), data->second.size()));
    checkpoint.storages.push_back(data->second);
  }
  return checkpoint;
}

/// torch/serialization.py, _legacy_save: five pickles (magic number, protocol, system, object, storage keys), then for each key
/// the element count in 8 bytes and the elements, always little-endian.
Checkpoint read_legacy(Bytes file, std::string_view place) {
  constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  constexpr std::int64_t kProtocol = 1001;
  std::size_t at = 0;
  const auto next = [&](std::string_view what) {
    Pickle pickle = read_pickle(file.subspan(at), fmt::format("{}: {}", place, what));
    at += pickle.size_bytes;
    return pickle;
  };
  const Pickle magic = next("magic number");
  if (magic.value(magic.root).text != kMagic) throw Error(ErrorTag::kModel, place, "expected a PyTorch checkpoint, got another pickle");
  const Pickle protocol = next("protocol");
  if (protocol.value(protocol.root).integer != kProtocol)
    throw Error(ErrorTag::kModel, place,
                fmt::format("expected checkpoint protocol {}, got {}", kProtocol, protocol.value(protocol.root).integer));
  next("system");
  Checkpoint checkpoint{next("object"), {}, false};

  const auto& storages = checkpoint.pickle.storages;
  checkpoint.storages.resize(storages.size());
  std::unordered_map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < storages.size(); ++i) index.emplace(storages[i].key, i);
  const Pickle keys = next("storage keys");
  for (const std::uint32_t item : keys.value(keys.root).items) {
    const auto found = index.find(keys.value(item).text);
    if (found == index.end()) throw Error(ErrorTag::kModel, place, fmt::format("nothing uses storage \"{}\"", keys.value(item).text));
    const PickledStorage& storage = storages[found->second];
    const std::size_t size = storage_bytes(storage);
    std::int64_t numel = 0;
    if (file.size() - at < sizeof numel || file.size() - at - sizeof numel < size)
      throw Error(ErrorTag::kModel, place, fmt::format("storage \"{}\": expected {} bytes at offset {}", storage.key, size, at),
                  "the file is cut short; download it again");
    std::memcpy(&numel, file.data() + at, sizeof numel);
    if (numel != storage.numel)
      throw Error(ErrorTag::kModel, place, fmt::format("storage \"{}\": expected {} elements, got {}", storage.key, storage.numel, numel));
    checkpoint.storages[found->second] = file.subspan(at + sizeof numel, size);
    index.erase(found);
    at += sizeof numel + size;
  }
  for (const PickledStorage& storage : storages)
    if (index.contains(storage.key)) throw Error(ErrorTag::kModel, place, fmt::format("storage \"{}\" is missing", storage.key));
  return checkpoint;
}

/// Finds the weights where a trainer wrapped them, as {"state_dict": ...} or {"model": ...}, up to one inside the other.
const PickleValue& find_state_dict(const Pickle& pickle, std::string_view place) {
  const PickleValue* dict = &pickle.value(pickle.root);
  for (int depth = 0; depth < 3; ++depth) {
    if (dict->kind != Kind::kDict) throw Error(ErrorTag::kModel, place, "expected a dict of tensors", "save the model's state_dict()");
    const PickleValue* inner = nullptr;
    for (const std::string_view key : {"state_dict", "model"}) {
      const PickleValue* value = pickle.find(*dict, key);
      if (inner == nullptr && value != nullptr && value->kind == Kind::kDict) inner = value;
    }
    if (inner == nullptr) break;
    dict = inner;
  }
  return *dict;
}

/// Views by expand() repeat elements. The limit keeps a small file from allocating much memory through them.
void check_size(const PickledTensor& tensor, std::int64_t element_bytes, std::size_t file_bytes, std::string_view name,
                std::string_view place) {
  constexpr std::int64_t kMostRepeats = 16, kAlwaysGood = 1 << 20;
  std::int64_t bytes = element_bytes;
  const bool fits = std::all_of(tensor.shape.begin(), tensor.shape.end(),
                                [&](std::int64_t size) { return !__builtin_mul_overflow(bytes, size, &bytes); });
  if (!fits || bytes > kMostRepeats * static_cast<std::int64_t>(file_bytes) + kAlwaysGood)
    throw Error(ErrorTag::kModel, place,
                fmt::format("tensor \"{}\": ({}) repeats the elements of a file of {} bytes more than {} times", name,
                            fmt::join(tensor.shape, ", "), file_bytes, kMostRepeats));
}

TorchTensor view(const Checkpoint& checkpoint, const PickledTensor& tensor) {
  const PickledStorage& storage = checkpoint.pickle.storages[tensor.storage];
  const bool empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end();
  // read_pickle has checked that all elements lie in the storage.
  std::int64_t elements = empty ? 0 : 1;
  for (std::size_t i = 0; i < tensor.shape.size() && !empty; ++i) elements += (tensor.shape[i] - 1) * tensor.strides[i];
  const auto bytes = checkpoint.storages[tensor.storage].subspan(static_cast<std::size_t>(tensor.offset * storage.element_bytes),
                                                                 static_cast<std::size_t>(elements * storage.element_bytes));
  return {{}, std::string(storage.dtype), tensor.shape, tensor.strides, bytes, checkpoint.big_endian};
}

}  // namespace

std::vector<TorchTensor> read_torch_checkpoint(Bytes file, std::string_view place) {
  if (text_of(file).starts_with("version https://git-lfs"))
    throw Error(ErrorTag::kModel, place, "this is a git-lfs pointer, not the weights", "run `git lfs pull`, or download the file itself");
  const Checkpoint checkpoint = text_of(file).starts_with("PK") ? read_archive(file, place) : read_legacy(file, place);
  const Pickle& pickle = checkpoint.pickle;
  const PickleValue& dict = find_state_dict(pickle, place);

  std::vector<TorchTensor> tensors;
  std::unordered_set<std::string_view> names;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue &key = pickle.value(dict.items[i]), &value = pickle.value(dict.items[i + 1]);
    if (key.kind != Kind::kText || value.kind != Kind::kTensor) continue;
    if (!names.insert(key.text).second) throw Error(ErrorTag::kModel, place, fmt::format("tensor \"{}\" appears twice", key.text));
    const PickledTensor& tensor = pickle.tensors[static_cast<std::size_t>(value.integer)];
    check_size(tensor, pickle.storages[tensor.storage].element_bytes, file.size(), key.text, place);
    tensors.push_back(view(checkpoint, tensor));
    tensors.back().name = key.text;
  }
  if (tensors.empty()) throw Error(ErrorTag::kModel, place, "the checkpoint holds no tensors");
  return tensors;
}

}  // namespace minbert
