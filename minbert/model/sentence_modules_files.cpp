// Sentence modules in files: reads the spellings of sentence-transformers 2 to 6, and writes the one that all of these versions read.
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <set>

#include "minbert/base/files.h"
#include "minbert/base/json_node.h"
#include "minbert/base/safetensors.h"
#include "minbert/model/checkpoint.h"
#include "minbert/model/sentence_modules.h"
#include "minbert/model/weight_source.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModulesFile = "modules.json";
constexpr const char* kSupported = "supported modules are Transformer, Pooling, Dense, LayerNorm, Normalize and Dropout";
constexpr std::array<std::string_view, 5> kLater = {"Pooling", "Dense", "LayerNorm", "Normalize", "Dropout"};
constexpr const char* kOwnPoolHint = "`minbert embed --pool mean` makes vectors of the encoder alone";
constexpr std::int64_t kMostWidth = 1 << 20;

/// The keys of Pooling up to version 5.3, in the order in which it joins vectors (sentence_transformers/models/Pooling.py).
constexpr std::array<std::pair<TokenPool, const char*>, 6> kPoolFlags = {{{TokenPool::kCls, "pooling_mode_cls_token"},
                                                                          {TokenPool::kMax, "pooling_mode_max_tokens"},
                                                                          {TokenPool::kMean, "pooling_mode_mean_tokens"},
                                                                          {TokenPool::kMeanSqrtLength, "pooling_mode_mean_sqrt_len_tokens"},
                                                                          {TokenPool::kWeightedMean, "pooling_mode_weightedmean_tokens"},
                                                                          {TokenPool::kLastToken, "pooling_mode_lasttoken"}}};

bool stays_inside(const std::string& path) {
  const fs::path parts(path);
  return !parts.is_absolute() && path.find('\\') == path.npos && path.find('\0') == path.npos &&
         std::none_of(parts.begin(), parts.end(), [](const fs::path& part) { return part == ".."; });
}

/// Refuses keys that are neither known nor switched off by null or false: each of them would change the result.
void expect_known_keys(const JsonNode& config, std::span<const std::string_view> known) {
  for (const auto& [key, value] : config.members())
    if (std::find(known.begin(), known.end(), key) == known.end() && !value.json().is_null() && value.json() != false)
      value.complain("this key is not known", kOwnPoolHint);
}

/// Modules may be told to read or write something else than sentence vectors.
void expect_sentence_vectors(const JsonNode& config) {
  for (const char* key : {"module_input_name", "module_output_name"})
    if (const auto name = config.find_set(key); name && name->as_text() != "sentence_embedding")
      name->complain(
          fmt::format("expected \"sentence_embedding\", got \"{}\"; a module on other features is not supported", name->as_text()),
          kOwnPoolHint);
}

void expect_width(const JsonNode& value, std::int64_t width) {
  if (const auto got = value.as_whole<std::int64_t>(1, kMostWidth); got != width)
    value.complain(fmt::format("expected {}, the width of the vectors before it, got {}", width, got));
}

TokenPool parse_pool(const JsonNode& node) {
  std::string name = node.as_text(), known;
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');  // versions up to 5.3 do so
  for (const auto& [mode, key] : kPoolFlags) {
    if (option_name(mode) == name) return mode;
    known += (known.empty() ? "" : ", ") + std::string(option_name(mode));
  }
  node.fail("one of " + known);
}

/// Reads `pooling_mode`, a text or (since 5.4) a list of texts.
std::vector<TokenPool> parse_pools(const JsonNode& node) {
  if (!node.json().is_array()) return {parse_pool(node)};
  std::vector<TokenPool> modes;
  for (const JsonNode& item : node.items()) modes.push_back(parse_pool(item));
  if (modes.empty()) node.complain("expected at least one mode");
  return modes;
}

Pooling read_pooling(const fs::path& folder, std::int64_t hidden, std::vector<std::string>& warnings) {
  const JsonNode config = JsonNode::read(folder / "config.json", ErrorTag::kModel);
  std::vector<std::string_view> known = {"word_embedding_dimension", "embedding_dimension", "pooling_mode", "include_prompt"};
  Pooling pooling;
  std::vector<TokenPool> flagged;
  for (const auto& [mode, key] : kPoolFlags) {
    known.push_back(key);
    if (const auto flag = config.find_set(key); flag && flag->as_flag()) flagged.push_back(mode);
  }
  expect_known_keys(config, known);
  for (const char* key : {"word_embedding_dimension", "embedding_dimension"})
    if (const auto width = config.find_set(key); width && width->as_whole<std::int64_t>(1) != hidden)
      warnings.push_back(fmt::format("{}: {} is {}, but config.json says hidden_size = {}, which holds", config.place(), key,
                                     width->as_whole<std::int64_t>(1), hidden));
  if (const auto mode = config.find_set("pooling_mode")) {
    pooling.modes = parse_pools(*mode);
    if (!flagged.empty() && flagged != pooling.modes)
      warnings.push_back(fmt::format("{}: pooling_mode and the older keys pooling_mode_... disagree; pooling_mode holds", config.place()));
  } else if (!flagged.empty()) {
    pooling.modes = flagged;
  }
  if (const auto include = config.find_set("include_prompt")) pooling.include_prompt = include->as_flag();
  return pooling;
}

/// The weight file of a module: its tensors are taken one by one, and none may be left.
class ModuleWeights {
 public:
  explicit ModuleWeights(const fs::path& folder) : source_(folder) {}

  std::vector<float> take(std::string_view name, std::vector<std::int64_t> shape) {
    const auto tensors = source_.tensors();
    const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const SourceTensor& tensor) { return tensor.name == name; });
    if (found == tensors.end()) fail(fmt::format("tensor \"{}\" is missing", name));
    if (found->shape != shape || !is_floating_dtype(found->dtype))
      fail(fmt::format("tensor \"{}\": expected numbers of shape ({}), got {}", name, fmt::join(shape, ", "), found->describe()));
    std::vector<float> values(static_cast<std::size_t>(found->numel()));
    found->read(0, values);
    taken_.insert(found->name);
    return values;
  }

  void expect_all_taken() const {
    for (const SourceTensor& tensor : source_.tensors())
      if (!taken_.contains(tensor.name)) fail(fmt::format("tensor \"{}\" belongs to no part of this module", tensor.name));
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { throw Error(ErrorTag::kModel, source_.folder().string(), message); }

  WeightSource source_;
  std::set<std::string, std::less<>> taken_;
};

DenseModule read_dense(const fs::path& folder, std::int64_t width) {
  constexpr std::array<std::string_view, 7> kKnown = {"in_features",       "out_features",       "bias",        "activation_function",
                                                      "module_input_name", "module_output_name", "use_residual"};
  const JsonNode config = JsonNode::read(folder / "config.json", ErrorTag::kModel);
  expect_known_keys(config, kKnown);
  expect_sentence_vectors(config);
  const JsonNode inputs = config.at("in_features");
  expect_width(inputs, width);
  DenseModule dense;
  dense.inputs = width;
  dense.outputs = config.at("out_features").as_whole<std::int64_t>(1, kMostWidth);
  if (const auto name = config.find("activation_function")) {
    dense.activation = name->as_text();
    if (find_activation(dense.activation) == nullptr)
      name->complain(fmt::format("activation \"{}\" is not supported", dense.activation), kOwnPoolHint);
  }
  const auto flag = [&](const char* key, bool absent) {
    const auto value = config.find_set(key);
    return value ? value->as_flag() : absent;
  };
  dense.use_residual = flag("use_residual", false);
  ModuleWeights weights(folder);
  dense.weight = weights.take("linear.weight", {dense.outputs, dense.inputs});
  if (flag("bias", true)) dense.bias = weights.take("linear.bias", {dense.outputs});
  if (dense.use_residual && dense.inputs != dense.outputs) dense.residual = weights.take("residual.weight", {dense.outputs, dense.inputs});
  weights.expect_all_taken();
  return dense;
}

LayerNormModule read_layer_norm(const fs::path& folder, std::int64_t width) {
  const JsonNode config = JsonNode::read(folder / "config.json", ErrorTag::kModel);
  expect_known_keys(config, std::array<std::string_view, 1>{"dimension"});
  expect_width(config.at("dimension"), width);
  ModuleWeights weights(folder);
  LayerNormModule norm{.weight = weights.take("norm.weight", {width}), .bias = weights.take("norm.bias", {width})};
  weights.expect_all_taken();
  return norm;
}

NormalizeModule read_normalize(const fs::path& folder) {
  if (!fs::exists(folder / "config.json")) return {};
  const JsonNode config = JsonNode::read(folder / "config.json", ErrorTag::kModel);
  expect_known_keys(config, std::array<std::string_view, 2>{"module_input_name", "module_output_name"});
  expect_sentence_vectors(config);
  return {};
}

DropoutModule read_dropout(const fs::path& folder) {
  DropoutModule dropout;
  if (fs::exists(folder / "config.json"))
    if (const auto p = JsonNode::read(folder / "config.json", ErrorTag::kModel).find_set("dropout")) dropout.p = p->as_number(0, 1);
  return dropout;
}

Json pooling_json(const Pooling& pooling, std::int64_t hidden) {
  Json json;
  // Versions up to 5.3 know flags alone, which have one order; those up to 2.2 know only four of them.
  if (std::adjacent_find(pooling.modes.begin(), pooling.modes.end(), std::greater_equal<>()) == pooling.modes.end()) {
    json["word_embedding_dimension"] = hidden;
    for (const auto& [mode, key] : kPoolFlags) {
      const bool on = std::find(pooling.modes.begin(), pooling.modes.end(), mode) != pooling.modes.end();
      if (on || mode <= TokenPool::kMeanSqrtLength) json[key] = on;
    }
  } else {
    json["embedding_dimension"] = hidden;
    for (const TokenPool mode : pooling.modes) json["pooling_mode"].push_back(option_name(mode));
  }
  if (!pooling.include_prompt) json["include_prompt"] = false;
  return json;
}

/// Writes the folders of modules and collects the lines of modules.json.
class ModuleWriter {
 public:
  ModuleWriter(const fs::path& folder, Backend& backend, DType dtype) : folder_(folder), backend_(backend), dtype_(dtype) {
    add_line("", "Transformer");
  }

  void add(const Pooling& pooling, std::int64_t hidden) { add_folder("Pooling", pooling_json(pooling, hidden)); }

  void operator()(const DenseModule& dense) {
    Json config = {{"in_features", dense.inputs},
                   {"out_features", dense.outputs},
                   {"bias", !dense.bias.empty()},
                   {"activation_function", dense.activation}};
    if (dense.use_residual) config["use_residual"] = true;
    const fs::path path = add_folder("Dense", config);
    Arena arena(backend_);
    std::vector<NamedTensor> tensors;
    tensors.push_back(named(arena, "linear.weight", dense.weight, {dense.outputs, dense.inputs}));
    if (!dense.bias.empty()) tensors.push_back(named(arena, "linear.bias", dense.bias, {dense.outputs}));
    if (!dense.residual.empty()) tensors.push_back(named(arena, "residual.weight", dense.residual, {dense.outputs, dense.inputs}));
    save(path, tensors);
  }
  void operator()(const LayerNormModule& norm) {
    const std::int64_t width = std::ssize(norm.weight);
    const fs::path path = add_folder("LayerNorm", {{"dimension", width}});
    Arena arena(backend_);
    save(path, std::array{named(arena, "norm.weight", norm.weight, {width}), named(arena, "norm.bias", norm.bias, {width})});
  }
  // The library requires each folder that modules.json names; git and archives lose empty folders, so these get a file too.
  void operator()(const NormalizeModule&) { add_folder("Normalize", Json::object()); }
  void operator()(const DropoutModule& dropout) { add_folder("Dropout", {{"dropout", dropout.p}}); }
  void operator()(const TruncateModule&) {}

  void commit() const { write_file(folder_ / kModulesFile, dump_json(modules_, 2) + "\n"); }

 private:
  void add_line(const std::string& path, const std::string& name) {
    modules_.push_back({{"idx", modules_.size()},
                        {"name", std::to_string(modules_.size())},
                        {"path", path},
                        {"type", "sentence_transformers.models." + name}});
  }
  fs::path add_folder(const std::string& name, const Json& config) {
    const std::string path = fmt::format("{}_{}", modules_.size(), name);
    make_directories(folder_ / path);
    write_file(folder_ / path / "config.json", dump_json(config, 2) + "\n");
    add_line(path, name);
    return folder_ / path;
  }
  NamedTensor named(Arena& arena, const char* name, std::span<const float> values, std::initializer_list<std::int64_t> shape) {
    const Tensor tensor = arena.allocate(DType::kF32, shape);
    backend_.copy_to_device(tensor, values.data());
    return {name, tensor};
  }
  void save(const fs::path& path, std::span<const NamedTensor> tensors) {
    save_tensors_as(dtype_, backend_, path / "model.safetensors", tensors, {{"format", "pt"}});
  }

  fs::path folder_;
  Backend& backend_;
  DType dtype_;
  Json modules_ = Json::array();
};

}  // namespace

std::string_view ListedModule::name() const { return type.starts_with("sentence_transformers.") ? class_name(type) : std::string_view(); }

std::vector<ListedModule> list_modules(const fs::path& folder) {
  if (!fs::exists(folder / kModulesFile)) return {};
  const JsonNode file = JsonNode::read(folder / kModulesFile, ErrorTag::kModel);
  std::vector<ListedModule> listed;
  std::set<std::string> names;
  for (const JsonNode& node : file.items()) {
    const ListedModule& module = listed.emplace_back(ListedModule{node.at("type").as_text(), node.at("path").as_text()});
    if (!stays_inside(module.path))
      node.at("path").complain(fmt::format("expected a folder in the model's folder, got \"{}\"", module.path));
    if (const auto name = node.find_set("name"); name && !names.insert(dump_json(name->json())).second)
      name->complain("another module has this name");
    if (listed.size() == 1 && module.name() != "Transformer")
      node.at("type").complain(fmt::format("expected a Transformer first, got \"{}\", which is not supported", module.type), kSupported);
  }
  if (listed.empty()) file.complain("expected modules, got none", kSupported);
  return listed;
}

SentenceModules read_sentence_modules(const fs::path& folder, std::span<const ListedModule> listed, std::int64_t hidden,
                                      std::vector<std::string>& warnings) {
  SentenceModules modules;
  if (listed.empty()) return modules;
  const auto refuse = [&](const std::string& message, const char* hint) {
    throw Error(ErrorTag::kModel, (folder / kModulesFile).string(), message, hint);
  };
  const auto later = listed.subspan(1);
  for (const ListedModule& module : later)
    if (std::find(kLater.begin(), kLater.end(), module.name()) == kLater.end())
      refuse(fmt::format("module \"{}\" is not supported", module.type), kSupported);
  const auto pooling = std::find_if(later.begin(), later.end(), [](const ListedModule& m) { return m.name() == "Pooling"; });
  if (pooling == later.end())
    refuse("expected a Pooling module, which makes one vector of a sentence's token vectors, got none", kOwnPoolHint);
  if (pooling != later.begin()) refuse(fmt::format("{} before Pooling is not supported", later.front().name()), kOwnPoolHint);
  modules.pooling = read_pooling(folder / pooling->path, hidden, warnings);
  for (const ListedModule& module : later.subspan(1)) {
    const fs::path path = folder / module.path;
    const std::string_view name = module.name();
    const std::int64_t width = modules.width(hidden);
    if (name == "Pooling") refuse("a second Pooling is not supported", kOwnPoolHint);
    if (name == "Dense") modules.after.push_back(read_dense(path, width));
    if (name == "LayerNorm") modules.after.push_back(read_layer_norm(path, width));
    if (name == "Normalize") modules.after.push_back(read_normalize(path));
    if (name == "Dropout") modules.after.push_back(read_dropout(path));
  }
  return modules;
}

void write_sentence_modules(const fs::path& folder, const SentenceModules& modules, std::int64_t hidden, Backend& backend, DType dtype) {
  make_directories(folder);
  ModuleWriter writer(folder, backend, dtype);
  writer.add(modules.pooling, hidden);
  for (const VectorModule& module : modules.after) std::visit(writer, module);
  writer.commit();
}

}  // namespace minbert
