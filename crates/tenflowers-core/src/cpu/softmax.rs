//! Softmax and its logarithm, and the way back through them, along one dimension of dense operands.
//!
//! Along the last dimension rows are worked on where they lie; along others, many columns side by side.
use super::accumulate::{Summed, fold_rows, larger, prefetch, sum, sum_of, top};
use super::math::Real;
use super::pool::{self, Parts};
use super::simd::{Lanes, vectorize};
use crate::error::Result;

/// Elements a task.
const GRAIN: usize = 1 << 14;
/// Elements of short rows that go through the exponential together.
const TOGETHER: usize = 1024;
/// Columns that are worked on side by side.
const COLUMNS: usize = 128;

/// A type that shares are computed in.
pub trait Share: Summed + Real {
    /// e to the power of `x`, which is not above 0: results too small for a normal number may be 0.
    fn power(x: Self, lanes: Lanes) -> Self;
}

impl Share for f32 {
    #[inline(always)]
    fn power(x: f32, lanes: Lanes) -> f32 {
        // As `Real::exp`, but by powers of 2, without the upper half of its range and in one factor.
        const ROUND: f32 = 12_582_912.0;
        const LOG2_E: f32 = std::f32::consts::LOG2_E;
        let least = -87.0;
        let clamped = if x < least { least } else { x };
        let t = lanes.fma(clamped, LOG2_E, ROUND);
        let f = lanes.fma(clamped, LOG2_E, ROUND - t);
        // What LOG2_E is short of log2(e).
        let f = lanes.fma(clamped, 1.925_963e-8, f);
        // 2^f between -1/2 and 1/2, by a minimax polynomial.
        let p = lanes.fma(f, 1.326_472_7e-3, 9.671_513e-3);
        let p = lanes.fma(p, f, 5.550_734e-2);
        let p = lanes.fma(p, f, 0.240_222_42);
        let p = lanes.fma(p, f, 0.693_146_94);
        let p = lanes.fma(p, f, 1.0);
        let y = f32::from_bits(p.to_bits().wrapping_add(t.to_bits() << 23));
        if x < least { 0.0 } else { y }
    }
}

impl Share for f64 {
    #[inline(always)]
    fn power(x: f64, lanes: Lanes) -> f64 {
        lanes.exp(x)
    }
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softmax {
    pub log: bool,
    /// The elements along the dimension.
    pub n: usize,
    /// The elements that lie between two neighbours along the dimension.
    pub inner: usize,
}

impl Softmax {
    pub fn forward<T: Share>(&self, x: &[T], out: &mut [T]) -> Result<()> {
        self.each(
            x.len(),
            out,
            #[inline(always)]
            |lanes, at, out| self.rows(lanes, &x[at..], out),
            #[inline(always)]
            |lanes, at, width, out| self.columns(lanes, &x[at..], width, out, at),
        )
    }

    /// From the gradient of the result and the result.
    pub fn backward<T: Share>(&self, g: &[T], y: &[T], out: &mut [T]) -> Result<()> {
        self.each(
            g.len(),
            out,
            #[inline(always)]
            |lanes, at, out| self.rows_back(lanes, &g[at..], &y[at..], out),
            #[inline(always)]
            |lanes, at, width, out| self.columns_back(lanes, &g[at..], &y[at..], width, out, at),
        )
    }

    /// Cuts the work into runs of rows, or into runs of columns of each slice `[n, inner]`.
    fn each<T: Summed>(
        &self,
        numel: usize,
        out: &mut [T],
        rows: impl Fn(Lanes, usize, &mut [T]) + Sync,
        columns: impl Fn(Lanes, usize, usize, &Parts<T>) + Sync,
    ) -> Result<()> {
        if numel == 0 {
            return Ok(());
        }
        let (n, inner) = (self.n, self.inner);
        let out = Parts::new(out);
        if inner == 1 {
            return pool::ranges(numel / n, (GRAIN / n).max(1), &|range| {
                // SAFETY: the ranges are disjoint.
                let part = unsafe { out.part(range.start * n..range.end * n) };
                vectorize(
                    #[inline(always)]
                    |lanes| rows(lanes, range.start * n, part),
                );
            });
        }
        let across = inner.div_ceil(COLUMNS);
        let tasks = numel / (n * inner) * across;
        let grain = (GRAIN / (n * inner.min(COLUMNS))).max(1);
        pool::ranges(tasks, grain, &|range| {
            for task in range {
                let first = task % across * COLUMNS;
                let at = task / across * n * inner + first;
                vectorize(
                    #[inline(always)]
                    |lanes| columns(lanes, at, COLUMNS.min(inner - first), &out),
                );
            }
        })
    }

    #[inline(always)]
    fn rows<T: Share>(&self, lanes: Lanes, x: &[T], out: &mut [T]) {
        let n = self.n;
        if n > TOGETHER / 4 {
            for (i, y) in out.chunks_exact_mut(n).enumerate() {
                let row = &x[i * n..][..n];
                prefetch(x, (i + 1) * n, n);
                let top = top(row);
                // Also for the logarithm the result's memory holds the exponentials meanwhile.
                for (y, &x) in y.iter_mut().zip(row) {
                    *y = T::power(x - top, lanes);
                }
                let total = sum_of(y, |e| e);
                if self.log {
                    let log = T::rounded(total.ln());
                    for (y, &x) in y.iter_mut().zip(row) {
                        *y = (x - top) - log;
                    }
                } else {
                    let share = T::rounded(1.0 / total);
                    for y in y.iter_mut() {
                        *y = *y * share;
                    }
                }
            }
            return;
        }
        // Rows too short for a vector of their own.
        let rows = TOGETHER / n;
        let (mut powers, mut found) = ([T::zero(); TOGETHER], [T::zero(); TOGETHER]);
        for (out, x) in out.chunks_mut(rows * n).zip(x.chunks(rows * n)) {
            let (x, found) = (&x[..out.len()], &mut found[..out.len() / n]);
            fold_rows(|r| &x[r * n..][..n], n, T::neg_infinity(), larger, larger, found);
            for ((y, x), &top) in out.chunks_exact_mut(n).zip(x.chunks_exact(n)).zip(&*found) {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = x - top;
                }
            }
            if self.log {
                for (p, &y) in powers.iter_mut().zip(&*out) {
                    *p = T::power(y, lanes);
                }
                fold_rows(|r| &powers[r * n..][..n], n, T::zero(), sum, sum, found);
                for (y, &total) in out.chunks_exact_mut(n).zip(&*found) {
                    let log = T::rounded(total.into().ln());
                    for y in y.iter_mut() {
                        *y = *y - log;
                    }
                }
            } else {
                for y in out.iter_mut() {
                    *y = T::power(*y, lanes);
                }
                fold_rows(|r| &out[r * n..][..n], n, T::zero(), sum, sum, found);
                for (y, &total) in out.chunks_exact_mut(n).zip(&*found) {
                    let share = T::rounded(1.0 / total.into());
                    for y in y.iter_mut() {
                        *y = *y * share;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn columns<T: Share>(&self, lanes: Lanes, x: &[T], width: usize, out: &Parts<T>, base: usize) {
        let (n, inner) = (self.n, self.inner);
        let mut tops = [T::neg_infinity(); COLUMNS];
        for k in 0..n {
            for (t, &x) in tops.iter_mut().zip(&x[k * inner..][..width]) {
                *t = if x > *t { x } else { *t };
            }
        }
        // SAFETY: these columns are this task's alone.
        let row = |k: usize| unsafe { out.part(base + k * inner..base + k * inner + width) };
        let mut totals = [0f64; COLUMNS];
        for k in 0..n {
            let y = row(k);
            for ((y, &x), &t) in y.iter_mut().zip(&x[k * inner..][..width]).zip(&tops) {
                *y = T::power(x - t, lanes);
            }
            for (s, &y) in totals.iter_mut().zip(&*y) {
                *s += y.into();
            }
        }
        let mut parts = [T::zero(); COLUMNS];
        if self.log {
            for (p, s) in parts.iter_mut().zip(&totals[..width]) {
                *p = T::rounded(s.ln());
            }
            for k in 0..n {
                for (((y, &x), &t), &p) in row(k).iter_mut().zip(&x[k * inner..][..width]).zip(&tops).zip(&parts) {
                    *y = (x - t) - p;
                }
            }
        } else {
            for (p, s) in parts.iter_mut().zip(&totals[..width]) {
                *p = T::rounded(1.0 / s);
            }
            for k in 0..n {
                for (y, &p) in row(k).iter_mut().zip(&parts) {
                    *y = *y * p;
                }
            }
        }
    }

    #[inline(always)]
    fn rows_back<T: Share>(&self, lanes: Lanes, g: &[T], y: &[T], out: &mut [T]) {
        let n = self.n;
        for (i, out) in out.chunks_exact_mut(n).enumerate() {
            let (row, g_row) = (&y[i * n..][..n], &g[i * n..][..n]);
            prefetch(y, (i + 1) * n, n);
            prefetch(g, (i + 1) * n, n);
            if self.log {
                let total = T::rounded(sum_of(g_row, |g| g));
                for ((d, &g), &y) in out.iter_mut().zip(g_row).zip(row) {
                    *d = g - lanes.exp(y) * total;
                }
            } else {
                for ((d, &g), &y) in out.iter_mut().zip(g_row).zip(row) {
                    *d = g * y;
                }
                let total = T::rounded(sum_of(out, |d| d));
                for ((d, &g), &y) in out.iter_mut().zip(g_row).zip(row) {
                    *d = (g - total) * y;
                }
            }
        }
    }

    #[inline(always)]
    fn columns_back<T: Share>(&self, lanes: Lanes, g: &[T], y: &[T], width: usize, out: &Parts<T>, base: usize) {
        let (n, inner) = (self.n, self.inner);
        let mut totals = [0f64; COLUMNS];
        for k in 0..n {
            let (g, y) = (&g[k * inner..][..width], &y[k * inner..][..width]);
            if self.log {
                for (s, &g) in totals.iter_mut().zip(g) {
                    *s += g.into();
                }
            } else {
                for ((s, &g), &y) in totals.iter_mut().zip(g).zip(y) {
                    *s += (g * y).into();
                }
            }
        }
        let totals = totals.map(T::rounded);
        for k in 0..n {
            let (g, y) = (&g[k * inner..][..width], &y[k * inner..][..width]);
            // SAFETY: these columns are this task's alone.
            let out = unsafe { out.part(base + k * inner..base + k * inner + width) };
            if self.log {
                for (((d, &g), &y), &s) in out.iter_mut().zip(g).zip(y).zip(&totals) {
                    *d = g - lanes.exp(y) * s;
                }
            } else {
                for (((d, &g), &y), &s) in out.iter_mut().zip(g).zip(y).zip(&totals) {
                    *d = (g - s) * y;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::tests::each_isa;

    #[test]
    fn powers_are_off_by_little_more_than_their_argument() {
        each_isa(|isa| {
            let x: Vec<f32> = (0..870_000).map(|i| i as f32 * -1e-4).collect();
            let mut y = vec![0.0; x.len()];
            vectorize(
                #[inline(always)]
                |lanes| {
                    for (y, &x) in y.iter_mut().zip(&x) {
                        *y = Share::power(x, lanes);
                    }
                },
            );
            // Where products and sums are rounded apart, the error grows with the argument.
            let error =
                |(&x, &y): (&f32, &f32)| (f64::from(y) / f64::from(x).exp() - 1.0).abs() / (4.0 + f64::from(x.abs()));
            let worst = x.iter().zip(&y).map(error).fold(0.0, f64::max);
            assert!(worst < 8e-8, "{isa:?}: {worst}");
            let odd = |x: f32| {
                vectorize(
                    #[inline(always)]
                    |lanes| f32::power(x, lanes),
                )
            };
            assert_eq!((odd(f32::NEG_INFINITY), odd(-1e30), odd(0.0)), (0.0, 0.0, 1.0), "{isa:?}");
            assert!(odd(f32::NAN).is_nan(), "{isa:?}");
        });
    }
}
