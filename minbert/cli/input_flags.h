// InputFlags: the flags of input rows, declared once for predict, embed and similar.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>
#include <string>

#include "minbert/cli/file_task.h"
#include "minbert/cli/session.h"
#include "minbert/cli/shard.h"
#include "minbert/data/input_rows.h"

namespace minbert {

/// -i, --in-format, --header, --encoding, --text, --text-pair, --id, --on-bad-row.
struct InputFlags {
  std::string path = "-", format, header = "auto", encoding = "utf-8", on_bad_row = "error";
  ColumnFlags columns;
};

/// `pairs`: with --text-pair. `default_help` says in the help what an absent --in-format means.
void add_input_rows(CLI::App& app, InputFlags& flags, bool pairs, const std::string& default_help);

/// The options that the flags give; a column that no flag names stays empty.
InputOptions input_options(const InputFlags& flags, const std::string& default_format);

/// Hints about a file of labelled rows that a flag names, without a config. `bad_row`: what the verb can do about a row that cannot be
/// used.
ReadingHints file_hints(std::string bad_row);

/// The format of texts where --in-format is absent: plain lines, whatever they look like, unless the file's name or a named column says
/// that the input is a table.
std::string default_text_format(const InputFlags& flags);
inline constexpr const char* kTextFormatHelp = "by the name of -i or with --text or --id auto, else lines";

/// Reads the rows `chunk` at a time and calls work(rows, progress) for each chunk in order; `progress` shows on the console how many rows
/// are done, and ends the work if a signal asks for it. Says what the input was guessed to be. With a shard, these are its rows that are
/// not written yet; it counts each chunk, and is whole at the end.
void for_each_chunk(Session& session, const InputRows& rows, std::size_t chunk,
                    const std::function<void(std::span<const InputRow> rows, const RowProgress& progress)>& work,
                    ShardFile* shard = nullptr);

/// Says how many of an input's records were left out, and in how many an unbalanced quote was read as a character, if any.
void warn_of_bad_rows(Session& session, std::size_t skipped, std::size_t repaired, std::size_t records);

}  // namespace minbert
