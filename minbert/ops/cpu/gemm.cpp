// Products by dtype; the only user of oneDNN. Primitives are cached by exact shape and use our scratch memory, so that nothing is
// allocated once warm. f32 goes to our own kernel: below AVX-512 oneDNN's results depend on the number of threads, and on some
// machines it is half as fast on (out, in) weights. With AMX oneDNN's bf16 is the fastest.
#include "minbert/ops/cpu/gemm.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <dnnl.hpp>
#include <functional>
#include <list>
#include <unordered_map>
#include <utility>

#include "minbert/base/check.h"
#include "minbert/ops/cpu/panel_gemm.h"
#include "minbert/ops/cpu/sweep.h"

namespace minbert::cpu {
namespace {

using Desc = dnnl::memory::desc;

/// Ragged batches need a dozen shapes for each number of tokens. Beyond this many the least recently used one is dropped.
constexpr std::size_t kMaxPrimitives = 2048;

/// Everything that a primitive is specialised for.
struct Key {
  std::int64_t m, n, k;
  std::int64_t dst_stride, a_row_stride, a_col_stride, b_row_stride, b_col_stride;
  std::uint8_t dst_dtype, ab_dtype;
  bool has_bias, accumulate, packed;  // the packed layout follows from shape and dtype

  bool operator==(const Key&) const = default;
};

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t h = 0xcbf29ce484222325ull;
    const auto mix = [&h](std::uint64_t value) { h = (h ^ value) * 0x9E3779B97F4A7C15ull, h ^= h >> 29; };
    for (const std::int64_t v :
         {key.m, key.n, key.k, key.dst_stride, key.a_row_stride, key.a_col_stride, key.b_row_stride, key.b_col_stride})
      mix(static_cast<std::uint64_t>(v));
    mix(std::uint64_t{key.dst_dtype} | std::uint64_t{key.ab_dtype} << 8 | std::uint64_t{key.has_bias} << 16 |
        std::uint64_t{key.accumulate} << 17 | std::uint64_t{key.packed} << 18);
    return static_cast<std::size_t>(h);
  }
};

/// A primitive with the memory objects of its arguments, whose pointers change from call to call.
struct Product {
  dnnl::matmul primitive;
  dnnl::memory a, b, bias, dst, scratchpad;
  std::int64_t scratch_bytes = 0;
};

dnnl::memory::data_type onednn_type(DType dtype) {
  using Type = dnnl::memory::data_type;
  switch (dtype) {
    case DType::kF32: return Type::f32;
    case DType::kBF16: return Type::bf16;
    case DType::kI32: return Type::s32;
    case DType::kI8: return Type::s8;
    case DType::kU8: return Type::u8;
    default: MINBERT_CHECK(false, "a product of {} matrices", dtype_name(dtype));
  }
}

Desc plain(const Matrix& x) { return Desc({x.rows, x.cols}, onednn_type(x.dtype), {x.row_stride, x.col_stride}); }

/// Calls body() and turns oneDNN's exceptions into kInternal: they mean a bug or a missing instruction set, never bad input.
template <class Body>
decltype(auto) onednn(std::string_view what, Body&& body) {
  try {
    return body();
  } catch (const dnnl::error& error) {
    throw Error(ErrorTag::kInternal, "oneDNN", fmt::format("{}: {}", what, error.what()));
  }
}

std::int64_t columns(const Desc& matrix) {
#if DNNL_VERSION_MAJOR >= 3
  return matrix.get_dims()[1];
#else
  return matrix.dims()[1];
#endif
}

dnnl::matmul::primitive_desc describe(const dnnl::engine& engine, const Desc& dst, const Desc& a, const Desc& b, bool has_bias,
                                      bool accumulate) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  const std::int64_t n = columns(dst);
  const Desc bias({1, n}, dnnl::memory::data_type::f32, {n, 1});
#if DNNL_VERSION_MAJOR >= 3
  return has_bias ? dnnl::matmul::primitive_desc(engine, a, b, bias, dst, attributes)
                  : dnnl::matmul::primitive_desc(engine, a, b, dst, attributes);
#else
  return has_bias ? dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, bias, dst), attributes, engine)
                  : dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, dst), attributes, engine);
#endif
}

Product make_product(const dnnl::engine& engine, const Desc& dst, const Desc& a, const Desc& b, bool has_bias, bool accumulate) {
  const auto pd = describe(engine, dst, a, b, has_bias, accumulate);
  Product product;
  product.primitive = dnnl::matmul(pd);
  product.a = dnnl::memory(pd.src_desc(), engine, nullptr);
  product.b = dnnl::memory(pd.weights_desc(), engine, nullptr);
  product.dst = dnnl::memory(pd.dst_desc(), engine, nullptr);
  if (has_bias) product.bias = dnnl::memory(pd.bias_desc(), engine, nullptr);
  product.scratch_bytes = static_cast<std::int64_t>(pd.scratchpad_desc().get_size());
  product.scratchpad = dnnl::memory(pd.scratchpad_desc(), engine, nullptr);
  return product;
}

}  // namespace

/// f32 is packed as our panels, bf16 and i8 in oneDNN's layout: its packed bf16 products are as fast as ours, and faster for few rows.
struct PackedMatrix {
  Matrix shape;
  float* panels = nullptr;
  std::size_t bytes = 0;
  Desc layout;
  dnnl::memory memory;

  PackedMatrix() = default;
  PackedMatrix(const PackedMatrix&) = delete;
  PackedMatrix& operator=(const PackedMatrix&) = delete;
  ~PackedMatrix() {
    if (panels != nullptr) HostMemory().release(panels, bytes);
  }
};

struct Gemm::Impl {
  using Entry = std::pair<Key, Product>;

  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::list<Entry> recent;  // front: used last
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> index;
  Scratch scratch;

  Product& find(const Key& key, const Matrix& dst, const Matrix& a, const Desc& b) {
    if (const auto found = index.find(key); found != index.end()) {
      recent.splice(recent.begin(), recent, found->second);
      return found->second->second;
    }
    if (recent.size() >= kMaxPrimitives) {
      index.erase(recent.back().first);
      recent.pop_back();
    }
    recent.emplace_front(key, make_product(engine, plain(dst), plain(a), b, key.has_bias, key.accumulate));
    index.emplace(key, recent.begin());
    return recent.front().second;
  }

  void run(Product& product, const Matrix& dst, const Matrix& a, const void* b, const float* bias) {
    product.a.set_data_handle(a.data);
    product.b.set_data_handle(const_cast<void*>(b));
    product.dst.set_data_handle(dst.data);
    product.scratchpad.set_data_handle(scratch.get<std::byte>(product.scratch_bytes));
    std::array<dnnl_exec_arg_t, 5> arguments = {{{DNNL_ARG_SRC, product.a.get()},
                                                 {DNNL_ARG_WEIGHTS, product.b.get()},
                                                 {DNNL_ARG_DST, product.dst.get()},
                                                 {DNNL_ARG_SCRATCHPAD, product.scratchpad.get()},
                                                 {}}};
    int count = 4;
    if (bias != nullptr) {
      product.bias.set_data_handle(const_cast<float*>(bias));
      arguments[static_cast<std::size_t>(count++)] = {DNNL_ARG_BIAS, product.bias.get()};
    }
    // The C++ wrapper takes a hash map, which allocates in each call.
    dnnl::error::wrap_c_api(dnnl_primitive_execute(product.primitive.get(), stream.get(), count, arguments.data()), "execute");
  }
};

namespace {

Key make_key(const Matrix& dst, const Matrix& a, const Matrix& b, const float* bias, bool accumulate, bool packed) {
  MINBERT_CHECK(a.rows == dst.rows && b.cols == dst.cols && a.cols == b.rows, "product ({}, {}) = ({}, {}) ({}, {})", dst.rows, dst.cols,
                a.rows, a.cols, b.rows, b.cols);
  MINBERT_CHECK(a.dtype == b.dtype || (a.dtype == DType::kU8 && b.dtype == DType::kI8), "product of {} and {}", dtype_name(a.dtype),
                dtype_name(b.dtype));
  return {.m = dst.rows,
          .n = dst.cols,
          .k = a.cols,
          .dst_stride = dst.row_stride,
          .a_row_stride = a.row_stride,
          .a_col_stride = a.col_stride,
          .b_row_stride = b.row_stride,
          .b_col_stride = b.col_stride,
          .dst_dtype = static_cast<std::uint8_t>(dst.dtype),
          .ab_dtype = static_cast<std::uint8_t>(a.dtype),
          .has_bias = bias != nullptr,
          .accumulate = accumulate,
          .packed = packed};
}

/// The product for K = 0: each row is the bias, or zero.
void fill_rows(const Matrix& dst, const float* bias) {
  for (std::int64_t row = 0; row < dst.rows; ++row) {
    for (std::int64_t col = 0; col < dst.cols; ++col) {
      const float value = bias != nullptr ? bias[col] : 0.0f;
      if (dst.dtype == DType::kF32) static_cast<float*>(dst.data)[row * dst.row_stride + col] = value;
      if (dst.dtype == DType::kBF16) static_cast<BFloat16*>(dst.data)[row * dst.row_stride + col] = BFloat16(value);
    }
  }
}

/// Whether oneDNN may use these instructions. A larger set has all bits of a smaller one.
bool has_isa(dnnl::cpu_isa isa) {
  const auto wanted = static_cast<unsigned>(isa);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & wanted) == wanted;
}

/// Whether our own kernel takes the product: all f32 ones, and bf16 ones with whole words along k whose bf16 dst needs one block of k.
bool is_for_panels(const Matrix& dst, const Matrix& a, const Matrix& b, bool accumulate) {
  MINBERT_CHECK(a.dtype != DType::kF32 || dst.dtype == DType::kF32, "product of f32 matrices into {}", dtype_name(dst.dtype));
  if (a.dtype != DType::kBF16) return a.dtype == DType::kF32;
  // With AMX oneDNN's bf16 is faster than ours; without AVX512_BF16 ours has no instruction.
  static const bool dot = dnnl::get_effective_cpu_isa() == dnnl::cpu_isa::avx512_core_bf16;
  const auto whole_words = [&](std::int64_t along_k, std::int64_t stride) { return along_k != 1 || (a.cols % 2 == 0 && stride % 2 == 0); };
  return dot && whole_words(a.col_stride, a.row_stride) && whole_words(b.row_stride, b.col_stride) &&
         (dst.dtype == DType::kF32 || (!accumulate && a.cols <= 2 * kMaxPanelPairs));
}

}  // namespace

Gemm::Gemm() : impl_(onednn("engine", [] { return std::make_unique<Impl>(); })) {}
Gemm::~Gemm() = default;

void Gemm::multiply(const Matrix& dst, const Matrix& a, const Matrix& b, const float* bias, bool accumulate) {
  const Key key = make_key(dst, a, b, bias, accumulate, false);
  if (key.m == 0 || key.n == 0) return;
  if (key.k == 0) {
    if (!accumulate) fill_rows(dst, bias);
    return;
  }
  if (is_for_panels(dst, a, b, accumulate)) {
    panel_multiply({.dst = dst, .a = a, .b = b, .packed_b = nullptr, .bias = bias, .accumulate = accumulate}, impl_->scratch);
    return;
  }
  onednn("product", [&] { impl_->run(impl_->find(key, dst, a, plain(b)), dst, a, b.data, bias); });
}

std::shared_ptr<PackedMatrix> Gemm::pack(const Matrix& b, DType dtype) {
  if (b.rows == 0 || b.cols == 0) return nullptr;
  auto packed = std::make_shared<PackedMatrix>();
  packed->shape.dtype = dtype;
  packed->shape.rows = b.rows;
  packed->shape.cols = b.cols;
  if (dtype == DType::kF32) {
    packed->bytes = static_cast<std::size_t>(packed_panels_size(b)) * sizeof(float);
    packed->panels = static_cast<float*>(HostMemory().allocate(packed->bytes));
  } else {
    onednn("packing", [&] {
      // oneDNN chooses the blocked layout when it is asked about enough rows; products with any number of rows can use it.
      constexpr std::int64_t kRows = 256;
      const auto type = onednn_type(dtype);
      const Desc any({b.rows, b.cols}, type, dnnl::memory::format_tag::any);
      const bool int8 = dtype == DType::kI8;
      const Desc a({kRows, b.rows}, int8 ? onednn_type(DType::kU8) : type, {b.rows, 1});
      const Desc dst({kRows, b.cols}, int8 ? onednn_type(DType::kI32) : type, {b.cols, 1});
      packed->layout = describe(impl_->engine, dst, a, any, false, false).weights_desc();
      packed->memory = dnnl::memory(packed->layout, impl_->engine);
    });
  }
  repack(*packed, b);
  return packed;
}

void Gemm::repack(PackedMatrix& packed, const Matrix& b) {
  MINBERT_CHECK(packed.shape.rows == b.rows && packed.shape.cols == b.cols, "packing ({}, {}) into ({}, {})", b.rows, b.cols,
                packed.shape.rows, packed.shape.cols);
  if (packed.panels != nullptr) {
    pack_panels(packed.panels, b);
    return;
  }
  onednn("packing", [&] {
    dnnl::memory source(plain(b), impl_->engine, b.data);
    dnnl::reorder(source, packed.memory).execute(impl_->stream, source, packed.memory);
  });
}

void Gemm::multiply_packed(const Matrix& dst, const Matrix& a, const PackedMatrix& b, const float* bias) {
  const Key key = make_key(dst, a, b.shape, bias, false, true);
  if (key.m == 0) return;
  if (b.panels != nullptr) {
    MINBERT_CHECK(dst.dtype == DType::kF32, "product of f32 matrices into {}", dtype_name(dst.dtype));
    panel_multiply({.dst = dst, .a = a, .b = b.shape, .packed_b = b.panels, .bias = bias, .accumulate = false}, impl_->scratch);
    return;
  }
  onednn("product", [&] { impl_->run(impl_->find(key, dst, a, b.layout), dst, a, b.memory.get_data_handle(), bias); });
}

bool Gemm::supports_bf16() {
  try {
    const Desc square({64, 64}, dnnl::memory::data_type::bf16, {64, 1});
    describe(impl_->engine, square, square, square, false, false);
    return true;
  } catch (const dnnl::error&) {
    return false;
  }
}

bool Gemm::supports_int8() const { return has_isa(dnnl::cpu_isa::avx512_core_vnni) || has_isa(dnnl::cpu_isa::avx2_vnni); }

void cap_gemm_isa(std::string_view isa) {
  using dnnl::cpu_isa;
  static constexpr std::pair<std::string_view, cpu_isa> kCaps[] = {{"sse2", cpu_isa::sse41},
                                                                   {"avx2", cpu_isa::avx2},
                                                                   {"avx512", cpu_isa::avx512_core},
                                                                   {"avx512_bf16", cpu_isa::avx512_core_bf16},
                                                                   {"amx", cpu_isa::avx512_core_amx}};
  const auto cap = std::find_if(std::begin(kCaps), std::end(kCaps), [&](const auto& entry) { return entry.first == isa; });
  MINBERT_CHECK(cap != std::end(kCaps), "instruction set \"{}\"", isa);
  const auto status = dnnl_set_max_cpu_isa(static_cast<dnnl_cpu_isa_t>(cap->second));
  // oneDNN fixes its choice at the first product. A later cap is accepted only if it changes nothing.
  const auto effective = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const bool within = (effective & ~static_cast<unsigned>(cap->second)) == 0;
  if (status != dnnl_success && !within)
    throw Error(ErrorTag::kUsage, "MINBERT_ISA",
                fmt::format("\"{}\" comes too late: products already ran with a larger instruction set", isa));
}

bool has_avx512_bf16() { return has_isa(dnnl::cpu_isa::avx512_core_bf16); }

std::string gemm_description() {
  using dnnl::cpu_isa;
  static constexpr std::pair<cpu_isa, std::string_view> kNames[] = {{cpu_isa::avx512_core_amx, "amx"},
                                                                    {cpu_isa::avx512_core_bf16, "avx512_bf16"},
                                                                    {cpu_isa::avx512_core_vnni, "avx512_vnni"},
                                                                    {cpu_isa::avx512_core, "avx512"},
                                                                    {cpu_isa::avx2_vnni, "avx2_vnni"},
                                                                    {cpu_isa::avx2, "avx2"},
                                                                    {cpu_isa::avx, "avx"},
                                                                    {cpu_isa::sse41, "sse4.1"}};
  const cpu_isa effective = dnnl::get_effective_cpu_isa();
  const auto name = std::find_if(std::begin(kNames), std::end(kNames), [&](const auto& entry) { return entry.first == effective; });
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("oneDNN {}.{}.{} {}", version->major, version->minor, version->patch,
                     name != std::end(kNames) ? name->second : "baseline");
}

}  // namespace minbert::cpu
