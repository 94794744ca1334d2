// help: prints the help of the program, or of a verb.
#include <algorithm>
#include <memory>

#include "minbert/base/nearest.h"
#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"

namespace minbert {
namespace {

int run_help(const std::vector<std::string>& words, const CLI::App& root) {
  const CLI::App* app = &root;
  std::string path = root.get_name();
  for (const std::string& word : words) {
    const std::vector<std::string> known = verb_names(*app);
    if (std::ranges::find(known, word) == known.end()) throw Error(ErrorTag::kUsage, word, "unknown verb", suggest(word, known));
    app = app->get_subcommand(word);
    if (app->get_parent() != &root) path += " " + app->get_parent()->get_name();
  }
  // help() of the program itself would print the help of this verb, because it is the one that was called.
  print(words.empty() ? root.get_formatter()->make_help(&root, path, CLI::AppFormatMode::Normal) : app->help(path));
  return 0;
}

}  // namespace

Action declare_help(CLI::App& app, Session&) {
  auto words = std::make_shared<std::vector<std::string>>();
  app.add_option("VERB", *words, "a verb, and the one inside it: train, config show [the program]")->type_name("");
  add_examples(app, "  minbert help train\n  minbert help config show");
  return [words, root = app.get_parent()] { return run_help(*words, *root); };
}

}  // namespace minbert
