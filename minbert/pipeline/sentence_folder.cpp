// Reads the JSON files that sentence-transformers keeps beside a model and its modules.
#include "minbert/pipeline/sentence_folder.h"

#include <algorithm>
#include <initializer_list>
#include <optional>

#include "minbert/base/files.h"
#include "minbert/base/json_node.h"
#include "minbert/base/nearest.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "config_sentence_transformers.json";
constexpr double kLeastLength = 3;  // [CLS], a token, [SEP]
constexpr double kNoLength = 1e9;   // transformers writes 1e30 for "no limit"

std::optional<JsonNode> read_if_there(const fs::path& file) {
  if (file.empty() || !fs::exists(file)) return std::nullopt;
  return JsonNode::read(file, ErrorTag::kModel);
}

std::optional<JsonNode> read_settings(const fs::path& folder) { return read_if_there(find_sentence_settings(folder)); }

/// The members under a key's old name and its new one (since 5.4), where they are there.
std::vector<JsonNode> find_sections(const JsonNode& json, std::initializer_list<const char*> names) {
  std::vector<JsonNode> sections;
  for (const char* name : names)
    if (auto section = json.find_set(name)) {
      section->members();  // it must be an object
      sections.push_back(std::move(*section));
    }
  return sections;
}

void read_length(const JsonNode& json, const char* key, TransformerSettings& settings) {
  const auto value = json.find_set(key);
  if (!value) return;
  const double length = value->as_number(kLeastLength);
  if (length >= kNoLength) return;
  settings.max_length = static_cast<std::int64_t>(length);
  settings.length_file = value->place();
}

using Names = std::initializer_list<std::string_view>;

void expect_members(const JsonNode& section, Names harmless) {
  for (const auto& [key, value] : section.members())
    if (std::find(harmless.begin(), harmless.end(), key) == harmless.end() && !value.json().is_null() && value.json() != false)
      value.complain("this key is not supported");
}

void expect_text(const JsonNode& json, const char* key, std::string_view text) {
  if (const auto value = json.find_set(key); value && value->as_text() != text)
    value->complain(fmt::format("expected \"{}\", got \"{}\", which is not supported", text, value->as_text()));
}

/// Keywords of the call that tokenises a batch (since 5.4).
void expect_processing(const JsonNode& processing) {
  for (const JsonNode& section : find_sections(processing, {"text", "common"})) {
    expect_members(section, {"max_length", "padding", "pad_to_multiple_of", "return_tensors", "truncation"});
    if (const auto how = section.find("truncation"); how && how->json() != true) expect_text(section, "truncation", "longest_first");
  }
}

/// What the encoder gives for each kind of input (since 5.4).
void expect_token_states(const JsonNode& modalities) {
  if (const auto chat = modalities.find_set("message")) chat->complain("texts in the form of chats are not supported");
  const JsonNode text = modalities.at("text");
  expect_text(text, "method", "forward");
  expect_text(text, "method_output_name", "last_hidden_state");
}

/// Refuses settings of the module Transformer that would change vectors in a way not computed here.
void expect_computable(const JsonNode& settings) {
  expect_members(settings, {"max_seq_length", "do_lower_case", "model_args", "model_kwargs", "tokenizer_args", "processor_kwargs",
                            "config_args", "config_kwargs", "processing_kwargs", "transformer_task", "modality_config",
                            "module_output_name", "unpad_inputs", "query_length", "document_length", "query_expansion", "backend"});
  expect_text(settings, "transformer_task", "feature-extraction");
  expect_text(settings, "module_output_name", "token_embeddings");
  if (const auto modalities = settings.find_set("modality_config")) expect_token_states(*modalities);
  if (const auto processing = settings.find_set("processing_kwargs")) expect_processing(*processing);
  // How a program loads the model and keeps it in memory.
  for (const JsonNode& section : find_sections(settings, {"model_args", "model_kwargs"}))
    expect_members(section, {"torch_dtype", "dtype", "attn_implementation", "device_map", "trust_remote_code", "low_cpu_mem_usage",
                             "add_pooling_layer", "use_safetensors", "local_files_only", "revision", "token"});
  for (const JsonNode& section : find_sections(settings, {"tokenizer_args", "processor_kwargs"})) {
    expect_members(section, {"model_max_length", "do_lower_case", "strip_accents", "tokenize_chinese_chars", "use_fast", "padding_side",
                             "truncation_side", "trust_remote_code", "local_files_only", "revision", "token", "tokenizer_class"});
    expect_text(section, "truncation_side", "right");
  }
}

}  // namespace

TransformerSettings read_transformer_settings(const fs::path& folder) {
  TransformerSettings settings;
  // A later value replaces an earlier one, as in sentence_transformers (base/modules/transformer.py).
  if (const auto tokenizer = read_if_there(folder / "tokenizer_config.json")) read_length(*tokenizer, "model_max_length", settings);
  const auto json = read_settings(folder);
  if (!json) return settings;
  read_length(*json, "max_seq_length", settings);
  for (const JsonNode& section : find_sections(*json, {"tokenizer_args", "processor_kwargs"}))
    read_length(section, "model_max_length", settings);
  if (const auto processing = json->find_set("processing_kwargs"))
    for (const JsonNode& section : find_sections(*processing, {"text", "common"})) read_length(section, "max_length", settings);
  for (const JsonNode& section : find_sections(*json, {"config_args", "config_kwargs"})) settings.config.update(section.json());
  return settings;
}

const std::string& Prompts::named(const std::string& name) const {
  if (const auto found = texts.find(name); found != texts.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, text] : texts) names.push_back(known);
  throw Error(ErrorTag::kUsage, "--prompt-name", fmt::format("the model has no prompt \"{}\"", name), suggest(name, names));
}

Prompts read_prompts(const ModelFolder& folder) {
  Prompts prompts;
  prompts.texts = {{"query", ""}, {"document", ""}};  // sentence_transformers has these for every model
  if (folder.modules.empty()) return prompts;
  const auto json = read_if_there(folder.root / kConfigFile);
  if (!json) return prompts;
  if (const auto texts = json->find_set("prompts"))
    for (const auto& [name, text] : texts->members()) prompts.texts[name] = text.json().is_null() ? "" : text.as_text();
  if (const auto name = json->find_set("default_prompt_name")) {
    const auto found = prompts.texts.find(name->as_text());
    if (found == prompts.texts.end()) name->complain(fmt::format("\"{}\" is none of the prompts", name->as_text()));
    prompts.by_default = found->second;
  }
  return prompts;
}

SentenceModules read_sentence_modules(const ModelFolder& folder, std::vector<std::string>& warnings) {
  if (folder.modules.empty()) return {};
  const auto json = read_if_there(folder.root / kConfigFile);
  if (json) expect_text(*json, "model_type", "SentenceTransformer");
  if (const auto settings = read_settings(folder.path)) expect_computable(*settings);
  SentenceModules modules = read_sentence_modules(folder.root, folder.modules, folder.config.hidden_size, warnings);
  if (json)
    if (const auto width = json->find_set("truncate_dim")) modules.after.push_back(TruncateModule{width->as_whole<std::int64_t>(1)});
  return modules;
}

void copy_sentence_config(const ModelFolder& from, const fs::path& to) {
  const fs::path file = from.root / kConfigFile;
  if (from.modules.empty() || !fs::exists(file)) return;
  Json json = read_json(file, ErrorTag::kModel);
  json.erase("__version__");
  write_file(to / kConfigFile, dump_json(json, 2) + "\n");
}

}  // namespace minbert
