// Comparison, guards and the complex-step check.
#include "tests/testing.h"

#include <algorithm>
#include <cmath>
#include <complex>

namespace minbert {
namespace {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;
using Complex = std::complex<double>;

// Passes, or names the element that exceeds its tolerance by the largest factor; NaN counts as the largest.
AssertionResult all_within(std::span<const double> actual, std::span<const double> expected, Tolerance t, std::string_view what) {
  std::size_t failures = 0, worst = 0;
  double worst_excess = -1;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double error = std::fabs(actual[i] - expected[i]), allowed = t.abs + t.rel * std::fabs(expected[i]);
    if (error <= allowed) continue;
    ++failures;
    const double excess = std::isnan(error) ? INFINITY : error / allowed;
    if (excess > worst_excess) worst = i, worst_excess = excess;
  }
  if (failures == 0) return AssertionSuccess();
  return AssertionFailure() << fmt::format(
             "{}: {} of {} elements differ; at {}: got {:.9g}, expected {:.9g}, {:.3g} times (abs {}, rel {})", what, failures,
             actual.size(), worst, actual[worst], expected[worst], worst_excess, t.abs, t.rel);
}

double widen(BFloat16 x) { return static_cast<float>(x); }
double widen(double x) { return x; }

template <class T>
T narrow(double x) {
  if constexpr (std::is_same_v<T, BFloat16>)
    return BFloat16(static_cast<float>(x));
  else
    return static_cast<T>(x);
}

// Calls body(row, first) for each row of x: a typed pointer, and the index of its first element.
template <class Body>
void for_each_row(const Tensor& x, const Body& body) {
  const auto rows = [&]<class T>(T* first) {
    for (std::int64_t r = 0; r < x.rows(); ++r) body(first + r * x.row_stride(), r * x.cols());
  };
  switch (x.dtype()) {
    case DType::kF32: return rows(x.data<float>());
    case DType::kBF16: return rows(x.data<BFloat16>());
    case DType::kF64: return rows(x.data<double>());
    default: MINBERT_CHECK(false, "{} does not hold real numbers", x.describe());
  }
}

}  // namespace

AssertionResult compare(std::span<const double> actual, std::span<const double> expected, Tolerance t, std::string_view what) {
  if (actual.size() != expected.size())
    return AssertionFailure() << fmt::format("{}: {} elements, expected {}", what, actual.size(), expected.size());
  if (const auto result = all_within(actual, expected, t, what); !result || actual.empty()) return result;

  double magnitude = 0;
  for (const double x : expected) magnitude = std::max(magnitude, std::fabs(x));
  const std::size_t middle = actual.size() / 2;
  std::vector<double> spoiled(actual.begin(), actual.end());
  for (const double error : {magnitude > 0 ? magnitude / 8 : 1.0, static_cast<double>(NAN)}) {
    spoiled[middle] = actual[middle] + error;
    if (all_within(spoiled, expected, t, what))
      return AssertionFailure() << fmt::format("{}: blind tolerance (abs {}, rel {}): {:.3g} passes for {:.3g}", what, t.abs, t.rel,
                                               spoiled[middle], expected[middle]);
  }
  return AssertionSuccess();
}

AssertionResult compare(const Tensor& actual, const Tensor& expected, Tolerance t, std::string_view what) {
  if (actual.rows() != expected.rows() || actual.cols() != expected.cols())
    return AssertionFailure() << fmt::format("{}: {}, expected {}", what, actual.describe(), expected.describe());
  if (actual.numel() > 0 && actual.raw() == expected.raw()) return AssertionFailure() << what << ": compared with itself";
  return compare(to_doubles(actual), to_doubles(expected), t, what);
}

std::vector<double> to_doubles(const Tensor& x) {
  std::vector<double> values(static_cast<std::size_t>(x.numel()));
  for_each_row(x, [&](const auto* row, std::int64_t first) {
    for (std::int64_t c = 0; c < x.cols(); ++c) values[first + c] = widen(row[c]);
  });
  return values;
}

double round_to(DType dtype, double x) {
  switch (dtype) {
    case DType::kF32: return static_cast<float>(x);
    case DType::kBF16: return widen(narrow<BFloat16>(x));
    default: return x;
  }
}

std::vector<double> normal_values(Rng& rng, std::int64_t count, double scale) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = scale * rng.normal();
  return values;
}

namespace {

constexpr std::size_t kGuardBytes = 256;

// Bytes from the start of the first element to the end of the last.
std::size_t extent_bytes(const Tensor& x) {
  if (x.numel() == 0) return 0;
  return static_cast<std::size_t>((x.rows() - 1) * x.row_stride() + x.cols()) * dtype_size(x.dtype());
}

Tensor strided(void* data, DType dtype, std::span<const std::int64_t> shape, std::int64_t gap) {
  if (gap == 0) return Tensor(data, dtype, shape);
  MINBERT_CHECK(shape.size() == 2, "a gap of {} needs a matrix", gap);
  return Tensor(data, dtype, {shape[0], shape[1] + gap}).slice_cols(0, shape[1]);
}

}  // namespace

GuardedTensor::GuardedTensor(Backend& backend, DType dtype, std::span<const std::int64_t> shape, std::int64_t gap)
    : backend_(&backend), offset_(kGuardBytes + (dtype == DType::kU8 ? 0 : dtype_size(dtype))) {
  // The size is that of a view that is never read.
  std::byte anywhere{};
  image_.assign(offset_ + extent_bytes(strided(&anywhere, dtype, shape, gap)) + kGuardBytes, std::byte{0xff});
  block_ = backend.allocate(image_.size());
  tensor_ = strided(static_cast<std::byte*>(block_) + offset_, dtype, shape, gap);
  backend.copy_to_device(whole_block(), image_.data());
}

GuardedTensor::~GuardedTensor() { backend_->release(block_, image_.size()); }

Tensor GuardedTensor::whole_block() const { return Tensor(block_, DType::kU8, {static_cast<std::int64_t>(image_.size())}); }

Tensor GuardedTensor::elements_of(std::vector<std::byte>& image) const {
  return strided(image.data() + offset_, tensor_.dtype(), tensor_.shape(), tensor_.row_stride() - tensor_.cols());
}

std::vector<double> download(Backend& from, const Tensor& x) {
  std::vector<std::byte> host(x.bytes());
  from.synchronize();
  from.copy_to_host(host.data(), x);
  return to_doubles(Tensor(host.data(), x.dtype(), x.shape()));
}

std::vector<std::byte> GuardedTensor::download() const {
  std::vector<std::byte> image(image_.size());
  backend_->synchronize();
  backend_->copy_to_host(image.data(), whole_block());
  return image;
}

void GuardedTensor::set(std::span<const double> values) {
  MINBERT_CHECK(std::ssize(values) == tensor_.numel(), "{} values for {}", values.size(), tensor_.describe());
  for_each_row(elements_of(image_), [&]<class T>(T* row, std::int64_t first) {
    for (std::int64_t c = 0; c < tensor_.cols(); ++c) row[c] = narrow<T>(values[first + c]);
  });
  backend_->copy_to_device(whole_block(), image_.data());
}

std::vector<double> GuardedTensor::values() const {
  std::vector<std::byte> image = download();
  return to_doubles(elements_of(image));
}

AssertionResult GuardedTensor::untouched(bool elements_too) const {
  std::vector<std::byte> now = download();
  if (!elements_too) {
    const std::size_t row_bytes = static_cast<std::size_t>(tensor_.cols()) * dtype_size(tensor_.dtype());
    const std::size_t stride_bytes = static_cast<std::size_t>(tensor_.row_stride()) * dtype_size(tensor_.dtype());
    for (std::size_t r = 0; r < static_cast<std::size_t>(tensor_.rows()); ++r) {
      const auto at = static_cast<std::ptrdiff_t>(offset_ + r * stride_bytes);
      std::copy_n(image_.begin() + at, row_bytes, now.begin() + at);
    }
  }
  const auto [was, is] = std::mismatch(image_.begin(), image_.end(), now.begin());
  if (was == image_.end()) return AssertionSuccess();
  return AssertionFailure() << fmt::format("{}: byte {} from its first element was overwritten", tensor_.describe(),
                                           was - image_.begin() - static_cast<std::ptrdiff_t>(offset_));
}

namespace {

std::int64_t count(std::span<const std::int64_t> shape) {
  std::int64_t n = 1;
  for (const std::int64_t d : shape) n *= d;
  return n;
}

// One point of a grad_check: input values and a cotangent.
class GradPoint {
 public:
  GradPoint(Backend& backend, const GradCase& c, double scale, std::uint64_t seed) : backend_(&backend), case_(&c), arena_(backend) {
    Rng rng(seed, "grad_check");
    for (const GradInput& input : c.inputs) values_.push_back(normal_values(rng, count(input.shape), scale * input.scale));
    cotangent_ = normal_values(rng, count(c.output_shape));
    start_ = rng.normal();
  }

  /// The derivative of cotangent times output with respect to element e of input i.
  double complex_step(std::size_t i, std::size_t e) {
    constexpr double kStep = 1e-50;
    arena_.reset();
    std::vector<Tensor> inputs = upload_inputs<Complex>();
    std::vector<Complex> stepped(values_[i].begin(), values_[i].end());
    stepped[e] += Complex(0, kStep);
    backend_->copy_to_device(inputs[i], stepped.data());
    const Tensor out = arena_.allocate(DType::kC128, case_->output_shape);
    case_->forward(arena_, inputs, out);
    std::vector<Complex> result(cotangent_.size());
    backend_->copy_to_host(result.data(), out);
    double sum = 0;
    for (std::size_t o = 0; o < result.size(); ++o) sum += cotangent_[o] * result[o].imag();
    return sum / kStep;
  }

  /// The gradients of all inputs. Those that accumulate start at a known value, the others at NaN.
  std::vector<std::vector<double>> backward() {
    arena_.reset();
    const std::vector<Tensor> inputs = upload_inputs<double>();
    std::vector<Tensor> gradients;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const double start = case_->inputs[i].accumulates ? start_ : NAN;
      gradients.push_back(upload<double>(case_->inputs[i].shape, std::vector(values_[i].size(), start)));
    }
    case_->backward(arena_, gradients, upload<double>(case_->output_shape, cotangent_), inputs);
    std::vector<std::vector<double>> result;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      result.emplace_back(values_[i].size());
      backend_->copy_to_host(result[i].data(), gradients[i]);
      if (case_->inputs[i].accumulates)
        for (double& gradient : result[i]) gradient -= start_;
    }
    return result;
  }

 private:
  template <class S>
  Tensor upload(std::span<const std::int64_t> shape, const std::vector<double>& values) {
    const Tensor tensor = arena_.allocate(dtype_of<S>(), shape);
    const std::vector<S> converted(values.begin(), values.end());
    backend_->copy_to_device(tensor, converted.data());
    return tensor;
  }

  template <class S>
  std::vector<Tensor> upload_inputs() {
    std::vector<Tensor> inputs;
    for (std::size_t i = 0; i < values_.size(); ++i) inputs.push_back(upload<S>(case_->inputs[i].shape, values_[i]));
    return inputs;
  }

  Backend* backend_;
  const GradCase* case_;
  Arena arena_;
  std::vector<std::vector<double>> values_;
  std::vector<double> cotangent_;
  double start_;
};

}  // namespace

void grad_check(Backend& backend, const GradCase& c, std::uint64_t seed) {
  for (int exponent = -2; exponent <= 3; ++exponent) {
    SCOPED_TRACE(fmt::format("seed {}, inputs of scale 2^{}", seed, exponent));
    GradPoint point(backend, c, std::ldexp(1, exponent), seed + static_cast<std::uint64_t>(exponent + 2));
    const auto gradients = point.backward();
    for (std::size_t i = 0; i < c.inputs.size(); ++i) {
      std::vector<double> expected(gradients[i].size());
      double largest = 0;
      for (std::size_t e = 0; e < expected.size(); ++e) {
        expected[e] = point.complex_step(i, e);
        largest = std::max(largest, std::fabs(expected[e]));
      }
      // Rounding of doubles, in sums of a few hundred terms as large as the largest gradient.
      EXPECT_TRUE(compare(gradients[i], expected, {1e-12 + 1e-11 * largest, 1e-10}, "gradient of " + c.inputs[i].name));
    }
  }
}

}  // namespace minbert
