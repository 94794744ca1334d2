// InputFlags: the flags of input rows, declared once for predict and embed.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "minbert/cli/file_task.h"
#include "minbert/cli/session.h"
#include "minbert/data/input_rows.h"

namespace minbert {

/// -i, --in-format, --text, --text-pair, --id, --on-bad-row.
struct InputFlags {
  std::string path = "-", format, on_bad_row = "error";
  ColumnFlags columns;
};

/// `pairs`: with --text-pair. `default_help` says in the help what an absent --in-format means.
void add_input_rows(CLI::App& app, InputFlags& flags, bool pairs, const std::string& default_help);

/// The options that the flags give; a column that no flag names stays empty.
InputOptions input_options(const InputFlags& flags, const std::string& default_format);

/// Hints about a file of labelled rows that a flag names, without a config. `bad_row`: what the verb can do about a row that cannot be
/// used.
ReadingHints file_hints(std::string bad_row);

/// Warns if rows were left out.
void warn_of_skipped(Session& session, const InputRows& rows);

}  // namespace minbert
