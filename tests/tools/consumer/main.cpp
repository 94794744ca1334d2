// Uses an installed minbert: the default backend adds two tensors.
#include <array>
#include <span>

#include "minbert/base/tensor.h"
#include "minbert/ops/backend.h"

int main() {
  std::array<float, 2> a = {1, 2}, b = {10, 20}, sum{};
  const auto tensor = [](std::span<float> values) { return minbert::Tensor::of(values, {1, 2}); };
  minbert::make_backend("cpu")->add(tensor(sum), tensor(a), tensor(b));
  return sum == std::array<float, 2>{11, 22} ? 0 : 1;
}
