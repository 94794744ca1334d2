// Dropout masks: Philox4x32-10 over several counters at once, with exactly the factors of dropout_factor (backend.h).
#if defined(MINBERT_OPS_CPU_DROPOUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MINBERT_OPS_CPU_DROPOUT_INL_H_
#undef MINBERT_OPS_CPU_DROPOUT_INL_H_
#else
#define MINBERT_OPS_CPU_DROPOUT_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "minbert/ops/backend.h"
#include "minbert/ops/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

using U64 = hn::ScalableTag<std::uint64_t>;
constexpr U64 kU64;
/// Philox blocks computed together, one in each 64-bit lane. The low half of a lane is the word; the high half is noise, which
/// the widening multiplication does not read.
constexpr std::size_t kBlocks = hn::MaxLanes(U64());
/// 16-bit lanes in kBlocks blocks.
constexpr std::size_t kMaskLanes = 8 * kBlocks;

using Words = hn::Vec<U64>;

HWY_INLINE Words widening_product(Words a, Words b) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(kU64, (hn::GetLane(a) & 0xffffffffu) * (hn::GetLane(b) & 0xffffffffu));
#else
  const hn::Repartition<std::uint32_t, U64> words;
  return hn::MulEven(hn::BitCast(words, a), hn::BitCast(words, b));
#endif
}

/// Computes the blocks of counters (c0, c1, c2, c3), as kMaskLanes lanes of 16 bits in order.
HWY_INLINE void philox_lanes(std::uint64_t key, Words c0, Words c1, Words c2, Words c3, std::uint16_t* lanes) {
  const auto m0 = hn::Set(kU64, 0xD2511F53u), m1 = hn::Set(kU64, 0xCD9E8D57u);
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const Words p0 = widening_product(c0, m0), p1 = widening_product(c2, m1);
    c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(kU64, k0));
    c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(kU64, k1));
    c1 = p1;
    c3 = p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const auto low = hn::Set(kU64, 0xffffffffu);
  const Words first = hn::Or(hn::And(c0, low), hn::ShiftLeft<32>(c1)), second = hn::Or(hn::And(c2, low), hn::ShiftLeft<32>(c3));
  hn::StoreInterleaved2(first, second, kU64, reinterpret_cast<std::uint64_t*>(lanes));
}

/// The counter words of a row that do not depend on the element; see backend.h.
struct MaskRow {
  std::uint32_t c1, c2, c3;
  MaskRow(const Dropout& d, RowId row, std::uint32_t head)
      : c1(d.micro_step | std::uint32_t{row.pass} << 12 | std::uint32_t{d.site} << 16), c2(row.row | head << 24), c3(row.position) {}
};

/// Random bits of elements [begin, begin + kMaskLanes) of a row; begin is a multiple of 8.
HWY_INLINE void mask_lanes(const Dropout& d, const MaskRow& row, std::size_t begin, std::uint16_t* lanes) {
  const auto block = hn::Add(hn::Iota(kU64, 0), hn::Set(kU64, begin / 8));
  philox_lanes(d.seed, hn::Set(kU64, d.step), hn::Set(kU64, row.c1), hn::Set(kU64, row.c2),
               hn::Or(hn::Set(kU64, row.c3), hn::ShiftLeft<16>(block)), lanes);
}

/// Turns random bits into factors 0 and `scale`.
struct MaskFactors {
  decltype(hn::Zero(kI32)) threshold;
  V scale;
  explicit MaskFactors(const Dropout& d)
      : threshold(hn::Set(kI32, static_cast<std::int32_t>(dropout_threshold(d.p)))), scale(set(dropout_scale(d.p))) {}
  HWY_INLINE V operator()(const std::uint16_t* lanes) const {
    const auto bits = hn::PromoteTo(kI32, hn::LoadU(kU16, lanes));
    return hn::IfThenZeroElse(hn::RebindMask(kF32, hn::Lt(bits, threshold)), scale);
  }
};

/// Calls body(i, extent, factor) over the n elements of a row; `factor` is 1 when dropout is off.
template <class Body>
HWY_INLINE void for_masked_lanes(const Dropout& d, RowId id, std::size_t n, const Body& body) {
  if (!d) {
    for_lanes(n, [&](std::size_t i, auto extent) HWY_ATTR { body(i, extent, set(1)); });
    return;
  }
  const MaskRow row(d, id, 0);
  const MaskFactors factors(d);
  alignas(64) std::uint16_t lanes[kMaskLanes];
  for (std::size_t begin = 0; begin < n; begin += kMaskLanes) {
    mask_lanes(d, row, begin, lanes);
    for_lanes(n - begin < kMaskLanes ? n - begin : kMaskLanes,
              [&](std::size_t i, auto extent) HWY_ATTR { body(begin + i, extent, factors(lanes + i)); });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#endif  // MINBERT_OPS_CPU_DROPOUT_INL_H_
