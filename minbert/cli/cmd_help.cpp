// help: prints the help of the program, or of a verb; writes manual pages.
#include <algorithm>
#include <memory>

#include "minbert/base/files.h"
#include "minbert/base/nearest.h"
#include "minbert/cli/man_pages.h"
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

int write_man_pages(const std::string& folder, const CLI::App& root) {
  make_directories(folder);
  for (const ManPage& page : man_pages(root)) write_file(std::filesystem::path(folder) / page.file, page.roff);
  return 0;
}

}  // namespace

Action declare_help(CLI::App& app, Session&) {
  auto words = std::make_shared<std::vector<std::string>>();
  auto pages = std::make_shared<std::string>();
  auto* verb = app.add_option("VERB", *words, "a verb, and the one inside it: train, config show [the program]")->type_name("");
  app.add_option("--man-pages", *pages, "write a manual page for man(1) of the program and of each verb into this folder")
      ->excludes(verb)
      ->type_name("DIR");
  add_examples(app, "  minbert help train\n  minbert help config show\n  minbert help --man-pages man1");
  return [words, pages, root = app.get_parent()] { return pages->empty() ? run_help(*words, *root) : write_man_pages(*pages, *root); };
}

}  // namespace minbert
