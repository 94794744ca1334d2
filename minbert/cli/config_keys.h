// Config keys explained: for `config explain`, `config show -v` and docs/config.md, all made from the option visitors.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/base/options.h"

namespace minbert {

/// A key of a run's, study's or search's file.
struct ConfigKey {
  OptionInfo info;                                               ///< its key as "stage[].lr"
  std::string_view file;                                         ///< run | study | search
  std::string example;                                           ///< "lr = 3e-5"
  std::string paper;                                             ///< empty: the paper says nothing
  std::vector<std::pair<std::string, std::string>> values = {};  ///< each name that it takes, and what that means

  /// The key as people write it: "stage.lr".
  std::string name() const;
};

/// Every key, in the order of the visitors.
const std::vector<ConfigKey>& config_keys();

/// The keys that `asked` names (all if it is empty): a key, a table whose keys all follow, or the last parts of a key ("sampler",
/// "head.dropout"). Blocks may have a name or a number, as for --set: task.sst.batch. Throws Error(kUsage) with the nearest key when there
/// is none.
std::vector<const ConfigKey*> find_config_keys(std::string_view asked);

/// The help of the key that a resolved config writes so: stage.0.lr. Empty when there is none.
std::string config_key_help(std::string_view key);

/// What to print: for one key all that is known of it, for several a table.
std::string explain_text(const std::vector<const ConfigKey*>& keys);
/// [{"key", "file", "type", "default", "help", "example", "paper", "values": {name: meaning}}]; default and paper may be null.
Json explain_json(const std::vector<const ConfigKey*>& keys);
/// The page docs/config.md.
std::string config_page();

}  // namespace minbert
