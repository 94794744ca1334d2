// Verbs: the list of verbs; each is declared in its own cmd_*.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>
#include <string_view>

#include "minbert/cli/session.h"

namespace minbert {

/// Runs a verb whose flags are parsed, and returns the exit code.
using Action = std::function<int()>;

struct Verb {
  std::string_view name, summary;
  /// Declares the verb's flags; the returned action owns their values.
  Action (*declare)(CLI::App& app, Session& session);
};

/// In the order of --help.
std::span<const Verb> verbs();
/// The names of the verbs inside `app`.
std::vector<std::string> verb_names(const CLI::App& app);

Action declare_clean(CLI::App& app, Session& session);
Action declare_compare(CLI::App& app, Session& session);
Action declare_completion(CLI::App& app, Session& session);
Action declare_config(CLI::App& app, Session& session);
Action declare_data(CLI::App& app, Session& session);
Action declare_embed(CLI::App& app, Session& session);
Action declare_eval(CLI::App& app, Session& session);
Action declare_export(CLI::App& app, Session& session);
Action declare_fetch(CLI::App& app, Session& session);
Action declare_help(CLI::App& app, Session& session);
Action declare_init(CLI::App& app, Session& session);
Action declare_inspect(CLI::App& app, Session& session);
Action declare_merge(CLI::App& app, Session& session);
Action declare_predict(CLI::App& app, Session& session);
Action declare_pretrain(CLI::App& app, Session& session);
Action declare_report(CLI::App& app, Session& session);
Action declare_sample_data(CLI::App& app, Session& session);
Action declare_search(CLI::App& app, Session& session);
Action declare_serve(CLI::App& app, Session& session);
Action declare_similar(CLI::App& app, Session& session);
Action declare_study(CLI::App& app, Session& session);
Action declare_tokenize(CLI::App& app, Session& session);
Action declare_train(CLI::App& app, Session& session);
Action declare_version(CLI::App& app, Session& session);

}  // namespace minbert
