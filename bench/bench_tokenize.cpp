// Texts to ids as tokenize_rows does it: ranges of lines on each thread.
#include "bench/bench_tokenize.h"

#include <algorithm>
#include <cmath>

#include "bench/machine.h"
#include "minbert/base/clock.h"
#include "minbert/base/files.h"
#include "minbert/base/parallel.h"
#include "minbert/base/system.h"
#include "minbert/tokenizer/tokenizer.h"

namespace minbert {
namespace {

constexpr std::int64_t kGrain = 64;  // lines

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

Json time_threads(const Tokenizer& tokenizer, const TokenizeBench& options, const std::string& text, int threads) {
  set_num_threads(threads);
  const std::vector<std::string_view> lines = split_lines(text);
  std::vector<Encoding> encodings(lines.size());
  std::vector<double> seconds;
  for (std::int64_t round = 0; round <= options.rounds; ++round) {
    const Stopwatch watch;
    parallel_for(std::ssize(lines), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) encodings[i] = tokenizer.encode(lines[i]);
    });
    if (round > 0) seconds.push_back(watch.seconds());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];

  std::size_t tokens = 0;
  for (const Encoding& encoding : encodings) tokens += encoding.ids.size();
  const auto rounded = [](double x) { return std::round(x * 1000) / 1000; };
  return {{"bench", "tokenize"},
          {"threads", threads},
          {"lines", lines.size()},
          {"tokens", tokens},
          {"ms", rounded(median * 1e3)},
          {"best_ms", rounded(seconds[0] * 1e3)},
          {"tokens_per_s", std::round(static_cast<double>(tokens) / median)},
          {"mb_per_s", rounded(static_cast<double>(text.size()) / median * 1e-6)},
          {"peak_rss_mb", rounded(static_cast<double>(peak_memory_bytes()) * 1e-6)}};
}

}  // namespace

std::vector<Json> bench_tokenize(const TokenizeBench& options) {
  const Tokenizer tokenizer = Tokenizer::load(options.model);
  const std::string text = read_file(options.input);
  if (text.empty()) throw Error(ErrorTag::kData, options.input.string(), "expected lines of text, got an empty file");
  const int all = num_threads();
  std::vector<Json> lines = {time_threads(tokenizer, options, text, 1)};
  if (all > 1) lines.push_back(time_threads(tokenizer, options, text, all));
  const double bandwidth = measure_bandwidth();  // last: it takes memory too
  for (Json& line : lines) line["bandwidth_gbs"] = std::round(bandwidth * 1000) / 1000;
  return lines;
}

}  // namespace minbert
