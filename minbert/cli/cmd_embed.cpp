// embed: writes a sentence vector for each text.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "minbert/base/clock.h"
#include "minbert/base/safetensors.h"
#include "minbert/cli/input_flags.h"
#include "minbert/cli/output.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/verbs.h"
#include "minbert/pipeline/sentence_folder.h"
#include "minbert/pipeline/text_model.h"

namespace minbert {
namespace {

struct EmbedFlags {
  std::string model, output, pool;
  std::optional<std::string> prompt, prompt_name;
  InputFlags input;
  std::optional<bool> normalize;
};

/// Writes vectors in order.
class VectorWriter {
 public:
  virtual ~VectorWriter() = default;
  /// Adds the vectors (inputs, width), row-major, of these inputs.
  virtual void add(std::span<const InputRow> inputs, std::span<const float> vectors) = 0;
  virtual void commit() = 0;
};

/// NumPy's format 1.0 (numpy/lib/format.py). Its header holds the shape, which is known beforehand, so vectors are written as they come.
class NpyWriter final : public VectorWriter {
 public:
  NpyWriter(const std::string& path, std::size_t rows, std::int64_t width) : file_(path) {
    std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, width);
    constexpr std::size_t kPrefix = 10, kAlignment = 64;
    header.append(kAlignment - (kPrefix + header.size() + 1) % kAlignment, ' ');
    header += '\n';
    file_.write(std::string_view("\x93NUMPY\x01\x00", 8));
    file_.write(std::string{static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)});
    file_.write(header);
  }
  void add(std::span<const InputRow>, std::span<const float> vectors) override { file_.write(std::as_bytes(vectors)); }
  void commit() override { file_.commit(); }

 private:
  AtomicFile file_;
};

/// One tensor "embeddings"; its header comes first, so all vectors are kept until the end.
class SafetensorsWriter final : public VectorWriter {
 public:
  SafetensorsWriter(std::string path, std::int64_t width) : path_(std::move(path)), width_(width) { AtomicFile can_be_written(path_); }
  void add(std::span<const InputRow>, std::span<const float> vectors) override {
    values_.insert(values_.end(), vectors.begin(), vectors.end());
  }
  void commit() override {
    write_safetensors(path_, {{"embeddings", "F32", {std::ssize(values_) / width_, width_}, std::as_bytes(std::span(values_))}});
  }

 private:
  std::string path_;
  std::int64_t width_;
  std::vector<float> values_;
};

/// One JSON array per line, or with ids one object with "id" and "embedding".
class JsonlWriter final : public VectorWriter {
 public:
  JsonlWriter(const std::string& path, std::int64_t width, bool ids) : out_(path), width_(static_cast<std::size_t>(width)), ids_(ids) {}
  void add(std::span<const InputRow> inputs, std::span<const float> vectors) override {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::string vector = fmt::format("[{}]", fmt::join(vectors.subspan(i * width_, width_), ","));
      out_.write(ids_ ? fmt::format("{{\"id\":{},\"embedding\":{}}}\n", dump_json(inputs[i].id), vector) : vector + "\n");
    }
  }
  void commit() override { out_.commit(); }

 private:
  Output out_;
  std::size_t width_;
  bool ids_;
};

std::string extension_of(const EmbedFlags& flags) {
  const std::string extension = flags.output == "-" ? ".jsonl" : std::filesystem::path(flags.output).extension().string();
  if (extension != ".npy" && extension != ".safetensors" && extension != ".jsonl")
    throw Error(ErrorTag::kUsage, "-o", fmt::format("expected a name that ends in .npy, .safetensors or .jsonl, got \"{}\"", flags.output));
  return extension;
}

std::unique_ptr<VectorWriter> make_writer(const EmbedFlags& flags, std::size_t rows, std::int64_t width) {
  const std::string extension = extension_of(flags);
  if (extension == ".npy") return std::make_unique<NpyWriter>(flags.output, rows, width);
  if (extension == ".jsonl") return std::make_unique<JsonlWriter>(flags.output, width, !flags.input.columns.id.empty());
  return std::make_unique<SafetensorsWriter>(flags.output, width);
}

std::vector<std::string> pool_names() { return OptionType<TokenPool>::names(); }

TokenPool parse_pool_name(std::string_view name) {
  for (const auto& row : option_names(TokenPool{}))
    if (row.name == name) return row.value;
  throw Error(ErrorTag::kUsage, "--pool", fmt::format("unknown pooling \"{}\"", name));
}

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
    settings.modules.pooling.modes = {parse_pool_name(flags.pool)};
  if (flags.normalize) settings.modules.set_normalize(*flags.normalize);
  settings.prompt = prompt_of(flags, folder);
  return settings;
}

int run_embed(const EmbedFlags& flags, Session& session) {
  constexpr std::size_t kChunk = 1024;
  const std::string extension = extension_of(flags);
  const auto backend = open_backend(session);
  Stopwatch watch;
  ModelFolder folder = read_model_folder(flags.model);
  const EmbedSettings settings = settings_of(flags, folder);
  const std::int64_t width = settings.modules.width(folder.config.hidden_size);
  TextModel model = open_model(session, *backend, std::move(folder), settings.modules.pooling.modes.front() == TokenPool::kPooler);
  session.console.detail(fmt::format("model: {:.2f} s", watch.lap()));
  const InputRows rows(input_options(flags.input, default_text_format(flags.input)));
  catch_signals();
  if (extension != ".jsonl")
    expect_free_bytes(flags.output, std::ssize(rows) * width * static_cast<std::int64_t>(sizeof(float)), "the vectors");
  const auto writer = make_writer(flags, rows.size(), width);
  for_each_chunk(session, rows, kChunk, [&](std::span<const InputRow> chunk, const RowProgress& progress) {
    writer->add(chunk, model.embed(chunk, settings, progress));
  });
  writer->commit();
  show_profile(session, *backend);
  warn_of_texts(session, model);
  return 0;
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
  auto* prompt =
      app.add_option("--prompt", flags->prompt, "text to put before each text [the folder's default prompt, else none]")->type_name("TEXT");
  app.add_option("--prompt-name", flags->prompt_name, "prompt of config_sentence_transformers.json to put there")
      ->excludes(prompt)
      ->type_name("NAME");
  add_compute(app, session, true);
  add_examples(app,
               "  minbert embed models/all-MiniLM-L6-v2 -i lines.txt -o vectors.npy\n"
               "  minbert embed runs/mine -i reviews.csv --text review --id n -o vectors.jsonl");
  return [flags, &session] { return run_embed(*flags, session); };
}

}  // namespace minbert
