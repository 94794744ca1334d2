// version: prints the version; with -v also CPU, instruction set, threads and libraries.
#include <memory>

#include "minbert/base/cpu_limits.h"
#include "minbert/base/system.h"
#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/train/run_folder.h"

namespace minbert {
namespace {

std::string shown(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_structured()) return dump_json(value);
  std::string text;
  for (const auto& [key, item] : value.items()) text += (text.empty() ? "" : ", ") + (value.is_object() ? key + " " : "") + shown(item);
  return text;
}

int run_version(bool json, Session& session) {
  if (!json) print(fmt::format("minbert {}\n", program_version()));
  if (!json && !session.console.verbose()) return 0;
  const auto backend = open_backend(session);
  Json environment = environment_json(backend->name(), backend->description());
  environment["threads_decided_by"] = session.threads           ? "--threads"
                                      : session.env.threads > 0 ? "MINBERT_THREADS"
                                                                : read_cpu_limits().decided_by();
  if (json) {
    print_json(environment);
    return 0;
  }
  TextTable table({"part", "what"});
  for (const auto& [key, value] : environment.items()) table.add({key, shown(value)});
  print_text(table.text());
  return 0;
}

}  // namespace

Action declare_version(CLI::App& app, Session& session) {
  auto json = std::make_shared<bool>(false);
  add_json(app, *json);
  add_threads(app, session);
  add_examples(app, "  minbert version -v        # CPU, instruction set, threads, libraries, backend");
  return [json, &session] { return run_version(*json, session); };
}

}  // namespace minbert
