// RemoteBackend: every op translates its arguments and calls the backend behind it.
#include "tests/ops/remote_backend.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace minbert {
namespace {

/// A bit that no address of a process has: x86-64 and AArch64 fault on it.
constexpr std::uintptr_t kRemote = std::uintptr_t{1} << 50;

bool is_remote(const void* address) { return (reinterpret_cast<std::uintptr_t>(address) & kRemote) != 0; }

template <class T>
T* flipped(T* address) {
  return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(address) ^ kRemote);
}

/// The tensor with its address changed from local to remote, or back.
Tensor flipped(const Tensor& x) {
  if (!x) return x;
  if (x.contiguous()) return Tensor(flipped(x.raw()), x.dtype(), x.shape());
  return Tensor(flipped(x.raw()), x.dtype(), {x.rows(), x.row_stride()}).slice_cols(0, x.cols());
}

Tensor local(const Tensor& x) {
  MINBERT_CHECK(!x || is_remote(x.raw()), "an op was given {} in host memory", x.describe());
  return flipped(x);
}

/// A view of the uploaded list alone, so that no op reads the list of the host.
template <class T>
IndexView<T> local(const IndexView<T>& list) {
  if (list.host.empty()) return {};
  MINBERT_CHECK(is_remote(list.device), "a list of {} was not uploaded", list.host.size());
  const T* const values = flipped(list.device);
  return {{values, list.host.size()}, values};
}

AttentionShape local(AttentionShape shape) {
  shape.q_offsets = local(shape.q_offsets);
  shape.k_offsets = local(shape.k_offsets);
  shape.q_rows = local(shape.q_rows);
  return shape;
}

PreparedWeight local(PreparedWeight weight) {
  weight.master = local(weight.master);
  weight.value = local(weight.value);
  return weight;
}

class RemoteBackend final : public Backend {
 public:
  explicit RemoteBackend(std::unique_ptr<Backend> host) : host_(std::move(host)) {}

  std::string_view name() const override { return host_->name(); }
  std::string description() const override { return host_->description() + ", in memory that the host cannot read"; }
  bool supports_bf16() const override { return host_->supports_bf16(); }
  bool supports_int8() const override { return host_->supports_int8(); }
  std::unique_ptr<Backend> sibling() const override { return make_remote_backend(host_->sibling()); }

  void* allocate(std::size_t bytes) override { return flipped(host_->allocate(bytes)); }
  void release(void* data, std::size_t bytes) override { host_->release(flipped(data), bytes); }
  void copy_to_device(Tensor dst, const void* src) override {
    MINBERT_CHECK(!is_remote(src), "copy_to_device from a device");
    host_->copy_to_device(local(dst), src);
  }
  void copy_to_host(void* dst, const Tensor& src) override {
    MINBERT_CHECK(!is_remote(dst), "copy_to_host to a device");
    host_->copy_to_host(dst, local(src));
  }
  void copy(Tensor dst, const Tensor& src) override {
    run("copy", {dst}, [&] { host_->copy(local(dst), local(src)); });
  }
  void zero(Tensor x) override {
    run("zero", {x}, [&] { host_->zero(local(x)); });
  }
  void cast(Tensor out, const Tensor& x) override {
    run("cast", {out}, [&] { host_->cast(local(out), local(x)); });
  }
  void synchronize() override { host_->synchronize(); }

  PreparedWeight prepare(const Tensor& master, DType compute, WeightUse use, const std::uint64_t* clock, Tensor copy) override {
    PreparedWeight weight = host_->prepare(local(master), compute, use, clock, local(copy));
    weight.master = flipped(weight.master);
    weight.value = flipped(weight.value);
    return weight;
  }
  void refresh(PreparedWeight& weight) override {
    PreparedWeight own = local(weight);
    host_->refresh(own);
    weight.version = own.version;
  }

  void linear(Tensor out, const Tensor& x, const PreparedWeight& w, const Tensor& bias) override {
    run("linear", {out}, [&] { host_->linear(local(out), local(x), local(w), local(bias)); });
  }
  void linear_backward_input(Tensor dx, const Tensor& dy, const PreparedWeight& w) override {
    run("linear_backward_input", {dx}, [&] { host_->linear_backward_input(local(dx), local(dy), local(w)); });
  }
  void linear_backward_params(Tensor dw, Tensor dbias, const Tensor& x, const Tensor& dy) override {
    run("linear_backward_params", {dw, dbias}, [&] { host_->linear_backward_params(local(dw), local(dbias), local(x), local(dy)); });
  }

  void activation(Tensor out, const Tensor& x, Activation kind) override {
    run("activation", {out}, [&] { host_->activation(local(out), local(x), kind); });
  }
  void activation_backward(Tensor dx, const Tensor& dy, const Tensor& x, Activation kind) override {
    run("activation_backward", {dx}, [&] { host_->activation_backward(local(dx), local(dy), local(x), kind); });
  }
  void dropout(Tensor out, const Tensor& x, RowIds rows, const Dropout& d) override {
    run("dropout", {out}, [&] { host_->dropout(local(out), local(x), local(rows), d); });
  }
  void add(Tensor out, const Tensor& a, const Tensor& b) override {
    run("add", {out}, [&] { host_->add(local(out), local(a), local(b)); });
  }
  void affine(Tensor out, const Tensor& x, double scale, double shift) override {
    run("affine", {out}, [&] { host_->affine(local(out), local(x), scale, shift); });
  }

  void linear_activation(Tensor out, Tensor pre, const Tensor& x, const PreparedWeight& w, const Tensor& bias, Activation kind) override {
    run("linear_activation", {out, pre}, [&] { host_->linear_activation(local(out), local(pre), local(x), local(w), local(bias), kind); });
  }
  void dropout_add_layernorm(Tensor out, Tensor sum, Tensor stats, const Tensor& x, const Tensor& residual, const Tensor& gamma,
                             const Tensor& beta, double eps, RowIds rows, const Dropout& d) override {
    run("dropout_add_layernorm", {out, sum, stats}, [&] {
      host_->dropout_add_layernorm(local(out), local(sum), local(stats), local(x), local(residual), local(gamma), local(beta), eps,
                                   local(rows), d);
    });
  }
  void dropout_add_layernorm_backward(Tensor dx, Tensor dresidual, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& sum,
                                      const Tensor& stats, const Tensor& gamma, RowIds rows, const Dropout& d) override {
    run("dropout_add_layernorm_backward", {dx, dresidual, dgamma, dbeta}, [&] {
      host_->dropout_add_layernorm_backward(local(dx), local(dresidual), local(dgamma), local(dbeta), local(dy), local(sum), local(stats),
                                            local(gamma), local(rows), d);
    });
  }

  void layernorm(Tensor out, Tensor stats, const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) override {
    run("layernorm", {out, stats}, [&] { host_->layernorm(local(out), local(stats), local(x), local(gamma), local(beta), eps); });
  }
  void layernorm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& x, const Tensor& stats,
                          const Tensor& gamma) override {
    run("layernorm_backward", {dx, dgamma, dbeta},
        [&] { host_->layernorm_backward(local(dx), local(dgamma), local(dbeta), local(dy), local(x), local(stats), local(gamma)); });
  }

  void embedding(Tensor out, const Tensor& word, const Tensor& position, const Tensor& type, Indices ids, Indices positions,
                 Indices type_ids) override {
    run("embedding", {out},
        [&] { host_->embedding(local(out), local(word), local(position), local(type), local(ids), local(positions), local(type_ids)); });
  }
  void embedding_backward(Tensor dword, Tensor dposition, Tensor dtype, const Tensor& dy, Indices ids, Indices positions,
                          Indices type_ids) override {
    run("embedding_backward", {dword, dposition, dtype}, [&] {
      host_->embedding_backward(local(dword), local(dposition), local(dtype), local(dy), local(ids), local(positions), local(type_ids));
    });
  }

  void attention(Tensor out, Tensor saved, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape) override {
    run("attention", {out}, [&] { host_->attention(local(out), local(saved), local(q), local(k), local(v), local(shape)); });
  }
  void attention_backward(Tensor dq, Tensor dk, Tensor dv, const Tensor& dout, const Tensor& saved, const Tensor& q, const Tensor& k,
                          const Tensor& v, const AttentionShape& shape) override {
    run("attention_backward", {dq, dk, dv}, [&] {
      host_->attention_backward(local(dq), local(dk), local(dv), local(dout), local(saved), local(q), local(k), local(v), local(shape));
    });
  }
  /// A size is known on the host, before anything is uploaded.
  std::size_t attention_saved_bytes(const AttentionShape& shape, DType dtype) const override {
    return host_->attention_saved_bytes(shape, dtype);
  }

  void gather_rows(Tensor out, const Tensor& x, Indices rows) override {
    run("gather_rows", {out}, [&] { host_->gather_rows(local(out), local(x), local(rows)); });
  }
  void gather_rows_backward(Tensor dx, const Tensor& dy, Indices rows) override {
    run("gather_rows_backward", {dx}, [&] { host_->gather_rows_backward(local(dx), local(dy), local(rows)); });
  }
  void mean_pool(Tensor out, const Tensor& x, Indices offsets) override {
    run("mean_pool", {out}, [&] { host_->mean_pool(local(out), local(x), local(offsets)); });
  }
  void mean_pool_backward(Tensor dx, const Tensor& dy, Indices offsets) override {
    run("mean_pool_backward", {dx}, [&] { host_->mean_pool_backward(local(dx), local(dy), local(offsets)); });
  }
  void pair_features(Tensor out, const Tensor& u, const Tensor& v, PairTerms terms) override {
    run("pair_features", {out}, [&] { host_->pair_features(local(out), local(u), local(v), terms); });
  }
  void pair_features_backward(Tensor du, Tensor dv, const Tensor& dy, const Tensor& u, const Tensor& v, PairTerms terms) override {
    run("pair_features_backward", {du, dv},
        [&] { host_->pair_features_backward(local(du), local(dv), local(dy), local(u), local(v), terms); });
  }
  void cosine(Tensor out, const Tensor& u, const Tensor& v) override {
    run("cosine", {out}, [&] { host_->cosine(local(out), local(u), local(v)); });
  }
  void cosine_backward(Tensor du, Tensor dv, const Tensor& dy, const Tensor& u, const Tensor& v) override {
    run("cosine_backward", {du, dv}, [&] { host_->cosine_backward(local(du), local(dv), local(dy), local(u), local(v)); });
  }

  void cross_entropy(Tensor losses, const Tensor& logits, Indices labels) override {
    run("cross_entropy", {losses}, [&] { host_->cross_entropy(local(losses), local(logits), local(labels)); });
  }
  void cross_entropy_backward(Tensor dlogits, const Tensor& logits, Indices labels, double scale) override {
    run("cross_entropy_backward", {dlogits}, [&] { host_->cross_entropy_backward(local(dlogits), local(logits), local(labels), scale); });
  }
  void soft_cross_entropy(Tensor losses, const Tensor& logits, const Tensor& targets) override {
    run("soft_cross_entropy", {losses}, [&] { host_->soft_cross_entropy(local(losses), local(logits), local(targets)); });
  }
  void soft_cross_entropy_backward(Tensor dlogits, const Tensor& logits, const Tensor& targets, double scale) override {
    run("soft_cross_entropy_backward", {dlogits},
        [&] { host_->soft_cross_entropy_backward(local(dlogits), local(logits), local(targets), scale); });
  }
  void bce_with_logits(Tensor losses, const Tensor& logits, const Tensor& targets, const Tensor& weights) override {
    run("bce_with_logits", {losses}, [&] { host_->bce_with_logits(local(losses), local(logits), local(targets), local(weights)); });
  }
  void bce_with_logits_backward(Tensor dlogits, const Tensor& logits, const Tensor& targets, const Tensor& weights, double scale) override {
    run("bce_with_logits_backward", {dlogits},
        [&] { host_->bce_with_logits_backward(local(dlogits), local(logits), local(targets), local(weights), scale); });
  }
  void mse(Tensor losses, const Tensor& predictions, const Tensor& targets) override {
    run("mse", {losses}, [&] { host_->mse(local(losses), local(predictions), local(targets)); });
  }
  void mse_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double scale) override {
    run("mse_backward", {dpredictions}, [&] { host_->mse_backward(local(dpredictions), local(predictions), local(targets), scale); });
  }
  void symmetric_kl(Tensor losses, const Tensor& a, const Tensor& b, LogitLink link) override {
    run("symmetric_kl", {losses}, [&] { host_->symmetric_kl(local(losses), local(a), local(b), link); });
  }
  void symmetric_kl_backward(Tensor da, Tensor db, const Tensor& a, const Tensor& b, LogitLink link, double scale) override {
    run("symmetric_kl_backward", {da, db}, [&] { host_->symmetric_kl_backward(local(da), local(db), local(a), local(b), link, scale); });
  }
  void pearson_loss(Tensor losses, const Tensor& predictions, const Tensor& targets) override {
    run("pearson_loss", {losses}, [&] { host_->pearson_loss(local(losses), local(predictions), local(targets)); });
  }
  void pearson_loss_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double scale) override {
    run("pearson_loss_backward", {dpredictions},
        [&] { host_->pearson_loss_backward(local(dpredictions), local(predictions), local(targets), scale); });
  }
  void cosent(Tensor losses, const Tensor& predictions, const Tensor& targets, double sharpness) override {
    run("cosent", {losses}, [&] { host_->cosent(local(losses), local(predictions), local(targets), sharpness); });
  }
  void cosent_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double sharpness, double scale) override {
    run("cosent_backward", {dpredictions},
        [&] { host_->cosent_backward(local(dpredictions), local(predictions), local(targets), sharpness, scale); });
  }
  void contrastive(Tensor losses, const Tensor& u, const Tensor& v, Indices groups, double temperature) override {
    run("contrastive", {losses}, [&] { host_->contrastive(local(losses), local(u), local(v), local(groups), temperature); });
  }
  void contrastive_backward(Tensor du, Tensor dv, const Tensor& u, const Tensor& v, Indices groups, double temperature,
                            double scale) override {
    run("contrastive_backward", {du, dv},
        [&] { host_->contrastive_backward(local(du), local(dv), local(u), local(v), local(groups), temperature, scale); });
  }

  void adamw(std::span<const AdamWSegment> segments, const AdamWOptions& options) override {
    std::vector<AdamWSegment> own(segments.begin(), segments.end());
    for (AdamWSegment& s : own)
      for (Tensor* t : {&s.value, &s.gradient, &s.m, &s.v, &s.copy}) *t = local(*t);
    run("adamw", {}, [&] { host_->adamw(own, options); });
  }
  double squared_norm(std::span<const Tensor> tensors) override {
    std::vector<Tensor> own;
    for (const Tensor& t : tensors) own.push_back(local(t));
    return host_->squared_norm(own);
  }

 private:
  template <class Op>
  void run(std::string_view name, std::initializer_list<Tensor> outputs, const Op& op) {
    const OpScope scope(*this, name, 0, 0, outputs);
    op();
  }

  std::unique_ptr<Backend> host_;
};

}  // namespace

std::unique_ptr<Backend> make_remote_backend(std::unique_ptr<Backend> host) { return std::make_unique<RemoteBackend>(std::move(host)); }

}  // namespace minbert
