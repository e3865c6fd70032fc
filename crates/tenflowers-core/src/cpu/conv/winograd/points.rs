//! The transforms of one dimension, at the points 0, +-a, +-b and infinity, for a = 1/sqrt(2) and b = sqrt(2).

use crate::cpu::gemm::lanes::Lanes;
use std::f32::consts::{FRAC_1_SQRT_2 as A, SQRT_2 as B};

/// `x + c y`.
#[inline(always)]
unsafe fn plus<V: Lanes<Elem = f32>>(x: V, c: f32, y: V) -> V {
    // SAFETY: the caller's word.
    unsafe { x.fma(V::splat(c), y) }
}

/// `c y`.
#[inline(always)]
unsafe fn times<V: Lanes<Elem = f32>>(c: f32, y: V) -> V {
    // SAFETY: the caller's word.
    unsafe { V::splat(0.0).fma(V::splat(c), y) }
}

/// Six inputs (B^T).
#[inline(always)]
pub(super) unsafe fn input<V: Lanes<Elem = f32>>(d: [V; 6]) -> [V; 6] {
    // SAFETY: the caller's word.
    unsafe {
        let (even_a, odd_a) = (plus(d[4], -2.0, d[2]), plus(d[3], -2.0, d[1]));
        let (even_b, odd_b) = (plus(d[4], -0.5, d[2]), plus(d[3], -0.5, d[1]));
        [
            plus(d[0].add(d[4]), -2.5, d[2]),
            plus(even_a, A, odd_a),
            plus(even_a, -A, odd_a),
            plus(even_b, B, odd_b),
            plus(even_b, -B, odd_b),
            plus(d[1].add(d[5]), -2.5, d[3]),
        ]
    }
}

/// Three weights (G).
#[inline(always)]
pub(super) unsafe fn kernel<V: Lanes<Elem = f32>>(g: [V; 3]) -> [V; 6] {
    // SAFETY: the caller's word.
    unsafe {
        let even_a = times(-2.0 / 3.0, plus(g[0], 0.5, g[2]));
        let even_b = times(1.0 / 6.0, plus(g[0], 2.0, g[2]));
        [
            g[0],
            plus(even_a, -2.0 / 3.0 * A, g[1]),
            plus(even_a, 2.0 / 3.0 * A, g[1]),
            plus(even_b, B / 6.0, g[1]),
            plus(even_b, -B / 6.0, g[1]),
            g[2],
        ]
    }
}

/// The four outputs of six products (A^T).
#[inline(always)]
pub(super) unsafe fn output<V: Lanes<Elem = f32>>(m: [V; 6]) -> [V; 4] {
    // SAFETY: the caller's word.
    unsafe {
        let (sum_a, sum_b) = (m[1].add(m[2]), m[3].add(m[4]));
        let (odd_a, odd_b) = (times(A, plus(m[1], -1.0, m[2])), times(B, plus(m[3], -1.0, m[4])));
        [
            m[0].add(sum_a).add(sum_b),
            odd_a.add(odd_b),
            plus(times(0.5, sum_a), 2.0, sum_b),
            plus(plus(m[5], 0.5, odd_a), 2.0, odd_b),
        ]
    }
}

/// Four gradients of outputs (A).
#[inline(always)]
pub(super) unsafe fn gradient<V: Lanes<Elem = f32>>(y: [V; 4]) -> [V; 6] {
    // SAFETY: the caller's word.
    unsafe {
        let (even_a, odd_a) = (plus(y[0], 0.5, y[2]), plus(y[1], 0.5, y[3]));
        let (even_b, odd_b) = (plus(y[0], 2.0, y[2]), plus(y[1], 2.0, y[3]));
        [y[0], plus(even_a, A, odd_a), plus(even_a, -A, odd_a), plus(even_b, B, odd_b), plus(even_b, -B, odd_b), y[3]]
    }
}

/// The gradients of three weights from six sums (G^T).
#[inline(always)]
pub(super) unsafe fn weight<V: Lanes<Elem = f32>>(s: [V; 6]) -> [V; 3] {
    // SAFETY: the caller's word.
    unsafe {
        let (sum_a, sum_b) = (s[1].add(s[2]), s[3].add(s[4]));
        let (odd_a, odd_b) = (plus(s[1], -1.0, s[2]), plus(s[3], -1.0, s[4]));
        [
            plus(plus(s[0], -2.0 / 3.0, sum_a), 1.0 / 6.0, sum_b),
            plus(times(-2.0 / 3.0 * A, odd_a), B / 6.0, odd_b),
            plus(plus(s[5], -1.0 / 3.0, sum_a), 1.0 / 3.0, sum_b),
        ]
    }
}
