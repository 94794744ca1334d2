// Reads tokenizer.json, or vocab.txt with tokenizer_config.json, and writes all files of a tokenizer.
#include <algorithm>
#include <charconv>
#include <map>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/tokenizer/tokenizer.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// One JSON object of a tokenizer file. An absent key and a null one leave the default.
class Reader {
 public:
  Reader(const SortedJson& json, std::string place) : json_(json), place_(std::move(place)) {
    if (!json_.is_object()) refuse("", "expected an object, got " + std::string(json_.type_name()));
  }

  [[noreturn]] void refuse(std::string_view key, std::string_view message) const {
    throw Error(ErrorTag::kModel, place_, key.empty() ? std::string(message) : fmt::format("\"{}\": {}", key, message));
  }

  const SortedJson* find(const char* key) const {
    const auto at = json_.find(key);
    return at == json_.end() || at->is_null() ? nullptr : &*at;
  }

  void read(const char* key, bool& value) const {
    if (const auto* json = checked(key, &SortedJson::is_boolean, "true or false")) value = json->get<bool>();
  }
  void read(const char* key, std::optional<bool>& value) const {
    if (const auto* json = checked(key, &SortedJson::is_boolean, "true, false or null")) value = json->get<bool>();
  }
  void read(const char* key, std::string& value) const {
    if (const auto* json = checked(key, &SortedJson::is_string, "a string")) value = json->get<std::string>();
  }
  void read(const char* key, std::int64_t& value) const {
    const auto* json = checked(key, &SortedJson::is_number_integer, "an integer");
    if (json == nullptr) return;
    if (json->is_number_unsigned() && json->get<std::uint64_t>() > INT64_MAX) refuse(key, json->dump() + " is too large");
    value = json->get<std::int64_t>();
  }
  /// A token's name: a string, or an object with "content".
  void read_token(const char* key, std::string& value) const {
    const auto* json = find(key);
    if (json != nullptr && json->is_object())
      Reader(*json, place_of(key)).read("content", value);
    else
      read(key, value);
  }

  std::string place_of(std::string_view key) const { return fmt::format("{}: \"{}\"", place_, key); }

  /// The object under `key`, whose "type" must be `type`.
  Reader section(const char* key, std::string_view type) const {
    const auto* json = find(key);
    if (json == nullptr) refuse(key, fmt::format("expected type {}, got none", type));
    Reader section(*json, place_of(key));
    std::string actual;
    section.read("type", actual);
    const bool untyped = actual.empty() && std::string_view(key) == "model";  // the first versions of tokenizers did not write it there
    if (actual != type && !untyped) refuse(key, fmt::format("expected type {}, got \"{}\"", type, actual));
    return section;
  }

 private:
  const SortedJson* checked(const char* key, bool (SortedJson::*is)() const noexcept, std::string_view expected) const {
    const auto* json = find(key);
    if (json != nullptr && !(json->*is)()) refuse(key, fmt::format("expected {}, got {}", expected, json->dump()));
    return json;
  }

  const SortedJson& json_;
  std::string place_;
};

/// Names of special tokens: a list, or an object of them; each a string or an object with "content".
void read_token_names(const Reader& reader, const char* key, std::vector<std::string>& names) {
  const SortedJson* json = reader.find(key);
  if (json == nullptr || !json->is_structured()) return;
  names.clear();
  for (const SortedJson& item : *json) {
    const SortedJson* name = item.is_object() && item.contains("content") ? &item.at("content") : &item;
    if (!name->is_string()) reader.refuse(key, "expected names of tokens, got " + item.dump());
    names.push_back(name->get<std::string>());
  }
}

/// Names of the special tokens and model_max_length. BertTokenizer keeps `pad` and `mask` nowhere else.
void read_names(const fs::path& folder, TokenizerOptions& options) {
  for (const char* name : {"special_tokens_map.json", "tokenizer_config.json"}) {  // the later one wins
    const fs::path path = folder / name;
    if (!fs::exists(path)) continue;
    const SortedJson json = read_sorted_json(path, ErrorTag::kModel);
    const Reader reader(json, path.string());
    reader.read_token("unk_token", options.unk);
    reader.read_token("cls_token", options.cls);
    reader.read_token("sep_token", options.sep);
    reader.read_token("pad_token", options.pad);
    reader.read_token("mask_token", options.mask);
    read_token_names(reader, "additional_special_tokens", options.more_special);
    read_token_names(reader, "extra_special_tokens", options.more_special);
    // transformers writes 1e30 for "no limit".
    if (const auto* limit = reader.find("model_max_length"); limit != nullptr && limit->is_number()) {
      const auto value = limit->get<double>();
      if (value >= 1 && value < 1e9) options.max_length = static_cast<std::int64_t>(value);
    }
  }
}

AddedToken read_added(const Reader& reader) {
  AddedToken token{.content = {}, .special = false};
  reader.read("content", token.content);
  reader.read("special", token.special);
  token.normalized = !token.special;
  reader.read("normalized", token.normalized);
  reader.read("lstrip", token.lstrip);
  reader.read("rstrip", token.rstrip);
  bool whole_words = false;
  reader.read("single_word", whole_words);
  if (whole_words) reader.refuse("single_word", fmt::format("not supported for the added token \"{}\"", token.content));
  return token;
}

using AddedById = std::map<std::int64_t, AddedToken>;

/// Takes added tokens in the order of their ids. As in tokenizers, one that the vocabulary lacks gets the next id, whatever its own says.
void take_added(AddedById by_id, TokenizerOptions& options) {
  for (auto& [id, token] : by_id)
    if (std::ranges::find(options.added, token.content, &AddedToken::content) == options.added.end())
      options.added.push_back(std::move(token));
}

/// Added tokens of tokenizer_config.json.
AddedById read_added_decoder(const Reader& reader, const std::string& place) {
  AddedById added;
  const SortedJson* decoder = reader.find("added_tokens_decoder");
  if (decoder == nullptr) return added;
  if (!decoder->is_object()) reader.refuse("added_tokens_decoder", "expected an object");
  for (const auto& [key, item] : decoder->items()) {
    std::int64_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size())
      reader.refuse("added_tokens_decoder", fmt::format("expected an id, got \"{}\"", key));
    added[id] = read_added(Reader(item, place + ": \"added_tokens_decoder\""));
  }
  return added;
}

/// added_tokens.json of transformers before 4.34: {token: id}.
AddedById read_added_file(const fs::path& path, const TokenizerOptions& options) {
  AddedById added;
  if (!fs::exists(path)) return added;
  const SortedJson json = read_sorted_json(path, ErrorTag::kModel);
  const Reader reader(json, path.string());
  for (const auto& [token, id] : json.items()) {
    if (!id.is_number_integer()) reader.refuse(token, "expected an id, got " + id.dump());
    const std::string* const named[] = {&options.unk, &options.sep, &options.pad, &options.cls, &options.mask};
    const bool special = std::ranges::find(options.more_special, token) != options.more_special.end() ||
                         std::ranges::any_of(named, [&](const std::string* name) { return *name == token; });
    added[id.get<std::int64_t>()] = {.content = token, .special = special, .normalized = !special};
  }
  return added;
}

/// The tokens by their ids; an id that none has keeps an empty one.
std::vector<std::string> read_vocabulary_object(const SortedJson& json, const std::string& place) {
  constexpr std::uint64_t kMostIds = 1 << 26;  // as in config.json
  if (!json.is_object()) throw Error(ErrorTag::kModel, place, "\"vocab\": expected an object");
  std::vector<std::string> vocabulary(json.size());
  for (const auto& [token, id] : json.items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= kMostIds)
      throw Error(ErrorTag::kModel, place,
                  fmt::format("\"vocab\": expected an id below {}, got {} for \"{}\"", kMostIds, id.dump(), token));
    const auto at = id.get<std::size_t>();
    if (at >= vocabulary.size()) vocabulary.resize(at + 1);
    if (!vocabulary[at].empty())
      throw Error(ErrorTag::kModel, place, fmt::format("\"vocab\": \"{}\" and \"{}\" have the same id {}", vocabulary[at], token, at));
    vocabulary[at] = token;
  }
  return vocabulary;
}

/// Reads the names of [CLS] and [SEP] from a TemplateProcessing, which must spell [CLS] A [SEP] and [CLS] A [SEP] B [SEP].
void read_template(const Reader& processor, TokenizerOptions& options) {
  const auto parts = [&](const char* key) {
    std::vector<std::pair<std::string, std::int64_t>> result;
    const SortedJson* list = processor.find(key);
    if (list == nullptr || !list->is_array()) processor.refuse(key, "expected a list");
    for (const SortedJson& item : *list) {
      if (!item.is_object() || item.size() != 1) processor.refuse(key, "expected objects with one key, got " + item.dump());
      const Reader part(item.front(), processor.place_of(key));
      auto& [id, type_id] = result.emplace_back("", -1);
      part.read("id", id);
      part.read("type_id", type_id);
      if (item.contains("Sequence")) id = "sequence " + id;
    }
    return result;
  };
  const auto single = parts("single"), pair = parts("pair");
  if (single.size() == 3) {
    options.cls = single[0].first;
    options.sep = single[2].first;
  }
  using Parts = std::decay_t<decltype(single)>;
  if (single != Parts{{options.cls, 0}, {"sequence A", 0}, {options.sep, 0}} ||
      pair != Parts{{options.cls, 0}, {"sequence A", 0}, {options.sep, 0}, {"sequence B", 1}, {options.sep, 1}})
    processor.refuse("", "expected BERT's template: [CLS] A [SEP], and B [SEP] with type 1 for pairs");
}

void read_processor(const Reader& file, TokenizerOptions& options) {
  const SortedJson* json = file.find("post_processor");
  if (json == nullptr || !json->is_object() || json->value("type", SortedJson()) != "BertProcessing")
    return read_template(file.section("post_processor", "TemplateProcessing"), options);
  for (const auto& [key, name] : {std::pair{"cls", &options.cls}, {"sep", &options.sep}}) {  // each [name, id]
    const SortedJson* token = file.section("post_processor", "BertProcessing").find(key);
    if (token == nullptr || !token->is_array() || token->empty() || !token->front().is_string())
      file.refuse("post_processor", fmt::format("no \"{}\"", key));
    *name = token->front().get<std::string>();
  }
}

Tokenizer load_tokenizer_json(const fs::path& path, TokenizerOptions options) {
  const std::string place = path.string();
  const SortedJson json = read_sorted_json(path, ErrorTag::kModel);
  const Reader file(json, place);
  if (file.find("normalizer") != nullptr) {
    const Reader normalizer = file.section("normalizer", "BertNormalizer");
    normalizer.read("clean_text", options.clean_text);
    normalizer.read("handle_chinese_chars", options.handle_chinese_chars);
    normalizer.read("strip_accents", options.strip_accents);
    normalizer.read("lowercase", options.lowercase);
  } else {
    options.clean_text = options.handle_chinese_chars = options.lowercase = false;
  }
  file.section("pre_tokenizer", "BertPreTokenizer");
  read_processor(file, options);
  const Reader model = file.section("model", "WordPiece");
  model.read("unk_token", options.unk);
  model.read("continuing_subword_prefix", options.continuing_prefix);
  model.read("max_input_chars_per_word", options.max_word_chars);
  const SortedJson* const vocab = model.find("vocab");
  if (vocab == nullptr) model.refuse("vocab", "missing");
  std::vector<std::string> vocabulary = read_vocabulary_object(*vocab, place);

  AddedById added;
  if (const SortedJson* list = file.find("added_tokens"); list != nullptr) {
    if (!list->is_array()) file.refuse("added_tokens", "expected a list");
    for (const SortedJson& item : *list) {
      const Reader reader(item, place + ": \"added_tokens\"");
      std::int64_t id = -1;
      reader.read("id", id);
      added[id] = read_added(reader);
    }
  }
  take_added(std::move(added), options);
  if (const fs::path config = path.parent_path() / "tokenizer_config.json"; fs::exists(config)) {
    const SortedJson settings = read_sorted_json(config, ErrorTag::kModel);
    take_added(read_added_decoder(Reader(settings, config.string()), config.string()), options);
  }
  return Tokenizer(std::move(vocabulary), std::move(options), place);
}

/// Reads one token a line and strips white space at its end, as tokenizers does (models/wordpiece/mod.rs, read_file).
std::vector<std::string> read_vocabulary_lines(const fs::path& path) {
  const std::string text = read_file(path, ErrorTag::kModel);
  std::vector<std::string> vocabulary;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto last = line.find_last_not_of(" \t\r\v\f");
    vocabulary.emplace_back(line.substr(0, last + 1));  // npos + 1 is 0
  }
  return vocabulary;
}

Tokenizer load_vocabulary(const fs::path& folder, TokenizerOptions options) {
  const fs::path path = folder / "vocab.txt", config = folder / "tokenizer_config.json";
  std::vector<std::string> vocabulary = read_vocabulary_lines(path);
  if (fs::exists(config)) {
    const SortedJson json = read_sorted_json(config, ErrorTag::kModel);
    const Reader reader(json, config.string());
    reader.read("do_lower_case", options.lowercase);
    reader.read("strip_accents", options.strip_accents);
    reader.read("tokenize_chinese_chars", options.handle_chinese_chars);
    take_added(read_added_decoder(reader, config.string()), options);
  }
  take_added(read_added_file(folder / "added_tokens.json", options), options);
  return Tokenizer(std::move(vocabulary), std::move(options), path.string());
}

Json added_json(const Tokenizer& tokenizer) {
  Json list = Json::array();
  for (const auto& [token, id] : tokenizer.added_tokens())
    list.push_back({{"id", id},
                    {"content", token.content},
                    {"single_word", false},
                    {"lstrip", token.lstrip},
                    {"rstrip", token.rstrip},
                    {"normalized", token.normalized},
                    {"special", token.special}});
  return list;
}

Json processor_json(const TokenizerOptions& options, std::int32_t cls, std::int32_t sep) {
  const auto special = [](const std::string& name, int type_id) { return Json{{"SpecialToken", {{"id", name}, {"type_id", type_id}}}}; };
  const auto sequence = [](const char* name, int type_id) { return Json{{"Sequence", {{"id", name}, {"type_id", type_id}}}}; };
  const auto entry = [](const std::string& name, std::int32_t id) {
    return Json{{"id", name}, {"ids", Json::array({id})}, {"tokens", Json::array({name})}};
  };
  const Json cls_a_sep = {special(options.cls, 0), sequence("A", 0), special(options.sep, 0)};
  Json pair = cls_a_sep;
  pair.push_back(sequence("B", 1));
  pair.push_back(special(options.sep, 1));
  return {{"type", "TemplateProcessing"},
          {"single", cls_a_sep},
          {"pair", pair},
          {"special_tokens", {{options.cls, entry(options.cls, cls)}, {options.sep, entry(options.sep, sep)}}}};
}

}  // namespace

Tokenizer Tokenizer::load(const fs::path& folder) {
  TokenizerOptions options;
  read_names(folder, options);
  const fs::path path = folder / "tokenizer.json";
  if (fs::exists(path)) return load_tokenizer_json(path, std::move(options));
  if (fs::exists(folder / "vocab.txt")) return load_vocabulary(folder, std::move(options));
  throw Error(ErrorTag::kModel, folder.string(), "expected tokenizer.json or vocab.txt, found neither");
}

void Tokenizer::save(const fs::path& folder) const {
  make_directories(folder);
  const TokenizerOptions& o = options_;
  const Json strip_accents = o.strip_accents ? Json(*o.strip_accents) : Json();
  const Json names{{"unk_token", o.unk}, {"sep_token", o.sep}, {"pad_token", o.pad}, {"cls_token", o.cls}, {"mask_token", o.mask}};
  std::string lines;
  Json::object_t vocab;
  for (std::size_t id = 0; id < model_size_; ++id) {
    lines += vocabulary_[id] + "\n";
    if (!vocabulary_[id].empty()) vocab.push_back({vocabulary_[id], Json(id)});  // the names are distinct: no search for each
  }
  Json file{{"version", "1.0"}, {"truncation", Json()}, {"padding", Json()}, {"added_tokens", added_json(*this)}};
  file["normalizer"] = {{"type", "BertNormalizer"},
                        {"clean_text", o.clean_text},
                        {"handle_chinese_chars", o.handle_chinese_chars},
                        {"strip_accents", strip_accents},
                        {"lowercase", o.lowercase}};
  file["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  file["post_processor"] = processor_json(o, cls_, sep_);
  file["decoder"] = {{"type", "WordPiece"}, {"prefix", o.continuing_prefix}, {"cleanup", true}};
  file["model"] = {{"type", "WordPiece"},
                   {"unk_token", o.unk},
                   {"continuing_subword_prefix", o.continuing_prefix},
                   {"max_input_chars_per_word", o.max_word_chars}};
  file["model"]["vocab"] = std::move(vocab);
  Json config{{"tokenizer_class", "BertTokenizer"},   {"do_lower_case", o.lowercase},
              {"strip_accents", strip_accents},       {"tokenize_chinese_chars", o.handle_chinese_chars},
              {"clean_up_tokenization_spaces", true}, {"model_max_length", o.max_length}};
  config.update(names);
  write_file(folder / "vocab.txt", lines);
  write_file(folder / "tokenizer.json", dump_json(file, 2) + "\n");
  write_file(folder / "tokenizer_config.json", dump_json(config, 2) + "\n");
  write_file(folder / "special_tokens_map.json", dump_json(names, 2) + "\n");
}

}  // namespace minbert
