// Declares flags, and joins what was given.
#include "minbert/cli/option_flags.h"

#include <algorithm>
#include <cctype>

namespace minbert {

std::string flag_of(std::string_view key) {
  std::string flag = "--" + std::string(key);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

std::string variable_of(std::string_view prefix, std::string_view key) {
  std::string variable(prefix);
  for (const char c : key) variable += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return variable;
}

void OptionFlags::add(std::string key, Kind kind, const std::string& default_value, const std::string& type, const std::string& help) {
  const auto given = std::make_shared<std::optional<std::string>>();
  std::string shown = default_value;
  std::erase(shown, '"');
  const std::string text = fmt::format("{} [{}; {}]", help, shown.empty() ? "none" : shown, variable_of(prefix_, key));
  const std::string flag = flag_of(key);
  if (kind == Kind::kBool)
    app_->add_flag_function(
        flag + ",!--no-" + flag.substr(2), [given](std::int64_t count) { *given = count > 0 ? "true" : "false"; }, text);
  else
    app_->add_option_function<std::string>(
            flag, [given](const std::string& value) { *given = value; }, text)
        ->type_name(kind == Kind::kText ? "TEXT"
                    : type == "number"  ? "NUMBER"
                                        : "N");
  flags_.push_back({std::move(key), kind, given});
}

ConfigTree OptionFlags::tree(const EnvLookup& lookup) const {
  ConfigTree tree;
  const auto set = [&](const Flag& flag, const std::string& text, const std::string& place) {
    tree.set(flag.key, flag.kind == Kind::kText ? TomlValue(text) : parse_toml_value(text, place), place);
  };
  for (const Flag& flag : flags_) {
    const std::string variable = variable_of(prefix_, flag.key);
    const char* const value = lookup(variable.c_str());
    if (value != nullptr && *value != '\0') set(flag, value, variable);
    if (*flag.given) set(flag, **flag.given, flag_of(flag.key));
  }
  return tree;
}

}  // namespace minbert
