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
    pub fn forward<T: Summed + Real>(&self, x: &[T], out: &mut [T]) -> Result<()> {
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
    pub fn backward<T: Summed + Real>(&self, g: &[T], y: &[T], out: &mut [T]) -> Result<()> {
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
    fn rows<T: Summed + Real>(&self, lanes: Lanes, x: &[T], out: &mut [T]) {
        let n = self.n;
        if n > TOGETHER / 4 {
            for (i, y) in out.chunks_exact_mut(n).enumerate() {
                let row = &x[i * n..][..n];
                prefetch(x, (i + 1) * n, n);
                let top = top(row);
                // Also for the logarithm the result's memory holds the exponentials meanwhile.
                for (y, &x) in y.iter_mut().zip(row) {
                    *y = lanes.exp_nonpositive(x - top);
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
                    *p = lanes.exp_nonpositive(y);
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
                    *y = lanes.exp_nonpositive(*y);
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
    fn columns<T: Summed + Real>(&self, lanes: Lanes, x: &[T], width: usize, out: &Parts<T>, base: usize) {
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
                *y = lanes.exp_nonpositive(x - t);
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
    fn rows_back<T: Summed + Real>(&self, lanes: Lanes, g: &[T], y: &[T], out: &mut [T]) {
        let n = self.n;
        for (i, out) in out.chunks_exact_mut(n).enumerate() {
            let (row, g_row) = (&y[i * n..][..n], &g[i * n..][..n]);
            prefetch(y, (i + 1) * n, n);
            prefetch(g, (i + 1) * n, n);
            if self.log {
                let total = T::rounded(sum_of(g_row, |g| g));
                for ((d, &g), &y) in out.iter_mut().zip(g_row).zip(row) {
                    *d = g - lanes.exp_nonpositive(y) * total;
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
    fn columns_back<T: Summed + Real>(
        &self,
        lanes: Lanes,
        g: &[T],
        y: &[T],
        width: usize,
        out: &Parts<T>,
        base: usize,
    ) {
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
                    *d = g - lanes.exp_nonpositive(y) * s;
                }
            } else {
                for (((d, &g), &y), &s) in out.iter_mut().zip(g).zip(y).zip(&totals) {
                    *d = (g - s) * y;
                }
            }
        }
    }
}
