// OpRun: seeded inputs and guarded outputs.
#include "tests/ops/op_run.h"

#include <cmath>

namespace minbert {

OpRun::Buffer& OpRun::make(Role role, std::string name, DType dtype, const Shape& shape, std::int64_t gap) {
  return buffers_.emplace_back(*backend_, dtype, shape, gap, role, std::move(name));
}

void OpRun::fill(Buffer& buffer, DType rounded, double scale, double shift) {
  std::vector<double> values = normal_values(rng_, buffer.tensor.tensor().numel(), scale);
  for (double& value : values) value = round_to(rounded, value + shift);
  buffer.tensor.set(values);
}

Tensor OpRun::input(const Shape& shape, double scale, std::int64_t gap) {
  Buffer& buffer = make(Role::kInput, "an input", stored_.activation, shape, gap);
  fill(buffer, rounded_.activation, scale);
  return buffer.tensor.tensor();
}

Tensor OpRun::shifted_input(const Shape& shape, double shift) {
  Buffer& buffer = make(Role::kInput, "an input", stored_.activation, shape);
  fill(buffer, rounded_.activation, 1, shift);
  return buffer.tensor.tensor();
}

Tensor OpRun::param(const Shape& shape, double scale, double shift) {
  Buffer& buffer = make(Role::kInput, "a parameter", stored_.parameter, shape);
  fill(buffer, rounded_.parameter, scale, shift);
  return buffer.tensor.tensor();
}

Tensor OpRun::uniform_param(const Shape& shape) {
  Buffer& buffer = make(Role::kInput, "a parameter", stored_.parameter, shape);
  std::vector<double> values(static_cast<std::size_t>(buffer.tensor.tensor().numel()));
  for (double& value : values) value = round_to(rounded_.parameter, rng_.uniform());
  buffer.tensor.set(values);
  return buffer.tensor.tensor();
}

PreparedWeight OpRun::weight(std::int64_t O, std::int64_t I, WeightUse use, bool with_copy) {
  Buffer& master = make(Role::kInput, "a weight", stored_.parameter, {O, I});
  // The master is rounded already as the product will read it; how a cast rounds has a test of its own.
  fill(master, rounded_.activation, 1 / std::sqrt(static_cast<double>(std::max<std::int64_t>(I, 1))));
  Tensor copy;
  if (with_copy && stored_.activation != stored_.parameter)
    copy = make(Role::kScratch, "a weight's copy", stored_.activation, {O, I}).tensor.tensor();
  return backend_->prepare(master.tensor.tensor(), stored_.activation, use, &clock_, copy);
}

Tensor OpRun::output(std::string name, const Shape& shape, std::int64_t gap) {
  return make(Role::kOutput, std::move(name), stored_.activation, shape, gap).tensor.tensor();
}

Tensor OpRun::output_f32(std::string name, const Shape& shape) {
  return make(Role::kOutput, std::move(name), stored_.parameter, shape).tensor.tensor();
}

Tensor OpRun::accumulator(std::string name, const Shape& shape) { return state(std::move(name), shape); }

Tensor OpRun::in_place(std::string name, const Shape& shape, double scale) {
  Buffer& buffer = make(Role::kOutput, std::move(name), stored_.activation, shape);
  fill(buffer, rounded_.activation, scale);
  return buffer.tensor.tensor();
}

Tensor OpRun::state(std::string name, const Shape& shape, double scale, bool positive) {
  Buffer& buffer = make(Role::kOutput, std::move(name), stored_.parameter, shape);
  std::vector<double> values = normal_values(rng_, buffer.tensor.tensor().numel(), scale);
  for (double& value : values) value = round_to(rounded_.parameter, positive ? std::fabs(value) : value);
  buffer.tensor.set(values);
  return buffer.tensor.tensor();
}

Tensor OpRun::output_bf16(std::string name, const Shape& shape) {
  const DType dtype = stored_.parameter == DType::kF64 ? DType::kF64 : DType::kBF16;
  return make(Role::kOutput, std::move(name), dtype, shape).tensor.tensor();
}

Tensor OpRun::attention_saved(const AttentionShape& shape) {
  const std::size_t bytes = backend_->attention_saved_bytes(shape, stored_.activation);
  return make(Role::kScratch, "attention's saved buffer", DType::kU8, {static_cast<std::int64_t>(bytes)}).tensor.tensor();
}

Indices OpRun::upload(std::vector<std::int32_t> list) { return backend_->upload(arena_, lists_.emplace_back(std::move(list))); }

Indices OpRun::indices(std::int64_t count, std::int64_t limit) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(count));
  for (std::int32_t& value : values) value = static_cast<std::int32_t>(rng_.below(static_cast<std::uint64_t>(limit)));
  return upload(std::move(values));
}

RowIds OpRun::rows(std::int64_t count) {
  std::vector<RowId>& ids = row_lists_.emplace_back(static_cast<std::size_t>(count));
  for (RowId& id : ids) {
    id.row = static_cast<std::uint32_t>(rng_.below(1u << 24));
    id.position = static_cast<std::uint16_t>(rng_.below(512));
    id.pass = static_cast<std::uint8_t>(rng_.below(2));
  }
  return backend_->upload(arena_, ids);
}

Dropout OpRun::dropout(float p) {
  return {.p = p,
          .seed = rng_.next_u64(),
          .step = rng_.next_u32(),
          .micro_step = static_cast<std::uint16_t>(rng_.below(4096)),
          .site = static_cast<std::uint16_t>(rng_.below(65536))};
}

std::vector<OpResult> OpRun::results() {
  std::vector<OpResult> results;
  for (const Buffer& buffer : buffers_) {
    EXPECT_TRUE(buffer.tensor.untouched(buffer.role == Role::kInput)) << buffer.name;
    if (buffer.role == Role::kOutput) results.push_back({buffer.name, buffer.tensor.tensor().dtype(), buffer.tensor.values()});
  }
  return results;
}

}  // namespace minbert
