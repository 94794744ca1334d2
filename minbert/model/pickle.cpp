// The pickle machine: a stack, marks, a memo, and a short list of callables.
#include "minbert/model/pickle.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>
#include <utility>

namespace minbert {
namespace {

using Kind = PickleValue::Kind;
using Index = std::uint32_t;

// Far more than any checkpoint needs (BERT-large: 20,000). It limits the memory that a hostile file can claim.
constexpr std::size_t kMaxOperations = 4'000'000;
constexpr std::int64_t kMaxRank = 8;

enum class Callee : std::uint8_t { kOrderedDict, kSize, kRebuildTensor, kRebuildTensorV2, kRebuildParameter, kStorageType, kDType };

struct Global {
  std::string_view module, name;
  Callee callee;
  std::string_view dtype = {};  ///< for a storage type
  std::int64_t element_bytes = 0;
};
// All names that a pickle may use. A dtype object is a value and cannot be called.
constexpr std::array kGlobals = {
    Global{"collections", "OrderedDict", Callee::kOrderedDict},
    Global{"torch", "Size", Callee::kSize},
    Global{"torch._utils", "_rebuild_tensor", Callee::kRebuildTensor},
    Global{"torch._utils", "_rebuild_tensor_v2", Callee::kRebuildTensorV2},
    Global{"torch._utils", "_rebuild_parameter", Callee::kRebuildParameter},
    Global{"torch", "DoubleStorage", Callee::kStorageType, "F64", 8},
    Global{"torch", "FloatStorage", Callee::kStorageType, "F32", 4},
    Global{"torch", "HalfStorage", Callee::kStorageType, "F16", 2},
    Global{"torch", "BFloat16Storage", Callee::kStorageType, "BF16", 2},
    Global{"torch", "LongStorage", Callee::kStorageType, "I64", 8},
    Global{"torch", "IntStorage", Callee::kStorageType, "I32", 4},
    Global{"torch", "ShortStorage", Callee::kStorageType, "I16", 2},
    Global{"torch", "CharStorage", Callee::kStorageType, "I8", 1},
    Global{"torch", "ByteStorage", Callee::kStorageType, "U8", 1},
    Global{"torch", "BoolStorage", Callee::kStorageType, "BOOL", 1},
    Global{"torch", "float64", Callee::kDType},
    Global{"torch", "float32", Callee::kDType},
    Global{"torch", "float16", Callee::kDType},
    Global{"torch", "bfloat16", Callee::kDType},
    Global{"torch", "int64", Callee::kDType},
    Global{"torch", "int32", Callee::kDType},
    Global{"torch", "int16", Callee::kDType},
    Global{"torch", "int8", Callee::kDType},
    Global{"torch", "uint8", Callee::kDType},
    Global{"torch", "bool", Callee::kDType},
};

std::string_view kind_name(Kind kind) {
  static constexpr std::array<std::string_view, 14> kNames = {"None",   "a bool",   "an int",    "a long int", "a float",
                                                              "a text", "bytes",    "a tuple",   "a list",     "a set",
                                                              "a dict", "a global", "a storage", "a tensor"};
  return kNames[static_cast<std::size_t>(kind)];
}

class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, std::string_view place) : bytes_(bytes), place_(place) {}

  Pickle run() {
    while (!stopped_) {
      work(1);
      operation_ = at_;
      const auto code = number<std::uint8_t>();
      if (!scalar(code) && !container(code) && !memo(code) && !object(code))
        fail(fmt::format("opcode 0x{:02x} is not supported", code), "save the file again with torch.save");
    }
    out_.size_bytes = at_;
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(const std::string& message, std::string hint = {}) const {
    throw Error(ErrorTag::kModel, place_, fmt::format("pickle byte {}: {}", operation_, message), std::move(hint));
  }

  [[noreturn]] void refuse(std::string_view what) const {
    fail(fmt::format("refused to run {}", what),
         "only plain weights are read; load the file where you trust it and save its state_dict() with safetensors");
  }

  /// Counts operations; copying a list counts once for each of its items.
  void work(std::size_t operations) {
    work_ += operations;
    if (work_ > kMaxOperations) fail(fmt::format("more than {} operations", kMaxOperations));
  }

  // ---- reading ----
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - at_) fail("the pickle is cut short");
    const auto part = bytes_.subspan(at_, size);
    at_ += size;
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::string_view line() {
    const auto rest = std::string_view(reinterpret_cast<const char*>(bytes_.data()), bytes_.size()).substr(at_);
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) fail("the pickle is cut short");
    at_ += end + 1;
    return rest.substr(0, end);
  }

  // ---- stack ----
  Index make(Kind kind, std::int64_t integer = 0, std::string_view text = {}) {
    out_.values.push_back({kind, integer, text, {}});
    return static_cast<Index>(out_.values.size() - 1);
  }
  void push(Index index) { stack_.push_back(index); }
  void push(Kind kind, std::int64_t integer = 0, std::string_view text = {}) { push(make(kind, integer, text)); }

  /// Fails unless `count` values lie above the last mark.
  void need(std::size_t count) const {
    if (stack_.size() - (marks_.empty() ? 0 : marks_.back()) < count) fail("the stack is empty");
  }
  Index pop() {
    need(1);
    const Index index = stack_.back();
    stack_.pop_back();
    return index;
  }
  std::vector<Index> pop_last(std::size_t count) {
    need(count);
    std::vector<Index> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }
  std::vector<Index> pop_to_mark() {
    if (marks_.empty()) fail("no mark on the stack");
    auto items = pop_last(stack_.size() - marks_.back());
    marks_.pop_back();
    return items;
  }
  PickleValue& top(Kind kind) {
    need(1);
    PickleValue& value = out_.values[stack_.back()];
    if (value.kind != kind) fail(fmt::format("expected {}, got {}", kind_name(kind), kind_name(value.kind)));
    return value;
  }
  void push_items(Kind kind, std::vector<Index> items) {
    push(kind);
    out_.values.back().items = std::move(items);
  }
  void append(Kind kind, const std::vector<Index>& items) {
    PickleValue& value = top(kind);
    if (kind == Kind::kDict && items.size() % 2 != 0) fail("a key without a value");
    value.items.insert(value.items.end(), items.begin(), items.end());
  }

  // ---- opcodes (CPython, Lib/pickletools.py) ----
  bool scalar(std::uint8_t code) {
    switch (code) {
      case 'N': push(Kind::kNone); return true;
      case 0x88: push(Kind::kBool, 1); return true;
      case 0x89: push(Kind::kBool, 0); return true;
      case 'K': push(Kind::kInt, number<std::uint8_t>()); return true;
      case 'M': push(Kind::kInt, number<std::uint16_t>()); return true;
      case 'J': push(Kind::kInt, number<std::int32_t>()); return true;
      case 0x8a: push_long(take(number<std::uint8_t>())); return true;
      case 0x8b: push_long(take(number<std::uint32_t>())); return true;
      case 'G': take(8), push(Kind::kFloat); return true;
      case 'X': push(Kind::kText, 0, take(number<std::uint32_t>())); return true;
      case 0x8c: push(Kind::kText, 0, take(number<std::uint8_t>())); return true;
      case 0x8d: push(Kind::kText, 0, take(number<std::uint64_t>())); return true;
      case 'U': push(Kind::kText, 0, take(number<std::uint8_t>())); return true;  // a str of Python 2
      case 'T': push(Kind::kText, 0, take(number<std::uint32_t>())); return true;
      case 'C': push(Kind::kBytes, 0, take(number<std::uint8_t>())); return true;
      case 'B': push(Kind::kBytes, 0, take(number<std::uint32_t>())); return true;
      case 0x8e: push(Kind::kBytes, 0, take(number<std::uint64_t>())); return true;
      default: return false;
    }
  }

  bool container(std::uint8_t code) {
    switch (code) {
      case ')': push(Kind::kTuple); return true;
      case 't': push_items(Kind::kTuple, pop_to_mark()); return true;
      case 0x85: push_items(Kind::kTuple, pop_last(1)); return true;
      case 0x86: push_items(Kind::kTuple, pop_last(2)); return true;
      case 0x87: push_items(Kind::kTuple, pop_last(3)); return true;
      case ']': push(Kind::kList); return true;
      case 'a': append(Kind::kList, pop_last(1)); return true;
      case 'e': append(Kind::kList, pop_to_mark()); return true;
      case '}': push(Kind::kDict); return true;
      case 's': append(Kind::kDict, pop_last(2)); return true;
      case 'u': append(Kind::kDict, pop_to_mark()); return true;
      case 0x8f: push(Kind::kSet); return true;
      case 0x90: pop_to_mark(), top(Kind::kSet); return true;
      case 0x91: pop_to_mark(), push(Kind::kSet); return true;
      default: return false;
    }
  }

  bool memo(std::uint8_t code) {
    switch (code) {
      case 'q': remember(number<std::uint8_t>()); return true;
      case 'r': remember(number<std::uint32_t>()); return true;
      case 0x94: remember(static_cast<std::uint32_t>(memo_.size())); return true;
      case 'h': push(recall(number<std::uint8_t>())); return true;
      case 'j': push(recall(number<std::uint32_t>())); return true;
      case '(': marks_.push_back(stack_.size()); return true;
      case '0': pop(); return true;
      case '1': pop_to_mark(); return true;
      case '2': need(1), push(stack_.back()); return true;
      default: return false;
    }
  }

  bool object(std::uint8_t code) {
    switch (code) {
      case 0x80:
        if (const int protocol = number<std::uint8_t>(); protocol > 5) fail(fmt::format("expected protocol 2 to 5, got {}", protocol));
        return true;
      case 0x95: number<std::uint64_t>(); return true;  // FRAME
      case '.': out_.root = pop(), stopped_ = true; return true;
      case 'c': {
        const auto module = line();
        push_global(module, line());
        return true;
      }
      case 0x93: {
        const auto name = top(Kind::kText).text;
        pop();
        const auto module = top(Kind::kText).text;
        pop();
        push_global(module, name);
        return true;
      }
      case 'Q': push_storage(); return true;
      case 'R':
      case 0x81: reduce(); return true;
      case 'b': build(); return true;
      default: return false;
    }
  }

  void push_long(std::string_view digits) {
    if (digits.size() > sizeof(std::int64_t)) return push(Kind::kLong, 0, digits);
    std::uint64_t value = !digits.empty() && (digits.back() & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    std::memcpy(&value, digits.data(), digits.size());
    push(Kind::kInt, static_cast<std::int64_t>(value));
  }

  void remember(std::uint32_t key) {
    need(1);
    memo_[key] = stack_.back();
  }
  Index recall(std::uint32_t key) const {
    const auto at = memo_.find(key);
    if (at == memo_.end()) fail(fmt::format("memo {} was never set", key));
    return at->second;
  }

  // ---- calls ----
  void push_global(std::string_view module, std::string_view name) {
    const auto* at = std::find_if(kGlobals.begin(), kGlobals.end(), [&](const Global& g) { return g.module == module && g.name == name; });
    if (at == kGlobals.end()) refuse(fmt::format("{}.{}", module, name));
    push(Kind::kGlobal, at - kGlobals.begin());
  }

  const Global& global(Index index) const {
    const PickleValue& value = out_.values[index];
    if (value.kind != Kind::kGlobal) refuse(kind_name(value.kind));
    return kGlobals[static_cast<std::size_t>(value.integer)];
  }

  const PickleValue& item(const PickleValue& tuple, std::size_t i, Kind kind) const {
    if (i >= tuple.items.size()) fail(fmt::format("expected {} as item {}, got {} items", kind_name(kind), i, tuple.items.size()));
    const PickleValue& value = out_.values[tuple.items[i]];
    if (value.kind != kind) fail(fmt::format("expected {} as item {}, got {}", kind_name(kind), i, kind_name(value.kind)));
    return value;
  }

  // `arguments` refers into out_.values: making a value invalidates it.
  void reduce() {
    const PickleValue& arguments = top(Kind::kTuple);
    pop();
    const Global& callee = global(pop());
    switch (callee.callee) {
      case Callee::kOrderedDict: return ordered_dict(arguments);
      case Callee::kSize: item(arguments, 0, Kind::kTuple); return push(arguments.items[0]);
      case Callee::kRebuildTensor:
      case Callee::kRebuildTensorV2: return rebuild_tensor(arguments);
      case Callee::kRebuildParameter: item(arguments, 0, Kind::kTensor); return push(arguments.items[0]);
      case Callee::kStorageType:
      case Callee::kDType: refuse(fmt::format("{}.{}", callee.module, callee.name));
    }
  }

  /// OrderedDict(), or OrderedDict([[key, value], ...]) of Python 2.
  void ordered_dict(const PickleValue& arguments) {
    std::vector<Index> items;
    if (!arguments.items.empty()) {
      const auto& pairs = item(arguments, 0, Kind::kList).items;
      work(pairs.size());
      for (const Index pair : pairs) {
        const auto& pair_items = out_.values[pair].items;
        if (pair_items.size() != 2) fail("expected pairs of key and value");
        items.insert(items.end(), pair_items.begin(), pair_items.end());
      }
    }
    push_items(Kind::kDict, std::move(items));
  }

  /// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks). The last two do not matter here.
  void rebuild_tensor(const PickleValue& arguments) {
    PickledTensor tensor;
    tensor.storage = static_cast<std::size_t>(item(arguments, 0, Kind::kStorage).integer);
    tensor.offset = item(arguments, 1, Kind::kInt).integer;
    tensor.shape = sizes(item(arguments, 2, Kind::kTuple));
    tensor.strides = sizes(item(arguments, 3, Kind::kTuple));
    if (tensor.shape.size() != tensor.strides.size())
      fail(fmt::format("{} sizes with {} strides", tensor.shape.size(), tensor.strides.size()));
    check_bounds(tensor);
    push(Kind::kTensor, static_cast<std::int64_t>(out_.tensors.size()));
    out_.tensors.push_back(std::move(tensor));
  }

  std::vector<std::int64_t> sizes(const PickleValue& tuple) const {
    if (std::ssize(tuple.items) > kMaxRank) fail(fmt::format("expected at most {} dimensions, got {}", kMaxRank, tuple.items.size()));
    std::vector<std::int64_t> sizes;
    for (std::size_t i = 0; i < tuple.items.size(); ++i) {
      sizes.push_back(item(tuple, i, Kind::kInt).integer);
      if (sizes.back() < 0) fail(fmt::format("size {} is negative", sizes.back()));
    }
    return sizes;
  }

  /// Checks that the last element of a view lies in its storage, and that its element count fits in 64 bits.
  void check_bounds(const PickledTensor& tensor) const {
    const std::int64_t available = out_.storages[tensor.storage].numel;
    std::int64_t numel = 1, end = 0, reach = 0;
    bool fits = tensor.offset >= 0 && !__builtin_add_overflow(tensor.offset, 1, &end), empty = false;
    for (std::size_t i = 0; i < tensor.shape.size() && fits; ++i) {
      empty = empty || tensor.shape[i] == 0;
      fits = !__builtin_mul_overflow(numel, std::max<std::int64_t>(tensor.shape[i], 1), &numel) &&
             !__builtin_mul_overflow(std::max<std::int64_t>(tensor.shape[i] - 1, 0), tensor.strides[i], &reach) &&
             !__builtin_add_overflow(end, reach, &end);
    }
    if (!fits || (empty ? tensor.offset : end) > available)
      fail(fmt::format("a tensor of shape ({}) at offset {} leaves its storage of {} elements", fmt::join(tensor.shape, ", "),
                       tensor.offset, available));
  }

  /// Drops the state of a dict: it is a module's _metadata, which says nothing about weights.
  void build() {
    pop();
    need(1);
    if (const PickleValue& value = out_.values[stack_.back()]; value.kind != Kind::kDict)
      refuse(fmt::format("__setstate__ of {}", kind_name(value.kind)));
  }

  /// ("storage", type, key, device, numel), with a sixth item for views of storages, which only torch 0.1 wrote.
  void push_storage() {
    const PickleValue& id = top(Kind::kTuple);
    pop();
    if (item(id, 0, Kind::kText).text != "storage") refuse(fmt::format("the persistent id \"{}\"", item(id, 0, Kind::kText).text));
    item(id, 1, Kind::kGlobal);
    const Global& type = global(id.items[1]);
    if (type.callee != Callee::kStorageType) fail(fmt::format("expected a storage type, got {}.{}", type.module, type.name));
    if (id.items.size() > 5 && out_.values[id.items[5]].kind != Kind::kNone) fail("views of storages are not supported");
    const PickledStorage storage{type.dtype, type.element_bytes, item(id, 2, Kind::kText).text, item(id, 4, Kind::kInt).integer};
    if (storage.numel < 0 || storage.numel > INT64_MAX / storage.element_bytes)
      fail(fmt::format("a storage of {} elements", storage.numel));

    const auto [at, added] = storage_of_.emplace(storage.key, out_.storages.size());
    if (added) out_.storages.push_back(storage);
    const PickledStorage& known = out_.storages[at->second];
    if (known.dtype != storage.dtype || known.numel != storage.numel)
      fail(fmt::format("storage \"{}\" has two types or sizes", storage.key));
    push(Kind::kStorage, static_cast<std::int64_t>(at->second));
  }

  std::span<const std::byte> bytes_;
  std::string_view place_;
  std::size_t at_ = 0, operation_ = 0;  // operation_: where the current opcode is, for messages
  std::size_t work_ = 0;
  bool stopped_ = false;
  Pickle out_;
  std::vector<Index> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, Index> memo_;
  std::unordered_map<std::string_view, std::size_t> storage_of_;
};

}  // namespace

const PickleValue* Pickle::find(const PickleValue& dict, std::string_view key) const {
  if (dict.kind != Kind::kDict) return nullptr;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& name = value(dict.items[i]);
    if (name.kind == Kind::kText && name.text == key) return &value(dict.items[i + 1]);
  }
  return nullptr;
}

Pickle read_pickle(std::span<const std::byte> bytes, std::string_view place) { return PickleMachine(bytes, place).run(); }

}  // namespace minbert
