// Sentence modules on numbers: pooling of token vectors, and what follows it.
#include "minbert/model/sentence_modules.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "minbert/base/check.h"

namespace minbert {
namespace {

constexpr double kTorchLayerNormEps = 1e-5;  // torch/nn/modules/normalization.py

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }
double softplus_of(double x) { return x > 20 ? x : std::log1p(std::exp(x)); }  // torch's threshold
double elu_of(double x) { return x > 0 ? x : std::expm1(x); }

/// torch/nn/modules/activation.py: classes that work on each number alone.
constexpr std::array<std::pair<std::string_view, ScalarFunction>, 15> kActivationClasses = {{
    {"Identity", [](double x) { return x; }},
    {"Tanh", [](double x) { return std::tanh(x); }},
    {"ReLU", [](double x) { return std::max(x, 0.0); }},
    {"GELU", [](double x) { return x * std::erfc(-x / std::sqrt(2.0)) / 2; }},
    {"SiLU", [](double x) { return x * sigmoid_of(x); }},
    {"Sigmoid", [](double x) { return sigmoid_of(x); }},
    {"LogSigmoid", [](double x) { return -softplus_of(-x); }},
    {"LeakyReLU", [](double x) { return x > 0 ? x : 0.01 * x; }},
    {"ELU", [](double x) { return elu_of(x); }},
    {"SELU", [](double x) { return 1.0507009873554804934193349852946 * (x > 0 ? x : 1.6732632423543772848170429916717 * std::expm1(x)); }},
    {"ReLU6", [](double x) { return std::clamp(x, 0.0, 6.0); }},
    {"Hardtanh", [](double x) { return std::clamp(x, -1.0, 1.0); }},
    {"Softplus", [](double x) { return softplus_of(x); }},
    {"Softsign", [](double x) { return x / (1 + std::abs(x)); }},
    {"Mish", [](double x) { return x * std::tanh(softplus_of(x)); }},
}};

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

std::int64_t width_after(const VectorModule& module, std::int64_t width) {
  if (const auto* dense = std::get_if<DenseModule>(&module)) return dense->outputs;
  if (const auto* truncate = std::get_if<TruncateModule>(&module)) return std::min(width, truncate->width);
  return width;
}

std::string module_text(const VectorModule& module) {
  return std::visit(Overloaded{[](const DenseModule& m) {
                                 return fmt::format("Dense {} -> {} ({}{})", m.inputs, m.outputs, class_name(m.activation),
                                                    m.use_residual ? ", residual" : "");
                               },
                               [](const LayerNormModule&) { return std::string("LayerNorm"); },
                               [](const NormalizeModule&) { return std::string("Normalize"); },
                               [](const DropoutModule&) { return std::string("Dropout"); },
                               [](const TruncateModule& m) { return fmt::format("first {} numbers", m.width); }},
                    module);
}

/// Whether a vector of unit length stays one, or comes out shorter only because it is cut.
bool keeps_direction(const VectorModule& module) {
  return std::holds_alternative<DropoutModule>(module) || std::holds_alternative<TruncateModule>(module);
}

/// The modules at work on vectors that are in host memory between two of them.
class ModuleRun {
 public:
  ModuleRun(Backend& backend, std::vector<float> vectors, std::int64_t width)
      : backend_(backend), arena_(backend), vectors_(std::move(vectors)), width_(width), rows_(std::ssize(vectors_) / width) {}

  void operator()(const DenseModule& module) {
    MINBERT_CHECK(module.inputs == width_, "Dense of width {} on vectors of width {}", module.inputs, width_);
    const Tensor x = upload(vectors_, rows_, width_);
    std::vector<float> out = product(x, module.weight, module.bias, module.outputs);
    const ScalarFunction activation = find_activation(module.activation);
    MINBERT_CHECK(activation != nullptr, "activation {}", module.activation);
    for (float& y : out) y = static_cast<float>(activation(y));
    if (module.use_residual) {
      const std::vector<float> residual = module.residual.empty() ? vectors_ : product(x, module.residual, {}, module.outputs);
      std::transform(out.begin(), out.end(), residual.begin(), out.begin(), std::plus<>());
    }
    vectors_ = std::move(out);
    width_ = module.outputs;
  }

  void operator()(const LayerNormModule& module) {
    const Tensor x = upload(vectors_, rows_, width_);
    backend_.layernorm(x, {}, x, upload(module.weight), upload(module.bias), kTorchLayerNormEps);
    backend_.copy_to_host(vectors_.data(), x);
  }

  void operator()(const NormalizeModule&) {
    for_rows([](std::span<float> row) {
      double sum = 0;
      for (const float x : row) sum += static_cast<double>(x) * x;
      const double scale = 1 / std::max(std::sqrt(sum), kNormFloor);
      for (float& x : row) x = static_cast<float>(x * scale);
    });
  }

  void operator()(const DropoutModule&) {}

  void operator()(const TruncateModule& module) {
    if (module.width >= width_) return;
    std::vector<float> out;
    out.reserve(static_cast<std::size_t>(rows_ * module.width));
    for_rows([&](std::span<float> row) { out.insert(out.end(), row.begin(), row.begin() + module.width); });
    vectors_ = std::move(out);
    width_ = module.width;
  }

  /// Memory on the backend that the last module used becomes free.
  void next() { arena_.reset(); }
  std::vector<float> take() { return std::move(vectors_); }

 private:
  Tensor upload(std::span<const float> values, std::int64_t rows, std::int64_t cols) {
    const Tensor tensor = arena_.allocate(DType::kF32, {rows, cols});
    backend_.copy_to_device(tensor, values.data());
    return tensor;
  }
  Tensor upload(std::span<const float> values) { return upload(values, 1, std::ssize(values)).reshape({std::ssize(values)}); }

  /// (rows, outputs) x w^T + bias.
  std::vector<float> product(const Tensor& x, std::span<const float> weight, std::span<const float> bias, std::int64_t outputs) {
    const std::uint64_t clock = 0;
    const PreparedWeight w = backend_.prepare(upload(weight, outputs, width_), DType::kF32, WeightUse::kTrain, &clock, {});
    const Tensor y = arena_.allocate(DType::kF32, {rows_, outputs});
    backend_.linear(y, x, w, bias.empty() ? Tensor() : upload(bias));
    return backend_.to_host(y);
  }

  template <class F>
  void for_rows(F&& change) {
    for (std::int64_t row = 0; row < rows_; ++row)
      change(std::span(vectors_).subspan(static_cast<std::size_t>(row * width_), static_cast<std::size_t>(width_)));
  }

  Backend& backend_;
  Arena arena_;
  std::vector<float> vectors_;
  std::int64_t width_, rows_;
};

/// Adds up the token vectors (n, C) times weight(position), and divides by divisor(sum of the weights).
template <class Weight, class Divisor>
void weighted_mean(std::span<const float> tokens, std::int64_t first, std::span<float> out, const Weight& weight, const Divisor& divisor) {
  const std::size_t hidden = out.size();
  std::vector<double> sum(hidden, 0);
  double weights = 0;
  for (std::size_t n = static_cast<std::size_t>(first); n < tokens.size() / hidden; ++n) {
    weights += weight(n);
    for (std::size_t c = 0; c < hidden; ++c) sum[c] += weight(n) * static_cast<double>(tokens[n * hidden + c]);
  }
  for (std::size_t c = 0; c < hidden; ++c) out[c] = static_cast<float>(sum[c] / divisor(weights));
}

void pool_mode(TokenPool mode, std::span<const float> tokens, std::int64_t first, std::span<float> out) {
  const std::size_t hidden = out.size();
  const auto one = [](std::size_t) { return 1.0; };
  const auto itself = [](double sum) { return sum; };
  switch (mode) {
    case TokenPool::kCls: std::copy_n(tokens.begin() + first * std::ssize(out), hidden, out.begin()); return;
    case TokenPool::kLastToken: std::copy_n(tokens.end() - std::ssize(out), hidden, out.begin()); return;
    case TokenPool::kMax:
      pool_mode(TokenPool::kLastToken, tokens, first, out);
      for (std::size_t n = static_cast<std::size_t>(first); n < tokens.size() / hidden; ++n)
        for (std::size_t c = 0; c < hidden; ++c) out[c] = std::max(out[c], tokens[n * hidden + c]);
      return;
    case TokenPool::kMean: return weighted_mean(tokens, first, out, one, itself);
    case TokenPool::kMeanSqrtLength: return weighted_mean(tokens, first, out, one, [](double sum) { return std::sqrt(sum); });
    // A token's weight is its position, counted from 1 at [CLS], whether or not tokens before it take part.
    case TokenPool::kWeightedMean:
      return weighted_mean(tokens, first, out, [](std::size_t n) { return static_cast<double>(n + 1); }, itself);
    case TokenPool::kPooler: break;
  }
  MINBERT_CHECK(false, "BERT's pooler is no pooling of tokens");
}

}  // namespace

std::string Pooling::text() const {
  std::vector<std::string_view> names;
  for (const TokenPool mode : modes) names.push_back(option_name(mode));
  return fmt::format("{}", fmt::join(names, "+"));
}

std::int64_t SentenceModules::width(std::int64_t hidden) const {
  std::int64_t width = pooling.width(hidden);
  for (const VectorModule& module : after) width = width_after(module, width);
  return width;
}

std::string SentenceModules::text() const {
  std::string text = pooling.text() + (pooling.include_prompt ? " pooling" : " pooling without the prompt");
  for (const VectorModule& module : after) text += ", " + module_text(module);
  return text;
}

bool SentenceModules::normalizes() const {
  const auto last = std::find_if(after.rbegin(), after.rend(), [](const VectorModule& m) { return !keeps_direction(m); });
  return last != after.rend() && std::holds_alternative<NormalizeModule>(*last);
}

void SentenceModules::set_normalize(bool normalize) {
  if (!normalize) {
    while (normalizes())
      after.erase(std::find_if(after.rbegin(), after.rend(), [](const VectorModule& m) { return !keeps_direction(m); }).base() - 1);
  } else if (after.empty() || !std::holds_alternative<NormalizeModule>(after.back())) {
    after.emplace_back(std::in_place_type<NormalizeModule>);
  }
}

void SentenceModules::choose(std::optional<std::int64_t> dimensions, std::optional<bool> normalize) {
  if (!dimensions && !normalize) return;  // unit vectors that a last module cuts stay cut ones
  const bool unit = normalize.value_or(normalizes());
  set_normalize(false);
  if (dimensions) after.emplace_back(TruncateModule{*dimensions});
  if (unit) set_normalize(true);
}

ScalarFunction find_activation(std::string_view type) {
  if (!type.starts_with("torch.nn.")) return nullptr;
  for (const auto& [name, function] : kActivationClasses)
    if (name == class_name(type)) return function;
  return nullptr;
}

void pool_tokens(const Pooling& pooling, std::span<const float> tokens, std::int64_t hidden, std::int64_t skipped, std::span<float> out) {
  const std::int64_t first = pooling.include_prompt ? 0 : skipped;
  std::fill(out.begin(), out.end(), 0.0f);
  if (first * hidden >= std::ssize(tokens)) return;
  const auto width = static_cast<std::size_t>(hidden);
  for (std::size_t m = 0; m < pooling.modes.size(); ++m) pool_mode(pooling.modes[m], tokens, first, out.subspan(m * width, width));
}

std::vector<float> apply_modules(Backend& backend, std::span<const VectorModule> modules, std::vector<float> vectors, std::int64_t width) {
  if (vectors.empty() || modules.empty()) return vectors;
  ModuleRun run(backend, std::move(vectors), width);
  for (const VectorModule& module : modules) {
    std::visit(run, module);
    run.next();
  }
  return run.take();
}

}  // namespace minbert
