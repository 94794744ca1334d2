// The reference backend's memory, weights and entry point.
#include "minbert/ops/ref/ref_backend.h"

#include <cstring>

#include "minbert/ops/ref/reference.h"

namespace minbert {

std::unique_ptr<Backend> make_ref_backend() { return std::make_unique<ref::RefBackend>(); }

namespace ref {
namespace {

// Calls body(address, bytes, index) for each row of x; rows of a strided tensor are not adjacent.
template <class Body>
void for_each_row_bytes(const Tensor& x, const Body& body) {
  const std::size_t row_bytes = static_cast<std::size_t>(x.cols()) * dtype_size(x.dtype());
  for (std::int64_t r = 0; r < x.rows(); ++r) body(x.slice_rows(r, r + 1).raw(), row_bytes, static_cast<std::size_t>(r));
}

}  // namespace

double bytes_of(std::initializer_list<Tensor> tensors) {
  double total = 0;
  for (const Tensor& tensor : tensors)
    if (tensor) total += static_cast<double>(tensor.bytes());
  return total;
}

void RefBackend::copy_to_device(Tensor dst, const void* src) {
  for_each_row_bytes(
      dst, [&](void* row, std::size_t bytes, std::size_t r) { std::memcpy(row, static_cast<const std::byte*>(src) + r * bytes, bytes); });
}

void RefBackend::copy_to_host(void* dst, const Tensor& src) {
  for_each_row_bytes(
      src, [&](const void* row, std::size_t bytes, std::size_t r) { std::memcpy(static_cast<std::byte*>(dst) + r * bytes, row, bytes); });
}

void RefBackend::copy(Tensor dst, const Tensor& src) {
  shapes::same(dst, src, "copy");
  MINBERT_CHECK(dst.dtype() == src.dtype(), "copy {} to {}", src.describe(), dst.describe());
  const OpScope scope(*this, "copy", 0, bytes_of({dst, src}), {dst});
  for_each_row_bytes(dst, [&](void* row, std::size_t bytes, std::size_t r) {
    const auto i = static_cast<std::int64_t>(r);
    std::memcpy(row, src.slice_rows(i, i + 1).raw(), bytes);
  });
}

void RefBackend::zero(Tensor x) {
  const OpScope scope(*this, "zero", 0, bytes_of({x}), {});
  for_each_row_bytes(x, [](void* row, std::size_t bytes, std::size_t) { std::memset(row, 0, bytes); });
}

void RefBackend::cast(Tensor out, const Tensor& x) {
  shapes::same(out, x, "cast");
  const OpScope scope(*this, "cast", 0, bytes_of({out, x}), {out});
  with_scalar(x, [&]<class S>() { Matrix<S>(x).store(out); });
}

PreparedWeight RefBackend::prepare(const Tensor& master, DType compute, WeightUse use, const std::uint64_t* clock, Tensor copy) {
  PreparedWeight weight;
  weight.master = weight.value = master;
  weight.use = use;
  weight.clock = clock;
  if (use == WeightUse::kForwardInt8) {  // multiples of each row's step, exact in f64
    const auto storage = std::make_shared<std::vector<double>>(static_cast<std::size_t>(master.numel()));
    weight.value = Tensor(storage->data(), DType::kF64, master.shape());
    weight.storage = storage;
  } else if (master.dtype() != compute) {
    if (copy) {
      MINBERT_CHECK(copy.dtype() == compute && copy.same_shape(master), "copy {} of {}", copy.describe(), master.describe());
      weight.value = copy;
    } else {
      const auto storage = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(master.numel()) * dtype_size(compute));
      weight.value = Tensor(storage->data(), compute, master.shape());
      weight.storage = storage;
    }
  }
  refresh(weight);
  return weight;
}

void RefBackend::refresh(PreparedWeight& weight) {
  if (weight.use == WeightUse::kForwardInt8) {
    round_rows(Matrix<double>(weight.master), Int8Rows::kWeight).store(weight.value);
  } else if (weight.value.raw() != weight.master.raw()) {
    cast(weight.value, weight.master);
  }
  if (weight.clock != nullptr) weight.version = *weight.clock;
}

}  // namespace ref
}  // namespace minbert
