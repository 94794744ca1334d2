// The header of a safetensors file, as a handler of JSON events: nothing hostile is ever built in memory.
#include "minbert/base/safetensors_header.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "minbert/base/check.h"

namespace minbert::internal {
namespace {

class HeaderHandler final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderHandler(std::string_view place) : place_(place) {}

  bool start_object(std::size_t) override {
    if (where_ == Where::kStart) return enter(Where::kTop);
    if (where_ == Where::kTop) return enter(name_ == "__metadata__" ? Where::kMetadata : Where::kTensor);
    return unexpected("an object");
  }

  bool key(std::string& key) override {
    key_ = key;
    if (where_ == Where::kTop) {
      name_ = key;
      if (!names_.insert(key).second) fail("the name appears twice");
      if (key != "__metadata__") header.tensors.emplace_back().name = key;
      seen_dtype_ = seen_shape_ = seen_offsets_ = false;
    } else if (where_ == Where::kMetadata) {
      if (!header.metadata.emplace(key, "").second) fail(fmt::format("key \"{}\" appears twice", key));
    } else {
      bool* seen = key == "dtype" ? &seen_dtype_ : key == "shape" ? &seen_shape_ : key == "data_offsets" ? &seen_offsets_ : nullptr;
      if (seen == nullptr) fail(fmt::format("expected dtype, shape and data_offsets, got key \"{}\"", key));
      if (std::exchange(*seen, true)) fail(fmt::format("key \"{}\" appears twice", key));
    }
    return true;
  }

  bool string(std::string& text) override {
    if (where_ == Where::kMetadata)
      header.metadata[key_] = text;
    else if (where_ == Where::kTensor && key_ == "dtype")
      header.tensors.back().dtype = text;
    else
      return unexpected("a string");
    return true;
  }

  bool start_array(std::size_t) override {
    if (where_ == Where::kTensor && key_ == "shape") return enter(Where::kShape);
    if (where_ == Where::kTensor && key_ == "data_offsets") return enter(Where::kOffsets);
    return unexpected("an array");
  }

  bool number_unsigned(std::uint64_t value) override {
    if (where_ == Where::kShape) {
      if (value > std::numeric_limits<std::int64_t>::max()) fail(fmt::format("size {} is too large", value));
      header.tensors.back().shape.push_back(static_cast<std::int64_t>(value));
    } else if (where_ == Where::kOffsets) {
      if (offsets_ < 2) (offsets_ == 0 ? header.tensors.back().begin : header.tensors.back().end) = value;
      ++offsets_;
    } else {
      return unexpected(fmt::format("the number {}", value));
    }
    return true;
  }

  bool end_array() override {
    if (where_ == Where::kOffsets && offsets_ != 2) fail(fmt::format("expected 2 data_offsets, got {}", offsets_));
    return enter(Where::kTensor);
  }

  bool end_object() override {
    if (where_ == Where::kTensor && !(seen_dtype_ && seen_shape_ && seen_offsets_)) fail("expected dtype, shape and data_offsets");
    return enter(where_ == Where::kTop ? Where::kStart : Where::kTop);
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(std::int64_t value) override { return unexpected(fmt::format("the number {}", value)); }
  bool number_float(double, const std::string& text) override { return unexpected("the number " + text); }
  bool binary(nlohmann::json::binary_t&) override { return unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    throw Error(ErrorTag::kModel, place_, fmt::format("the header is not valid JSON at its byte {}", position));
  }

  SafetensorsHeader header;

 private:
  enum class Where { kStart, kTop, kMetadata, kTensor, kShape, kOffsets };

  bool enter(Where where) {
    where_ = where;
    offsets_ = 0;
    return true;
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorTag::kModel, place_, name_.empty() ? "header: " + message : fmt::format("tensor \"{}\": {}", name_, message));
  }

  bool unexpected(std::string_view what) const {
    static constexpr std::string_view kExpected[] = {"an object",
                                                     "an object for each tensor",
                                                     "texts in __metadata__",
                                                     "a dtype in text, and lists for shape and data_offsets",
                                                     "whole numbers in shape",
                                                     "whole numbers in data_offsets"};
    fail(fmt::format("expected {}, got {}", kExpected[static_cast<std::size_t>(where_)], what));
  }

  std::string place_, name_, key_;
  Where where_ = Where::kStart;
  bool seen_dtype_ = false, seen_shape_ = false, seen_offsets_ = false;
  int offsets_ = 0;
  std::unordered_set<std::string> names_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, std::string_view place) {
  HeaderHandler handler(place);
  nlohmann::json::sax_parse(json, &handler);
  return std::move(handler.header);
}

}  // namespace minbert::internal
