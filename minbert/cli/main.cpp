// main: parses the command line, runs the verb, and turns what it throws into one error line and an exit code.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <vector>

#include "minbert/base/live_files.h"
#include "minbert/base/nearest.h"
#include "minbert/base/system.h"
#include "minbert/cli/one_liner_flags.h"
#include "minbert/cli/output.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/verbs.h"

namespace minbert {
namespace {

/// The innermost verb that the command line names.
const CLI::App& deepest(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : deepest(*chosen.back());
}

std::vector<std::string> flag_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    for (const auto& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

/// The nearest flag or, where the verb takes --set, the nearest config key.
std::string flag_hint(const std::string& flag, const std::vector<std::string>& flags) {
  if (nearest(flag, flags) == nullptr && std::ranges::find(flags, "--set") != flags.end())
    if (std::string hint = set_hint(flag); !hint.empty()) return hint;
  return suggest(flag, flags);
}

bool needs_verb(const CLI::App& app) { return app.get_require_subcommand_min() > 0 && app.get_subcommands().empty(); }

/// Whether --help stands behind a verb that does not exist.
bool helps_with_unknown_verb(const CLI::App& root) {
  const CLI::App& app = deepest(root);
  const auto rest = app.remaining();
  return needs_verb(app) && !rest.empty() && rest.front()[0] != '-';
}

/// Reports what CLI11 refused, in the program's own form.
[[noreturn]] void fail_usage(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App& app = deepest(root);
  const std::string verb = &app == &root ? "minbert" : app.get_display_name();
  std::string help = "--help";
  for (const CLI::App* at = &app; at != &root; at = at->get_parent()) help = at->get_name() + " " + help;
  help = "minbert " + help;
  const auto rest = app.remaining();
  if (needs_verb(app) && !rest.empty() && rest.front()[0] != '-')
    throw Error(ErrorTag::kUsage, rest.front(), "unknown verb", suggest(rest.front(), verb_names(app)));
  if (!rest.empty() && rest.front().starts_with("-") && rest.front() != "-")
    throw Error(ErrorTag::kUsage, rest.front(), "unknown flag", flag_hint(rest.front().substr(0, rest.front().find('=')), flag_names(app)));
  if (needs_verb(app)) throw Error(ErrorTag::kUsage, verb, "expected a verb", fmt::format("one of {}", fmt::join(verb_names(app), ", ")));
  if (!rest.empty()) throw Error(ErrorTag::kUsage, rest.front(), "unexpected argument", help);
  std::string message = error.what();
  // CLI11 says "--task: 1 required NAME missing".
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr)
    message = message.substr(0, message.find(':')) +
              (message.find("At Most") == message.npos ? ": expected a value" : ": expected once, got more");
  throw Error(ErrorTag::kUsage, message.starts_with("-") ? "" : verb, message, help);
}

int run(int argc, char** argv, Session& session) {
  session.env = read_env();
  session.console = Console(session.env.color);
  session.console.set_debug(session.env.debug >= 1);

  CLI::App app("minbert fine-tunes BERT on several sentence-level tasks at once, and uses the result.", "minbert");
  bool quiet = false, verbose = false;
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "print this help");
  const std::string version = fmt::format("minbert {}\n", program_version());
  app.set_version_flag("--version", version, "print the version");
  app.footer("`minbert VERB --help` explains a verb and gives examples.");
  std::vector<Action> actions;
  for (const Verb& verb : verbs()) {
    CLI::App* sub = app.add_subcommand(std::string(verb.name), std::string(verb.summary));
    sub->fallthrough(false);
    sub->add_flag("-q,--quiet", quiet, "warnings and errors only");
    sub->add_flag("-v,--verbose", verbose, "say more");
    sub->set_version_flag("--version", version, "print the version");
    actions.push_back(verb.declare(*sub, session));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    if (helps_with_unknown_verb(app)) fail_usage(app, help);
    print(app.help());
    return 0;
  } catch (const CLI::CallForVersion&) {
    print(version);
    return 0;
  } catch (const CLI::ParseError& error) {
    fail_usage(app, error);
  }
  session.console.set_quiet(quiet);
  session.console.set_verbose(verbose);
  const auto names = verb_names(app);
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (app.got_subcommand(names[i])) return actions[i]();
  return 0;
}

/// Turns every exception into a message and an exit code.
int guarded_run(int argc, char** argv) {
  Session session;
  Console& console = session.console;
  const auto end_ranks = [&](int code) {  // those that wait for this one
    if (session.ranks != nullptr) session.ranks->end_all(code);
    return code;
  };
  try {
    const int code = run(argc, argv, session);
    Output().commit();
    return code;
  } catch (const BrokenPipe&) {
    return end_ranks(0);
  } catch (const Interrupted& interrupted) {
    console.info("interrupted");
    return end_ranks(128 + interrupted.signal);
  } catch (...) {
    const Error error = current_error();
    if (session.ranks != nullptr) session.ranks->let_first_speak();
    console.error(error.what(), error.hint());
    return end_ranks(error.exit_code());
  }
}

}  // namespace
}  // namespace minbert

/// A file that the program opens must not get the number of a standard stream that is closed: messages would go into it. What stands in
/// their place fails where the closed one would, but messages are lost.
void open_standard_streams() {
  for (const auto& [stream, mode] : {std::pair(STDIN_FILENO, O_WRONLY), {STDOUT_FILENO, O_RDONLY}, {STDERR_FILENO, O_WRONLY}})
    if (::fcntl(stream, F_GETFD) < 0) static_cast<void>(::open("/dev/null", mode));  // gets the lowest free number, which is this one
}

int main(int argc, char** argv) {
  open_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);
  minbert::report_cut_files();
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit then makes the write fail, with an error
  minbert::remove_temporary_files_on_signals();
  return minbert::guarded_run(argc, argv);
}
