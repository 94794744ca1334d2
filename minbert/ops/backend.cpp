// What all backends share: dropout's definition, default bodies of fused ops, profiling.
#include "minbert/ops/backend.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <utility>

#include "minbert/base/rng.h"

namespace minbert {
namespace {

double now_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Calls fn(value) for each element of a dense tensor of real numbers in host memory; for other dtypes does nothing.
template <class Fn>
void for_values(const Tensor& x, const Fn& fn) {
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    if (x.dtype() == DType::kF32) fn(static_cast<double>(x.data<float>()[i]));
    if (x.dtype() == DType::kBF16) fn(static_cast<double>(static_cast<float>(x.data<BFloat16>()[i])));
    if (x.dtype() == DType::kF64) fn(x.data<double>()[i]);
  }
}

bool all_finite(const Tensor& x) {
  bool finite = true;
  for_values(x, [&](double value) { finite = finite && std::isfinite(value); });
  return finite;
}

std::string statistics(const Tensor& x) {
  double least = INFINITY, most = -INFINITY, sum = 0, squares = 0, count = 0;
  for_values(x, [&](double value) {
    least = std::min(least, value);
    most = std::max(most, value);
    sum += value;
    squares += value * value;
    ++count;
  });
  return count == 0 ? x.describe()
                    : fmt::format("{}: {:.4g} to {:.4g}, mean {:.4g}, rms {:.4g}", x.describe(), least, most, sum / count,
                                  std::sqrt(squares / count));
}

}  // namespace

std::uint32_t dropout_threshold(float p) { return static_cast<std::uint32_t>(std::lround(static_cast<double>(p) * 65536.0)); }

float dropout_scale(float p) {
  const double threshold = dropout_threshold(p);
  return threshold >= 65536.0 ? 0.0f : static_cast<float>(65536.0 / (65536.0 - threshold));
}

float dropout_factor(const Dropout& d, RowId row, std::uint32_t head, std::uint32_t i) {
  if (!d) return 1;
  const auto words = philox(d.seed, {d.step, d.micro_step | std::uint32_t{row.pass} << 12 | std::uint32_t{d.site} << 16,
                                     row.row | head << 24, row.position | (i / 8) << 16});
  const std::uint32_t lane = i % 8;
  const std::uint32_t bits = words[lane / 2] >> (16 * (lane % 2)) & 0xffffu;
  return bits < dropout_threshold(d.p) ? 0.0f : dropout_scale(d.p);
}

AdamWStep adamw_step(const AdamWOptions& options, float lr, std::int64_t t) {
  MINBERT_CHECK(t >= 1, "adamw: step {}", t);
  const auto correction = [t](float beta) { return 1.0 - std::pow(static_cast<double>(beta), static_cast<double>(t)); };
  return {.lr = lr, .correction1 = correction(options.beta1), .correction2 = correction(options.beta2)};
}

void Backend::adamw_idle(std::span<const AdamWIdle> idle, std::span<const AdamWStep> steps, const AdamWOptions& options) {
  std::vector<AdamWSegment> segments;
  for (std::size_t t = 0; t < steps.size(); ++t) {
    segments.clear();
    for (const AdamWIdle& part : idle) {
      if (part.first > t) continue;
      AdamWSegment& segment = segments.emplace_back(part.segment);
      segment.gradient = {};
      segment.step = steps[t];
    }
    adamw(segments, options);
  }
}

Int8Range Int8Range::of_input(float low, float high) {
  const float scale = (high - low) / 255.0f;
  if (scale <= 0) return {};
  const float inverse = 1 / scale;
  return {scale, inverse, static_cast<std::int32_t>(std::nearbyint(-low * inverse))};
}

Int8Range Int8Range::of_weight(float largest) {
  if (largest <= 0) return {};
  const float scale = largest / 127.0f;
  return {scale, 1 / scale, 0};
}

std::int32_t Int8Range::quantize(float x) const { return static_cast<std::int32_t>(std::nearbyint(x * inverse)) + zero; }

PreparedWeight PreparedWeight::slice_rows(std::int64_t begin, std::int64_t end) const {
  MINBERT_CHECK(!packed, "a packed weight has no rows");
  PreparedWeight part = *this;
  part.master = master.slice_rows(begin, end);
  if (value) part.value = value.slice_rows(begin, end);
  return part;
}

Backend::~Backend() = default;

const void* Backend::upload_bytes(Arena& arena, std::span<const std::byte> host) {
  const Tensor copy = arena.allocate(DType::kU8, {std::ssize(host)});
  copy_to_device(copy, host.data());
  return copy.raw();
}

std::vector<float> Backend::to_host(const Tensor& x) {
  MINBERT_CHECK(x.dtype() == DType::kF32, "expected f32, got {}", x.describe());
  std::vector<float> values(static_cast<std::size_t>(x.numel()));
  copy_to_host(values.data(), x);
  return values;
}

void Backend::linear_activation(Tensor out, Tensor pre, const Tensor& x, const PreparedWeight& w, const Tensor& bias, Activation kind) {
  const Tensor& target = pre ? pre : out;
  linear(target, x, w, bias);
  activation(out, target, kind);
}

void Backend::dropout_add_layernorm(Tensor out, Tensor sum, Tensor stats, const Tensor& x, const Tensor& residual, const Tensor& gamma,
                                    const Tensor& beta, double eps, RowIds rows, const Dropout& d) {
  const Tensor& target = sum ? sum : out;
  dropout(target, x, rows, d);
  add(target, target, residual);
  layernorm(out, stats, target, gamma, beta, eps);
}

void Backend::dropout_add_layernorm_backward(Tensor dx, Tensor dresidual, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& sum,
                                             const Tensor& stats, const Tensor& gamma, RowIds rows, const Dropout& d) {
  layernorm_backward(dresidual, dgamma, dbeta, dy, sum, stats, gamma);
  if (dx) dropout(dx, dresidual, rows, d);
}

Backend::OpScope::OpScope(Backend& backend, std::string_view op, double flops, double bytes, std::initializer_list<Tensor> outputs)
    : backend_(&backend), op_(op), flops_(flops), bytes_(bytes), exceptions_(std::uncaught_exceptions()) {
  if (backend_->checking_outputs_ || backend_->show_)
    std::copy(outputs.begin(), outputs.begin() + std::min<std::ptrdiff_t>(4, std::ssize(outputs)), outputs_.begin());
  if (backend_->profiling_) start_ = now_seconds();
}

Backend::OpScope::~OpScope() noexcept(false) {
  if (backend_->profiling_) {
    auto& profile = backend_->profile_;
    auto entry = std::find_if(profile.begin(), profile.end(), [&](const OpProfile& p) { return p.op == op_; });
    if (entry == profile.end()) entry = profile.insert(entry, OpProfile{.op = op_});
    ++entry->calls;
    entry->seconds += now_seconds() - start_;
    entry->flops += flops_;
    entry->bytes += bytes_;
  }
  if (std::uncaught_exceptions() != exceptions_ || !(backend_->show_ || backend_->checking_outputs_)) return;
  for (const Tensor& output : outputs_)
    if (output) look_at(output);
}

void Backend::OpScope::look_at(const Tensor& output) const {
  std::vector<std::byte> bytes(output.bytes());
  const bool profiling = std::exchange(backend_->profiling_, false);  // reading the output is no part of the op
  backend_->synchronize();
  backend_->copy_to_host(bytes.data(), output);
  backend_->profiling_ = profiling;
  const Tensor values(bytes.data(), output.dtype(), output.shape());
  if (backend_->show_) backend_->show_(fmt::format("{} {}", op_, statistics(values)));
  if (backend_->checking_outputs_ && !all_finite(values))
    throw Error(ErrorTag::kDiverged, std::string(op_), fmt::format("NaN or Inf in its output {}", output.describe()));
}

}  // namespace minbert
