// Metrics: counts, and Prometheus' text format.
#include "minbert/serve/metrics.h"

#include <gtest/gtest.h>

namespace minbert {
namespace {

TEST(MetricsText, CountsEachSuccessAndFailureOnce) {
  Metrics metrics;
  metrics.count_request(false);
  metrics.count_success(Work::kPredict, false, 1, {.total = 0.003, .tokenization = 1e-5, .queue = 2e-5, .inference = 0.002});
  metrics.count_request(true);
  metrics.count_failure("validation");
  metrics.count_reply("/predict", 200);
  metrics.count_pass(4, 40, 0.001);  // a bound is in its own bucket
  const std::string text = metrics.text({.queue = 2, .connections = 5, .resident_bytes = 100, .uptime_s = 1});
  for (const char* line :
       {"te_request_count{method=\"single\"} 1\n", "te_request_count{method=\"batch\"} 1\n", "te_request_success{method=\"single\"} 1\n",
        "te_request_success{method=\"batch\"} 0\n", "te_request_failure{err=\"validation\"} 1\n", "te_predict_success 1\n",
        "te_embed_success 0\n", "te_batch_next_size_count 1\n", "te_batch_next_size_sum 4\n", "te_batch_next_size_bucket{le=\"2\"} 0\n",
        "te_batch_next_size_bucket{le=\"4\"} 1\n", "te_batch_next_tokens_bucket{le=\"+Inf\"} 1\n", "te_queue_size 2\n",
        "minbert_tokens_total 40\n", "minbert_http_replies{route=\"/predict\",status=\"200\"} 1\n",
        "# TYPE te_request_duration histogram\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  for (const char* phase :
       {"duration_sum 0.003\n", "tokenization_duration_sum 1e-05\n", "queue_duration_sum 2e-05\n", "inference_duration_sum 0.002\n"})
    EXPECT_NE(text.find(std::string("te_predict_") + phase), std::string::npos) << phase << text;
}

}  // namespace
}  // namespace minbert
