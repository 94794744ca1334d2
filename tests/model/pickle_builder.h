// Pickles made by hand, for tests and fuzz seeds. A short function for each opcode that torch.save writes returns its bytes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace minbert::pickled {

inline std::string number(std::int32_t value) {
  std::string out = "J";
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}
inline std::string text(std::string_view value) {
  std::string out = "X";
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(value.size() >> (8 * i)));
  return out.append(value);
}
inline std::string global(std::string_view module, std::string_view name) {
  return std::string("c").append(module).append("\n").append(name).append("\n");
}
inline std::string tuple(std::initializer_list<std::string> items) {
  std::string out = "(";
  for (const auto& item : items) out += item;
  return out + "t";
}
inline std::string numbers(std::initializer_list<std::int32_t> values) {
  std::string out = "(";
  for (const auto value : values) out += number(value);
  return out + "t";
}
inline std::string dict(std::initializer_list<std::string> keys_and_values) {
  std::string out = "}(";
  for (const auto& item : keys_and_values) out += item;
  return out + "u";
}
inline std::string storage(std::string_view type, std::string_view key, std::int32_t numel) {
  return tuple({text("storage"), global("torch", type), text(key), text("cpu"), number(numel)}) + "Q";
}
inline std::string tensor(const std::string& of, std::int32_t offset, const std::string& shape, const std::string& strides) {
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({of, number(offset), shape, strides, "\x89", global("collections", "OrderedDict") + ")R"}) + "R";
}
inline std::string pickle(const std::string& value) { return "\x80\x02" + value + "."; }

}  // namespace minbert::pickled
