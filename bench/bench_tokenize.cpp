// Texts to ids as in tokenize_rows: each thread works on ranges of lines.
#include "bench/bench_tokenize.h"

#include <algorithm>
#include <cmath>

#include "bench/machine.h"
#include "bench/timing.h"
#include "minbert/base/clock.h"
#include "minbert/base/parallel.h"
#include "minbert/base/system.h"
#include "minbert/data/input_lines.h"
#include "minbert/tokenizer/tokenizer.h"

namespace minbert {
namespace {

constexpr std::int64_t kGrain = 64;  // lines

Json time_threads(const Tokenizer& tokenizer, const TokenizeBench& options, const InputLines& lines, int threads) {
  set_num_threads(threads);
  std::vector<Encoding> encodings(lines.size());
  std::vector<double> seconds;
  for (std::int64_t round = 0; round <= options.rounds; ++round) {
    const Stopwatch watch;
    parallel_for(static_cast<std::int64_t>(lines.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) encodings[i] = tokenizer.encode(lines[i]);
    });
    if (round > 0) seconds.push_back(watch.seconds());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];

  std::size_t tokens = 0, bytes = lines.size();
  for (const Encoding& encoding : encodings) tokens += encoding.ids.size();
  for (std::size_t i = 0; i < lines.size(); ++i) bytes += lines[i].size();
  return {{"bench", "tokenize"},
          {"threads", threads},
          {"lines", lines.size()},
          {"tokens", tokens},
          {"ms", rounded(median * 1e3)},
          {"best_ms", rounded(seconds[0] * 1e3)},
          {"tokens_per_s", std::round(static_cast<double>(tokens) / median)},
          {"mb_per_s", rounded(static_cast<double>(bytes) / median * 1e-6)},
          {"peak_rss_mb", rounded(static_cast<double>(peak_memory_bytes()) * 1e-6)}};
}

}  // namespace

std::vector<Json> bench_tokenize(const TokenizeBench& options) {
  const Tokenizer tokenizer = Tokenizer::load(options.model);
  const InputLines input(options.input.string());
  const int all = num_threads();
  std::vector<Json> lines = {time_threads(tokenizer, options, input, 1)};
  if (all > 1) lines.push_back(time_threads(tokenizer, options, input, all));
  const double bandwidth = measure_bandwidth();  // comes last, because it takes memory too
  for (Json& line : lines) line["bandwidth_gbs"] = rounded(bandwidth);
  return lines;
}

}  // namespace minbert
