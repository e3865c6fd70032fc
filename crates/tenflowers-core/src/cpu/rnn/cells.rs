//! The cells, on some units of one row.

use crate::cpu::gemm::{Product, lanes::Float};
use crate::cpu::math::Real;
use crate::cpu::simd::Lanes;

/// The element types that recurrent layers compute in.
pub(crate) trait Unit: Float + Real + Product + crate::Element {}

impl Unit for f32 {}
impl Unit for f64 {}

/// The larger of `x` and zero, or nan.
#[inline(always)]
pub(super) fn relu<T: Unit>(x: T) -> T {
    if x < T::zero() { T::zero() } else { x }
}

/// Units that are computed at once, in arrays, which LLVM makes vectors of: slices might overlap, for all it knows.
const WIDTH: usize = 16;

type Block<T> = [T; WIDTH];

/// Runs `f` on blocks of units: it reads those of `ins`, changes those of `states` and writes those of `outs`.
#[inline(always)]
fn blocks<T: Unit, const N: usize, const M: usize, const K: usize>(
    ins: [&[T]; N],
    states: [&mut [T]; M],
    outs: [&mut [T]; K],
    f: impl Fn(&[Block<T>; N], &mut [Block<T>; M], &mut [Block<T>; K]),
) {
    let n = outs.first().or(states.first()).map_or(0, |s| s.len());
    let (mut a, mut b, mut c) = ([[T::zero(); WIDTH]; N], [[T::zero(); WIDTH]; M], [[T::zero(); WIDTH]; K]);
    let mut at = 0;
    while at + WIDTH <= n {
        // Arrays of a size that is known are moved without a call.
        for j in 0..N {
            a[j] = *ins[j][at..].first_chunk().expect("a whole block");
        }
        for j in 0..M {
            b[j] = *states[j][at..].first_chunk().expect("a whole block");
        }
        f(&a, &mut b, &mut c);
        for j in 0..M {
            *states[j][at..].first_chunk_mut().expect("a whole block") = b[j];
        }
        for j in 0..K {
            *outs[j][at..].first_chunk_mut().expect("a whole block") = c[j];
        }
        at += WIDTH;
    }
    if at < n {
        let left = n - at;
        for j in 0..N {
            a[j][..left].copy_from_slice(&ins[j][at..n]);
        }
        for j in 0..M {
            b[j][..left].copy_from_slice(&states[j][at..n]);
        }
        f(&a, &mut b, &mut c);
        for j in 0..M {
            states[j][at..n].copy_from_slice(&b[j][..left]);
        }
        for j in 0..K {
            outs[j][at..n].copy_from_slice(&c[j][..left]);
        }
    }
}

#[inline(always)]
pub(super) fn plain<T: Unit>(f: impl Fn(T) -> T, gate: &mut [T], bias: &[T], out: &mut [T]) {
    blocks(
        [bias],
        [gate],
        [out],
        #[inline(always)]
        |[bias], [gate], [out]| {
            for u in 0..WIDTH {
                gate[u] = f(gate[u] + bias[u]);
                out[u] = gate[u];
            }
        },
    );
}

/// The gates become what they are after their functions; `c` is the cell state, `kept` a copy of the new one.
#[inline(always)]
pub(super) fn lstm<T: Unit>(
    lanes: Lanes,
    bias: [&[T]; 4],
    [i, f, g, o]: [&mut [T]; 4],
    c: &mut [T],
    kept: &mut [T],
    out: &mut [T],
) {
    blocks(
        bias,
        [i, f, g, o, c],
        [kept, out],
        #[inline(always)]
        |[bi, bf, bg, bo], [i, f, g, o, c], [kept, out]| {
            for u in 0..WIDTH {
                i[u] = lanes.sigmoid(i[u] + bi[u]);
                f[u] = lanes.sigmoid(f[u] + bf[u]);
                g[u] = lanes.tanh(g[u] + bg[u]);
                o[u] = lanes.sigmoid(o[u] + bo[u]);
                c[u] = lanes.fma(f[u], c[u], i[u] * g[u]);
                kept[u] = c[u];
                out[u] = o[u] * lanes.tanh(c[u]);
            }
        },
    );
}

/// `h = (1 - z) n + z h'` for `n = tanh(x part + r * hidden part)`; the gates are new state, reset, update and hidden part.
#[inline(always)]
pub(super) fn gru<T: Unit>(lanes: Lanes, bias: [&[T]; 4], gates: [&mut [T]; 4], before: &[T], out: &mut [T]) {
    let ([bn, br, bz, bh], [new, reset, update, hidden]) = (bias, gates);
    blocks(
        [bn, br, bz, bh, before],
        [new, reset, update, hidden],
        [out],
        #[inline(always)]
        |[bn, br, bz, bh, before], [new, reset, update, hidden], [out]| {
            for u in 0..WIDTH {
                reset[u] = lanes.sigmoid(reset[u] + br[u]);
                update[u] = lanes.sigmoid(update[u] + bz[u]);
                hidden[u] = hidden[u] + bh[u];
                new[u] = lanes.tanh(lanes.fma(reset[u], hidden[u], new[u] + bn[u]));
                out[u] = lanes.fma(update[u], before[u] - new[u], new[u]);
            }
        },
    );
}

/// Adds a row to another.
#[inline(always)]
pub(super) fn add<T: Unit>(x: &[T], to: &mut [T]) {
    blocks(
        [x],
        [to],
        [],
        #[inline(always)]
        |[x], [to], []| {
            for u in 0..WIDTH {
                to[u] = to[u] + x[u];
            }
        },
    );
}

/// The gradient before `tanh` or `relu`, of which `h` came out.
#[inline(always)]
pub(super) fn plain_back<T: Unit>(slope: impl Fn(T) -> T, h: &[T], dh: &[T], d: &mut [T]) {
    blocks(
        [h, dh],
        [],
        [d],
        #[inline(always)]
        |[h, dh], [], [d]| {
            for u in 0..WIDTH {
                d[u] = dh[u] * slope(h[u]);
            }
        },
    );
}

/// From the gradients of the hidden and cell state to those before the gates' functions and of the last cell state.
#[inline(always)]
pub(super) fn lstm_back<T: Unit>(
    lanes: Lanes,
    [i, f, g, o]: [&[T]; 4],
    [c, before, dh]: [&[T]; 3],
    dc: &mut [T],
    [di, df, dg, d_o]: [&mut [T]; 4],
) {
    let one = T::one();
    blocks(
        [i, f, g, o, c, before, dh],
        [dc],
        [di, df, dg, d_o],
        #[inline(always)]
        |[i, f, g, o, c, before, dh], [dc], [di, df, dg, d_o]| {
            for u in 0..WIDTH {
                let t = lanes.tanh(c[u]);
                let d = lanes.fma(dh[u] * o[u], one - t * t, dc[u]);
                d_o[u] = dh[u] * t * (o[u] * (one - o[u]));
                di[u] = d * g[u] * (i[u] * (one - i[u]));
                df[u] = d * before[u] * (f[u] * (one - f[u]));
                dg[u] = d * i[u] * (one - g[u] * g[u]);
                dc[u] = d * f[u];
            }
        },
    );
}

/// As `lstm_back`; the part of the last hidden state's gradient that does not go through a product replaces `dh`.
#[inline(always)]
pub(super) fn gru_back<T: Unit>([new, r, z, hidden]: [&[T]; 4], before: &[T], dh: &mut [T], d: [&mut [T]; 4]) {
    let one = T::one();
    let [dn, dr, dz, dhn] = d;
    blocks(
        [new, r, z, hidden, before],
        [dh],
        [dn, dr, dz, dhn],
        #[inline(always)]
        |[new, r, z, hidden, before], [dh], [dn, dr, dz, dhn]| {
            for u in 0..WIDTH {
                let d = dh[u];
                let inner = d * (one - z[u]) * (one - new[u] * new[u]);
                dn[u] = inner;
                dhn[u] = inner * r[u];
                dr[u] = inner * hidden[u] * (r[u] * (one - r[u]));
                dz[u] = d * (before[u] - new[u]) * (z[u] * (one - z[u]));
                dh[u] = d * z[u];
            }
        },
    );
}
