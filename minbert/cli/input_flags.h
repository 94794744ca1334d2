// InputFlags: the rows that predict and embed read, declared once for both.
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

/// What the flags say; columns that they do not name are empty.
InputOptions input_options(const InputFlags& flags, const std::string& default_format);

/// Says on the console how many rows were left out, if any.
void warn_of_skipped(Session& session, const InputRows& rows);

}  // namespace minbert
