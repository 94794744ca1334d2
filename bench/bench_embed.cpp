// Texts to vectors as in minbert embed, after the model is loaded.
#include "bench/bench_embed.h"

#include <algorithm>

#include "bench/machine.h"
#include "bench/timing.h"
#include "minbert/base/parallel.h"
#include "minbert/base/round_up.h"
#include "minbert/base/system.h"
#include "minbert/pipeline/sentence_folder.h"
#include "minbert/pipeline/text_model.h"
#include "minbert/train/profile.h"

namespace minbert {

Json bench_embed(Backend& backend, const EmbedBench& options) {
  TextModel model(backend, read_model_folder(options.model), compute_in(backend, options.dtype));
  std::vector<std::string> warnings;
  const EmbedSettings settings{.modules = read_sentence_modules(model.folder(), warnings)};
  const InputRows input({.path = options.input.string(), .format = "lines"});
  std::vector<InputRow> lines;
  for (std::size_t i = 0; i < input.size(); ++i) lines.push_back(input[i]);
  const std::size_t batch = options.batch > 0 ? static_cast<std::size_t>(options.batch) : lines.size();
  const std::size_t calls = divide_up(lines.size(), batch);
  const Timing each = time_rounds(backend, calls, options.rounds, [&](std::size_t call) {
    const std::size_t begin = call * batch;
    model.embed(std::span(lines).subspan(begin, std::min(batch, lines.size() - begin)), settings);
  });
  std::int64_t tokens = 0;
  for (const InputRow& row : lines)
    tokens += std::min<std::int64_t>(std::ssize(model.tokenizer().encode(row.text).ids), model.folder().max_length);
  Json line = {{"bench", "embed"},
               {"model", options.model},
               {"dtype", dtype_name(options.dtype)},
               {"threads", num_threads()},
               {"backend", backend.description()},
               {"batch", batch},
               {"calls", calls},
               {"rounds", options.rounds},
               {"lines", lines.size()},
               {"tokens", tokens},
               {"ms", rounded(each.ms)},
               {"best_ms", rounded(each.best_ms)},
               {"peak_rss_mb", rounded(static_cast<double>(peak_memory_bytes()) * 1e-6)}};
  if (backend.profiling()) line["profile"] = profile_json(backend);
  return line;
}

}  // namespace minbert
