// OptionFlags: each field of an option struct as a flag and as an environment variable.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "minbert/base/config_tree.h"
#include "minbert/base/env.h"
#include "minbert/base/options.h"

namespace minbert {

/// "max_batch_tokens" is the flag --max-batch-tokens.
std::string flag_of(std::string_view key);
/// With the prefix "MINBERT_SERVE_", it is the variable MINBERT_SERVE_MAX_BATCH_TOKENS.
std::string variable_of(std::string_view prefix, std::string_view key);

class OptionFlags {
 public:
  /// Declares a flag for each field of T.
  template <HasOptions T>
  static std::shared_ptr<OptionFlags> declare(CLI::App& app, std::string prefix) {
    const auto flags = std::make_shared<OptionFlags>(std::move(prefix));
    flags->app_ = &app;
    T defaults{};
    visit_options(*flags, defaults);
    return flags;
  }
  explicit OptionFlags(std::string prefix) : prefix_(std::move(prefix)) {}

  /// The defaults, changed by the environment, changed by the flags. Throws Error(kUsage) that names the variable or flag.
  template <HasOptions T>
  T read(const EnvLookup& lookup) const {
    return read_options<T>(tree(lookup).node());
  }

  /// Called by visit_options.
  template <class T>
  void field(std::string_view key, T& value, std::string_view help, Range = {}) {
    const auto kind = std::is_same_v<T, bool> ? Kind::kBool : std::is_same_v<T, std::string> ? Kind::kText : Kind::kValue;
    add(std::string(key), kind, print_toml_value(OptionType<T>::write(value)), OptionType<T>::type(), std::string(help));
  }

 private:
  enum class Kind { kBool, kText, kValue };
  struct Flag {
    std::string key;
    Kind kind;
    std::shared_ptr<std::optional<std::string>> given;
  };
  void add(std::string key, Kind kind, const std::string& default_value, const std::string& type, const std::string& help);
  ConfigTree tree(const EnvLookup& lookup) const;

  std::string prefix_;
  CLI::App* app_ = nullptr;
  std::vector<Flag> flags_;
};

}  // namespace minbert
