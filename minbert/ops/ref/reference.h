// RefBackend: the class behind make_ref_backend. Its ops are defined by family, one file each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "minbert/ops/backend.h"
#include "minbert/ops/ref/matrix.h"
#include "minbert/ops/ref/scalar.h"
#include "minbert/ops/shapes.h"

namespace minbert::ref {

/// The product of whole numbers as a double, for counts of operations.
template <class... Factors>
double product(Factors... factors) {
  return (1.0 * ... * static_cast<double>(factors));
}
/// Bytes of all tensors that are not absent.
double bytes_of(std::initializer_list<Tensor> tensors);

/// x with each row rounded as 8-bit products round it (Int8Range).
enum class Int8Rows : std::uint8_t { kInput, kWeight };
Matrix<double> round_rows(Matrix<double> x, Int8Rows which);

class RefBackend final : public Backend {
 public:
  std::string_view name() const override { return "ref"; }
  std::string description() const override { return "plain loops, sums in double"; }
  bool supports_bf16() const override { return true; }
  bool supports_int8() const override { return true; }
  std::unique_ptr<Backend> sibling() const override { return std::make_unique<RefBackend>(); }

  // memory and weights (ref_backend.cpp)
  void* allocate(std::size_t bytes) override { return memory_.allocate(bytes); }
  void release(void* data, std::size_t bytes) override { memory_.release(data, bytes); }
  void copy_to_device(Tensor dst, const void* src) override;
  void copy_to_host(void* dst, const Tensor& src) override;
  void copy(Tensor dst, const Tensor& src) override;
  void zero(Tensor x) override;
  void cast(Tensor out, const Tensor& x) override;
  void synchronize() override {}
  PreparedWeight prepare(const Tensor& master, DType compute, WeightUse use, const std::uint64_t* clock, Tensor copy) override;
  void refresh(PreparedWeight& weight) override;

  // linear.cpp
  void linear(Tensor out, const Tensor& x, const PreparedWeight& w, const Tensor& bias) override;
  void linear_backward_input(Tensor dx, const Tensor& dy, const PreparedWeight& w) override;
  void linear_backward_params(Tensor dw, Tensor dbias, const Tensor& x, const Tensor& dy) override;

  // elementwise.cpp
  void activation(Tensor out, const Tensor& x, Activation kind) override;
  void activation_backward(Tensor dx, const Tensor& dy, const Tensor& x, Activation kind) override;
  void dropout(Tensor out, const Tensor& x, RowIds rows, const Dropout& dropout) override;
  void add(Tensor out, const Tensor& a, const Tensor& b) override;
  void affine(Tensor out, const Tensor& x, double scale, double shift) override;

  // layernorm.cpp
  void layernorm(Tensor out, Tensor stats, const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) override;
  void layernorm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& x, const Tensor& stats,
                          const Tensor& gamma) override;

  // embedding.cpp
  void embedding(Tensor out, const Tensor& word, const Tensor& position, const Tensor& type, Indices ids, Indices positions,
                 Indices type_ids) override;
  void embedding_backward(Tensor dword, Tensor dposition, Tensor dtype, const Tensor& dy, Indices ids, Indices positions,
                          Indices type_ids) override;
  void gather_rows(Tensor out, const Tensor& x, Indices rows) override;
  void gather_rows_backward(Tensor dx, const Tensor& dy, Indices rows) override;

  // attention.cpp
  void attention(Tensor out, Tensor saved, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape) override;
  void attention_backward(Tensor dq, Tensor dk, Tensor dv, const Tensor& dout, const Tensor& saved, const Tensor& q, const Tensor& k,
                          const Tensor& v, const AttentionShape& shape) override;
  std::size_t attention_saved_bytes(const AttentionShape& shape, DType dtype) const override;

  // pooling.cpp
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
  double squared_norm(std::span<const Tensor> tensors) override;

 private:
  const void* upload_bytes(Arena&, std::span<const std::byte> host) override { return host.data(); }

  HostMemory memory_;
};

}  // namespace minbert::ref
