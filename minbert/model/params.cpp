// The table of parameters in Hugging Face's names, its storage and initial values.
#include "minbert/model/params.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "minbert/base/parallel.h"

namespace minbert {
namespace {

// Calls `fn` with rows that have the defaults of one role. `config` and `fn` must outlive it.
class Table {
 public:
  Table(const std::function<void(const ParamInfo&)>& fn, const ModelConfig& config, Role role, HeadInit init = HeadInit::kNormal,
        std::string task = {})
      : fn_(fn), normal_{Init::kNormal, config.initializer_range}, role_(role), init_(init), task_(std::move(task)) {}

  /// The same table for the parameters of an encoder layer, counted from 1.
  Table of_layer(std::int64_t layer) const {
    Table table = *this;
    table.layer_ = layer;
    return table;
  }
  /// A linear layer's weight; `in` is its number of inputs.
  void weight(std::string name, std::int64_t out, std::int64_t in) const {
    row(std::move(name), {out, in}, init_ == HeadInit::kTorch ? torch(in) : normal_, true, true);
  }
  /// A linear layer's bias.
  void bias(std::string name, std::int64_t out, std::int64_t in) const {
    row(std::move(name), {out}, init_ == HeadInit::kTorch ? torch(in) : Start{Init::kZeros, 0}, false, false);
  }
  void table(std::string name, std::int64_t rows, std::int64_t cols, bool product) const {
    row(std::move(name), {rows, cols}, normal_, true, product);
  }
  /// A layer of one input and one or two outputs that starts as 10 x - 5, or as half of that and its negative.
  void cosine_layer(const std::string& name, std::int64_t out) const {
    const double share = 1.0 / static_cast<double>(out);
    row(name + ".weight", {out, 1}, {Init::kSpread, 10 * share}, true, true);
    row(name + ".bias", {out}, {Init::kSpread, -5 * share}, false, false);
  }
  /// A vector that starts at zero, such as a bias without a linear layer of its own.
  void zeros(std::string name, std::int64_t n) const { row(std::move(name), {n}, {Init::kZeros, 0}, false, false); }
  void norm(const std::string& name, std::int64_t n) const {
    row(name + ".weight", {n}, {Init::kOnes, 0}, false, false);
    zeros(name + ".bias", n);
  }

 private:
  struct Start {
    Init init;
    double scale;
  };
  static Start torch(std::int64_t in) { return {Init::kUniform, 1 / std::sqrt(static_cast<double>(in))}; }

  void row(std::string name, std::vector<std::int64_t> shape, Start start, bool decay, bool product) const {
    fn_({std::move(name), std::move(shape), start.init, start.scale, decay, role_, task_, product, layer_});
  }

  const std::function<void(const ParamInfo&)>& fn_;
  Start normal_;
  Role role_;
  HeadInit init_;
  std::string task_;
  std::int64_t layer_ = 0;
};

// BertEmbeddings and BertLayer of transformers/models/bert/modeling_bert.py, reordered so that q, k and v are adjacent.
void encoder_params(const ModelShape& shape, const Table& table) {
  const ModelConfig& c = shape.config;
  table.table("embeddings.word_embeddings.weight", c.vocab_size, c.hidden_size, shape.mlm == MlmHeadKind::kTied);
  table.table("embeddings.position_embeddings.weight", c.max_position_embeddings, c.hidden_size, false);
  table.table("embeddings.token_type_embeddings.weight", c.type_vocab_size, c.hidden_size, false);
  table.norm("embeddings.LayerNorm", c.hidden_size);
  for (std::int64_t l = 0; l < c.num_hidden_layers; ++l) {
    const Table t = table.of_layer(l + 1);
    const std::string layer = fmt::format("encoder.layer.{}.", l);
    for (const char* name : {"query", "key", "value"}) t.weight(layer + "attention.self." + name + ".weight", c.hidden_size, c.hidden_size);
    for (const char* name : {"query", "key", "value"}) t.bias(layer + "attention.self." + name + ".bias", c.hidden_size, c.hidden_size);
    t.weight(layer + "attention.output.dense.weight", c.hidden_size, c.hidden_size);
    t.bias(layer + "attention.output.dense.bias", c.hidden_size, c.hidden_size);
    t.norm(layer + "attention.output.LayerNorm", c.hidden_size);
    t.weight(layer + "intermediate.dense.weight", c.intermediate_size, c.hidden_size);
    t.bias(layer + "intermediate.dense.bias", c.intermediate_size, c.hidden_size);
    t.weight(layer + "output.dense.weight", c.hidden_size, c.intermediate_size);
    t.bias(layer + "output.dense.bias", c.hidden_size, c.intermediate_size);
    t.norm(layer + "output.LayerNorm", c.hidden_size);
  }
}

void head_params(const HeadShape& head, const ModelConfig& config, const Table& t) {
  if (head.outputs == 0) return;
  const std::string prefix = "heads." + head.task;
  std::int64_t width = head.inputs(config);
  for (std::size_t i = 0; i < head.dense.size(); ++i) {
    t.weight(fmt::format("{}.dense.{}.weight", prefix, i), head.dense[i], width);
    t.bias(fmt::format("{}.dense.{}.bias", prefix, i), head.dense[i], width);
    width = head.dense[i];
  }
  if (head.features == Features::kCosine && head.outputs <= 2) return t.cosine_layer(prefix + ".out", head.outputs);
  t.weight(prefix + ".out.weight", head.outputs, width);
  t.bias(prefix + ".out.bias", head.outputs, width);
}

void linear_mlm_params(const ModelConfig& c, const Table& t) {
  t.weight("mlm.weight", c.vocab_size, c.hidden_size);
}  // paper eq. 7: no bias

void tied_mlm_params(const ModelConfig& c, const Table& t) {
  t.weight("cls.predictions.transform.dense.weight", c.hidden_size, c.hidden_size);
  t.bias("cls.predictions.transform.dense.bias", c.hidden_size, c.hidden_size);
  t.norm("cls.predictions.transform.LayerNorm", c.hidden_size);
  t.zeros("cls.predictions.bias", c.vocab_size);
}

}  // namespace

std::int64_t HeadShape::inputs(const ModelConfig& config) const {
  switch (features) {
    case Features::kSingle: return config.hidden_size;
    case Features::kPair:
    case Features::kPairComparison: return 2 * config.hidden_size;
    case Features::kPairDifference: return 3 * config.hidden_size;
    case Features::kCosine: return 1;
  }
  return 0;
}

std::int64_t ParamInfo::numel() const { return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()); }

void for_each_param(const ModelShape& shape, const std::function<void(const ParamInfo&)>& fn) {
  const ModelConfig& config = shape.config;
  encoder_params(shape, Table(fn, config, Role::kEncoder));
  if (shape.pooler) {
    const Table t(fn, config, Role::kPooler);
    t.weight("pooler.dense.weight", config.hidden_size, config.hidden_size);
    t.bias("pooler.dense.bias", config.hidden_size, config.hidden_size);
  }
  for (const HeadShape& head : shape.heads) head_params(head, config, Table(fn, config, Role::kHead, head.init, head.task));
  if (shape.mlm == MlmHeadKind::kLinear) linear_mlm_params(config, Table(fn, config, Role::kMlm, HeadInit::kTorch));
  if (shape.mlm == MlmHeadKind::kTied) tied_mlm_params(config, Table(fn, config, Role::kMlm));
}

std::vector<ParamInfo> param_table(const ModelShape& shape) {
  std::vector<ParamInfo> table;
  for_each_param(shape, [&](const ParamInfo& info) { table.push_back(info); });
  return table;
}

Params::Params(Backend& backend, ModelShape shape, DType dtype, DType compute, WeightUse use)
    : backend_(&backend),
      shape_(std::move(shape)),
      dtype_(dtype),
      compute_(compute),
      use_(use),
      table_(param_table(shape_)),
      arena_(std::make_unique<Arena>(backend)),
      copy_arena_(std::make_unique<Arena>(backend)),
      clock_(std::make_unique<std::uint64_t>(0)) {
  MINBERT_CHECK(compute == dtype || (dtype == DType::kF32 && compute == DType::kBF16), "{} products of {} parameters", dtype_name(compute),
                dtype_name(dtype));
  // One flat tensor, cut without padding: neighbours in the table are neighbours in memory.
  const auto cut = [&](Arena& arena, DType type, std::vector<Tensor>& out, const auto& wanted) {
    std::int64_t total = 0, offset = 0;
    for (const ParamInfo& info : table_) total += wanted(info) ? info.numel() : 0;
    if (total == 0) return out.resize(table_.size());
    const Tensor flat = arena.allocate(type, {total});
    backend.zero(flat);
    for (const ParamInfo& info : table_) {
      if (!wanted(info)) {
        out.emplace_back();
        continue;
      }
      out.emplace_back(flat.slice_rows(offset, offset + info.numel()).raw(), type, info.shape);
      offset += info.numel();
    }
  };
  cut(*arena_, dtype_, values_, [](const ParamInfo&) { return true; });
  // In training adamw keeps 16-bit copies of product weights; for forward use the backend makes packed copies itself.
  cut(*copy_arena_, compute_, copies_, [&](const ParamInfo& info) {
    return compute_ != dtype_ && use_ == WeightUse::kTrain && info.product && (info.role == Role::kEncoder || info.role == Role::kMlm);
  });
  for (std::size_t i = 0; i < table_.size(); ++i) MINBERT_CHECK(by_name_.emplace(table_[i].name, i).second, "{} twice", table_[i].name);
}

std::int64_t Params::numel() const {
  return std::accumulate(table_.begin(), table_.end(), std::int64_t{0},
                         [](std::int64_t n, const ParamInfo& info) { return n + info.numel(); });
}

std::size_t Params::index(std::string_view name) const {
  const auto at = by_name_.find(name);
  MINBERT_CHECK(at != by_name_.end(), "no parameter {}", name);
  return at->second;
}

namespace {

// Adjacent tensors as one tensor, whose first dimension is the sum of theirs.
Tensor join(std::span<const Tensor> parts) {
  const Tensor& first = parts.front();
  std::int64_t rows = first.rows();
  std::size_t bytes = first.bytes();
  for (const Tensor& part : parts.subspan(1)) {
    MINBERT_CHECK(static_cast<bool>(part) == static_cast<bool>(first), "some of the joined parameters train, some do not");
    MINBERT_CHECK(!part || (part.raw() == static_cast<std::byte*>(first.raw()) + bytes && part.cols() == first.cols()),
                  "parameters are not adjacent");
    rows += part.rows();
    bytes += part.bytes();
  }
  if (parts.size() == 1 || !first) return first;
  return first.rank() == 1 ? Tensor(first.raw(), first.dtype(), {rows}) : Tensor(first.raw(), first.dtype(), {rows, first.cols()});
}

}  // namespace

Tensor Params::joined(std::size_t index, std::size_t count) const { return join(std::span(values_).subspan(index, count)); }

Tensor Params::flat(ParamSpan span) const {
  if (span.begin == span.end) return {};
  std::int64_t numel = 0;
  for (std::size_t i = span.begin; i < span.end; ++i) numel += table_[i].numel();
  return Tensor(values_[span.begin].raw(), dtype_, {numel});
}

ParamSpan Params::head_span(std::string_view task) const {
  const auto is_of_task = [&](const ParamInfo& info) { return info.role == Role::kHead && info.task == task; };
  const auto begin = std::find_if(table_.begin(), table_.end(), is_of_task);
  const auto end = std::find_if_not(begin, table_.end(), is_of_task);
  return {static_cast<std::size_t>(begin - table_.begin()), static_cast<std::size_t>(end - table_.begin())};
}

const PreparedWeight& Params::weight(std::string_view name, std::size_t count) {
  const std::size_t first = index(name);
  std::unique_ptr<PreparedWeight>& weight = weights_[{first, count}];
  if (weight == nullptr) {
    const ParamInfo& info = table_[first];
    const bool narrow = info.role == Role::kEncoder || info.role == Role::kMlm;  // pooler and heads compute in dtype_
    const DType compute = narrow ? compute_ : dtype_;
    const WeightUse use = !narrow && use_ == WeightUse::kForwardInt8 ? WeightUse::kForward : use_;
    const Tensor copy = compute == dtype_ ? Tensor() : join(std::span(copies_).subspan(first, count));
    weight = std::make_unique<PreparedWeight>(backend_->prepare(joined(first, count), compute, use, clock_.get(), copy));
  }
  return *weight;
}

LinearParams Params::linear(std::string_view name, std::size_t count) {
  const std::string weight_name = fmt::format("{}.weight", name);
  const std::size_t bias_index = index(fmt::format("{}.bias", name));
  return {index(weight_name), bias_index, count, &weight(weight_name, count), joined(bias_index, count)};
}

NormParams Params::norm(std::string_view name) const {
  const std::size_t first = index(fmt::format("{}.weight", name));
  return {first, values_[first], values_[first + 1]};
}

void Params::changed(bool copies_current) {
  ++*clock_;
  for (auto& [place, weight] : weights_) {
    if (copies_current && !weight->packed) {
      weight->version = *clock_;
    } else {
      backend_->refresh(*weight);
    }
  }
}

void Params::init(std::uint64_t seed, const std::function<bool(const ParamInfo&)>& which) {
  MINBERT_CHECK(dtype_ == DType::kF32, "initial values are f32");
  for (std::size_t i = 0; i < table_.size(); ++i) {
    const ParamInfo& info = table_[i];
    if (!which(info)) continue;
    std::vector<float> values(static_cast<std::size_t>(info.numel()), info.init == Init::kOnes ? 1.0f : 0.0f);
    // Each value has `words` words of the stream to itself, so that chunks can be drawn in parallel.
    const auto draw = [&](std::uint64_t words, const auto& value) {
      parallel_for(std::ssize(values), 4096, [&](std::int64_t begin, std::int64_t end) {
        Rng rng(seed, "init " + info.name);
        rng.seek(static_cast<std::uint64_t>(begin) * words);
        for (std::int64_t k = begin; k < end; ++k) values[static_cast<std::size_t>(k)] = static_cast<float>(value(rng) * info.init_scale);
      });
    };
    if (info.init == Init::kNormal) draw(4, [](Rng& rng) { return rng.normal(); });
    if (info.init == Init::kSpread) {  // from -init_scale to init_scale; a single value is init_scale
      values.front() = static_cast<float>(values.size() == 1 ? info.init_scale : -info.init_scale);
      values.back() = static_cast<float>(info.init_scale);
    }
    if (info.init == Init::kUniform) draw(2, [](Rng& rng) { return 2 * rng.uniform() - 1; });
    if (info.name == "embeddings.word_embeddings.weight") {  // nn.Embedding(padding_idx) starts its padding row at zero
      const auto row = values.begin() + shape_.config.pad_token_id * shape_.config.hidden_size;
      std::fill(row, row + shape_.config.hidden_size, 0.0f);
    }
    backend_->copy_to_device(values_[i], values.data());
  }
  changed();
}

ParamSnapshot::ParamSnapshot(const Params& params, ParamSpan span) : span_(span) {
  const Tensor values = params.flat(span);
  bytes_.resize(values ? values.bytes() : 0);
  if (values) params.backend().copy_to_host(bytes_.data(), values);
}

void ParamSnapshot::restore(Params& params) const {
  const Tensor values = params.flat(span_);
  MINBERT_CHECK((values ? values.bytes() : 0) == bytes_.size(), "a snapshot of other parameters");
  if (values) params.backend().copy_to_device(values, bytes_.data());
}

Gradients::Gradients(Backend& backend, const Params& params, const std::function<bool(const ParamInfo&)>& trainable)
    : arena_(std::make_unique<Arena>(backend)) {
  std::int64_t total = 0, offset = 0;
  for (const ParamInfo& info : params.table()) total += trainable(info) ? info.numel() : 0;
  tensors_.resize(params.table().size());
  if (total == 0) return;
  const Tensor flat = arena_->allocate(params.dtype(), {total});
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const ParamInfo& info = params.table()[i];
    if (!trainable(info)) continue;
    tensors_[i] = Tensor(flat.slice_rows(offset, offset + info.numel()).raw(), params.dtype(), info.shape);
    offset += info.numel();
  }
  zero(backend);
}

Gradients::Gradients(Backend& backend, const Params& params, const std::function<bool(const ParamInfo&)>& trainable,
                     const std::function<std::int64_t(std::size_t)>& elements)
    : arena_(std::make_unique<Arena>(backend)) {
  std::int64_t total = 0, offset = 0;
  tensors_.resize(params.table().size());
  for (std::size_t i = 0; i < tensors_.size(); ++i) total += trainable(params.table()[i]) ? elements(i) : 0;
  const Tensor flat = arena_->allocate(params.dtype(), {total});
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (!trainable(params.table()[i])) continue;
    tensors_[i] = flat.slice_rows(offset, offset + elements(i));
    offset += elements(i);
  }
  backend.zero(flat);
}

Tensor Gradients::joined(std::size_t index, std::size_t count) const { return join(std::span(tensors_).subspan(index, count)); }

bool Gradients::trainable(ParamSpan span) const {
  return std::any_of(tensors_.begin() + static_cast<std::ptrdiff_t>(span.begin), tensors_.begin() + static_cast<std::ptrdiff_t>(span.end),
                     [](const Tensor& t) { return static_cast<bool>(t); });
}

void Gradients::zero(Backend& backend) {
  for (const Tensor& t : tensors_)
    if (t) backend.zero(t);
}

}  // namespace minbert
