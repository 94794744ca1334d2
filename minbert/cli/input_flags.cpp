// Declares the flags of input rows and turns them into options.
#include "minbert/cli/input_flags.h"

namespace minbert {

void add_input_rows(CLI::App& app, InputFlags& flags, bool pairs, const std::string& default_help) {
  add_input(app, flags.path);
  const char* const lines = pairs ? "lines (a tab splits a pair)" : "lines";
  app.add_option("--in-format", flags.format,
                 fmt::format("format of the input: auto (detected) | csv | tsv | jsonl | {} [{}]", lines, default_help))
      ->check(one_of({"auto", "csv", "tsv", "jsonl", "lines"}))
      ->type_name("NAME");
  add_columns(app, flags.columns, false, pairs);
  app.add_option("--on-bad-row", flags.on_bad_row, "error: end with 3; skip: leave the row out and count it [error]")
      ->check(one_of({"error", "skip"}))
      ->type_name("NAME");
}

InputOptions input_options(const InputFlags& flags, const std::string& default_format) {
  return {.path = flags.path,
          .format = flags.format.empty() ? default_format : flags.format,
          .columns = {.text = flags.columns.text, .text_pair = flags.columns.text_pair, .id = flags.columns.id},
          .skip_bad_rows = flags.on_bad_row == "skip"};
}

ReadingHints file_hints(std::string bad_row) {
  return {.lines = "a .json or .jsonl file has a JSON object on each line",
          .bad_row = std::move(bad_row),
          .no_label = "give a CSV, TSV or JSON lines file with a column of labels"};
}

void warn_of_skipped(Session& session, const InputRows& rows) {
  if (rows.skipped() > 0)
    session.console.warning(fmt::format("{} of {} rows were bad and left out", rows.skipped(), rows.size() + rows.skipped()));
}

}  // namespace minbert
