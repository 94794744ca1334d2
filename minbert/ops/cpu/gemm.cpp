// Products by dtype; the only user of oneDNN. Primitives are cached by exact shape and use our scratch memory, so that nothing is
// allocated once warm. oneDNN computes on the calling thread alone: its own threads would compete with those of parallel_for, and spin
// while one of them is stopped. f32 goes to our own kernel: below AVX-512 oneDNN's results depend on the number of threads, and on some
// machines it is half as fast on (out, in) weights. With AVX-512 bf16 goes there too, and with AMX 8 bits.
#include "minbert/ops/cpu/gemm.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <dnnl.hpp>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "minbert/base/check.h"
#include "minbert/ops/cpu/panel_gemm.h"
#include "minbert/ops/cpu/pieces.h"
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
  std::uint8_t dst_dtype, ab_dtype, block;
  bool has_bias, accumulate, packed;  // the packed layout follows from shape, dtype and block

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
        std::uint64_t{key.accumulate} << 17 | std::uint64_t{key.packed} << 18 | std::uint64_t{key.block} << 24);
    return static_cast<std::size_t>(h);
  }
};

/// The memory objects of a primitive's arguments, whose pointers change from call to call.
struct Arguments {
  dnnl::memory a, b, bias, dst, scratchpad;

  Arguments(const dnnl::matmul::primitive_desc& pd, const dnnl::engine& engine, bool has_bias)
      : a(pd.src_desc(), engine, nullptr),
        b(pd.weights_desc(), engine, nullptr),
        dst(pd.dst_desc(), engine, nullptr),
        scratchpad(pd.scratchpad_desc(), engine, nullptr) {
    if (has_bias) bias = dnnl::memory(pd.bias_desc(), engine, nullptr);
  }
};

struct Product {
  dnnl::matmul::primitive_desc description;
  dnnl::matmul primitive;
  std::vector<std::unique_ptr<Arguments>> arguments;  // of each thread
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

/// While it lives, oneDNN uses no other thread than this one.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// Calls body() and turns oneDNN's exceptions into kInternal: they mean a bug or a missing instruction set, never bad input.
template <class Body>
decltype(auto) onednn(std::string_view what, Body&& body) {
  const OneThread alone;
  try {
    return body();
  } catch (const dnnl::error& error) {
    throw Error(ErrorTag::kInternal, "oneDNN", fmt::format("{}: {}", what, error.what()));
  }
}

dnnl::memory::dims dimensions(const Desc& matrix) {
#if DNNL_VERSION_MAJOR >= 3
  return matrix.get_dims();
#else
  return matrix.dims();
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
  const std::int64_t n = dimensions(dst)[1];
  const Desc bias({1, n}, dnnl::memory::data_type::f32, {n, 1});
#if DNNL_VERSION_MAJOR >= 3
  return has_bias ? dnnl::matmul::primitive_desc(engine, a, b, bias, dst, attributes)
                  : dnnl::matmul::primitive_desc(engine, a, b, dst, attributes);
#else
  return has_bias ? dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, bias, dst), attributes, engine)
                  : dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, dst), attributes, engine);
#endif
}

/// Blocks of columns of a packed matrix, between which it can be cut; none if `cols` is 0.
struct ColumnBlocks {
  std::int64_t cols = 0, elements = 0;  // of a block

  static ColumnBlocks of(const Desc& layout) {
    const auto size = dimensions(layout);
    for (const std::int64_t cols : {16, 32, 48, 64}) {
      if (size[1] % cols != 0 || size[1] == cols) continue;
      try {
        const Desc second = layout.submemory_desc({size[0], cols}, {0, cols});
#if DNNL_VERSION_MAJOR >= 3
        return {cols, second.get_submemory_offset()};
#else
        return {cols, second.data.offset0};
#endif
      } catch (const dnnl::error&) {  // that would cut a block
      }
    }
    return {};
  }
};

/// The right operand of a product, at `data` in `layout`.
struct RightOperand {
  Desc layout;
  const void* data;
  ColumnBlocks blocks;

  /// Where a column that begins a block starts.
  const void* from_column(std::int64_t col, DType dtype) const {
    if (col == 0) return data;
    return static_cast<const std::byte*>(data) + col / blocks.cols * blocks.elements * static_cast<std::int64_t>(dtype_size(dtype));
  }
};

}  // namespace

/// Packed as our panels (see packs_as_panels), or in oneDNN's layout.
struct PackedMatrix {
  Matrix shape;
  float* panels = nullptr;
  std::size_t bytes = 0;
  Desc layout;
  dnnl::memory memory;
  ColumnBlocks blocks;

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
  std::vector<dnnl::stream> streams;  // of each thread
  std::list<Entry> recent;            // front: used last
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
    const auto description = describe(engine, plain(dst), plain(a), b, key.has_bias, key.accumulate);
    recent.emplace_front(key, Product{description, dnnl::matmul(description), {}});
    index.emplace(key, recent.begin());
    return recent.front().second;
  }

  /// dst = a b + bias on all threads. With `use`, dst has no data, and each piece goes there instead.
  void multiply(const Key& key, const Matrix& dst, const Matrix& a, const RightOperand& b, const float* bias,
                const UsePiece* use = nullptr) {
    constexpr std::int64_t kRowsInCache = 64;  // of sums that `use` reads
    const Pieces pieces = Pieces::of(dst.rows, dst.cols, a.cols, b.blocks.cols, use != nullptr ? kRowsInCache : dst.rows);
    const Cut &rows = pieces.rows, &cols = pieces.cols;
    std::int64_t scratchpad = 0;
    std::array<Product*, 4> products{};  // for pieces of both lengths of rows and of columns
    const auto product_of = [&](std::int64_t row, std::int64_t col) -> Product*& {
      return products[(row + 1 == rows.count ? 2u : 0u) + (col + 1 == cols.count ? 1u : 0u)];
    };
    for (const std::int64_t row : {std::int64_t{0}, rows.count - 1}) {
      for (const std::int64_t col : {std::int64_t{0}, cols.count - 1}) {
        Product& product = product_for(key, dst.part(0, rows.length(row), 0, cols.length(col)), a, b);
        scratchpad = std::max(scratchpad, round_up(static_cast<std::int64_t>(product.description.scratchpad_desc().get_size()), 64));
        product_of(row, col) = &product;
      }
    }
    // oneDNN is slow where rows of dst are not adjacent, so that pieces of columns are made elsewhere and copied.
    const auto size = static_cast<std::int64_t>(dtype_size(dst.dtype));
    const std::int64_t elsewhere = use != nullptr || cols.count > 1 ? round_up(rows.size * cols.size * size, 64) : 0;
    std::byte* const memory = scratch.get<std::byte>(num_threads() * (scratchpad + elsewhere));
    parallel_for(rows.count * cols.count, 1, [&](std::int64_t begin, std::int64_t end) {
      std::byte* const own = memory + thread_index() * (scratchpad + elsewhere);
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t row = i / cols.count, col = i % cols.count;
        Matrix made;
        made.data = own + scratchpad;
        made.dtype = dst.dtype;
        made.rows = rows.length(row);
        made.cols = made.row_stride = cols.length(col);
        const Matrix to = use == nullptr ? dst.part(rows.begin(row), made.rows, cols.begin(col), made.cols) : made;
        if (elsewhere == 0) made = to;
        run(*product_of(row, col), made, a.part(rows.begin(row), made.rows, 0, a.cols), b.from_column(cols.begin(col), a.dtype),
            bias != nullptr ? bias + cols.begin(col) : nullptr, own);
        if (use != nullptr) {
          (*use)(made, rows.begin(row), cols.begin(col));
        } else if (elsewhere > 0) {
          for (std::int64_t j = 0; j < made.rows; ++j)
            std::memcpy(to.part(j, 1, 0, to.cols).data, made.part(j, 1, 0, made.cols).data, static_cast<std::size_t>(made.cols * size));
        }
      }
    });
  }

  /// The product for a piece like `dst`, with arguments for all threads.
  Product& product_for(Key key, Matrix dst, const Matrix& a, const RightOperand& b) {
    const bool columns = key.n != dst.cols;
    key.m = dst.rows;
    key.n = dst.cols;
    if (columns) key.block = static_cast<std::uint8_t>(b.blocks.cols), key.dst_stride = dst.row_stride = dst.cols;
    const auto threads = static_cast<std::size_t>(num_threads());
    return onednn("product", [&]() -> Product& {
      Product& product =
          find(key, dst, a.part(0, dst.rows, 0, a.cols), columns ? b.layout.submemory_desc({a.cols, dst.cols}, {0, 0}) : b.layout);
      if (product.arguments.size() < threads) product.arguments.resize(threads);
      while (streams.size() < threads) streams.emplace_back(engine);
      return product;
    });
  }

  void run(Product& product, const Matrix& dst, const Matrix& a, const void* b, const float* bias, void* scratchpad) {
    const auto thread = static_cast<std::size_t>(thread_index());
    onednn("product", [&] {
      std::unique_ptr<Arguments>& own = product.arguments[thread];
      if (own == nullptr) own = std::make_unique<Arguments>(product.description, engine, bias != nullptr);
      own->a.set_data_handle(a.data);
      own->b.set_data_handle(const_cast<void*>(b));
      own->dst.set_data_handle(dst.data);
      own->scratchpad.set_data_handle(scratchpad);
      std::array<dnnl_exec_arg_t, 5> arguments = {{{DNNL_ARG_SRC, own->a.get()},
                                                   {DNNL_ARG_WEIGHTS, own->b.get()},
                                                   {DNNL_ARG_DST, own->dst.get()},
                                                   {DNNL_ARG_SCRATCHPAD, own->scratchpad.get()},
                                                   {}}};
      int count = 4;
      if (bias != nullptr) {
        own->bias.set_data_handle(const_cast<float*>(bias));
        arguments[static_cast<std::size_t>(count++)] = {DNNL_ARG_BIAS, own->bias.get()};
      }
      // The C++ wrapper takes a hash map, which allocates in each call.
      dnnl::error::wrap_c_api(dnnl_primitive_execute(product.primitive.get(), streams[thread].get(), count, arguments.data()), "execute");
    });
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
          .block = 0,
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

/// What our own kernel multiplies bf16 with; nothing where oneDNN does it.
std::optional<PanelMath> choose_bf16_math() {
  if (has_isa(dnnl::cpu_isa::avx512_core_amx)) return PanelMath::kAmx;
  if (!has_isa(dnnl::cpu_isa::avx512_core)) return std::nullopt;
#if defined(__x86_64__)
  // Intel's processors (measured: family 6, model 207) run the dot product at a quarter of the rate of an f32 multiplication, though it
  // does the work of only two; AMD's run both at one rate.
  if (has_isa(dnnl::cpu_isa::avx512_core_bf16) && __builtin_cpu_is("intel") == 0) return PanelMath::kDot;
#endif
  return PanelMath::kFloat;
}

std::optional<PanelMath> bf16_math() {
  static const std::optional<PanelMath> chosen = choose_bf16_math();
  return chosen;
}

/// What our own kernel multiplies matrices of `dtype` with; nothing where oneDNN does it.
std::optional<PanelMath> panel_math(DType dtype) {
  switch (dtype) {
    case DType::kF32: return PanelMath::kFloat;
    case DType::kBF16: return bf16_math();
    default: return bf16_math() == PanelMath::kAmx ? bf16_math() : std::nullopt;
  }
}

/// Whether our own kernel takes the product: all f32 ones, and bf16 ones of which a bf16 dst has one block. oneDNN 2.6 has a fault with
/// AMX: products with an odd k may end in an illegal instruction.
bool is_for_panels(const Matrix& dst, const Matrix& a, bool accumulate) {
  MINBERT_CHECK(a.dtype != DType::kF32 || dst.dtype == DType::kF32, "product of f32 matrices into {}", dtype_name(dst.dtype));
  if (a.dtype != DType::kBF16) return a.dtype == DType::kF32;
  return panel_math(a.dtype) && (dst.dtype == DType::kF32 || (!accumulate && a.cols <= elements_per_word(a.dtype) * kMaxPanelWords));
}

/// Whether b (f32, or i8 for that dtype) is packed as our panels. With AVX512_BF16, oneDNN's packed bf16 products are as fast as ours, and
/// faster for few rows.
bool packs_as_panels(const Matrix& b, DType dtype) {
  if (dtype == DType::kF32) return true;
  const auto math = panel_math(dtype);
  return math && *math != PanelMath::kDot && b.rows <= elements_per_word(dtype) * kMaxPanelWords &&
         (dtype == DType::kBF16 || has_whole_words(b.transposed()));
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
  if (is_for_panels(dst, a, accumulate)) {
    panel_multiply({.dst = dst, .a = a, .b = b, .packed_b = nullptr, .bias = bias, .accumulate = accumulate, .math = *panel_math(a.dtype)},
                   impl_->scratch);
    return;
  }
  impl_->multiply(key, dst, a, {plain(b), b.data, {}}, bias);
}

std::shared_ptr<PackedMatrix> Gemm::pack(const Matrix& b, DType dtype) {
  if (b.rows == 0 || b.cols == 0) return nullptr;
  auto packed = std::make_shared<PackedMatrix>();
  packed->shape.dtype = dtype;
  packed->shape.rows = b.rows;
  packed->shape.cols = b.cols;
  if (packs_as_panels(b, dtype)) {
    packed->bytes = static_cast<std::size_t>(packed_panels_size(b, dtype, *panel_math(dtype))) * sizeof(float);
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
      packed->blocks = ColumnBlocks::of(packed->layout);
    });
  }
  repack(*packed, b);
  return packed;
}

void Gemm::repack(PackedMatrix& packed, const Matrix& b) {
  MINBERT_CHECK(packed.shape.rows == b.rows && packed.shape.cols == b.cols, "packing ({}, {}) into ({}, {})", b.rows, b.cols,
                packed.shape.rows, packed.shape.cols);
  if (packed.panels != nullptr) {
    MINBERT_CHECK(packs_as_panels(b, packed.shape.dtype), "packing columns {} apart", b.col_stride);
    pack_panels(packed.panels, b, packed.shape.dtype, *panel_math(packed.shape.dtype));
    return;
  }
  const std::int64_t block = packed.blocks.cols != 0 ? packed.blocks.cols : b.cols;
  parallel_for(divide_up(b.cols, block), 1, [&](std::int64_t begin, std::int64_t end) {
    onednn("packing", [&] {
      const std::int64_t first = begin * block, cols = std::min(b.cols, end * block) - first;
      const Matrix from = b.part(0, b.rows, first, cols);
      dnnl::memory source(plain(from), impl_->engine, from.data);
      dnnl::memory to(packed.layout.submemory_desc({b.rows, cols}, {0, first}), impl_->engine, packed.memory.get_data_handle());
      dnnl::reorder(source, to).execute(dnnl::stream(impl_->engine), source, to);
    });
  });
}

void Gemm::multiply_packed(const Matrix& dst, const Matrix& a, const PackedMatrix& b, const float* bias) {
  const Key key = make_key(dst, a, b.shape, bias, false, true);
  if (key.m == 0) return;
  if (b.panels != nullptr) {
    MINBERT_CHECK(is_for_panels(dst, a, false), "product of {} matrices into {}", dtype_name(a.dtype), dtype_name(dst.dtype));
    panel_multiply(
        {.dst = dst, .a = a, .b = b.shape, .packed_b = b.panels, .bias = bias, .accumulate = false, .math = *panel_math(a.dtype)},
        impl_->scratch);
    return;
  }
  impl_->multiply(key, dst, a, {b.layout, b.memory.get_data_handle(), b.blocks}, bias);
}

void Gemm::multiply_int8(const Matrix& a, const PackedMatrix& b, const UsePiece& use) {
  Matrix sums;
  sums.dtype = DType::kI32;
  sums.rows = a.rows;
  sums.cols = sums.row_stride = b.shape.cols;
  MINBERT_CHECK(b.shape.dtype == DType::kI8, "an 8-bit product with {}", dtype_name(b.shape.dtype));
  const Key key = make_key(sums, a, b.shape, nullptr, false, true);
  if (key.m == 0) return;
  MINBERT_CHECK(a.dtype == DType::kU8 && (b.panels == nullptr || has_whole_words(a)), "an 8-bit product of {}, rows {} apart",
                dtype_name(a.dtype), a.row_stride);
  if (b.panels != nullptr)
    panel_multiply({.dst = sums, .a = a, .b = b.shape, .packed_b = b.panels, .math = *panel_math(a.dtype), .use = &use}, impl_->scratch);
  else
    impl_->multiply(key, sums, a, {b.layout, b.memory.get_data_handle(), b.blocks}, nullptr, &use);
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
