// Session: what every verb needs (environment, console, flags that many verbs share) and the backend they compute on.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "minbert/base/env.h"
#include "minbert/cli/console.h"
#include "minbert/ops/backend.h"
#include "minbert/pipeline/text_model.h"

namespace minbert {

struct Session {
  Env env;
  Console console;
  std::optional<int> threads;  ///< --threads
  std::string dtype;           ///< --dtype; empty: the model's
};

/// Declares --threads, and sets the session's.
void add_threads(CLI::App& app, Session& session);
/// Declares --threads and --dtype: f32 or bf16, and for verbs that only run a model forward int8.
void add_compute(CLI::App& app, Session& session, bool forward_only = false);
/// Declares the positional MODEL.
void add_model(CLI::App& app, std::string& model);
/// Declares -i FILE|-.
void add_input(CLI::App& app, std::string& path);
/// Declares --json.
void add_json(CLI::App& app, bool& json);
/// Checks of a flag's value, with errors that say what was expected and what was got.
CLI::Validator one_of(std::vector<std::string> values);
CLI::Validator whole_number(std::int64_t low, std::int64_t high);
/// The end of --help.
void add_examples(CLI::App& app, const std::string& examples);

/// Sets the process's threads: --threads, else MINBERT_THREADS, else available_cores().
void set_threads(const Session& session);
/// set_threads, and the backend of MINBERT_BACKEND with the switches of MINBERT_DEBUG.
std::unique_ptr<Backend> open_backend(Session& session);
/// What a name of --dtype means here: what the backend cannot do becomes f32, with a warning.
Compute compute_of(Session& session, const Backend& backend, const std::string& dtype);
/// The same of --dtype, else of the folder's.
Compute compute_for(Session& session, const Backend& backend, const ModelFolder& folder);
/// With MINBERT_DEBUG=2: time by op, on stderr.
void show_profile(Session& session, const Backend& backend);

}  // namespace minbert
