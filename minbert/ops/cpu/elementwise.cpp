// Activations, dropout, add, affine and cast: one sweep over memory each.
#include "minbert/ops/cpu/cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "minbert/ops/cpu/elementwise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "minbert/ops/cpu/activation-inl.h"
#include "minbert/ops/cpu/dropout-inl.h"
#include "minbert/ops/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

void activation_piece(const Tensor& out, const Tensor& x, Activation kind, const Piece& piece) {
  with_type(x.dtype(), [&]<class T>(T) HWY_ATTR {
    with_activation<T>(kind, [&](auto f) HWY_ATTR {
      T* o = piece.of<T>(out);
      const T* p = piece.of<T>(x);
      for_lanes(static_cast<std::size_t>(piece.n),
                [&](std::size_t i, auto extent) HWY_ATTR { store(extent, f.value(load(extent, p + i)), o + i); });
    });
  });
}

void activation_backward_piece(const Tensor& dx, const Tensor& dy, const Tensor& x, Activation kind, const Piece& piece) {
  with_type(x.dtype(), [&]<class T>(T) HWY_ATTR {
    with_activation<T>(kind, [&](auto f) HWY_ATTR {
      T* o = piece.of<T>(dx);
      const T *p = piece.of<T>(x), *d = piece.of<T>(dy);
      for_lanes(static_cast<std::size_t>(piece.n), [&](std::size_t i, auto extent) HWY_ATTR {
        store(extent, hn::Mul(load(extent, d + i), f.slope(load(extent, p + i))), o + i);
      });
    });
  });
}

void dropout_row(const Tensor& out, const Tensor& x, RowId row, const Dropout& dropout, const Piece& piece) {
  with_type(x.dtype(), [&]<class T>(T) HWY_ATTR {
    T* o = piece.of<T>(out);
    const T* p = piece.of<T>(x);
    for_masked_lanes(dropout, row, static_cast<std::size_t>(piece.n),
                     [&](std::size_t i, auto extent, V factor) HWY_ATTR { store(extent, hn::Mul(load(extent, p + i), factor), o + i); });
  });
}

void add_piece(const Tensor& out, const Tensor& a, const Tensor& b, const Piece& piece) {
  with_type(out.dtype(), [&]<class T>(T) HWY_ATTR {
    T* o = piece.of<T>(out);
    const T *p = piece.of<T>(a), *q = piece.of<T>(b);
    for_lanes(static_cast<std::size_t>(piece.n),
              [&](std::size_t i, auto extent) HWY_ATTR { store(extent, hn::Add(load(extent, p + i), load(extent, q + i)), o + i); });
  });
}

void affine_piece(const Tensor& out, const Tensor& x, float scale, float shift, const Piece& piece) {
  with_type(out.dtype(), [&]<class T>(T) HWY_ATTR {
    T* o = piece.of<T>(out);
    const T* p = piece.of<T>(x);
    const V s = set(scale), t = set(shift);
    for_lanes(static_cast<std::size_t>(piece.n),
              [&](std::size_t i, auto extent) HWY_ATTR { store(extent, hn::MulAdd(load(extent, p + i), s, t), o + i); });
  });
}

void cast_piece(const Tensor& out, const Tensor& x, const Piece& piece) {
  with_type(out.dtype(), [&]<class Out>(Out) HWY_ATTR {
    with_type(x.dtype(), [&]<class In>(In) HWY_ATTR {
      Out* o = piece.of<Out>(out);
      const In* p = piece.of<In>(x);
      for_lanes(static_cast<std::size_t>(piece.n), [&](std::size_t i, auto extent) HWY_ATTR { store(extent, load(extent, p + i), o + i); });
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace minbert::cpu {

HWY_EXPORT(activation_piece);
HWY_EXPORT(activation_backward_piece);
HWY_EXPORT(dropout_row);
HWY_EXPORT(add_piece);
HWY_EXPORT(affine_piece);
HWY_EXPORT(cast_piece);

void CpuBackend::activation(Tensor out, const Tensor& x, Activation kind) {
  shapes::same(out, x, "activation");
  const OpScope scope(*this, "activation", 0, bytes_of({&out, &x}), {out});
  for_pieces({&x, &out}, [&](const Piece& piece) { HWY_DYNAMIC_DISPATCH(activation_piece)(out, x, kind, piece); });
}

void CpuBackend::activation_backward(Tensor dx, const Tensor& dy, const Tensor& x, Activation kind) {
  shapes::same(dx, x, "activation gradient");
  shapes::same(dy, x, "activation gradient");
  const OpScope scope(*this, "activation_backward", 0, bytes_of({&dx, &dy, &x}), {dx});
  for_pieces({&x, &dy, &dx}, [&](const Piece& piece) { HWY_DYNAMIC_DISPATCH(activation_backward_piece)(dx, dy, x, kind, piece); });
}

void CpuBackend::dropout(Tensor out, const Tensor& x, RowIds rows, const Dropout& dropout) {
  shapes::same(out, x, "dropout");
  shapes::rows(rows.host, x.rows(), dropout);
  const OpScope scope(*this, "dropout", 0, bytes_of({&out, &x}), {out});
  for_rows(x.rows(), x.cols(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const RowId id = dropout ? rows.host[static_cast<std::size_t>(row)] : RowId{};
      HWY_DYNAMIC_DISPATCH(dropout_row)(out, x, id, dropout, Piece{row, 0, x.cols()});
    }
  });
}

void CpuBackend::add(Tensor out, const Tensor& a, const Tensor& b) {
  shapes::same(out, a, "add");
  shapes::same(out, b, "add");
  const OpScope scope(*this, "add", static_cast<double>(out.numel()), bytes_of({&out, &a, &b}), {out});
  for_pieces({&out, &a, &b}, [&](const Piece& piece) { HWY_DYNAMIC_DISPATCH(add_piece)(out, a, b, piece); });
}

void CpuBackend::affine(Tensor out, const Tensor& x, double scale, double shift) {
  shapes::same(out, x, "affine");
  const OpScope scope(*this, "affine", 2.0 * static_cast<double>(out.numel()), bytes_of({&out, &x}), {out});
  for_pieces({&out, &x}, [&](const Piece& piece) {
    HWY_DYNAMIC_DISPATCH(affine_piece)(out, x, static_cast<float>(scale), static_cast<float>(shift), piece);
  });
}

void CpuBackend::cast(Tensor out, const Tensor& x) {
  shapes::same(out, x, "cast");
  const OpScope scope(*this, "cast", 0, bytes_of({&out, &x}), {out});
  for_pieces({&out, &x}, [&](const Piece& piece) { HWY_DYNAMIC_DISPATCH(cast_piece)(out, x, piece); });
}

}  // namespace minbert::cpu
#endif  // HWY_ONCE
