// minbert-bench: times parts of minbert and compares them with the machine's best speeds, as JSON lines.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/bench_embed.h"
#include "bench/bench_infer.h"
#include "bench/bench_op.h"
#include "bench/bench_step.h"
#include "bench/bench_tokenize.h"
#include "bench/machine.h"
#include "minbert/base/env.h"
#include "minbert/base/parallel.h"

namespace minbert {
namespace {

const std::map<std::string, DType> kDTypes = {{"f32", DType::kF32}, {"bf16", DType::kBF16}, {"int8", DType::kI8}};

void print(const Json& line) {
  fmt::print("{}\n", line.dump());
  std::fflush(stdout);
}

void add_dtype(CLI::App& verb, DType& dtype) {
  verb.add_option("--dtype", dtype, "f32 | bf16; infer and embed: int8 too")
      ->transform(CLI::CheckedTransformer(kDTypes))
      ->default_str("f32");
}

void add_ragged_options(CLI::App& verb, RaggedBench& o) {
  verb.add_option("--model", o.model, "Hugging Face folder; bert-tiny, minilm, bert-base or bert-large: that size with random weights")
      ->capture_default_str();
  auto* ids =
      verb.add_option("--ids", o.ids, "file with the token ids of an example on each line, as minbert tokenize prints them [by seed]")
          ->check(CLI::ExistingFile);
  verb.add_option("--lengths", o.lengths, "file with the number of tokens of an example on each line; random ids [by seed]")
      ->check(CLI::ExistingFile)
      ->excludes(ids);
  verb.add_option("--batch", o.batch, "examples in a batch")->check(CLI::PositiveNumber)->capture_default_str();
  verb.add_option("--steps", o.steps, "batches")->check(CLI::PositiveNumber)->capture_default_str();
  verb.add_option("--rounds", o.rounds, "times each batch is timed")->check(CLI::PositiveNumber)->capture_default_str();
  add_dtype(verb, o.dtype);
}

int run(int argc, char** argv) {
  const Env env = read_env();
  int threads = env.threads > 0 ? env.threads : available_cores();
  CLI::App app("Times parts of minbert beside what the machine can do, as JSON lines.", "minbert-bench");
  app.require_subcommand(1)->fallthrough();
  bool profile = false;
  app.add_flag("--profile", profile, "step, infer, embed: add the time of each kind of op, GFLOP/s and GB/s");
  app.add_option("--threads", threads, "default: MINBERT_THREADS, else all cores")->check(CLI::PositiveNumber);

  std::string sizes = "minilm";
  OpBench op{.sizes = {}};
  CLI::App& op_verb = *app.add_subcommand("op", "every op of a training step made of bare ops");
  op_verb.add_option("--model", sizes, "bert-tiny | minilm | bert-base | bert-large")->capture_default_str();
  op_verb.add_option("--sentences", op.sentences, "sentences in the batch")->check(CLI::PositiveNumber)->capture_default_str();
  op_verb.add_option("--tokens", op.tokens, "tokens in a sentence")->check(CLI::PositiveNumber)->capture_default_str();
  op_verb.add_option("--repeats", op.repeats, "steps timed")->check(CLI::PositiveNumber)->capture_default_str();
  add_dtype(op_verb, op.dtype);

  RaggedBench step, infer;
  CLI::App& step_verb = *app.add_subcommand("step", "training steps: forward, backward, clipping, AdamW, dropout on");
  add_ragged_options(step_verb, step);
  step_verb.add_option("--clip", step.clip, "the gradient's norm is clipped to this; 0: no clipping")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  step_verb.add_option("--seen", step.seen, "words met by earlier steps, which AdamW sweeps too")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  CLI::App& infer_verb = *app.add_subcommand("infer", "forward passes: token ids to sentence vectors");
  add_ragged_options(infer_verb, infer);
  infer_verb.add_flag("--together", infer.together, "all batches at once, which threads share out");
  EmbedBench embed;
  CLI::App& embed_verb = *app.add_subcommand("embed", "texts to sentence vectors");
  embed_verb.add_option("--model", embed.model, "Hugging Face folder")->required()->check(CLI::ExistingDirectory);
  embed_verb.add_option("--input", embed.input, "file of lines")->required()->check(CLI::ExistingFile);
  embed_verb.add_option("--batch", embed.batch, "lines in one call; 0 = all")->check(CLI::NonNegativeNumber)->capture_default_str();
  embed_verb.add_option("--rounds", embed.rounds, "times each call is timed")->check(CLI::PositiveNumber)->capture_default_str();
  add_dtype(embed_verb, embed.dtype);
  TokenizeBench tokenize;
  CLI::App& tokenize_verb = *app.add_subcommand("tokenize", "lines to token ids, on one thread and on all");
  tokenize_verb.add_option("--model", tokenize.model, "folder with a tokenizer")->required()->check(CLI::ExistingDirectory);
  tokenize_verb.add_option("--input", tokenize.input, "file of lines")->required()->check(CLI::ExistingFile);
  tokenize_verb.add_option("--rounds", tokenize.rounds, "times the file is timed")->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  set_num_threads(threads);
  const auto backend = make_backend(env.backend, {.isa = env.isa});
  for (const DType dtype : {op.dtype, step.dtype, infer.dtype, embed.dtype})
    compute_in(*backend, dtype);  // refuses what the processor lacks
  if (op.dtype == DType::kI8 || step.dtype == DType::kI8) throw Error(ErrorTag::kUsage, "--dtype", "int8 is for infer and embed");
  backend->set_profiling(profile);
  if (op_verb.parsed()) {
    op.sizes = encoder_sizes(sizes);
    for (const Json& line : bench_ops(*backend, op)) print(line);
  }
  if (step_verb.parsed()) print(bench_step(*backend, step));
  if (infer_verb.parsed()) print(bench_infer(*backend, infer));
  if (embed_verb.parsed()) print(bench_embed(*backend, embed));
  if (tokenize_verb.parsed())
    for (const Json& line : bench_tokenize(tokenize)) print(line);
  return 0;
}

}  // namespace
}  // namespace minbert

int main(int argc, char** argv) {
  try {
    return minbert::run(argc, argv);
  } catch (const minbert::Error& error) {
    fmt::print(stderr, "minbert-bench: error {}\n", error.what());
    return static_cast<int>(error.tag());
  }
}
