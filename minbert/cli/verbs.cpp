// The list of verbs, in the order of --help.
#include "minbert/cli/verbs.h"

#include <array>

namespace minbert {

std::span<const Verb> verbs() {
  static constexpr std::array kVerbs = {
      Verb{"init", "write a commented config to start from", declare_init},
      Verb{"config", "show the resolved config, check it, explain its keys, or print its JSON Schema", declare_config},
      Verb{"data", "check data files, or count what is in them", declare_data},
      Verb{"train", "fine-tune a model as TOML files say, or on one data file", declare_train},
      Verb{"pretrain", "go on training a model as a masked language model, on texts alone", declare_pretrain},
      Verb{"study", "several configs in one table; what they share is trained once", declare_study},
      Verb{"search", "random search for hyperparameters, with early stopping", declare_search},
      Verb{"eval", "scores of a model on a split; --fail-under makes a gate of it", declare_eval},
      Verb{"compare", "whether one run, or one config over several seeds, is better than another", declare_compare},
      Verb{"predict", "labels for new texts or pairs", declare_predict},
      Verb{"embed", "sentence vectors of texts", declare_embed},
      Verb{"merge", "one file of the shards that predict or embed wrote", declare_merge},
      Verb{"similar", "near-duplicates and nearest neighbours among the texts of a file", declare_similar},
      Verb{"tokenize", "token ids of lines", declare_tokenize},
      Verb{"serve", "answer over HTTP: all tasks of a model, its vectors, and a page to try it", declare_serve},
      Verb{"inspect", "config, tensors and heads of a model, and what was mapped where", declare_inspect},
      Verb{"report", "one HTML file of a run or a study: scores, curves, error analyses, config", declare_report},
      Verb{"export", "a model for transformers or sentence-transformers", declare_export},
      Verb{"clean", "remove checkpoints that finished runs do not need", declare_clean},
      Verb{"sample-data", "write the three sample tasks", declare_sample_data},
      Verb{"fetch", "download a model or data sets; the only verb that uses the network", declare_fetch},
      Verb{"help", "print the help of the program or of a verb", declare_help},
      Verb{"version", "version; with -v CPU, instruction set, threads, libraries", declare_version},
      Verb{"completion", "print a completion script for a shell", declare_completion},
  };
  return kVerbs;
}

std::vector<std::string> verb_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(verb->get_name());
  return names;
}

}  // namespace minbert
