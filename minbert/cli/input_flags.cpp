// Declares the flags of input rows and turns them into options.
#include "minbert/cli/input_flags.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "minbert/base/clock.h"
#include "minbert/cli/signals.h"

namespace minbert {

void add_input_rows(CLI::App& app, InputFlags& flags, bool pairs, const std::string& default_help) {
  add_input(app, flags.path);
  const char* const lines = pairs ? "lines (a tab splits a pair)" : "lines";
  app.add_option("--in-format", flags.format,
                 fmt::format("format of the input: auto (detected) | csv | tsv | jsonl | {} [{}]", lines, default_help))
      ->check(one_of({"auto", "csv", "tsv", "jsonl", "lines"}))
      ->type_name("NAME");
  app.add_option("--header", flags.header, "whether a table's first line names the columns: yes | no [by its look]")
      ->check(one_of({"auto", "yes", "no"}))
      ->type_name("NAME");
  add_encoding(app, flags.encoding);
  add_columns(app, flags.columns, false, pairs);
  app.add_option("--on-bad-row", flags.on_bad_row, "error: end with 3; skip: leave the row out and count it [error]")
      ->check(one_of({"error", "skip"}))
      ->type_name("NAME");
}

InputOptions input_options(const InputFlags& flags, const std::string& default_format) {
  return {.path = flags.path,
          .format = flags.format.empty() ? default_format : flags.format,
          .header = flags.header,
          .encoding = flags.encoding,
          .columns = {.text = flags.columns.text,
                      .text_pair = flags.columns.text_pair,
                      .id = flags.columns.id,
                      .hint = "--text NAME takes another column"},
          .skip_bad_rows = flags.on_bad_row == "skip"};
}

ReadingHints file_hints(std::string bad_row) {
  return {.lines = "a .json or .jsonl file has a JSON object on each line",
          .bad_row = std::move(bad_row),
          .no_label = "give a CSV, TSV or JSON lines file with a column of labels",
          .columns = "--text, --text-pair, --label and --id name other columns"};
}

std::string default_text_format(const InputFlags& flags) {
  const bool table = !format_of_name(flags.path).empty() || !flags.columns.text.empty() || !flags.columns.id.empty();
  return table ? "auto" : "lines";
}

void for_each_chunk(Session& session, const InputRows& rows, std::size_t chunk,
                    const std::function<void(std::span<const InputRow> rows, const RowProgress& progress)>& work, ShardFile* shard) {
  if (const std::string guess = rows.guess(); !guess.empty()) session.console.info(guess);
  constexpr double kSilent_s = 0.3;  // a line that is answered at once needs no progress
  Stopwatch watch;
  std::vector<InputRow> inputs;
  const Shard part = shard != nullptr ? shard->shard() : Shard();
  const std::size_t count = part.rows_of(rows.size());
  for (std::size_t begin = shard != nullptr ? shard->rows() : 0; begin < count; begin += inputs.size()) {
    inputs.clear();
    for (std::size_t i = begin; i < std::min(begin + chunk, count); ++i) inputs.push_back(rows[part.index + i * part.count]);
    work(inputs, [&](std::int64_t done) {
      throw_if_stopped();
      if (watch.seconds() > kSilent_s)
        session.console.progress(fmt::format("{} of {} rows", begin + static_cast<std::size_t>(done), count));
    });
    if (shard != nullptr) shard->end_rows(inputs.size());
  }
  if (shard != nullptr) shard->commit(rows.size());
  session.console.clear_progress();
  session.console.detail(fmt::format("{} rows: {:.2f} s", count, watch.lap()));
}

void warn_of_bad_rows(Session& session, std::size_t skipped, std::size_t repaired, std::size_t records) {
  if (repaired > 0)
    session.console.warning(fmt::format("{} of {} rows have an unbalanced quote, which is read as a character", repaired, records));
  if (skipped > 0) session.console.warning(fmt::format("{} of {} rows were bad and left out", skipped, records));
}

}  // namespace minbert
