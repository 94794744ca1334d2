// Losses: each function uploads the targets and calls the backend's op.
#include "minbert/model/loss.h"

namespace minbert {
namespace {

Tensor values_on_device(Backend& backend, Arena& arena, const Targets& targets) {
  const Tensor values = arena.allocate(DType::kF32, {std::ssize(targets.values)});
  backend.copy_to_device(values, targets.values.data());
  return values;
}

}  // namespace

Tensor loss_forward(Backend& backend, Arena& arena, Loss loss, const Tensor& logits, const Targets& targets) {
  const Tensor losses = arena.allocate(logits.dtype(), {logits.rows()});
  switch (loss) {
    case Loss::kCrossEntropy: backend.cross_entropy(losses, logits, backend.upload(arena, targets.labels)); break;
    case Loss::kBce: backend.bce_with_logits(losses, logits, values_on_device(backend, arena, targets)); break;
    case Loss::kMse: backend.mse(losses, logits, values_on_device(backend, arena, targets)); break;
  }
  return losses;
}

Tensor loss_backward(Backend& backend, Arena& arena, Loss loss, const Tensor& logits, const Targets& targets, double scale) {
  const Tensor dlogits = arena.allocate(logits.dtype(), logits.shape());
  switch (loss) {
    case Loss::kCrossEntropy: backend.cross_entropy_backward(dlogits, logits, backend.upload(arena, targets.labels), scale); break;
    case Loss::kBce: backend.bce_with_logits_backward(dlogits, logits, values_on_device(backend, arena, targets), scale); break;
    case Loss::kMse: backend.mse_backward(dlogits, logits, values_on_device(backend, arena, targets), scale); break;
  }
  return dlogits;
}

}  // namespace minbert
