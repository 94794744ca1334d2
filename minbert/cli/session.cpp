// Declares shared flags, opens backends and models.
#include "minbert/cli/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "minbert/base/number.h"
#include "minbert/base/parallel.h"
#include "minbert/cli/output.h"
#include "minbert/data/labels.h"

namespace minbert {

void add_threads(CLI::App& app, Session& session) {
  app.add_option("--threads", session.threads,
                 "threads for maths [MINBERT_THREADS, else as many as cores, affinity mask and CPU quota allow]")
      ->check(whole_number(1, kMostThreads))
      ->type_name("N");
}

void add_compute(CLI::App& app, Session& session, bool forward_only) {
  const std::vector<std::string> names =
      forward_only ? std::vector<std::string>{"f32", "bf16", "int8"} : std::vector<std::string>{"f32", "bf16"};
  app.add_option("--dtype", session.dtype, fmt::format("dtype to compute in: {} [the model's]", fmt::join(names, " | ")))
      ->check(one_of(names))
      ->type_name("DTYPE");
  add_threads(app, session);
}

void add_model(CLI::App& app, std::string& model) {
  app.add_option("MODEL", model, "Hugging Face folder, or run folder (then its best/)")->required()->type_name("");
}

void add_models(CLI::App& app, std::vector<std::string>& models) {
  app.add_option("MODEL", models, "Hugging Face or run folder; of several, an ensemble: the mean of the answers of those that have a task")
      ->required()
      ->type_name("");
}

void add_input(CLI::App& app, std::string& path) {
  app.add_option("-i,--input", path, "file to read; - is standard input")->capture_default_str()->type_name("FILE");
}

void add_json(CLI::App& app, bool& json) { app.add_flag("--json", json, "print JSON instead of a table"); }

CLI::Validator one_of(std::vector<std::string> values) {
  const auto check = [values = std::move(values)](std::string& text) {
    if (std::find(values.begin(), values.end(), text) != values.end()) return std::string();
    return fmt::format("expected one of {}, got \"{}\"", fmt::join(values, ", "), text);
  };
  return CLI::Validator(check, "");
}

CLI::Validator whole_number(std::int64_t low, std::int64_t high) {
  const auto check = [low, high](std::string& text) {
    const auto value = number_from<std::int64_t>(text);
    if (value && low <= *value && *value <= high) return std::string();
    return fmt::format("expected a whole number from {} to {}, got \"{}\"", low, high, text);
  };
  return CLI::Validator(check, "");
}

CLI::Validator number_between(double low, double high) {
  const auto check = [low, high](std::string& text) {
    const auto value = parse_number(text);
    return value && low <= *value && *value <= high ? std::string()
                                                    : fmt::format("expected a number from {} to {}, got \"{}\"", low, high, text);
  };
  return CLI::Validator(check, "");
}

void add_examples(CLI::App& app, const std::string& examples) { app.footer("Examples:\n" + examples); }

void set_threads(const Session& session) { set_num_threads(thread_count(session.env, session.threads.value_or(0))); }

std::unique_ptr<Backend> open_backend(Session& session) {
  set_threads(session);
  auto backend = open_backend(session.env);
  if (session.env.debug >= 4) backend->set_showing_outputs([&session](std::string_view line) { session.console.detail(line); });
  if (session.env.debug >= 1) session.console.detail(fmt::format("backend {}: {}", backend->name(), backend->description()));
  return backend;
}

Compute session_compute(Session& session, const Backend& backend, const std::string& dtype) {
  return resolve_compute(backend, dtype, [&](const std::string& what) { session.console.warning(what + "; computing in f32"); });
}

void warn_of_files(Session& session, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) session.console.warning(warning);
}

TextModel open_model(Session& session, Backend& backend, ModelFolder folder, bool pooler, bool backward) {
  const Compute compute = backward ? Compute{.dtype = DType::kF32, .use = WeightUse::kTrain}
                                   : session_compute(session, backend, session.dtype.empty() ? folder.dtype : session.dtype);
  TextModel model(backend, std::move(folder), compute, pooler);
  for (const std::string& text : model.import_report().warnings()) session.console.warning(text);
  if (const std::string text = model.import_report().unused_heads(); !text.empty() && !model.folder().is_own) session.console.info(text);
  if (const std::string text = model.tokenizer().limit_text(); !text.empty()) session.console.warning(text);
  warn_of_files(session, model.folder().warnings);
  warn_of_files(session, model.tokenizer().warnings());
  return model;
}

Ensemble open_models(Session& session, Backend& backend, std::span<const std::string> folders, bool backward) {
  std::vector<TextModel> models;
  for (const std::string& given : folders)
    for (const std::filesystem::path& folder : answering_folders(given))
      models.push_back(open_model(session, backend, read_model_folder(folder), false, backward));
  return Ensemble(std::move(models));
}

void warn_of_texts(Session& session, const Ensemble& models) {
  const auto reader = std::ranges::find_if(models.models(), [](const TextModel& model) { return model.counts().rows > 0; });
  if (reader != models.models().end()) warn_of_texts(session, *reader);
}

void warn_of_texts(Session& session, const TextModel& model) {
  constexpr double kManyUnknown = 0.05;
  const TextCounts& counts = model.counts();
  const std::int64_t length = model.folder().max_length, limit = model.folder().config.max_position_embeddings;
  if (counts.windowed > 0)
    session.console.info(
        fmt::format("{} of {} rows are longer than {} tokens and were read in windows", counts.windowed, counts.rows, length));
  if (const std::int64_t cut = counts.truncated - counts.windowed; cut > 0)
    session.console.warning(fmt::format("{} of {} rows are longer than {} tokens and were cut; {}", cut, counts.rows, length,
                                        length < limit
                                            ? fmt::format("max_length = {} is this model's limit", limit)
                                            : "this is the model's limit: windows = \"mean\" in [[task]], or embed --windows, reads on"));
  const double unknown = counts.tokens == 0 ? 0 : static_cast<double>(counts.unknown) / static_cast<double>(counts.tokens);
  if (unknown > kManyUnknown)
    session.console.warning(fmt::format(
        "{:.1f}% of the tokens are [UNK], words or signs that the model does not know: is it of the texts' language?", 100 * unknown));
}

void show_profile(Session& session, const Backend& backend) {
  if (!backend.profiling()) return;
  auto ops = backend.profile();
  std::sort(ops.begin(), ops.end(), [](const OpProfile& a, const OpProfile& b) { return a.seconds > b.seconds; });
  TextTable table({"op", "calls", "ms", "GFLOP/s", "GB/s"});
  for (const OpProfile& op : ops)
    table.add({std::string(op.op), std::to_string(op.calls), fmt::format("{:.1f}", op.seconds * 1e3),
               fmt::format("{:.1f}", op.flops / op.seconds * 1e-9), fmt::format("{:.1f}", op.bytes / op.seconds * 1e-9)});
  std::string text = table.text();
  text.pop_back();
  session.console.info(text);
}

}  // namespace minbert
