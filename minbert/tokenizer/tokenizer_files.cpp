// Reads tokenizer.json, or vocab.txt with tokenizer_config.json, and writes all files of a tokenizer.
#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <span>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/base/number.h"
#include "minbert/tokenizer/tokenizer.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

const std::string kAddedToken = "added token ";

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

constexpr std::array<std::pair<const char*, std::string TokenizerOptions::*>, 5> kNames = {{{"unk_token", &TokenizerOptions::unk},
                                                                                            {"cls_token", &TokenizerOptions::cls},
                                                                                            {"sep_token", &TokenizerOptions::sep},
                                                                                            {"pad_token", &TokenizerOptions::pad},
                                                                                            {"mask_token", &TokenizerOptions::mask}}};

/// BertTokenizer's switches, where a file says them.
struct Switches {
  std::optional<bool> lowercase = {}, strip_accents = {}, handle_chinese_chars = {};

  void read(const Reader& reader) {
    reader.read("do_lower_case", lowercase);
    reader.read("strip_accents", strip_accents);
    reader.read("tokenize_chinese_chars", handle_chinese_chars);
  }
  void apply(TokenizerOptions& options) const {
    options.lowercase = lowercase.value_or(options.lowercase);
    if (strip_accents) options.strip_accents = strip_accents;
    options.handle_chinese_chars = handle_chinese_chars.value_or(options.handle_chinese_chars);
  }
};

/// Lower-cases text before a normalizer that need not do it; accents stay where that one would keep them.
void add_lowercase(TokenizerOptions& options) {
  options.strip_accents = options.strip_accents.value_or(options.lowercase);
  options.lowercase = true;
}

/// The settings found in one file, as JSON text by the names of BertTokenizer's arguments.
struct FileSettings {
  std::string file;
  std::map<std::string, std::string> settings = {};

  void add(const std::string& key, const Json& value) { settings[key] = dump_json(value); }
  void add(const Switches& switches) {
    if (switches.lowercase) add("do_lower_case", *switches.lowercase);
    if (switches.strip_accents) add("strip_accents", *switches.strip_accents);
    if (switches.handle_chinese_chars) add("tokenize_chinese_chars", *switches.handle_chinese_chars);
  }
};

/// One line for each pair of files that disagree. If several files have a setting, the last of them is used.
std::vector<std::string> differences(const std::vector<FileSettings>& files) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < files.size(); ++i) {
    std::map<std::size_t, std::pair<std::string, std::string>> by_winner;
    for (const auto& [key, value] : files[i].settings) {
      std::size_t winner = files.size() - 1;
      while (winner > i && !files[winner].settings.contains(key)) --winner;
      const std::string& used = files[winner].settings.at(key);
      if (used == value) continue;
      auto& [theirs, ours] = by_winner[winner];
      const char* comma = theirs.empty() ? "" : ", ";
      theirs += fmt::format("{}{} = {}", comma, key, value);
      ours += fmt::format("{}{}", comma, used);
    }
    for (const auto& [winner, texts] : by_winner)
      lines.push_back(fmt::format("{} says {}, but {} says {}, which is used", files[i].file, texts.first,
                                  fs::path(files[winner].file).filename().string(), texts.second));
  }
  return lines;
}

/// What the small files of a folder say: names of the special tokens (BertTokenizer keeps `pad` and `mask` nowhere else), model_max_length,
/// and the switches that a tokenizer.json has too.
struct FolderSettings {
  TokenizerOptions options;        ///< as tokenizers without a tokenizer.json have them
  std::vector<FileSettings> said;  ///< in the order in which later files replace what earlier ones say
  std::vector<std::string> warnings;
};

void read_names(const Reader& reader, TokenizerOptions& options, FileSettings& said) {
  for (const auto& [key, member] : kNames) {
    if (reader.find(key) == nullptr) continue;
    reader.read_token(key, options.*member);
    said.add(key, options.*member);
  }
  read_token_names(reader, "additional_special_tokens", options.more_special);
  read_token_names(reader, "extra_special_tokens", options.more_special);
  // transformers writes 1e30 for "no limit".
  if (const auto* limit = reader.find("model_max_length"); limit != nullptr && limit->is_number()) {
    const auto value = limit->get<double>();
    if (value >= 1 && value < 1e9) options.max_length = static_cast<std::int64_t>(value);
  }
}

FolderSettings read_folder_settings(const fs::path& folder) {
  FolderSettings settings;
  const auto read = [&](const fs::path& path, const auto& take) {
    if (path.empty() || !fs::exists(path)) return;
    const SortedJson json = read_sorted_json(path, ErrorTag::kModel);
    take(Reader(json, path.string()), settings.said.emplace_back(FileSettings{path.string()}));
  };
  read(folder / "special_tokens_map.json", [&](const Reader& reader, FileSettings& said) { read_names(reader, settings.options, said); });
  read(folder / "tokenizer_config.json", [&](const Reader& reader, FileSettings& said) {
    read_names(reader, settings.options, said);
    Switches switches;
    switches.read(reader);
    switches.apply(settings.options);
    said.add(switches);
    std::string side;
    reader.read("truncation_side", side);
    if (side == "left")
      settings.warnings.push_back(said.file + " says truncation_side = \"left\", which is not supported: long texts lose their end");
    if (const SortedJson* decoder = reader.find("added_tokens_decoder"); decoder != nullptr && decoder->is_object())
      for (const auto& [id, token] : decoder->items())
        if (token.is_object() && token.contains("content")) said.add(kAddedToken + id, Json(token["content"]));
  });
  read(find_sentence_settings(folder), [&](const Reader& reader, FileSettings& said) {
    Switches switches;
    for (const char* key : {"tokenizer_args", "processor_kwargs"})  // arguments of BertTokenizer; the second name is that since 5.4
      if (const SortedJson* arguments = reader.find(key)) switches.read(Reader(*arguments, reader.place_of(key)));
    switches.apply(settings.options);
    bool lowercase = false;  // false leaves the tokenizer as it is
    reader.read("do_lower_case", lowercase);
    if (lowercase) {
      add_lowercase(settings.options);
      switches.lowercase = true;
    }
    said.add(switches);
  });
  return settings;
}

/// Adds what a tokenizer.json says of the settings that the other files say.
void add_settings(std::vector<FileSettings>& said, const Tokenizer& tokenizer, const std::string& file) {
  const TokenizerOptions& options = tokenizer.options();
  FileSettings own{file};
  own.add(Switches{options.lowercase, options.strip_accents.value_or(options.lowercase), options.handle_chinese_chars});
  for (const auto& [key, member] : kNames)
    if (member != &TokenizerOptions::pad && member != &TokenizerOptions::mask) own.add(key, options.*member);
  for (const FileSettings& other : said)
    for (const auto& [key, value] : other.settings) {
      if (!key.starts_with(kAddedToken)) continue;
      std::int32_t id = -1;
      std::from_chars(key.data() + kAddedToken.size(), key.data() + key.size(), id);
      own.add(key, id >= 0 && id < tokenizer.vocab_size() ? Json(tokenizer.token(id)) : Json());
    }
  said.push_back(std::move(own));
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
    const auto id = number_from<std::int64_t>(key);
    if (!id) reader.refuse("added_tokens_decoder", fmt::format("expected an id, got \"{}\"", key));
    added[*id] = read_added(Reader(item, place + ": \"added_tokens_decoder\""));
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

/// Reads a BertNormalizer, or a Sequence of it and Lowercase, which is what sentence-transformers makes of do_lower_case since 5.4.
void read_normalizer(const Reader& file, TokenizerOptions& options) {
  options.clean_text = options.handle_chinese_chars = options.lowercase = false;
  options.strip_accents.reset();
  const SortedJson* json = file.find("normalizer");
  if (json == nullptr) return;
  const Reader normalizer(*json, file.place_of("normalizer"));
  const SortedJson* list = normalizer.find("normalizers");
  if (list == nullptr || !list->is_array()) list = nullptr;
  bool lowercase = false, bert = false;
  for (std::size_t i = 0; i < (list == nullptr ? 1 : list->size()); ++i) {
    const Reader part(list == nullptr ? *json : (*list)[i], file.place_of("normalizer"));
    std::string type;
    part.read("type", type);
    if (type == "Lowercase") {
      lowercase = true;
      continue;
    }
    if (type != "BertNormalizer" || bert) file.refuse("normalizer", fmt::format("expected type BertNormalizer once, got \"{}\"", type));
    bert = options.clean_text = options.handle_chinese_chars = options.lowercase = true;
    part.read("clean_text", options.clean_text);
    part.read("handle_chinese_chars", options.handle_chinese_chars);
    part.read("strip_accents", options.strip_accents);
    part.read("lowercase", options.lowercase);
  }
  if (lowercase) add_lowercase(options);
}

Tokenizer load_tokenizer_json(const fs::path& path, TokenizerOptions options) {
  const std::string place = path.string();
  const SortedJson json = read_sorted_json(path, ErrorTag::kModel);
  const Reader file(json, place);
  read_normalizer(file, options);
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

fs::path find_sentence_settings(const fs::path& folder) {
  // sentence_transformers/base/modules/transformer.py, load_config
  for (const char* name : {"bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"})
    if (fs::path path = folder / fmt::format("sentence_{}_config.json", name); fs::exists(path)) return path;
  return {};
}

Tokenizer Tokenizer::load(const fs::path& folder) {
  FolderSettings settings = read_folder_settings(folder);
  const fs::path path = folder / "tokenizer.json";
  const bool whole = fs::exists(path);
  if (!whole && !fs::exists(folder / "vocab.txt"))
    throw Error(ErrorTag::kModel, folder.string(), "expected tokenizer.json or vocab.txt, found neither");
  Tokenizer tokenizer = whole ? load_tokenizer_json(path, settings.options) : load_vocabulary(folder, settings.options);
  if (whole) add_settings(settings.said, tokenizer, path.string());
  tokenizer.warnings_ = differences(settings.said);
  tokenizer.warnings_.insert(tokenizer.warnings_.end(), settings.warnings.begin(), settings.warnings.end());
  if (const fs::path lines = folder / "vocab.txt"; whole && fs::exists(lines)) {
    const std::vector<std::string> theirs = read_vocabulary_lines(lines);
    const std::span ours = std::span(tokenizer.vocabulary_).first(tokenizer.model_size_);
    if (!std::equal(theirs.begin(), theirs.end(), ours.begin(), ours.end()))
      tokenizer.warnings_.push_back(fmt::format("{} has other tokens than tokenizer.json, which is used", lines.string()));
  }
  return tokenizer;
}

void Tokenizer::save(const fs::path& folder, std::int64_t max_length) const {
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
              {"clean_up_tokenization_spaces", true}, {"model_max_length", max_length > 0 ? max_length : o.max_length}};
  config.update(names);
  write_file(folder / "vocab.txt", lines);
  write_file(folder / "tokenizer.json", dump_json(file, 2) + "\n");
  write_file(folder / "tokenizer_config.json", dump_json(config, 2) + "\n");
  write_file(folder / "special_tokens_map.json", dump_json(names, 2) + "\n");
}

}  // namespace minbert
