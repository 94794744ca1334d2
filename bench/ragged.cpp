// Batches of real lengths: reading, timing, reporting.
#include "bench/ragged.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "bench/bench_op.h"
#include "bench/machine.h"
#include "minbert/base/files.h"
#include "minbert/base/parallel.h"
#include "minbert/base/rng.h"
#include "minbert/base/system.h"
#include "minbert/data/labels.h"
#include "minbert/model/hf_import.h"
#include "minbert/train/profile.h"

namespace minbert {
namespace {

/// Reads the whole numbers on each line of a file, separated by one space, each in [least, most]. No line may be empty.
std::vector<std::vector<std::int32_t>> read_numbers(const std::filesystem::path& path, std::int64_t least, std::int64_t most) {
  std::vector<std::vector<std::int32_t>> lines;
  const std::string text = read_file(path);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::vector<std::int32_t>& numbers = lines.emplace_back();
    for (; at <= end; at = std::min(text.find(' ', at), end) + 1) {
      const std::string_view word = std::string_view(text).substr(at, std::min(text.find(' ', at), end) - at);
      const auto number = parse_number(word);
      if (!number || *number != std::floor(*number) || *number < static_cast<double>(least) || *number > static_cast<double>(most))
        throw Error(ErrorTag::kData, fmt::format("{}:{}", path.string(), lines.size()),
                    fmt::format("expected a whole number in {}..{}, got \"{}\"", least, most, word));
      numbers.push_back(static_cast<std::int32_t>(*number));
    }
  }
  if (lines.empty()) throw Error(ErrorTag::kData, path.string(), "expected an example on each line, got an empty file");
  return lines;
}

std::vector<std::vector<std::int32_t>> read_lengths(const std::filesystem::path& path) {
  std::vector<std::vector<std::int32_t>> lines = read_numbers(path, 2, std::numeric_limits<std::int32_t>::max());
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (lines[i].size() != 1)
      throw Error(ErrorTag::kData, fmt::format("{}:{}", path.string(), i + 1),
                  fmt::format("expected one number of tokens, got {}", lines[i].size()));
  return lines;
}

/// Lengths by a fixed seed that vary as those of the sentences in reviews: log-normal, as bench/compare draws them.
std::vector<std::vector<std::int32_t>> draw_lengths(std::int64_t count) {
  constexpr double kMean = 28, kSigma = 0.4, kLeast = 4, kMost = 128;
  Rng rng(1, "lengths");
  std::vector<std::vector<std::int32_t>> lines;
  for (std::int64_t i = 0; i < count; ++i) {
    const double length = std::exp(std::log(kMean) - kSigma * kSigma / 2 + kSigma * rng.normal());
    lines.push_back({static_cast<std::int32_t>(std::clamp(std::round(length), kLeast, kMost))});
  }
  return lines;
}

}  // namespace

ModelConfig bench_config(const RaggedBench& options) {
  const std::filesystem::path folder = options.model;
  if (std::filesystem::is_directory(folder))
    return parse_model_config(read_json(folder / "config.json", ErrorTag::kModel), (folder / "config.json").string());
  const EncoderSizes sizes = encoder_sizes(options.model);
  ModelConfig config;
  config.vocab_size = sizes.vocabulary;
  config.hidden_size = sizes.hidden;
  config.num_hidden_layers = sizes.layers;
  config.num_attention_heads = sizes.heads;
  config.intermediate_size = sizes.intermediate;
  config.max_position_embeddings = sizes.positions;
  return config;
}

void load_bench_weights(const RaggedBench& options, Params& params) {
  params.init(1, [](const ParamInfo&) { return true; });
  if (std::filesystem::is_directory(options.model))
    import_weights(options.model, params, {.wanted = [](const ParamInfo& info) { return info.role == Role::kEncoder; }});
  else
    params.changed();
}

TokenizedRows ragged_rows(const RaggedBench& options, const ModelConfig& config) {
  const bool given = !options.ids.empty();
  const auto lines = given                      ? read_numbers(options.ids, 0, config.vocab_size - 1)
                     : !options.lengths.empty() ? read_lengths(options.lengths)
                                                : draw_lengths(options.batch * options.steps);
  TokenizedRows rows;
  Rng rng(1, "bench");
  for (std::int64_t i = 0; i < options.batch * options.steps; ++i) {
    const std::vector<std::int32_t>& line = lines[static_cast<std::size_t>(i % std::ssize(lines))];
    const std::int64_t length = std::min<std::int64_t>(given ? std::ssize(line) : line[0], config.max_position_embeddings);
    if (given)
      rows.ids.insert(rows.ids.end(), line.begin(), line.begin() + length);
    else
      for (std::int64_t t = 0; t < length; ++t)
        rows.ids.push_back(static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(config.vocab_size))));
    rows.offsets.push_back(std::ssize(rows.ids));
    rows.first_segments.push_back(static_cast<std::int32_t>(length));
    rows.labels.push_back(static_cast<double>(i % 5));
  }
  return rows;
}

RaggedTimes time_batches(Backend& backend, const RaggedBench& options, const TokenizedRows& rows,
                         const std::function<void(std::span<const Batch>)>& work) {
  std::vector<Batch> batches(static_cast<std::size_t>(options.steps));
  std::vector<std::uint32_t> which(static_cast<std::size_t>(options.batch));
  for (std::size_t b = 0; b < batches.size(); ++b) {
    std::iota(which.begin(), which.end(), static_cast<std::uint32_t>(b * which.size()));
    batches[b].fill(rows, which, 0);
  }
  const std::size_t at_once = options.together ? batches.size() : 1;
  const Timing timing = time_rounds(backend, batches.size() / at_once, options.rounds,
                                    [&](std::size_t call) { work(std::span(batches).subspan(call, at_once)); });
  RaggedTimes times{.each = {timing.ms / static_cast<double>(at_once), timing.best_ms / static_cast<double>(at_once)},
                    .tokens = std::ssize(rows.ids),
                    .batches = options.steps};
  for (std::int64_t s = 0; s < rows.sequences(); ++s) times.pair_tokens += static_cast<double>(rows.length(s) * rows.length(s));
  return times;
}

Json ragged_report(std::string_view bench, Backend& backend, const RaggedBench& options, const ModelConfig& config,
                   const RaggedTimes& times, int passes, std::int64_t trained) {
  const auto rss = static_cast<double>(peak_memory_bytes());  // both before the peaks are measured, which takes memory
  const Json profile = profile_json(backend);                 // and runs ops
  const double peak = measure_gemm_peak(backend, options.dtype), bandwidth = measure_bandwidth();
  const auto C = static_cast<double>(config.hidden_size), F = static_cast<double>(config.intermediate_size);
  const auto layers = static_cast<double>(config.num_hidden_layers), batches = static_cast<double>(times.batches);
  const double tokens = static_cast<double>(times.tokens) / batches;
  const double products = layers * (2 * tokens * (4 * C * C + 2 * C * F) + 4 * C * times.pair_tokens / batches);
  const double gemm_ms = passes * products / peak * 1e-6, adamw_ms = 28.0 * static_cast<double>(trained) / bandwidth * 1e-6;
  Json line = {{"bench", bench},
               {"model", options.model},
               {"dtype", dtype_name(options.dtype)},
               {"threads", num_threads()},
               {"backend", backend.description()},
               {"batch", options.batch},
               {"steps", options.steps},
               {"rounds", options.rounds},
               {"tokens", rounded(tokens)},
               {"ms", rounded(times.each.ms)},
               {"best_ms", rounded(times.each.best_ms)},
               {"tokens_per_s", rounded(tokens / times.each.ms * 1e3)},
               {"peak_rss_mb", rounded(rss * 1e-6)},
               {"peak_gflops", rounded(peak)},
               {"bandwidth_gbs", rounded(bandwidth)},
               {"floor_gemm_ms", rounded(gemm_ms)},
               {"floor_adamw_ms", rounded(adamw_ms)},
               {"floor_ms", rounded(gemm_ms + adamw_ms)},
               {"of_floor", rounded((gemm_ms + adamw_ms) / times.each.ms)}};
  if (backend.profiling()) line["profile"] = profile;
  return line;
}

}  // namespace minbert
