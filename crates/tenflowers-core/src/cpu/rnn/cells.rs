//! The cells, on some units of one row.

use crate::cpu::gemm::{Product, lanes::Float};
use crate::cpu::math::Real;
use crate::cpu::simd::Lanes;

/// The element types that recurrent layers compute in.
pub(crate) trait Unit: Float + Real + Product + crate::Element {
    fn tanh(self, lanes: Lanes) -> Self;
}

impl Unit for f32 {
    /// A polynomial near zero, by the exponential elsewhere: both from Cephes.
    #[inline(always)]
    fn tanh(self, lanes: Lanes) -> f32 {
        let (x, size) = (self, self.abs());
        let z = x * x;
        let p = lanes.fma(z, -5.704_988_7e-3, 2.063_908_9e-2);
        let p = lanes.fma(p, z, -5.373_971_6e-2);
        let p = lanes.fma(p, z, 1.333_144_2e-1);
        let p = lanes.fma(p, z, -3.333_328_2e-1);
        let near = lanes.fma(p * z, x, x);
        let far = (1.0 - 2.0 / (lanes.exp(2.0 * size) + 1.0)).copysign(x);
        if size < 0.625 { near } else { far }
    }
}

impl Unit for f64 {
    #[inline(always)]
    fn tanh(self, _: Lanes) -> f64 {
        num_traits::Float::tanh(self)
    }
}

#[inline(always)]
fn sigmoid<T: Unit>(lanes: Lanes, x: T) -> T {
    T::one() / (T::one() + lanes.exp(-x))
}

/// The larger of `x` and zero, or nan.
#[inline(always)]
pub(super) fn relu<T: Unit>(x: T) -> T {
    if x < T::zero() { T::zero() } else { x }
}

#[inline(always)]
pub(super) fn plain<T: Unit>(_: Lanes, f: impl Fn(T) -> T, gate: &mut [T], bias: &[T], out: &mut [T]) {
    for ((gate, &bias), out) in gate.iter_mut().zip(bias).zip(out) {
        *gate = f(*gate + bias);
        *out = *gate;
    }
}

/// The gates become what they are after their functions; `c` is the cell state, `kept` a copy of the new one.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "separate slices are known not to overlap")]
pub(super) fn lstm<T: Unit>(
    lanes: Lanes,
    bias: [&[T]; 4],
    i: &mut [T],
    f: &mut [T],
    g: &mut [T],
    o: &mut [T],
    c: &mut [T],
    kept: &mut [T],
    out: &mut [T],
) {
    let n = out.len();
    let [bi, bf, bg, bo] = bias.map(|b| &b[..n]);
    let (i, f, g, o) = (&mut i[..n], &mut f[..n], &mut g[..n], &mut o[..n]);
    let (c, kept) = (&mut c[..n], &mut kept[..n]);
    for u in 0..n {
        i[u] = sigmoid(lanes, i[u] + bi[u]);
        f[u] = sigmoid(lanes, f[u] + bf[u]);
        g[u] = Unit::tanh(g[u] + bg[u], lanes);
        o[u] = sigmoid(lanes, o[u] + bo[u]);
        c[u] = lanes.fma(f[u], c[u], i[u] * g[u]);
        kept[u] = c[u];
        out[u] = o[u] * Unit::tanh(c[u], lanes);
    }
}

/// `h = (1 - z) n + z h'` for `n = tanh(x part + r * hidden part)`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "separate slices are known not to overlap")]
pub(super) fn gru<T: Unit>(
    lanes: Lanes,
    bias: [&[T]; 4],
    new: &mut [T],
    reset: &mut [T],
    update: &mut [T],
    hidden: &mut [T],
    before: &[T],
    out: &mut [T],
) {
    let n = out.len();
    let [bn, br, bz, bh] = bias.map(|b| &b[..n]);
    let (new, reset, update, hidden) = (&mut new[..n], &mut reset[..n], &mut update[..n], &mut hidden[..n]);
    let before = &before[..n];
    for u in 0..n {
        reset[u] = sigmoid(lanes, reset[u] + br[u]);
        update[u] = sigmoid(lanes, update[u] + bz[u]);
        hidden[u] = hidden[u] + bh[u];
        new[u] = Unit::tanh(lanes.fma(reset[u], hidden[u], new[u] + bn[u]), lanes);
        out[u] = lanes.fma(update[u], before[u] - new[u], new[u]);
    }
}

/// The gradient before `tanh` or `relu`, of which `h` came out.
#[inline(always)]
pub(super) fn plain_back<T: Unit>(slope: impl Fn(T) -> T, h: &[T], dh: &[T], d: &mut [T]) {
    let n = d.len();
    let (h, dh) = (&h[..n], &dh[..n]);
    for u in 0..n {
        d[u] = dh[u] * slope(h[u]);
    }
}

/// From the gradients of the hidden and cell state to those before the gates' functions and of the last cell state.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "separate slices are known not to overlap")]
pub(super) fn lstm_back<T: Unit>(
    lanes: Lanes,
    gates: [&[T]; 4],
    [c, before]: [&[T]; 2],
    dh: &[T],
    dc: &mut [T],
    di: &mut [T],
    df: &mut [T],
    dg: &mut [T],
    d_o: &mut [T],
) {
    let n = dc.len();
    let [i, f, g, o] = gates.map(|x| &x[..n]);
    let (c, before, dh) = (&c[..n], &before[..n], &dh[..n]);
    let (di, df, dg, d_o) = (&mut di[..n], &mut df[..n], &mut dg[..n], &mut d_o[..n]);
    let one = T::one();
    for u in 0..n {
        let dh = dh[u];
        let t = Unit::tanh(c[u], lanes);
        let d = lanes.fma(dh * o[u], one - t * t, dc[u]);
        d_o[u] = dh * t * (o[u] * (one - o[u]));
        di[u] = d * g[u] * (i[u] * (one - i[u]));
        df[u] = d * before[u] * (f[u] * (one - f[u]));
        dg[u] = d * i[u] * (one - g[u] * g[u]);
        dc[u] = d * f[u];
    }
}

/// As `lstm_back`; the part of the last hidden state's gradient that does not go through a product replaces `dh`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "separate slices are known not to overlap")]
pub(super) fn gru_back<T: Unit>(
    gates: [&[T]; 4],
    before: &[T],
    dh: &mut [T],
    dn: &mut [T],
    dr: &mut [T],
    dz: &mut [T],
    dhn: &mut [T],
) {
    let n = dh.len();
    let [new, r, z, hidden] = gates.map(|x| &x[..n]);
    let before = &before[..n];
    let (dn, dr, dz, dhn) = (&mut dn[..n], &mut dr[..n], &mut dz[..n], &mut dhn[..n]);
    let one = T::one();
    for u in 0..n {
        let d = dh[u];
        let inner = d * (one - z[u]) * (one - new[u] * new[u]);
        dn[u] = inner;
        dhn[u] = inner * r[u];
        dr[u] = inner * hidden[u] * (r[u] * (one - r[u]));
        dz[u] = d * (before[u] - new[u]) * (z[u] * (one - z[u]));
        dh[u] = d * z[u];
    }
}
