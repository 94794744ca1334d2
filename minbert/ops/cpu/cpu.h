// CpuBackend: the class that make_cpu_backend makes. The comments below name the file of each op.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "minbert/ops/backend.h"
#include "minbert/ops/cpu/gemm.h"
#include "minbert/ops/cpu/packed_weight.h"
#include "minbert/ops/cpu/sweep.h"
#include "minbert/ops/shapes.h"

namespace minbert::cpu {

/// Bytes that an op moves when it reads or writes each tensor once, for its OpScope.
inline double bytes_of(std::initializer_list<const Tensor*> tensors) {
  double total = 0;
  for (const Tensor* t : tensors) total += *t ? static_cast<double>(t->bytes()) : 0.0;
  return total;
}

/// Calls body(T()), where T is the element type, float or BFloat16.
template <class Body>
void with_type(DType dtype, const Body& body) {
  MINBERT_CHECK(dtype == DType::kF32 || dtype == DType::kBF16, "the cpu backend computes in f32 and bf16, not {}", dtype_name(dtype));
  if (dtype == DType::kF32) body(float());
  if (dtype == DType::kBF16) body(BFloat16());
}

/// Not thread-safe: it runs one op at a time, each on all threads. Our kernels flush denormals to zero; oneDNN's do not.
class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const BackendOptions& options);
  ~CpuBackend() override;

  std::string_view name() const override { return "cpu"; }
  std::string description() const override;
  bool supports_bf16() const override { return supports_bf16_; }
  bool supports_int8() const override { return gemm_.supports_int8(); }
  std::unique_ptr<Backend> sibling() const override { return std::make_unique<CpuBackend>(options_); }

  // cpu_backend.cpp
  void* allocate(std::size_t bytes) override { return memory_.allocate(bytes); }
  void release(void* data, std::size_t bytes) override { memory_.release(data, bytes); }
  void copy_to_device(Tensor dst, const void* src) override;
  void copy_to_host(void* dst, const Tensor& src) override;
  void copy(Tensor dst, const Tensor& src) override;
  void zero(Tensor x) override;
  void synchronize() override {}

  // linear.cpp
  PreparedWeight prepare(const Tensor& master, DType compute, WeightUse use, const std::uint64_t* clock, Tensor copy) override;
  void refresh(PreparedWeight& weight) override;
  void linear(Tensor out, const Tensor& x, const PreparedWeight& w, const Tensor& bias) override;
  void linear_backward_input(Tensor dx, const Tensor& dy, const PreparedWeight& w) override;
  void linear_backward_params(Tensor dw, Tensor dbias, const Tensor& x, const Tensor& dy) override;

  // int8.cpp
  void linear_activation(Tensor out, Tensor pre, const Tensor& x, const PreparedWeight& w, const Tensor& bias, Activation kind) override;

  // elementwise.cpp
  void cast(Tensor out, const Tensor& x) override;
  void activation(Tensor out, const Tensor& x, Activation kind) override;
  void activation_backward(Tensor dx, const Tensor& dy, const Tensor& x, Activation kind) override;
  void dropout(Tensor out, const Tensor& x, RowIds rows, const Dropout& dropout) override;
  void add(Tensor out, const Tensor& a, const Tensor& b) override;
  void affine(Tensor out, const Tensor& x, double scale, double shift) override;

  // layernorm.cpp
  void layernorm(Tensor out, Tensor stats, const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) override;
  void layernorm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& x, const Tensor& stats,
                          const Tensor& gamma) override;
  void dropout_add_layernorm(Tensor out, Tensor sum, Tensor stats, const Tensor& x, const Tensor& residual, const Tensor& gamma,
                             const Tensor& beta, double eps, RowIds rows, const Dropout& dropout) override;
  void dropout_add_layernorm_backward(Tensor dx, Tensor dresidual, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& sum,
                                      const Tensor& stats, const Tensor& gamma, RowIds rows, const Dropout& dropout) override;

  // embedding.cpp
  void embedding(Tensor out, const Tensor& word, const Tensor& position, const Tensor& type, Indices ids, Indices positions,
                 Indices type_ids) override;
  void embedding_backward(Tensor dword, Tensor dposition, Tensor dtype, const Tensor& dy, Indices ids, Indices positions,
                          Indices type_ids) override;

  // attention.cpp
  void attention(Tensor out, Tensor saved, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape) override;
  void attention_backward(Tensor dq, Tensor dk, Tensor dv, const Tensor& dout, const Tensor& saved, const Tensor& q, const Tensor& k,
                          const Tensor& v, const AttentionShape& shape) override;
  std::size_t attention_saved_bytes(const AttentionShape& shape, DType dtype) const override;

  // pooling.cpp
  void gather_rows(Tensor out, const Tensor& x, Indices rows) override;
  void gather_rows_backward(Tensor dx, const Tensor& dy, Indices rows) override;
  void mean_pool(Tensor out, const Tensor& x, Indices offsets) override;
  void mean_pool_backward(Tensor dx, const Tensor& dy, Indices offsets) override;
  void pair_features(Tensor out, const Tensor& u, const Tensor& v, PairTerms terms) override;
  void pair_features_backward(Tensor du, Tensor dv, const Tensor& dy, const Tensor& u, const Tensor& v, PairTerms terms) override;
  void cosine(Tensor out, const Tensor& u, const Tensor& v) override;
  void cosine_backward(Tensor du, Tensor dv, const Tensor& dy, const Tensor& u, const Tensor& v) override;

  // loss.cpp
  void cross_entropy(Tensor losses, const Tensor& logits, Indices labels) override;
  void cross_entropy_backward(Tensor dlogits, const Tensor& logits, Indices labels, double scale) override;
  void soft_cross_entropy(Tensor losses, const Tensor& logits, const Tensor& targets) override;
  void soft_cross_entropy_backward(Tensor dlogits, const Tensor& logits, const Tensor& targets, double scale) override;
  void bce_with_logits(Tensor losses, const Tensor& logits, const Tensor& targets, const Tensor& weights) override;
  void bce_with_logits_backward(Tensor dlogits, const Tensor& logits, const Tensor& targets, const Tensor& weights, double scale) override;
  void mse(Tensor losses, const Tensor& predictions, const Tensor& targets) override;
  void mse_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double scale) override;
  void symmetric_kl(Tensor losses, const Tensor& a, const Tensor& b, LogitLink link) override;
  void symmetric_kl_backward(Tensor da, Tensor db, const Tensor& a, const Tensor& b, LogitLink link, double scale) override;

  // batch_loss.cpp
  void pearson_loss(Tensor losses, const Tensor& predictions, const Tensor& targets) override;
  void pearson_loss_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double scale) override;
  void cosent(Tensor losses, const Tensor& predictions, const Tensor& targets, double sharpness) override;
  void cosent_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double sharpness, double scale) override;
  void contrastive(Tensor losses, const Tensor& u, const Tensor& v, Indices groups, double temperature) override;
  void contrastive_backward(Tensor du, Tensor dv, const Tensor& u, const Tensor& v, Indices groups, double temperature,
                            double scale) override;

  // adamw.cpp
  void adamw(std::span<const AdamWSegment> segments, const AdamWOptions& options) override;
  void adamw_idle(std::span<const AdamWIdle> idle, std::span<const AdamWStep> steps, const AdamWOptions& options) override;
  double squared_norm(std::span<const Tensor> tensors) override;

 private:
  const void* upload_bytes(Arena&, std::span<const std::byte> host) override { return host.data(); }
  void copy_elements(const Tensor& dst, const Tensor& src);
  /// linear, followed by the activation unless `kind` is null.
  void checked_linear(Tensor out, const Tensor& x, const PreparedWeight& w, const Tensor& bias, const Activation* kind);
  void int8_linear(Tensor out, const Tensor& x, const CpuPackedWeight& w, const Tensor& bias, const Activation* kind);

  BackendOptions options_;
  HostMemory memory_;
  Gemm gemm_;
  Scratch scratch_;
  bool supports_bf16_ = false;
};

}  // namespace minbert::cpu
