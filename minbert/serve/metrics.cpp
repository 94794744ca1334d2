// Adds up, and writes Prometheus' text format.
#include "minbert/serve/metrics.h"

#include <fmt/format.h>

namespace minbert {
namespace {

constexpr std::array<std::string_view, 2> kMethods = {"single", "batch"};
constexpr std::array<std::string_view, 4> kWorks = {"embed", "predict", "rerank", "tokenize"};

void write_head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void write_value(std::string& out, std::string_view name, std::string_view type, std::string_view help, double value) {
  write_head(out, name, type, help);
  out += fmt::format("{} {}\n", name, value);
}

void write_methods(std::string& out, std::string_view name, std::string_view help,
                   const std::array<std::atomic<std::uint64_t>, 2>& counts) {
  write_head(out, name, "counter", help);
  for (std::size_t i = 0; i < counts.size(); ++i) out += fmt::format("{}{{method=\"{}\"}} {}\n", name, kMethods[i], counts[i].load());
}

}  // namespace

void Histogram::add(double value) {
  std::size_t bucket = 0;
  for (double bound = first_; bucket < kBounds && value > bound; bound *= 2) ++bucket;
  ++counts_[bucket];
  sum_.fetch_add(value);
}

void Histogram::write(std::string& out, std::string_view name, std::string_view help) const {
  write_head(out, name, "histogram", help);
  std::uint64_t total = 0;
  double bound = first_;
  for (std::size_t i = 0; i < kBounds; ++i, bound *= 2) {
    total += counts_[i];
    out += fmt::format("{}_bucket{{le=\"{:.6g}\"}} {}\n", name, bound, total);
  }
  total += counts_[kBounds];
  out += fmt::format("{}_bucket{{le=\"+Inf\"}} {}\n{}_sum {}\n{}_count {}\n", name, total, name, sum_.load(), name, total);
}

void Metrics::count_request(bool batch) { ++requests_[batch ? 1 : 0]; }

void Metrics::count_success(std::optional<Work> work, bool batch, std::int64_t inputs, const PhaseTimes& times) {
  ++successes_[batch ? 1 : 0];
  if (!work) return;
  for (Kind* kind : {&all_, &kinds_[static_cast<std::size_t>(*work)]}) {
    kind->count += static_cast<std::uint64_t>(inputs);
    kind->success += static_cast<std::uint64_t>(inputs);
    kind->duration.add(times.total);
    kind->tokenization.add(times.tokenization);
    kind->queue.add(times.queue);
    kind->inference.add(times.inference);
  }
}

void Metrics::count_failure(std::string_view kind) {
  const std::lock_guard lock(mutex_);
  ++failures_[std::string(kind)];
}

void Metrics::count_reply(std::string_view route, int status) {
  const std::lock_guard lock(mutex_);
  ++replies_[fmt::format("route=\"{}\",status=\"{}\"", route, status)];
}

void Metrics::count_pass(std::int64_t rows, std::int64_t tokens, double seconds) {
  pass_rows_.add(static_cast<double>(rows));
  pass_tokens_.add(static_cast<double>(tokens));
  pass_seconds_.add(seconds);
  tokens_ += static_cast<std::uint64_t>(tokens);
}

std::string Metrics::text(const Gauges& gauges) const {
  std::string out;
  write_methods(out, "te_request_count", "Requests to routes of the model, by one input or a list.", requests_);
  write_methods(out, "te_request_success", "Requests that were answered with a result.", successes_);
  write_head(out, "te_request_failure", "counter", "Requests that were refused or failed, by error type.");
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [kind, count] : failures_) out += fmt::format("te_request_failure{{err=\"{}\"}} {}\n", kind, count);
    write_head(out, "minbert_http_replies", "counter", "Replies by route and status.");
    for (const auto& [labels, count] : replies_) out += fmt::format("minbert_http_replies{{{}}} {}\n", labels, count);
  }
  const auto write_kind = [&](const Kind& kind, std::string_view name) {
    kind.duration.write(out, fmt::format("te_{}_duration", name), "Seconds from the head of a request to its reply.");
    kind.tokenization.write(out, fmt::format("te_{}_tokenization_duration", name), "Seconds of tokenization.");
    kind.queue.write(out, fmt::format("te_{}_queue_duration", name), "Seconds in the queue.");
    kind.inference.write(out, fmt::format("te_{}_inference_duration", name), "Seconds from the first pass to the last.");
  };
  write_kind(all_, "request");
  for (std::size_t i = 0; i < kinds_.size(); ++i) {
    const std::string name(kWorks[i]);
    write_value(out, "te_" + name + "_count", "counter", "Inputs of answered requests.", static_cast<double>(kinds_[i].count.load()));
    write_value(out, "te_" + name + "_success", "counter", "Inputs of answered requests.", static_cast<double>(kinds_[i].success.load()));
    write_kind(kinds_[i], name);
  }
  input_length_.write(out, "te_request_input_length", "Tokens of an input.");
  pass_rows_.write(out, "te_batch_next_size", "Rows of an encoder pass.");
  pass_tokens_.write(out, "te_batch_next_tokens", "Tokens of an encoder pass.");
  pass_seconds_.write(out, "te_batch_inference_duration", "Seconds of an encoder pass.");
  write_value(out, "te_queue_size", "gauge", "Requests that are not answered yet.", static_cast<double>(gauges.queue));
  write_value(out, "minbert_tokens_total", "counter", "Tokens that the encoder has computed.", static_cast<double>(tokens_.load()));
  write_value(out, "minbert_connections", "gauge", "Open connections.", static_cast<double>(gauges.connections));
  write_value(out, "minbert_reloads_total", "counter", "Times that the model was read again and swapped.",
              static_cast<double>(reloads_.load()));
  write_value(out, "minbert_failed_reloads_total", "counter", "Reloads that left the old model in service.",
              static_cast<double>(failed_reloads_.load()));
  write_value(out, "process_resident_memory_bytes", "gauge", "Resident memory.", static_cast<double>(gauges.resident_bytes));
  write_value(out, "minbert_uptime_seconds", "gauge", "Seconds since the start.", gauges.uptime_s);
  return out;
}

}  // namespace minbert
