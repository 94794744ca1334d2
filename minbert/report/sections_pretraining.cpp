// Further pretraining: the texts that mlm stages read, how much their vocabularies overlap, and how training changed their losses.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "minbert/data/corpus_records.h"
#include "minbert/data/eval_table.h"
#include "minbert/report/numbers.h"
#include "minbert/report/sections.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// A run of the row that trained an mlm stage itself; null if there is none.
const RunData* pretrained(const ModelRow& row) {
  if (row.first() == nullptr) return nullptr;
  const auto own = [&](const StageConfig& stage) { return stage.is_mlm() && !row.shared.contains(stage.name); };
  return std::ranges::any_of(row.first()->config.stages, own) ? row.first() : nullptr;
}

std::string figure(std::optional<double> value, int decimals) { return value ? fixed_text(*value, decimals) : ""; }

Html texts_table(const ModelRows& rows, Sheets& sheets) {
  Sheet sheet{.file = "pretraining-texts",
              .caption =
                  "What was read for masked words, in texts: each text of a pair by itself, unless pairs were joined. Held-out ones are "
                  "measured and never trained on, nor are others that repeat them; a probe is measured only.",
              .columns = {"model", "stage", "texts", "read", "trained on", "empty", "held out", "repeated", "truncated", "tokens"},
              .words = 3};
  for (const ModelRow& row : rows) {
    const RunData* run = pretrained(row);
    if (run == nullptr) continue;
    for (const TextRows& texts : run->texts) {
      std::vector<std::string> cells = {row.title, texts.stage, texts.probe ? texts.texts + ", probe" : texts.texts};
      for (const std::int64_t count : {texts.read, texts.used, texts.empty, texts.held_out, texts.repeated, texts.truncated, texts.tokens})
        cells.push_back(std::to_string(count));
      sheet.rows.push_back(cells);
    }
  }
  return sheet.rows.empty() ? Html() : sheets.show(sheet);
}

/// The losses of all models before and after pretraining.
Html shift_table(const ModelRows& rows, Sheets& sheets) {
  Sheet sheet{.file = "pretraining-shift",
              .caption =
                  "Vocabulary of the corpora in word pieces, and what pretraining did to the perplexity and the accuracy on hidden "
                  "pieces of their held-out texts.",
              .columns = {"model", "stage", "corpus", "read as", "texts", "word pieces", "distinct", "perplexity before", "after",
                          "accuracy before", "and after"},
              .words = 4};
  for (const ModelRow& row : rows) {
    const RunData* run = pretrained(row);
    const fs::path path = run == nullptr ? fs::path() : run->folder / "eval" / "mlm" / "corpora.csv";
    if (run == nullptr || !fs::exists(path)) continue;
    for (const CorpusRecord& corpus : read_corpora(path))
      sheet.rows.push_back({row.title, corpus.stage, corpus.corpus, corpus.role, std::to_string(corpus.texts),
                            std::to_string(corpus.word_pieces), std::to_string(corpus.distinct), figure(corpus.perplexity.before, 2),
                            figure(corpus.perplexity.after, 2), figure(corpus.accuracy.before, 3), figure(corpus.accuracy.after, 3)});
  }
  return sheet.rows.empty() ? Html() : sheets.show(sheet);
}

/// A matrix for each stage: the share of a corpus's tokens that another corpus has too.
Html overlap_tables(const ModelRow& row, bool several, Sheets& sheets) {
  const RunData* run = pretrained(row);
  const fs::path path = run == nullptr ? fs::path() : run->folder / "eval" / "mlm" / "overlap.csv";
  if (run == nullptr || !fs::exists(path)) return {};
  const EvalTable table(path, "csv");
  const std::size_t stage = table.column("stage"), corpus = table.column("corpus"), other = table.column("other"),
                    tokens = table.column("tokens");
  std::vector<std::string> stages;
  std::map<std::string, std::vector<std::string>> names;  // stage -> corpora in order
  std::map<std::array<std::string, 3>, std::string> shares;
  const auto add = [](std::vector<std::string>& list, const std::string& name) {
    if (std::ranges::find(list, name) == list.end()) list.push_back(name);
  };
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const std::string at = table.text(i, stage), from = table.text(i, corpus), to = table.text(i, other);
    add(stages, at);
    add(names[at], from);
    add(names[at], to);
    shares[{at, from, to}] = fixed_text(table.number(i, tokens), 3);
  }
  Html html;
  for (const std::string& at : stages) {
    Sheet sheet{.file = several ? fmt::format("{}.{}.overlap", row.name, at) : at + ".overlap",
                .caption = fmt::format("Shared vocabulary of the corpora{}: the share of a row's word pieces, each occurrence counted, "
                                       "that the column's corpus has too.",
                                       several ? " of " + row.title : ""),
                .columns = {"corpus"}};
    for (const std::string& name : names[at]) sheet.columns.push_back(name);
    for (const std::string& from : names[at]) {
      std::vector<std::string> cells = {from};
      for (const std::string& to : names[at]) cells.push_back(shares[{at, from, to}]);
      sheet.rows.push_back(cells);
    }
    html += sheets.show(sheet);
  }
  return html;
}

}  // namespace

Html pretraining_section(const ModelRows& rows, Sheets& sheets) {
  Html html = masked_word_curves(rows, sheets) + texts_table(rows, sheets) + shift_table(rows, sheets);
  for (const ModelRow& row : rows) html += overlap_tables(row, rows.size() > 1, sheets);
  return html;
}

}  // namespace minbert
