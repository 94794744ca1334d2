// similar: lists near-duplicates, or each row's nearest neighbours, among the texts of a file.
#include <filesystem>
#include <memory>

#include "minbert/base/clock.h"
#include "minbert/cli/input_flags.h"
#include "minbert/cli/output.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/fields.h"
#include "minbert/pipeline/sentence_folder.h"
#include "minbert/pipeline/similar.h"
#include "minbert/pipeline/text_model.h"

namespace minbert {
namespace {

constexpr std::size_t kMostPairs = 20'000'000;  // 240 MB of pairs, more than anybody reads

struct SimilarFlags {
  std::string model, output = "-";
  InputFlags input;
  float threshold = 0.9f;
  std::int64_t top_k = 0;
  bool texts = false;
};

void write_pairs(Output& out, const std::string& format, std::span<const SimilarPair> pairs, std::span<const InputRow> rows, bool texts) {
  const auto joined = [&](std::vector<std::string> cells) {
    for (std::string& cell : cells) cell = format == "csv" ? csv_field(cell) : tsv_field(cell);
    return fmt::format("{}\n", fmt::join(cells, format == "csv" ? "," : "\t"));
  };
  if (format != "jsonl") out.write(texts ? joined({"id_a", "id_b", "score", "text_a", "text_b"}) : joined({"id_a", "id_b", "score"}));
  for (const SimilarPair& pair : pairs) {
    const InputRow &a = rows[pair.a], &b = rows[pair.b];
    const std::string score = fmt::format("{}", pair.score);
    if (format != "jsonl") {
      out.write(texts ? joined({a.id, b.id, score, a.text, b.text}) : joined({a.id, b.id, score}));
      continue;
    }
    const std::string words = texts ? fmt::format(",\"text_a\":{},\"text_b\":{}", dump_json(a.text), dump_json(b.text)) : "";
    out.write(fmt::format("{{\"id_a\":{},\"id_b\":{},\"score\":{}{}}}\n", dump_json(a.id), dump_json(b.id), score, words));
  }
}

int run_similar(const SimilarFlags& flags, Session& session) {
  constexpr std::size_t kChunk = 1024;
  const std::string format = output_format(flags.output, {"csv", "tsv", "jsonl"});
  const auto backend = open_backend(session);
  ModelFolder folder = read_model_folder(flags.model);
  EmbedSettings settings{.modules = read_sentence_modules(folder, folder.warnings), .prompt = read_prompts(folder).by_default};
  settings.modules.set_normalize(true);
  const std::int64_t width = settings.modules.width(folder.config.hidden_size);
  TextModel model = open_model(session, *backend, std::move(folder), settings.modules.pooling.modes.front() == TokenPool::kPooler);
  const InputRows rows(input_options(flags.input, default_text_format(flags.input)));
  catch_signals();
  Output out(flags.output);
  std::vector<float> vectors;
  std::vector<InputRow> inputs;  // in memory as the vectors are, since pairs name them in any order
  for_each_chunk(session, rows, kChunk, [&](std::span<const InputRow> chunk, const RowProgress& progress) {
    const auto some = model.embed(chunk, settings, progress);
    vectors.insert(vectors.end(), some.begin(), some.end());
    for (const InputRow& row : chunk) inputs.push_back({.text = flags.texts ? row.text : "", .text_pair = {}, .id = row.id});
  });
  warn_of_bad_rows(session, rows.skipped(), rows.repaired(), rows.size() + rows.skipped());
  Stopwatch watch;
  const RowProgress progress = [&](std::int64_t done) {
    throw_if_stopped();
    session.console.progress(fmt::format("compared {} of {} rows", done, rows.size()));
  };
  const auto pairs = flags.top_k > 0 ? nearest_rows(*backend, vectors, width, flags.top_k, progress)
                                     : similar_pairs(*backend, vectors, width, flags.threshold, kMostPairs, progress);
  session.console.clear_progress();
  session.console.detail(
      fmt::format("{} pairs: {:.2f} s; the vectors take {} MB", pairs.size(), watch.lap(), vectors.size() * 4 / 1'000'000));
  write_pairs(out, format, pairs, inputs, flags.texts);
  out.commit();
  show_profile(session, *backend);
  warn_of_texts(session, model);
  return 0;
}

}  // namespace

Action declare_similar(CLI::App& app, Session& session) {
  auto flags = std::make_shared<SimilarFlags>();
  add_model(app, flags->model);
  add_input_rows(app, flags->input, false, kTextFormatHelp);
  app.add_option("-o,--output", flags->output, "FILE.csv, FILE.tsv or FILE.jsonl; - is JSON lines to standard output")
      ->capture_default_str()
      ->type_name("FILE");
  CLI::Option* const top = app.add_option("--top-k", flags->top_k, "list each row's K nearest rows instead of the pairs above a threshold")
                               ->check(whole_number(1, 1000))
                               ->type_name("K");
  app.add_option("--threshold", flags->threshold, "list each pair of rows whose cosine is at least this")
      ->check(number_between(-1, 1))
      ->capture_default_str()
      ->excludes(top)
      ->type_name("T");
  app.add_flag("--with-texts", flags->texts, "write both texts beside each pair");
  add_compute(app, session, true);
  add_examples(app,
               "  minbert similar models/all-MiniLM-L6-v2 -i tickets.csv --text message --id n -o duplicates.csv --with-texts\n"
               "  minbert similar runs/mine -i lines.txt --top-k 5");
  return [flags, &session] { return run_similar(*flags, session); };
}

}  // namespace minbert
