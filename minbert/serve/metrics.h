// Metrics: counters and histograms in Prometheus' text format, by text-embeddings-inference's names where one fits.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace minbert {

/// Counts of values up to bounds that double from `first`. Any thread may add.
class Histogram {
 public:
  explicit Histogram(double first) : first_(first) {}
  void add(double value);
  /// Appends the lines of `name`.
  void write(std::string& out, std::string_view name, std::string_view help) const;

 private:
  static constexpr std::size_t kBounds = 22;
  double first_;
  std::array<std::atomic<std::uint64_t>, kBounds + 1> counts_{};  // the last: above all bounds
  std::atomic<double> sum_ = 0;
};

/// Seconds of one request by phase.
struct PhaseTimes {
  double total = 0, tokenization = 0, queue = 0, inference = 0;
};

/// What a route computes, for metrics by kind.
enum class Work : std::uint8_t { kEmbed, kPredict, kRerank, kTokenize };

class Metrics {
 public:
  /// A request that reached a model's route. Each is counted once here, and once by one of the two below.
  void count_request(bool batch);
  /// `work` is nothing for an explanation, which has no figures of its own.
  void count_success(std::optional<Work> work, bool batch, std::int64_t inputs, const PhaseTimes& times);
  /// `kind` is the error_type in lower case.
  void count_failure(std::string_view kind);
  /// Any request that was answered.
  void count_reply(std::string_view route, int status);
  void count_input_tokens(std::int64_t tokens) { input_length_.add(static_cast<double>(tokens)); }
  void count_pass(std::int64_t rows, std::int64_t tokens, double seconds);
  void count_reload(bool done) { ++(done ? reloads_ : failed_reloads_); }

  /// What changes by itself.
  struct Gauges {
    std::size_t queue = 0, connections = 0;
    std::int64_t resident_bytes = 0;
    double uptime_s = 0;
  };
  std::string text(const Gauges& gauges) const;

 private:
  struct Kind {
    std::atomic<std::uint64_t> count = 0, success = 0;
    Histogram duration{1e-4}, tokenization{1e-5}, queue{1e-5}, inference{1e-4};
  };
  std::array<std::atomic<std::uint64_t>, 2> requests_{}, successes_{};  // single, batch
  Kind all_;
  std::array<Kind, 4> kinds_;
  Histogram input_length_{1}, pass_rows_{1}, pass_tokens_{1}, pass_seconds_{1e-4};
  std::atomic<std::uint64_t> tokens_ = 0, reloads_ = 0, failed_reloads_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t, std::less<>> failures_, replies_;
};

}  // namespace minbert
