// Writes roff: sections NAME, SYNOPSIS, OPTIONS and so on, with man(7)'s macros.
#include "minbert/cli/man_pages.h"

#include <array>
#include <string_view>

#include "minbert/base/env.h"
#include "minbert/base/system.h"
#include "minbert/cli/verbs.h"

namespace minbert {
namespace {

constexpr std::array<std::pair<int, std::string_view>, 10> kExitCodes = {{
    {0, "done"},
    {1, "a broken invariant: please report it"},
    {2, "flags, config, unknown task"},
    {3, "data file missing, broken row, missing column, empty file"},
    {4, "model folder missing, broken or unsupported weights, config or tokenizer"},
    {5, "disk, memory, port, lock"},
    {6, "NaN or infinity in weights, training or outputs"},
    {7, "--fail-under not reached"},
    {75, "stopped by a signal after a good checkpoint; --resume goes on"},
    {130, "second Ctrl-C"},
}};

/// Text whose characters all stand for themselves.
std::string escaped(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
    line_start = c == '\n';
  }
  return out;
}

/// A paragraph with a heading of its own.
std::string item(std::string_view head, std::string_view text) { return fmt::format(".TP\n{}\n{}\n", head, escaped(text)); }

/// "\fB\-o\fR, \fB\-\-output\fR \fIFILE\fR"
std::string option_head(const CLI::Option& option) {
  if (option.get_positional()) return fmt::format("\\fI{}\\fR", escaped(option.get_single_name()));
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back(fmt::format("\\fB\\-{}\\fR", escaped(name)));
  for (const std::string& name : option.get_lnames()) names.push_back(fmt::format("\\fB\\-\\-{}\\fR", escaped(name)));
  const std::string type = option.get_type_name();
  const bool has_value = option.get_items_expected_max() > 0 && option.get_type_size() != 0 && !type.empty();
  return fmt::format("{}{}", fmt::join(names, ", "), has_value ? fmt::format(" \\fI{}\\fR", escaped(type)) : "");
}

std::string options_section(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options())
    text += item(option_head(*option), option->get_description() + (option->get_required() ? " (required)" : ""));
  return text;
}

std::string synopsis(const CLI::App& app, const std::string& command) {
  std::string text = fmt::format("\\fB{}\\fR", escaped(command));
  if (!app.get_subcommands([](const CLI::App*) { return true; }).empty()) text += " \\fIVERB\\fR";
  for (const CLI::Option* option : app.get_options())
    if (option->get_positional() || option->get_required())
      text += option->get_required() ? " " + option_head(*option) : fmt::format(" [{}]", option_head(*option));
  return text + " [\\fIoptions\\fR]\n";
}

/// The footer without its title, as it stands.
std::string examples_section(const CLI::App& app) {
  std::string text = app.get_footer();
  constexpr std::string_view kTitle = "Examples:\n";
  if (!text.starts_with(kTitle)) return {};
  return fmt::format(".SH EXAMPLES\n.nf\n{}\n.fi\n", escaped(text.substr(kTitle.size())));
}

std::string page(const CLI::App& app, const std::string& command, const std::string& title, const std::string& sections) {
  std::string upper = title;
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return fmt::format(".TH {} 1 \"\" \"minbert {}\" \"minbert manual\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n{}{}", escaped(upper),
                     program_version(), escaped(title), escaped(app.get_description()), synopsis(app, command), sections);
}

std::string see_also(const std::vector<std::string>& pages) {
  std::string text = ".SH SEE ALSO\n";
  for (std::size_t i = 0; i < pages.size(); ++i) text += fmt::format(".BR {} (1){}\n", escaped(pages[i]), i + 1 < pages.size() ? "," : "");
  return text;
}

ManPage verb_page(const CLI::App& verb) {
  const std::string title = "minbert-" + verb.get_name(), command = "minbert " + verb.get_name();
  std::string sections = ".SH OPTIONS\n" + options_section(verb);
  for (const CLI::App* sub : verb.get_subcommands([](const CLI::App*) { return true; }))
    sections += fmt::format(".SH {} {}\n{}.PP\n{}.PP\n{}", escaped(verb.get_name()), escaped(sub->get_name()),
                            escaped(sub->get_description()) + "\n", synopsis(*sub, command + " " + sub->get_name()), options_section(*sub));
  return {title + ".1", page(verb, command, title, sections + examples_section(verb) + see_also({"minbert"}))};
}

ManPage program_page(const CLI::App& root) {
  std::string sections = ".SH VERBS\n";
  std::vector<std::string> pages;
  for (const CLI::App* verb : root.get_subcommands([](const CLI::App*) { return true; })) {
    sections += item(fmt::format("\\fB{}\\fR", escaped(verb->get_name())), verb->get_description());
    pages.push_back("minbert-" + verb->get_name());
  }
  sections += ".SH OPTIONS\n" + options_section(root) + ".SH ENVIRONMENT\n";
  for (const EnvVariable& variable : env_variables())
    sections +=
        item(fmt::format("\\fB{}\\fR", escaped(variable.name)), fmt::format("{} (default: {})", variable.help, variable.default_value));
  sections += ".SH EXIT STATUS\n";
  for (const auto& [code, meaning] : kExitCodes) sections += item(fmt::format("\\fB{}\\fR", code), meaning);
  return {"minbert.1", page(root, "minbert", "minbert", sections + see_also(pages))};
}

}  // namespace

std::vector<ManPage> man_pages(const CLI::App& root) {
  std::vector<ManPage> pages = {program_page(root)};
  for (const CLI::App* verb : root.get_subcommands([](const CLI::App*) { return true; })) pages.push_back(verb_page(*verb));
  return pages;
}

}  // namespace minbert
