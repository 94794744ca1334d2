// completion: scripts for bash, zsh and fish, made from the declarations of the verbs.
#include <algorithm>
#include <memory>

#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"

namespace minbert {
namespace {

struct Flag {
  std::string name, help;  // "--threads"
};

/// A verb ("train", or "data check") with its flags.
struct Command {
  std::string words, help;
  std::vector<Flag> flags;
};

void collect(const CLI::App& app, const std::string& prefix, std::vector<Flag> inherited, std::vector<Command>& commands) {
  for (const CLI::Option* option : app.get_options())
    for (const auto& name : option->get_lnames()) inherited.push_back({"--" + name, option->get_description()});
  if (!prefix.empty()) commands.push_back({prefix, app.get_description(), inherited});
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    collect(*sub, prefix.empty() ? sub->get_name() : prefix + " " + sub->get_name(), prefix.empty() ? std::vector<Flag>{} : inherited,
            commands);
}

std::string single_quoted(std::string text) {
  for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 4) text.replace(at, 1, "'\\''");
  return "'" + text + "'";
}

/// The verbs, or if `verb` is not empty the verbs inside it, that may come next.
std::string next_words(const std::vector<Command>& commands, const std::string& verb) {
  std::string words;
  const std::string start = verb.empty() ? "" : verb + " ";
  for (const Command& command : commands)
    if (command.words.starts_with(start) && command.words.find(' ', start.size()) == std::string::npos)
      words += command.words.substr(start.size()) + " ";
  return words;
}

// One line of bash's `case` for each verb, with the words that may follow it.
std::string bash_cases(const std::vector<Command>& commands) {
  std::string cases;
  for (const Command& command : commands) {
    std::string flags;
    for (const Flag& flag : command.flags) flags += flag.name + " ";
    if (command.words.find(' ') == std::string::npos)
      cases += fmt::format("    '{}') words={};;\n", command.words, single_quoted(flags + next_words(commands, command.words)));
  }
  return cases;
}

std::string bash_script(const std::vector<Command>& commands) {
  return fmt::format(R"sh(# eval "$(minbert completion bash)"
_minbert() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words=
  case "$COMP_CWORD" in
    1) words={};;
    *) case "${{COMP_WORDS[1]}}" in
{}    esac;;
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$word"));;
    *) COMPREPLY=($(compgen -W "$(printf '%s\n' $words | grep -v '^-')" -- "$word") $([[ $COMP_CWORD -gt 1 ]] && compgen -f -- "$word"));;
  esac
}}
complete -o filenames -F _minbert minbert
)sh",
                     single_quoted(next_words(commands, "")), bash_cases(commands));
}

// A file on zsh's fpath is read at the first Tab only, as the body of a function: its last line then completes what is asked.
std::string zsh_script(const std::vector<Command>& commands) {
  return "#compdef minbert\n# eval \"$(minbert completion zsh)\"\n"
         "(( $+functions[compdef] )) || { autoload -U compinit && compinit -u }\n"
         "(( $+functions[_bash_complete] )) || { autoload -U +X bashcompinit && bashcompinit }\n" +
         bash_script(commands) + "[[ ${funcstack[1]} != _minbert ]] || _bash_complete -o filenames -F _minbert\n";
}

std::string fish_script(const std::vector<Command>& commands) {
  std::string script = "# minbert completion fish | source\n";
  for (const Command& command : commands) {
    const auto space = command.words.find(' ');
    const bool nested = space != std::string::npos;
    const auto seen = [](const std::string& words) { return "__fish_seen_subcommand_from " + words; };
    const std::string outer = command.words.substr(0, space), name = command.words.substr(nested ? space + 1 : 0);
    const std::string when =
        nested ? fmt::format("{}; and not {}", seen(outer), seen(next_words(commands, outer))) : "__fish_use_subcommand";
    script += fmt::format("complete -c minbert -n {} -a {} -d {}\n", single_quoted(when), name, single_quoted(command.help));
    const std::string chosen = nested ? fmt::format("{}; and {}", seen(outer), seen(name)) : seen(name);
    for (const Flag& flag : command.flags)
      script +=
          fmt::format("complete -c minbert -n {} -l {} -d {}\n", single_quoted(chosen), flag.name.substr(2), single_quoted(flag.help));
  }
  return script;
}

int run_completion(const std::string& shell, const CLI::App& root) {
  std::vector<Command> commands;
  collect(root, "", {}, commands);
  print(shell == "bash" ? bash_script(commands) : shell == "zsh" ? zsh_script(commands) : fish_script(commands));
  return 0;
}

}  // namespace

Action declare_completion(CLI::App& app, Session&) {
  auto shell = std::make_shared<std::string>();
  app.add_option("SHELL", *shell, "bash | zsh | fish")->required()->check(one_of({"bash", "zsh", "fish"}))->type_name("");
  add_examples(app, "  eval \"$(minbert completion bash)\"          # in ~/.bashrc\n  minbert completion fish | source");
  return [shell, root = app.get_parent()] { return run_completion(*shell, *root); };
}

}  // namespace minbert
