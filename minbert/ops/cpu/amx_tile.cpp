// Four tiles of AMX hold the sums, 16 rows and 16 columns each; two hold 32 rows of a, and two 32 columns of b, so that each load serves
// two multiplications. A multiplication takes as long for one row as for 16, so that all tiles have 16 rows.
#include "minbert/ops/cpu/amx_tile.h"

#include <algorithm>

#include "minbert/base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define MINBERT_AMX __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,amx-tile,amx-bf16,amx-int8")))

namespace minbert::cpu {
namespace {

constexpr std::int64_t kTileRows = 16, kTileCols = 16, kTileWords = kTileRows * kTileCols;
constexpr std::int64_t kRowBytes = 64;  // of a tile

/// The shapes of the tiles, in the layout of LDTILECFG.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

MINBERT_AMX void configure_tiles() {
  TileShapes shapes;
  for (int i = 0; i < 8; ++i) {
    shapes.row_bytes[i] = kRowBytes;
    shapes.rows[i] = kTileRows;
  }
  asm volatile("" ::: "memory");
  _tile_loadconfig(&shapes);
}

MINBERT_AMX void release_tiles() { _tile_release(); }

/// Writes the columns of `mask` of a row, whose sums are left and right.
MINBERT_AMX inline void put(__m512 left, __m512 right, float* c, bool add, __mmask32 mask) {
  const auto low = static_cast<__mmask16>(mask), high = static_cast<__mmask16>(mask >> kTileCols);
  _mm512_mask_storeu_ps(c, low, add ? _mm512_add_ps(_mm512_maskz_loadu_ps(low, c), left) : left);
  _mm512_mask_storeu_ps(c + kTileCols, high, add ? _mm512_add_ps(_mm512_maskz_loadu_ps(high, c + kTileCols), right) : right);
}
MINBERT_AMX inline void put(__m512 left, __m512 right, BFloat16* c, bool, __mmask32 mask) {
  _mm512_mask_storeu_epi16(c, mask, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(right, left)));
}

/// Writes rows of sums (c.rows, kAmxCols) to c, some at a time.
template <class T>
class RowWriter {
 public:
  MINBERT_AMX RowWriter(const Matrix& c, bool add, const float* sums)
      : c_(static_cast<T*>(c.data)),
        stride_(c.row_stride),
        rows_(c.rows),
        add_(add),
        sums_(sums),
        mask_(static_cast<__mmask32>((std::uint64_t{1} << c.cols) - 1)) {}
  MINBERT_AMX void write(std::int64_t rows) {
    for (rows = std::min(rows, rows_), rows_ -= rows; rows > 0; --rows, c_ += stride_, sums_ += kAmxCols)
      put(_mm512_load_ps(sums_), _mm512_load_ps(sums_ + kTileCols), c_, add_, mask_);
  }

 private:
  T* c_;
  std::int64_t stride_, rows_;
  bool add_;
  const float* sums_;
  __mmask32 mask_;
};
/// Writes nothing.
struct NoWriter {
  void write(std::int64_t) {}
};

/// Adds a product of tiles to tile c. The instructions name their tiles, so that their numbers must be literals: hence a macro.
#define MINBERT_ADD_PRODUCT(c, a, b) \
  if constexpr (kBytes)              \
    _tile_dpbusd(c, a, b);           \
  else                               \
    _tile_dpbf16ps(c, a, b)

/// Stores the sums (kAmxRows, kAmxCols) of the products, or of their first 16 rows without kBothRows. Meanwhile `writer` writes other sums.
template <bool kBytes, bool kBothRows, class Writer>
MINBERT_AMX void multiply_tiles(float* sums, const AmxFactors& factors, const float* bias, Writer writer) {
  // The intrinsics do not tell the compiler that tiles are loaded from memory, which must hold what was stored before.
  asm volatile("" ::: "memory");
  if (bias == nullptr) {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kBothRows) {
      _tile_zero(2);
      _tile_zero(3);
    }
  } else {  // with a stride of 0, every row of a tile is the bias
    _tile_loadd(0, bias, 0);
    _tile_loadd(1, bias + kTileCols, 0);
    if constexpr (kBothRows) {
      _tile_loadd(2, bias, 0);
      _tile_loadd(3, bias + kTileCols, 0);
    }
  }
  const float* next = factors.next;
  const float *a = factors.a, *b = factors.b;
  const std::int64_t a_row = factors.a_row * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t rows_in_step = kAmxRows * kAmxStep / factors.depth + 1;
  for (std::int64_t k = 0; k < factors.depth; k += kAmxStep, a += factors.a_step, b += 2 * kTileWords) {
    if (next != nullptr) {
      for (std::int64_t i = 0; i < kAmxStep; ++i, next += 16) __builtin_prefetch(next, 0, 2);
    }
    _tile_loadd(4, a, a_row);
    _tile_loadd(6, b, kRowBytes);
    _tile_loadd(7, b + kTileWords, kRowBytes);
    MINBERT_ADD_PRODUCT(0, 4, 6);
    MINBERT_ADD_PRODUCT(1, 4, 7);
    if constexpr (kBothRows) {
      _tile_loadd(5, a + kTileRows * factors.a_row, a_row);
      MINBERT_ADD_PRODUCT(2, 5, 6);
      MINBERT_ADD_PRODUCT(3, 5, 7);
    }
    writer.write(rows_in_step);
  }
  constexpr std::int64_t kStride = kAmxCols * static_cast<std::int64_t>(sizeof(float));
  _tile_stored(0, sums, kStride);
  _tile_stored(1, sums + kTileCols, kStride);
  if constexpr (kBothRows) {
    _tile_stored(2, sums + kTileRows * kAmxCols, kStride);
    _tile_stored(3, sums + kTileRows * kAmxCols + kTileCols, kStride);
  }
}

}  // namespace

AmxTiles::AmxTiles() { configure_tiles(); }
AmxTiles::~AmxTiles() { release_tiles(); }

void AmxTiles::multiply(const Matrix& c, bool add, const AmxFactors& factors, const float* bias) {
  for (std::int64_t r = 0; add && r < c.rows; ++r) {
    const float* row = static_cast<const float*>(c.data) + r * c.row_stride;
    __builtin_prefetch(row, 1);
    __builtin_prefetch(row + kTileCols, 1);
  }
  float whole_bias[kAmxCols] = {};
  if (bias != nullptr && c.cols < kAmxCols) {
    std::copy(bias, bias + c.cols, whole_bias);
    bias = whole_bias;
  }
  with_writer([&]<class Writer>(const Writer& writer) {
    (c.rows > kTileRows ? multiply_tiles<false, true, Writer> : multiply_tiles<false, false, Writer>)(other_sums(), factors, bias, writer);
  });
  made({.c = c, .add = add, .use = nullptr, .row = 0, .col = 0});
}

void AmxTiles::multiply_bytes(const UsePiece& use, std::int64_t row, std::int64_t rows, std::int64_t col, std::int64_t cols,
                              const AmxFactors& factors) {
  Matrix sums;
  sums.data = other_sums();
  sums.dtype = DType::kI32;
  sums.rows = rows;
  sums.cols = cols;
  sums.row_stride = kAmxCols;
  (rows > kTileRows ? multiply_tiles<true, true, NoWriter> : multiply_tiles<true, false, NoWriter>)(other_sums(), factors, nullptr, {});
  finish();
  made({.c = sums, .add = false, .use = &use, .row = row, .col = col});
}

void AmxTiles::finish() {
  if (waiting_ && waiting_->use != nullptr)
    (*waiting_->use)(waiting_->c, waiting_->row, waiting_->col);
  else
    with_writer([](auto writer) { writer.write(kAmxRows); });
  waiting_.reset();
}

template <class Body>
void AmxTiles::with_writer(const Body& body) const {
  if (!waiting_)
    body(NoWriter());
  else if (waiting_->c.dtype == DType::kBF16)
    body(RowWriter<BFloat16>(waiting_->c, false, sums_[current_]));
  else
    body(RowWriter<float>(waiting_->c, waiting_->add, sums_[current_]));
}

void AmxTiles::made(const Result& result) {
  waiting_ = result;
  current_ = 1 - current_;
}

}  // namespace minbert::cpu

#else

namespace minbert::cpu {

AmxTiles::AmxTiles() { MINBERT_CHECK(false, "no AMX here"); }
AmxTiles::~AmxTiles() = default;
void AmxTiles::multiply(const Matrix&, bool, const AmxFactors&, const float*) {}
void AmxTiles::multiply_bytes(const UsePiece&, std::int64_t, std::int64_t, std::int64_t, std::int64_t, const AmxFactors&) {}
void AmxTiles::finish() {}

}  // namespace minbert::cpu

#endif
