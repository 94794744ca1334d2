// Session: what verbs share: environment, console, common flags, and opening a backend and a model.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "minbert/base/env.h"
#include "minbert/cli/console.h"
#include "minbert/ops/backend.h"
#include "minbert/pipeline/ensemble.h"
#include "minbert/train/comm.h"

namespace minbert {

struct Session {
  Env env;
  Console console;
  std::optional<int> threads;   ///< --threads
  std::string dtype;            ///< --dtype; empty: the model's
  std::unique_ptr<Comm> ranks;  ///< of verbs that train in several processes; null before they open it
};

/// Declares --threads.
void add_threads(CLI::App& app, Session& session);
/// Declares --threads and --dtype: f32 or bf16, and int8 for verbs that only run a model forward.
void add_compute(CLI::App& app, Session& session, bool forward_only = false);
/// Declares the positional MODEL.
void add_model(CLI::App& app, std::string& model);
/// Declares MODEL..., one or more.
void add_models(CLI::App& app, std::vector<std::string>& models);
/// Declares -i FILE|-.
void add_input(CLI::App& app, std::string& path);
/// Declares --json.
void add_json(CLI::App& app, bool& json);
/// Checks for a flag's value; their errors say what was expected and what was got.
CLI::Validator one_of(std::vector<std::string> values);
CLI::Validator whole_number(std::int64_t low, std::int64_t high);
CLI::Validator number_between(double low, double high);
/// Adds examples to the end of --help.
void add_examples(CLI::App& app, const std::string& examples);

/// Sets the process's threads: --threads, else MINBERT_THREADS, else available_cores().
void set_threads(const Session& session);
/// Calls set_threads and makes the backend that MINBERT_BACKEND names, with the switches of MINBERT_DEBUG.
std::unique_ptr<Backend> open_backend(Session& session);
/// resolve_compute; warns on the console when it falls back to f32.
Compute session_compute(Session& session, const Backend& backend, const std::string& dtype);
/// Warns of settings on which the files of a model disagree.
void warn_of_files(Session& session, const std::vector<std::string>& warnings);
/// Loads the folder's model and warns of its files; it computes in --dtype, else in the dtype that the folder names,
/// or with `backward` in f32 with weights for training.
TextModel open_model(Session& session, Backend& backend, ModelFolder folder, bool pooler = false, bool backward = false);
/// Loads the models of one folder or more (answering_folders), each as open_model() does. With `backward` they compute in f32 with weights
/// for training.
Ensemble open_models(Session& session, Backend& backend, std::span<const std::string> folders, bool backward = false);
/// Warns if texts were longer than the model's max_length, or if many of their words are not in its vocabulary.
void warn_of_texts(Session& session, const TextModel& model);
/// Warns from the counts of the first model that has read texts; the other models read the same texts.
void warn_of_texts(Session& session, const Ensemble& models);
/// Prints the time of each kind of op to stderr if MINBERT_DEBUG is 2 or more.
void show_profile(Session& session, const Backend& backend);

}  // namespace minbert
