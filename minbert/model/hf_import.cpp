// Import: matching names, checking shapes, converting values.
#include "minbert/model/hf_import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <complex>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "minbert/base/finite.h"
#include "minbert/base/parallel.h"
#include "minbert/base/safetensors.h"

namespace minbert {
namespace {

constexpr std::string_view kWordEmbeddings = "embeddings.word_embeddings.weight";
constexpr std::string_view kTiedDecoder = "cls.predictions.decoder.weight";
constexpr const char* kNotFiniteHint = "the training that made them diverged, or a conversion to another dtype overflowed";
constexpr std::size_t kMaxListed = 20;  // names in one message

/// Name prefixes that wrappers of a BertModel add: task models, trainers, DataParallel, sentence-transformers, torch.compile.
constexpr std::array<std::string_view, 6> kPrefixes = {"bert.", "model.", "module.", "0.auto_model.", "auto_model.", "_orig_mod."};
/// First words of the names of tensors whose part a model may lack.
constexpr std::array<std::string_view, 6> kOptionalParts = {"pooler.", "cls.", "classifier.", "qa_outputs.", "heads.", "mlm."};

bool starts_with_any(std::string_view name, std::span<const std::string_view> starts) {
  return std::any_of(starts.begin(), starts.end(), [&](std::string_view start) { return name.starts_with(start); });
}

std::string joined_names(const std::vector<std::string>& names, std::size_t most = kMaxListed) {
  const std::size_t listed = std::min(names.size(), most);
  const std::string text = fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(listed), ", "));
  return names.size() > listed ? fmt::format("{} and {} more", text, names.size() - listed) : text;
}

/// Whether two tensors are tied: one storage in a torch checkpoint, equal copies elsewhere.
bool same_values(const SourceTensor& a, const SourceTensor& b) {
  if (a.dtype != b.dtype || a.shape != b.shape || a.strides != b.strides || a.bytes.size() != b.bytes.size()) return false;
  return a.bytes.data() == b.bytes.data() || std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0;
}

std::string shape_mismatch(const ParamInfo& info, const SourceTensor& tensor) {
  return fmt::format("{}: expected ({}), got ({})", info.name, fmt::join(info.shape, ", "), fmt::join(tensor.shape, ", "));
}

/// The report, and for each of its parameters the tensor to read (null when missing).
struct Plan {
  ImportReport report;
  std::vector<const SourceTensor*> sources;
};

class Planner {
 public:
  Planner(const WeightSource& source, const ModelShape& shape, const ImportOptions& options)
      : source_(source), shape_(shape), table_(param_table(shape)), options_(options) {}

  Plan plan() {
    for (const ParamInfo& info : table_) by_name_.emplace(info.name, &info);
    for (const SourceTensor& tensor : source_.tensors()) claim(tensor);
    for (const SourceTensor* tensor : decoders_) settle_decoder(*tensor);
    for (const HeadShape& head : shape_.heads) settle_head(head);
    for (const ParamInfo& info : table_) {
      if (options_.wanted && !options_.wanted(info)) continue;
      const SourceTensor* tensor = accepted(info);
      plan_.sources.push_back(tensor);
      auto& row = plan_.report.parameters.emplace_back(ImportReport::Parameter{info.name, info.role, info.task, {}, {}, {}});
      if (tensor != nullptr) row.tensor = tensor->name, row.file = tensor->file, row.dtype = tensor->dtype;
    }
    return std::move(plan_);
  }

 private:
  void claim(const SourceTensor& tensor) {
    const std::string name = canonical_name(tensor.name);
    const bool is_buffer =
        name == "embeddings.position_ids" || name == "embeddings.token_type_ids";  // some checkpoints have them as floats
    if (is_buffer || (!is_floating_dtype(tensor.dtype) && !by_name_.contains(name))) return plan_.report.dropped.push_back(tensor.name);
    if (name == kTiedDecoder) return decoders_.push_back(&tensor);
    const auto info = by_name_.find(name);
    if (info == by_name_.end())
      return (starts_with_any(name, kOptionalParts) ? plan_.report.unused : plan_.report.unexpected).push_back(tensor.name);
    const auto [at, first] = claims_.emplace(info->first, &tensor);
    if (first) return;
    if (!same_values(*at->second, tensor))
      throw Error(ErrorTag::kModel, source_.folder().string(),
                  fmt::format("tensors \"{}\" and \"{}\" both stand for {}, with different values", at->second->name, tensor.name, name));
    plan_.report.dropped.push_back(tensor.name);
  }

  /// Notes the MLM decoder: a copy of the word embeddings is dropped; any other matrix has no place in this model.
  void settle_decoder(const SourceTensor& decoder) {
    const auto words = claims_.find(kWordEmbeddings);
    const bool tied = words != claims_.end() && same_values(*words->second, decoder);
    (tied ? plan_.report.dropped : plan_.report.unused).push_back(decoder.name);
  }

  /// Reads all of a head or none of it.
  void settle_head(const HeadShape& head) {
    std::vector<const ParamInfo*> rows;
    for (const ParamInfo& info : table_)
      if (info.role == Role::kHead && info.task == head.task && (!options_.wanted || options_.wanted(info))) rows.push_back(&info);
    if (rows.empty()) return;
    std::string reason;
    std::size_t found = 0;
    for (const ParamInfo* info : rows) {
      const auto at = claims_.find(info->name);
      found += at != claims_.end();
      if (!reason.empty()) continue;
      if (at == claims_.end())
        reason = fmt::format("no tensor {}", info->name);
      else if (at->second->shape != info->shape || !is_floating_dtype(at->second->dtype))
        reason = shape_mismatch(*info, *at->second);
    }
    if (!reason.empty())
      for (const ParamInfo* info : rows) claims_.erase(info->name);
    plan_.report.heads.push_back({head.task, reason.empty(), found == 0 ? "not in the folder" : reason});
  }

  /// The tensor for a parameter; null when there is none, or when its shape differs.
  const SourceTensor* accepted(const ParamInfo& info) {
    const auto at = claims_.find(info.name);
    if (at == claims_.end()) return nullptr;
    const SourceTensor& tensor = *at->second;
    if (!is_floating_dtype(tensor.dtype)) {
      plan_.report.misshapen.push_back(fmt::format("{}: expected floating-point numbers, got {}", info.name, tensor.dtype));
      plan_.report.hint = "quantised weights are not supported";
      return nullptr;
    }
    if (tensor.shape == info.shape) return &tensor;
    plan_.report.misshapen.push_back(shape_mismatch(info, tensor));
    if (info.name == kWordEmbeddings && tensor.shape.size() == 2 && tensor.shape[1] == info.shape[1]) {
      plan_.report.hint = fmt::format(
          "config.json says vocab_size = {}, the weights have {} rows: tokens were added without saving config.json, "
          "or the files are of two models",
          info.shape[0], tensor.shape[0]);
    } else if (plan_.report.hint.empty()) {
      plan_.report.hint = "config.json and the weights are of two models";
    }
    return nullptr;
  }

  const WeightSource& source_;
  const ModelShape& shape_;
  const std::vector<ParamInfo> table_;
  const ImportOptions& options_;
  std::unordered_map<std::string_view, const ParamInfo*> by_name_;
  std::unordered_map<std::string_view, const SourceTensor*> claims_;  // by parameter name
  std::vector<const SourceTensor*> decoders_;
  Plan plan_;
};

void refuse_incomplete(const WeightSource& source, const ImportReport& report, const ImportOptions& options) {
  if (!report.misshapen.empty())
    throw Error(ErrorTag::kModel, source.folder().string(),
                fmt::format("tensors of another shape or kind: {}", joined_names(report.misshapen)), report.hint);
  const auto missing = report.missing(Role::kEncoder);
  const bool none = std::none_of(report.parameters.begin(), report.parameters.end(),
                                 [](const auto& p) { return p.role == Role::kEncoder && !p.missing(); });
  if (missing.empty() || !(options.require_encoder || none)) return;
  std::string hint;
  if (none) {
    std::vector<std::string> names;
    for (const SourceTensor& tensor : source.tensors().first(std::min<std::size_t>(3, source.tensors().size())))
      names.push_back(tensor.name);
    hint = fmt::format("no tensor has a BERT encoder's name; the first are {}", joined_names(names));
  }
  throw Error(ErrorTag::kModel, source.folder().string(),
              fmt::format("{} encoder tensors are missing: {}", missing.size(), joined_names(missing)), hint);
}

/// Reads elements [begin, end) of a parameter. Throws Error(kDiverged) if one is not finite.
void load_range(Backend& backend, const Tensor& value, const SourceTensor& source, std::int64_t begin, std::int64_t end,
                const std::filesystem::path& folder) {
  const Tensor flat = value.reshape({value.numel()});
  const bool as_it_is = value.dtype() == DType::kF32 && source.dtype == "F32" && source.dense() && !source.big_endian;
  constexpr std::int64_t kChunk = 1 << 14;  // elements, few enough to stay in the cache
  std::vector<float> floats(as_it_is ? 0 : static_cast<std::size_t>(std::min(kChunk, end - begin)));
  for (; begin < end; begin += kChunk) {
    const auto count = static_cast<std::size_t>(std::min(kChunk, end - begin));
    const auto values = std::span(floats).first(as_it_is ? 0 : count);
    source.read(begin, values);
    const auto bytes =
        as_it_is ? source.bytes.subspan(static_cast<std::size_t>(begin) * sizeof(float), count * sizeof(float)) : std::as_bytes(values);
    if (const std::size_t at = find_not_finite(bytes); at != kAllFinite)
      throw Error(ErrorTag::kDiverged, (folder / source.file).string(),
                  fmt::format("tensor \"{}\": expected finite numbers, got NaN or infinity in element {}", source.name,
                              begin + static_cast<std::int64_t>(at)),
                  kNotFiniteHint);
    const Tensor part = flat.slice_rows(begin, begin + static_cast<std::int64_t>(count));
    if (as_it_is) {
      backend.copy_to_device(part, bytes.data());
      continue;
    }
    if (value.dtype() == DType::kF32)
      backend.copy_to_device(part, values.data());
    else if (value.dtype() == DType::kF64)
      backend.copy_to_device(part, std::vector<double>(values.begin(), values.end()).data());
    else
      backend.copy_to_device(part, std::vector<std::complex<double>>(values.begin(), values.end()).data());
  }
}

/// While it lives, ops are not profiled.
class ProfilingPause {
 public:
  explicit ProfilingPause(Backend& backend) : backend_(backend), was_on_(backend.profiling()) { backend_.set_profiling(false); }
  ~ProfilingPause() { backend_.set_profiling(was_on_); }
  ProfilingPause(const ProfilingPause&) = delete;
  ProfilingPause& operator=(const ProfilingPause&) = delete;

 private:
  Backend& backend_;
  bool was_on_;
};

/// Reads all tensors in one parallel sweep over their elements, so that threads are woken once and divide the largest table too. One thread
/// reads them all where the outputs of ops are looked at, which several threads cannot do at once.
void load_values(Params& params, const Plan& plan, const std::filesystem::path& folder) {
  struct Item {
    Tensor value;
    const SourceTensor* source;
    std::int64_t start;  // position of its first element in the sweep
  };
  std::vector<Item> items;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < plan.sources.size(); ++i) {
    if (plan.sources[i] == nullptr) continue;
    items.push_back({params.value(plan.report.parameters[i].name), plan.sources[i], total});
    total += items.back().value.numel();
  }
  const ProfilingPause pause(params.backend());
  const bool looks = params.backend().checking_outputs() || params.backend().showing_outputs();
  parallel_for(total, looks ? std::max<std::int64_t>(total, 1) : 1 << 18, [&](std::int64_t begin, std::int64_t end) {
    for (const Item& item : items) {
      const std::int64_t from = std::max(begin, item.start), to = std::min(end, item.start + item.value.numel());
      if (from < to) load_range(params.backend(), item.value, *item.source, from - item.start, to - item.start, folder);
    }
  });
}

}  // namespace

std::vector<std::string> ImportReport::missing(Role role) const {
  std::vector<std::string> names;
  for (const Parameter& parameter : parameters)
    if (parameter.role == role && parameter.missing()) names.push_back(parameter.name);
  return names;
}

std::vector<std::string> ImportReport::warnings() const {
  constexpr std::size_t kShown = 4;
  std::vector<std::string> texts;
  std::vector<std::string> absent = missing(Role::kEncoder);
  const std::vector<std::string> pooler = missing(Role::kPooler);
  absent.insert(absent.end(), pooler.begin(), pooler.end());
  if (!absent.empty())
    texts.push_back(fmt::format("{} parameters are not in the weights and newly initialised, so that the model needs training: {}",
                                absent.size(), joined_names(absent, kShown)));
  if (!unexpected.empty())
    texts.push_back(fmt::format("{} tensors of the weights are not used, as config.json has no place for them: {}", unexpected.size(),
                                joined_names(unexpected, kShown)));
  return texts;
}

std::string ImportReport::unused_heads() const {
  std::vector<std::string> names;
  for (const std::string& name : unused)
    if (!canonical_name(name).starts_with("pooler.")) names.push_back(name);
  return names.empty() ? "" : fmt::format("not used: {}", joined_names(names, 4));
}

std::string canonical_name(std::string_view tensor) {
  for (bool stripped = true; stripped;) {
    stripped = false;
    for (const std::string_view prefix : kPrefixes) {
      if (!tensor.starts_with(prefix)) continue;
      tensor.remove_prefix(prefix.size());
      stripped = true;
    }
  }
  if (tensor == "cls.predictions.decoder.bias") return "cls.predictions.bias";
  // LayerNorm's names in the first TensorFlow release; checkpoints converted from it still have them.
  const auto renamed = [&](std::string_view from, std::string_view to) {
    return std::string(tensor.substr(0, tensor.size() - from.size())).append(to);
  };
  if (tensor.ends_with("LayerNorm.gamma")) return renamed("gamma", "weight");
  if (tensor.ends_with("LayerNorm.beta")) return renamed("beta", "bias");
  return std::string(tensor);
}

ImportReport plan_import(const WeightSource& source, const ModelShape& shape, const ImportOptions& options) {
  return Planner(source, shape, options).plan().report;
}

WeightSource open_model_weights(const std::filesystem::path& folder) {
  WeightSource source(folder);
  for (const char* name : {"heads.safetensors", "mlm.safetensors"})
    if (const auto file = folder / name; std::filesystem::exists(file)) source.add(file);
  return source;
}

ImportReport import_weights(const std::filesystem::path& folder, Params& params, const ImportOptions& options) {
  MINBERT_CHECK(params.dtype() == DType::kF32 || params.dtype() == DType::kF64 || params.dtype() == DType::kC128, "parameters are {}",
                dtype_name(params.dtype()));
  const WeightSource source = open_model_weights(folder);
  Plan plan = Planner(source, params.shape(), options).plan();
  refuse_incomplete(source, plan.report, options);
  load_values(params, plan, source.folder());
  params.changed();
  return std::move(plan.report);
}

}  // namespace minbert
