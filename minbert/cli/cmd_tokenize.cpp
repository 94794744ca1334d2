// tokenize: prints the token ids of each line.
#include <memory>

#include "minbert/base/json.h"
#include "minbert/base/parallel.h"
#include "minbert/cli/output.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/input_lines.h"
#include "minbert/pipeline/model_folder.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

struct TokenizeFlags {
  std::string model, input = "-";
  bool pairs = false, json = false;
  std::int64_t max_length = 0;
};

/// The folder to load the tokenizer from; one without a model will do.
fs::path tokenizer_folder(const fs::path& model) {
  return fs::exists(model / "tokenizer.json") || fs::exists(model / "vocab.txt") ? model : find_model_folder(model);
}

std::string as_json(const Tokenizer& tokenizer, const Encoding& encoding) {
  Json tokens = Json::array();
  for (const std::int32_t id : encoding.ids) tokens.push_back(tokenizer.token(id));
  return dump_json({{"ids", encoding.ids}, {"tokens", tokens}, {"type_ids", encoding.type_ids}, {"offsets", encoding.offsets}}) + "\n";
}

/// The first tab of a line. Throws Error(kData) where there is none.
std::size_t tab_in(const InputLines& lines, std::size_t i) {
  const std::size_t tab = lines[i].find('\t');
  if (tab == std::string_view::npos) throw Error(ErrorTag::kData, lines.place(i), "expected two texts with a tab between them, got one");
  return tab;
}

std::string tokenize_line(const Tokenizer& tokenizer, const TokenizeFlags& flags, const InputLines& lines, std::size_t i) {
  const std::string_view line = lines[i];
  Encoding encoding;
  if (flags.pairs) {
    const std::size_t tab = tab_in(lines, i);
    encoding = tokenizer.encode_pair(line.substr(0, tab), line.substr(tab + 1), flags.max_length, flags.json);
  } else {
    encoding = tokenizer.encode(line, flags.max_length, flags.json);
  }
  return flags.json ? as_json(tokenizer, encoding) : fmt::format("{}\n", fmt::join(encoding.ids, " "));
}

int run_tokenize(const TokenizeFlags& flags, Session& session) {
  constexpr std::size_t kChunk = 8192;
  set_threads(session);
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_folder(flags.model));
  warn_of_files(session, tokenizer.warnings());
  const InputLines lines(flags.input);
  for (std::size_t i = 0; flags.pairs && i < lines.size(); ++i) tab_in(lines, i);  // before anything is printed
  catch_signals();
  Output out;
  std::vector<std::string> texts;
  for (std::size_t begin = 0; begin < lines.size(); begin += kChunk) {
    throw_if_stopped();
    texts.resize(std::min(kChunk, lines.size() - begin));
    parallel_for(std::ssize(texts), 64, [&](std::int64_t first, std::int64_t last) {
      for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i)
        texts[i] = tokenize_line(tokenizer, flags, lines, begin + i);
    });
    for (const std::string& text : texts) out.write(text);
  }
  out.commit();
  return 0;
}

}  // namespace

Action declare_tokenize(CLI::App& app, Session& session) {
  auto flags = std::make_shared<TokenizeFlags>();
  add_model(app, flags->model);
  add_input(app, flags->input);
  app.add_flag("--pairs", flags->pairs, "the first tab of a line splits it into two texts");
  app.add_flag("--json", flags->json, "one JSON object a line: ids, tokens, type_ids, offsets");
  app.add_option("--max-length", flags->max_length, "tokens to cut at, special ones included; 0 = no limit")
      ->check(whole_number(0, std::int64_t{1} << 31))
      ->capture_default_str()
      ->type_name("N");
  add_threads(app, session);
  add_examples(
      app, "  echo 'A fine film.' | minbert tokenize models/all-MiniLM-L6-v2\n  minbert tokenize runs/mine -i pairs.tsv --pairs --json");
  return [flags, &session] { return run_tokenize(*flags, session); };
}

}  // namespace minbert
