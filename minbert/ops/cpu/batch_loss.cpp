// Losses that compare the rows of a batch with each other. A batch has tens of rows, so plain loops are fast enough.
#include <algorithm>
#include <cmath>
#include <vector>

#include "minbert/ops/cpu/cpu.h"

namespace minbert::cpu {
namespace {

/// The values of a tensor's rows in double, row-major.
std::vector<double> values_of(const Tensor& x) {
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(x.numel()));
  with_type(x.dtype(), [&]<class T>(T) {
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      const T* row = x.data<T>() + r * x.row_stride();
      for (std::int64_t c = 0; c < x.cols(); ++c) values.push_back(static_cast<double>(static_cast<float>(row[c])));
    }
  });
  return values;
}

/// x[i] = fn(x[i], i) for all elements, in row-major order.
template <class Fn>
void for_each_value(const Tensor& x, const Fn& fn) {
  with_type(x.dtype(), [&]<class T>(T) {
    std::size_t i = 0;
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      T* row = x.data<T>() + r * x.row_stride();
      for (std::int64_t c = 0; c < x.cols(); ++c, ++i)
        row[c] = T(static_cast<float>(fn(static_cast<double>(static_cast<float>(row[c])), i)));
    }
  });
}

void fill(const Tensor& x, double value) {
  for_each_value(x, [value](double, std::size_t) { return value; });
}

/// Deviations from the mean, and their products' sums.
struct Correlation {
  std::vector<double> x, y;
  double xx = 0, yy = 0, xy = 0;

  Correlation(const Tensor& predictions, const Tensor& targets) : x(values_of(predictions)), y(values_of(targets)) {
    for (std::vector<double>* values : {&x, &y}) {
      double mean = 0;
      for (const double value : *values) mean += value / static_cast<double>(values->size());
      for (double& value : *values) value -= mean;
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      xx += x[i] * x[i];
      yy += y[i] * y[i];
      xy += x[i] * y[i];
    }
  }
  double product() const { return std::sqrt(xx) * std::sqrt(yy); }
  bool is_defined() const { return product() >= kCorrelationFloor; }
  double r() const { return is_defined() ? xy / product() : 0; }
};

/// Calls fn(i, j, exponent) for each pair of rows of which i has the larger target.
template <class Fn>
void for_ranked_pairs(const std::vector<double>& x, const std::vector<double>& y, double sharpness, const Fn& fn) {
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < x.size(); ++j)
      if (y[i] > y[j]) fn(i, j, sharpness * (x[j] - x[i]));
}

/// The largest exponent, at least 0, and the sum of exp(exponent - largest), 1 = exp(0) included.
struct RankedSum {
  double top = 0, sum = 0;

  RankedSum(const std::vector<double>& x, const std::vector<double>& y, double sharpness) {
    for_ranked_pairs(x, y, sharpness, [&](std::size_t, std::size_t, double exponent) { top = std::max(top, exponent); });
    sum = std::exp(-top);
    for_ranked_pairs(x, y, sharpness, [&](std::size_t, std::size_t, double exponent) { sum += std::exp(exponent - top); });
  }
};

/// Rows of length 1, and the lengths that they had.
struct UnitRows {
  std::vector<double> values, norms;
  std::size_t width;

  explicit UnitRows(const Tensor& x) : values(values_of(x)), width(static_cast<std::size_t>(x.cols())) {
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      double sum = 0;
      for (double *value = row(static_cast<std::size_t>(r)), *end = value + width; value != end; ++value) sum += *value * *value;
      norms.push_back(std::max(std::sqrt(sum), kNormFloor));
      for (double *value = row(static_cast<std::size_t>(r)), *end = value + width; value != end; ++value) *value /= norms.back();
    }
  }
  double* row(std::size_t r) { return values.data() + r * width; }
  const double* row(std::size_t r) const { return values.data() + r * width; }
  /// Adds to dx the gradient of these rows before they had length 1, when `gradient` is theirs.
  void add_gradient(const Tensor& dx, const std::vector<double>& gradient) const {
    std::vector<double> along(norms.size());
    for (std::size_t i = 0; i < values.size(); ++i) along[i / width] += values[i] * gradient[i];
    for_each_value(dx, [&](double old, std::size_t i) {
      const std::size_t r = i / width;
      const double across = norms[r] > kNormFloor ? along[r] * values[i] : 0;
      return old + (gradient[i] - across) / norms[r];
    });
  }
};

/// (B, B) log-probabilities of the rows of b for each row of a, and how many of them are its positives.
struct Choices {
  std::vector<double> log_probability;
  std::vector<double> positives;

  Choices(const UnitRows& a, const UnitRows& b, std::span<const std::int32_t> groups, double temperature) {
    const std::size_t B = groups.size();
    for (std::size_t i = 0; i < B; ++i) {
      double top = -INFINITY;
      const std::size_t begin = log_probability.size();
      for (std::size_t j = 0; j < B; ++j) {
        double dot = 0;
        for (std::size_t c = 0; c < a.width; ++c) dot += a.row(i)[c] * b.row(j)[c];
        log_probability.push_back(dot / temperature);
        top = std::max(top, log_probability.back());
      }
      double sum = 0;
      for (std::size_t j = 0; j < B; ++j) sum += std::exp(log_probability[begin + j] - top);
      for (std::size_t j = 0; j < B; ++j) log_probability[begin + j] -= top + std::log(sum);
      positives.push_back(static_cast<double>(std::ranges::count(groups, groups[i])));
    }
  }
};

}  // namespace

void CpuBackend::pearson_loss(Tensor losses, const Tensor& predictions, const Tensor& targets) {
  shapes::columns(losses, predictions, targets, "pearson_loss");
  const OpScope scope(*this, "pearson_loss", 0, 0, {losses});
  fill(losses, 1 - Correlation(predictions, targets).r());
}

void CpuBackend::pearson_loss_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double scale) {
  shapes::columns(dpredictions, predictions, targets, "pearson_loss_backward");
  const OpScope scope(*this, "pearson_loss_backward", 0, 0, {dpredictions});
  const Correlation at(predictions, targets);
  const double factor = -scale * static_cast<double>(at.x.size());
  for_each_value(dpredictions,
                 [&](double, std::size_t i) { return at.is_defined() ? factor * (at.y[i] / at.product() - at.r() * at.x[i] / at.xx) : 0; });
}

void CpuBackend::cosent(Tensor losses, const Tensor& predictions, const Tensor& targets, double sharpness) {
  shapes::columns(losses, predictions, targets, "cosent");
  const OpScope scope(*this, "cosent", 0, 0, {losses});
  const RankedSum at(values_of(predictions), values_of(targets), sharpness);
  fill(losses, at.top + std::log(at.sum));
}

void CpuBackend::cosent_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double sharpness, double scale) {
  shapes::columns(dpredictions, predictions, targets, "cosent_backward");
  const OpScope scope(*this, "cosent_backward", 0, 0, {dpredictions});
  const std::vector<double> x = values_of(predictions), y = values_of(targets);
  const RankedSum at(x, y, sharpness);
  const double factor = scale * static_cast<double>(x.size()) * sharpness / at.sum;
  std::vector<double> gradient(x.size());
  for_ranked_pairs(x, y, sharpness, [&](std::size_t i, std::size_t j, double exponent) {
    const double part = factor * std::exp(exponent - at.top);
    gradient[i] -= part;
    gradient[j] += part;
  });
  for_each_value(dpredictions, [&](double, std::size_t i) { return gradient[i]; });
}

void CpuBackend::contrastive(Tensor losses, const Tensor& u, const Tensor& v, Indices groups, double temperature) {
  shapes::contrastive(u, v, groups.host);
  shapes::matrix(losses, u.rows(), 1, "contrastive: losses");
  const OpScope scope(*this, "contrastive", 2.0 * static_cast<double>(u.rows() * u.numel()), bytes_of({&u, &v}), {losses});
  const Choices at(UnitRows(u), UnitRows(v), groups.host, temperature);
  const std::size_t B = groups.host.size();
  for_each_value(losses, [&](double, std::size_t i) {
    double loss = 0;
    for (std::size_t j = 0; j < B; ++j)
      if (groups.host[j] == groups.host[i]) loss -= at.log_probability[i * B + j] / at.positives[i];
    return loss;
  });
}

void CpuBackend::contrastive_backward(Tensor du, Tensor dv, const Tensor& u, const Tensor& v, Indices groups, double temperature,
                                      double scale) {
  shapes::contrastive(u, v, groups.host);
  for (const Tensor& t : {du, dv}) shapes::same(t, u, "contrastive_backward");
  const OpScope scope(*this, "contrastive_backward", 4.0 * static_cast<double>(u.rows() * u.numel()), bytes_of({&u, &v, &du, &dv}),
                      {du, dv});
  const UnitRows a(u), b(v);
  const Choices at(a, b, groups.host, temperature);
  const std::size_t B = groups.host.size();
  std::vector<double> da(a.values.size()), db(b.values.size());
  for (std::size_t i = 0; i < B; ++i)
    for (std::size_t j = 0; j < B; ++j) {
      const double target = groups.host[j] == groups.host[i] ? 1 / at.positives[i] : 0;
      const double rate = scale * (std::exp(at.log_probability[i * B + j]) - target) / temperature;
      for (std::size_t c = 0; c < a.width; ++c) {
        da[i * a.width + c] += rate * b.row(j)[c];
        db[j * b.width + c] += rate * a.row(i)[c];
      }
    }
  a.add_gradient(du, da);
  b.add_gradient(dv, db);
}

}  // namespace minbert::cpu
