// Corpora as rows of CSV.
#include "minbert/data/corpus_records.h"

#include <array>
#include <cmath>
#include <utility>

#include "minbert/base/json.h"
#include "minbert/data/eval_table.h"
#include "minbert/data/fields.h"

namespace minbert {
namespace {

constexpr std::array kCounts = {std::pair("texts", &CorpusRecord::texts), std::pair("held_out", &CorpusRecord::held_out),
                                std::pair("word_pieces", &CorpusRecord::word_pieces), std::pair("distinct", &CorpusRecord::distinct),
                                std::pair("unknown", &CorpusRecord::unknown)};
constexpr std::array kShifts = {std::pair("loss", &CorpusRecord::loss), std::pair("perplexity", &CorpusRecord::perplexity),
                                std::pair("accuracy", &CorpusRecord::accuracy)};

std::string cell(std::optional<double> figure) { return figure && std::isfinite(*figure) ? dump_json(*figure) : ""; }

}  // namespace

std::string corpora_csv(std::span<const CorpusRecord> corpora) {
  std::string csv = "stage,corpus,role";
  for (const auto& [column, member] : kCounts) csv += fmt::format(",{}", column);
  for (const auto& [column, member] : kShifts) csv += fmt::format(",{0}_before,{0}_after", column);
  csv += "\n";
  for (const CorpusRecord& corpus : corpora) {
    csv += fmt::format("{},{},{}", csv_field(corpus.stage), csv_field(corpus.corpus), csv_field(corpus.role));
    for (const auto& [column, member] : kCounts) csv += fmt::format(",{}", corpus.*member);
    for (const auto& [column, member] : kShifts) csv += fmt::format(",{},{}", cell((corpus.*member).before), cell((corpus.*member).after));
    csv += "\n";
  }
  return csv;
}

std::vector<CorpusRecord> read_corpora(const std::filesystem::path& file) {
  const EvalTable table(file, "csv");
  std::vector<CorpusRecord> corpora(table.rows());
  for (std::size_t row = 0; row < table.rows(); ++row) {
    CorpusRecord& corpus = corpora[row];
    const auto is_there = [&](std::optional<std::size_t> column) { return column && !table.text(row, *column).empty(); };
    corpus.stage = table.text(row, table.column("stage"));
    corpus.corpus = table.text(row, table.column("corpus"));
    corpus.role = table.text(row, table.column("role"));
    for (const auto& [column, member] : kCounts)
      if (const auto at = table.find_column(column); is_there(at)) corpus.*member = table.count(row, *at);
    for (const auto& [column, member] : kShifts) {
      const auto before = table.find_column(fmt::format("{}_before", column)), after = table.find_column(fmt::format("{}_after", column));
      if (is_there(before)) (corpus.*member).before = table.number(row, *before);
      if (is_there(after)) (corpus.*member).after = table.number(row, *after);
    }
  }
  return corpora;
}

}  // namespace minbert
