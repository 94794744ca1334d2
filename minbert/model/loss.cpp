// Losses: each function uploads the targets and calls the backend's op.
#include "minbert/model/loss.h"

namespace minbert {
namespace {

/// The values (B, K) of the host; empty without any.
Tensor on_device(Backend& backend, Arena& arena, std::span<const float> values, const Tensor& logits) {
  if (values.empty()) return {};
  MINBERT_CHECK(std::ssize(values) == logits.numel(), "{} targets for {}", values.size(), logits.describe());
  const Tensor out = arena.allocate(DType::kF32, logits.shape());
  backend.copy_to_device(out, values.data());
  return out;
}

double sharpness(const Targets& targets) { return 20 / targets.range; }

LogitLink link_of(Loss loss) { return loss == Loss::kBce ? LogitLink::kSigmoid : LogitLink::kSoftmax; }

}  // namespace

Tensor loss_forward(Backend& backend, Arena& arena, Loss loss, const Tensor& logits, const Targets& targets) {
  const Tensor losses = arena.allocate(logits.dtype(), {logits.rows()});
  const Tensor values = on_device(backend, arena, targets.values, logits), weights = on_device(backend, arena, targets.weights, logits);
  switch (loss) {
    case Loss::kCrossEntropy:
      if (values)
        backend.soft_cross_entropy(losses, logits, values);
      else
        backend.cross_entropy(losses, logits, backend.upload(arena, targets.labels));
      break;
    case Loss::kBce: backend.bce_with_logits(losses, logits, values, weights); break;
    case Loss::kMse: backend.mse(losses, logits, values); break;
    case Loss::kPearson: backend.pearson_loss(losses, logits, values); break;
    case Loss::kCosent: backend.cosent(losses, logits, values, sharpness(targets)); break;
  }
  return losses;
}

Tensor loss_backward(Backend& backend, Arena& arena, Loss loss, const Tensor& logits, const Targets& targets, double scale) {
  const Tensor dlogits = arena.allocate(logits.dtype(), logits.shape());
  const Tensor values = on_device(backend, arena, targets.values, logits), weights = on_device(backend, arena, targets.weights, logits);
  switch (loss) {
    case Loss::kCrossEntropy:
      if (values)
        backend.soft_cross_entropy_backward(dlogits, logits, values, scale);
      else
        backend.cross_entropy_backward(dlogits, logits, backend.upload(arena, targets.labels), scale);
      break;
    case Loss::kBce: backend.bce_with_logits_backward(dlogits, logits, values, weights, scale); break;
    case Loss::kMse: backend.mse_backward(dlogits, logits, values, scale); break;
    case Loss::kPearson: backend.pearson_loss_backward(dlogits, logits, values, scale); break;
    case Loss::kCosent: backend.cosent_backward(dlogits, logits, values, sharpness(targets), scale); break;
  }
  return dlogits;
}

Tensor disagreement_forward(Backend& backend, Arena& arena, Loss loss, const Tensor& a, const Tensor& b) {
  const Tensor losses = arena.allocate(a.dtype(), {a.rows()});
  if (predicts_numbers(loss))
    backend.mse(losses, a, b);
  else
    backend.symmetric_kl(losses, a, b, link_of(loss));
  return losses;
}

void disagreement_backward(Backend& backend, Arena& arena, Loss loss, Tensor da, Tensor db, const Tensor& a, const Tensor& b,
                           double scale) {
  const Tensor to_a = arena.allocate(a.dtype(), a.shape()), to_b = arena.allocate(b.dtype(), b.shape());
  if (predicts_numbers(loss)) {
    backend.mse_backward(to_a, a, b, scale);
    backend.mse_backward(to_b, b, a, scale);
  } else {
    backend.symmetric_kl_backward(to_a, to_b, a, b, link_of(loss), scale);
  }
  backend.add(da, da, to_a);
  backend.add(db, db, to_b);
}

}  // namespace minbert
