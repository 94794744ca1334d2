// embed: writes a sentence vector for each text.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "minbert/base/clock.h"
#include "minbert/base/json_node.h"
#include "minbert/cli/input_flags.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/vector_files.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/input_stream.h"
#include "minbert/pipeline/sentence_folder.h"
#include "minbert/pipeline/text_model.h"

namespace minbert {
namespace {

struct EmbedFlags {
  std::string model, output, pool, precision = "float32", ranges, save_ranges, shard;
  std::int64_t dimensions = 0;  // 0: all
  std::optional<std::string> prompt, prompt_name;
  InputFlags input;
  std::optional<bool> normalize;
  bool windows = false;
};

std::vector<std::string> pool_names() { return OptionType<TokenPool>::names(); }

std::string prompt_of(const EmbedFlags& flags, const ModelFolder& folder) {
  if (flags.prompt) return *flags.prompt;
  const Prompts prompts = read_prompts(folder);
  return flags.prompt_name ? prompts.named(*flags.prompt_name) : prompts.by_default;
}

EmbedSettings settings_of(const EmbedFlags& flags, ModelFolder& folder) {
  EmbedSettings settings;
  if (flags.pool.empty())
    settings.modules = read_sentence_modules(folder, folder.warnings);
  else
    settings.modules.pooling.modes = {named_option<TokenPool>(flags.pool, "--pool")};
  const std::int64_t width = settings.modules.width(folder.config.hidden_size);
  if (flags.dimensions > width)
    throw Error(ErrorTag::kUsage, "--dimensions", fmt::format("expected at most {}, the model's own, got {}", width, flags.dimensions));
  settings.modules.choose(flags.dimensions > 0 ? std::optional(flags.dimensions) : std::nullopt, flags.normalize);
  settings.prompt = prompt_of(flags, folder);
  settings.windows = flags.windows;
  return settings;
}

/// Reads [[low ...], [high ...]], as sentence-transformers has them.
ColumnRanges read_ranges(const std::string& path, std::int64_t width) {
  const JsonNode root = JsonNode::read(path, ErrorTag::kData);
  const auto rows = root.items();
  if (rows.size() != 2) root.fail("two lists: the lowest and the highest number of each column");
  ColumnRanges ranges;
  for (const bool high : {false, true}) {
    const auto numbers = rows[high ? 1 : 0].items();
    if (std::ssize(numbers) != width) rows[high ? 1 : 0].complain(fmt::format("expected {} numbers, got {}", width, numbers.size()));
    for (const JsonNode& number : numbers) (high ? ranges.high : ranges.low).push_back(static_cast<float>(number.as_number()));
  }
  return ranges;
}

/// The ranges of the vectors themselves, where --ranges gives no others.
ColumnRanges own_ranges(Session& session, const EmbedFlags& flags, std::span<const float> vectors, std::int64_t width) {
  constexpr std::size_t kFew = 100;
  const std::size_t rows = vectors.size() / static_cast<std::size_t>(width);
  if (rows == 0) return {std::vector<float>(static_cast<std::size_t>(width)), std::vector<float>(static_cast<std::size_t>(width))};
  ColumnRanges ranges = ColumnRanges::of(vectors, width);
  if (rows < kFew)
    session.console.warning(fmt::format("{} by the ranges of {} vectors alone; those of more are better: --ranges", flags.precision, rows));
  if (!flags.save_ranges.empty()) write_file(flags.save_ranges, dump_json(Json{ranges.low, ranges.high}) + "\n");
  return ranges;
}

void embed_rows(const EmbedFlags& flags, Session& session, ShardFile* shard) {
  constexpr std::size_t kChunk = 1024;
  const VectorPrecision precision = named_option<VectorPrecision>(flags.precision, "--precision");
  if (!needs_ranges(precision) && !(flags.ranges.empty() && flags.save_ranges.empty()))
    throw Error(ErrorTag::kUsage, "--precision", fmt::format("expected int8 or uint8 with ranges, got {}", flags.precision));
  const auto backend = open_backend(session);
  Stopwatch watch;
  ModelFolder folder = read_model_folder(flags.model);
  const EmbedSettings settings = settings_of(flags, folder);
  const std::int64_t width = settings.modules.width(folder.config.hidden_size);
  ColumnRanges ranges;
  if (!flags.ranges.empty()) ranges = read_ranges(flags.ranges, width);
  TextModel model = open_model(session, *backend, std::move(folder), settings.modules.pooling.modes.front() == TokenPool::kPooler);
  session.console.detail(fmt::format("model: {:.2f} s", watch.lap()));
  const bool all_first = needs_ranges(precision) && flags.ranges.empty();  // no vector can be rounded before the last one is known
  InputStream input(input_options(flags.input, default_text_format(flags.input)), flags.output == "-" && !all_first);
  auto rows = input.next();
  if (!input.is_live()) catch_signals();  // a program that waits for a line has nothing to clean up
  const auto writer = make_vector_writer(flags.output, precision, rows->size(), width, !flags.input.columns.id.empty(), shard);
  std::vector<std::byte> bytes;
  const auto write = [&](std::span<const InputRow> chunk, std::span<const float> vectors) {
    if (precision == VectorPrecision::kFloat32) return writer->add(chunk, std::as_bytes(vectors));
    bytes.clear();
    round_vectors(bytes, precision, vectors, width, ranges);
    writer->add(chunk, bytes);
  };
  std::vector<InputRow> inputs;  // all of them, where all vectors come first
  std::vector<float> all;
  const auto work = [&](std::span<const InputRow> chunk, const RowProgress& progress) {
    const std::vector<float> vectors = model.embed(chunk, settings, progress);
    if (!all_first) return write(chunk, vectors);
    inputs.insert(inputs.end(), chunk.begin(), chunk.end());
    all.insert(all.end(), vectors.begin(), vectors.end());
  };
  for (; rows; rows = input.next()) {
    for_each_chunk(session, *rows, kChunk, work, shard);
    if (input.is_live()) writer->flush();
  }
  if (all_first) {
    ranges = own_ranges(session, flags, all, width);
    write(inputs, all);
  }
  writer->commit();
  warn_of_bad_rows(session, input.skipped(), input.repaired(), input.records());
  show_profile(session, *backend);
  warn_of_texts(session, model);
}

int run_embed(const EmbedFlags& flags, const CLI::App& app, Session& session) {
  const std::string format = vector_format(flags.output);
  if (!flags.shard.empty() && format == "safetensors")
    throw Error(ErrorTag::kUsage, "--shard", fmt::format("expected -o FILE.npy or FILE.jsonl, got \"{}\"", flags.output));
  if (!flags.shard.empty() && needs_ranges(named_option<VectorPrecision>(flags.precision, "--precision")) && flags.ranges.empty())
    throw Error(ErrorTag::kUsage, "--shard", "expected --ranges FILE, the same for all shards, got none");
  const auto shard = open_shard(app, flags.shard, std::span(&flags.model, 1), flags.input.path, flags.output, format, session);
  return run_shard(shard.get(), session, [&] { embed_rows(flags, session, shard.get()); });
}

}  // namespace

Action declare_embed(CLI::App& app, Session& session) {
  auto flags = std::make_shared<EmbedFlags>();
  add_model(app, flags->model);
  add_input_rows(app, flags->input, false, kTextFormatHelp);
  app.add_option("-o,--output", flags->output, "FILE.npy, FILE.safetensors or FILE.jsonl; - is JSON lines to standard output")
      ->required()
      ->type_name("FILE");
  app.add_option("--pool", flags->pool,
                 fmt::format("{}: of the encoder's vectors, in place of the folder's modules [its modules.json, else mean]",
                             fmt::join(pool_names(), " | ")))
      ->check(one_of(pool_names()))
      ->type_name("POOL");
  app.add_flag_function(
      "--normalize,!--no-normalize", [flags](std::int64_t count) { flags->normalize = count > 0; },
      "make unit vectors, or not [the folder's modules.json, else not]");
  app.add_flag("--windows", flags->windows, "a text longer than the model reads gets the mean of the vectors of overlapping windows");
  app.add_option("--dimensions", flags->dimensions, "keep the first numbers of each vector, then normalise where vectors are [all]")
      ->check(whole_number(1, INT32_MAX))
      ->type_name("N");
  const auto precisions = OptionType<VectorPrecision>::names();
  app.add_option("--precision", flags->precision,
                 fmt::format("{}: as sentence-transformers rounds vectors; int8 and uint8 cut the range of each column into 256 steps, the "
                             "binary ones keep signs, eight to a byte [float32]",
                             fmt::join(precisions, " | ")))
      ->check(one_of(precisions))
      ->type_name("PRECISION");
  auto* ranges =
      app.add_option("--ranges", flags->ranges, "ranges for int8 and uint8, as --save-ranges wrote them [those of these vectors]")
          ->type_name("FILE");
  app.add_option("--save-ranges", flags->save_ranges, "write the ranges of these vectors, for other texts")
      ->excludes(ranges)
      ->type_name("FILE");
  auto* prompt =
      app.add_option("--prompt", flags->prompt, "text to put before each text [the folder's default prompt, else none]")->type_name("TEXT");
  app.add_option("--prompt-name", flags->prompt_name, "prompt of config_sentence_transformers.json to put there")
      ->excludes(prompt)
      ->type_name("NAME");
  add_shard(app, flags->shard);
  add_compute(app, session, true);
  add_examples(app,
               "  minbert embed models/all-MiniLM-L6-v2 -i lines.txt -o vectors.npy\n"
               "  minbert embed runs/mine -i reviews.csv --text review --id n -o vectors.jsonl\n"
               "  minbert embed models/all-MiniLM-L6-v2 -i lines.txt -o small.npy --dimensions 128 --precision ubinary\n"
               "  tail -f log.txt | minbert embed runs/mine -o -     # a line for each line as it comes");
  return [flags, &app, &session] { return run_embed(*flags, app, session); };
}

}  // namespace minbert
