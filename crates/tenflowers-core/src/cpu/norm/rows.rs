//! Rows that are normalised each by itself: layer, group, instance and root-mean-square normalisation.
use super::super::accumulate::{Moments, Summed, prefetch, sum_of};
use super::super::pool::{self, Parts};
use super::super::simd::{Lanes, vectorize};
use super::back::{self, Parameters, Row};
use super::{GRAIN, Gradients};
use crate::error::Result;

/// Rows of `n` elements, one after another. Every `groups` rows the parameters begin anew, and `inner` elements share one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rows {
    pub n: usize,
    pub groups: usize,
    pub inner: usize,
    /// Whether the mean is taken out; otherwise the scale is that of the root mean square.
    pub centered: bool,
    pub eps: f64,
}

/// Rows whose sums for parameters are added before they go on in double precision.
const FEW: usize = 32;

/// Adds what has come together to the sums, and begins anew.
#[inline(always)]
fn flush<T: Summed>(few: &mut [T], sums: &mut [f64]) {
    for (few, sum) in few.iter_mut().zip(sums) {
        *sum += (*few).into();
        *few = T::zero();
    }
}

impl Rows {
    /// The parameters of all groups.
    pub fn parameters(&self) -> usize {
        self.groups * self.n / self.inner.max(1)
    }

    /// Fills the result, and for each row its mean and the factor of its elements.
    pub fn forward<T: Summed>(
        &self,
        x: &[T],
        weight: Option<&[T]>,
        bias: Option<&[T]>,
        [out, means, scales]: [&mut [T]; 3],
    ) -> Result<()> {
        let n = self.n;
        if x.is_empty() {
            means.fill(T::zero());
            scales.fill(T::zero());
            return Ok(());
        }
        let (out, means, scales) = (Parts::new(out), Parts::new(means), Parts::new(scales));
        pool::ranges(x.len() / n, (GRAIN / n).max(1), &|range| {
            // SAFETY: each row belongs to one task.
            let (out, means, scales) = unsafe {
                (out.part(range.start * n..range.end * n), means.part(range.clone()), scales.part(range.clone()))
            };
            vectorize(
                #[inline(always)]
                |lanes| {
                    for (i, r) in range.enumerate() {
                        let row = &x[r * n..(r + 1) * n];
                        prefetch(x, (r + 1) * n, n);
                        let (mean, scale) = self.statistics(lanes, row);
                        (means[i], scales[i]) = (mean, scale);
                        self.apply(lanes, r, row, weight, bias, mean, scale, &mut out[i * n..(i + 1) * n]);
                    }
                },
            );
        })
    }

    #[inline(always)]
    fn statistics<T: Summed>(&self, lanes: Lanes, row: &[T]) -> (T, T) {
        let n = self.n as f64;
        let (mean, square) = if self.centered {
            let m = Moments::of(lanes, row);
            (m.mean, m.squares / n)
        } else {
            (0.0, sum_of(row, |x| x * x) / n)
        };
        (T::rounded(mean), T::rounded(1.0 / (square + self.eps).sqrt()))
    }

    /// Where the parameters of a row begin.
    #[inline(always)]
    fn first(&self, r: usize) -> usize {
        r % self.groups * (self.n / self.inner)
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "one row and all that it is multiplied by")]
    fn apply<T: Summed>(
        &self,
        lanes: Lanes,
        r: usize,
        row: &[T],
        weight: Option<&[T]>,
        bias: Option<&[T]>,
        mean: T,
        scale: T,
        out: &mut [T],
    ) {
        let first = self.first(r);
        if self.inner > 1 {
            for (c, (y, x)) in out.chunks_exact_mut(self.inner).zip(row.chunks_exact(self.inner)).enumerate() {
                let factor = weight.map_or(scale, |w| w[first + c] * scale);
                let shift = bias.map_or(T::zero(), |b| b[first + c]);
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = lanes.fma(x - mean, factor, shift);
                }
            }
            return;
        }
        match (weight.map(|w| &w[first..first + self.n]), bias.map(|b| &b[first..first + self.n])) {
            (Some(w), Some(b)) => {
                for (((y, &x), &w), &b) in out.iter_mut().zip(row).zip(w).zip(b) {
                    *y = lanes.fma((x - mean) * scale, w, b);
                }
            }
            (Some(w), None) => {
                for ((y, &x), &w) in out.iter_mut().zip(row).zip(w) {
                    *y = (x - mean) * scale * w;
                }
            }
            (None, b) => {
                for (y, &x) in out.iter_mut().zip(row) {
                    *y = (x - mean) * scale;
                }
                if let Some(b) = b {
                    for (y, &b) in out.iter_mut().zip(b) {
                        *y = *y + b;
                    }
                }
            }
        }
    }

    /// The way back: every row is read twice, from the cache the second time. `g` may be one row that stands for all.
    pub fn backward<T: Summed>(
        &self,
        [g, x, means, scales]: [&[T]; 4],
        weight: Option<&[T]>,
        gradients: Gradients<T>,
    ) -> Result<()> {
        let (n, p) = (self.n, self.parameters());
        let Gradients { input, weight: dw, bias: db } = gradients;
        let wanted = dw.is_some() || db.is_some();
        let rows = x.len().checked_div(n).unwrap_or(0);
        let g_step = if g.len() < x.len() { 0 } else { n };
        let ones = vec![T::one(); if wanted && self.inner == 1 && weight.is_none() { p } else { 0 }];
        let weights = if ones.is_empty() { weight } else { Some(&ones[..]) };
        // A fixed number of blocks, each with sums of its own.
        let most = if wanted { (1 << 22) / p.max(1) } else { usize::MAX };
        let grain = if wanted { 2 * GRAIN } else { GRAIN };
        let block = (grain / n.max(1)).max(rows.div_ceil(most.clamp(1, 64))).max(1).next_multiple_of(self.groups);
        let blocks = rows.div_ceil(block);
        let mut sums = vec![0f64; if wanted { blocks * 2 * p } else { 0 }];
        let (input, parts) = (Parts::new(input), Parts::new(&mut sums));
        pool::parallel(blocks, &|b| {
            let range = b * block..rows.min((b + 1) * block);
            // SAFETY: each row, and each block's sums, belong to one task.
            let (dx, sums) = unsafe {
                let sums = if wanted { parts.part(b * 2 * p..(b + 1) * 2 * p) } else { &mut [] };
                (input.part(range.start * n..range.end * n), sums)
            };
            let row = |r: usize| {
                let (g, x) = (&g[r * g_step..][..n], &x[r * n..][..n]);
                Row { g, x, mean: means[r], scale: scales[r] }
            };
            let ahead = |r: usize, rows: usize| {
                prefetch(x, r * n, rows * n);
                prefetch(g, r * g_step, rows * g_step);
            };
            // Rows are added in their own precision, a few at a time.
            let mut few = vec![T::zero(); if weights.is_some() && self.inner == 1 { 2 * p } else { 0 }];
            vectorize(
                #[inline(always)]
                |lanes| {
                    let (mut r, mut since) = (range.start, 0);
                    while r < range.end {
                        let dx = &mut dx[(r - range.start) * n..];
                        if self.inner > 1 {
                            ahead(r + 1, 1);
                            let first = self.first(r);
                            self.segments_back(lanes, row(r), weight.map(|w| &w[first..]), dx, |c, gx, g| {
                                if wanted {
                                    sums[first + c] += gx;
                                    sums[p + first + c] += g;
                                }
                            });
                            r += 1;
                            continue;
                        }
                        if since >= FEW {
                            flush(&mut few, sums);
                            since = 0;
                        }
                        // Two rows that have the same parameters.
                        if self.groups == 1 && r + 1 < range.end {
                            ahead(r + 2, 2);
                            self.rows_back(lanes, [row(r), row(r + 1)], weights, 0, &mut few, dx);
                            r += 2;
                            since += 2;
                        } else {
                            ahead(r + 1, 1);
                            self.rows_back(lanes, [row(r)], weights, self.first(r), &mut few, dx);
                            r += 1;
                            since += 1;
                        }
                    }
                    flush(&mut few, sums);
                },
            );
        })?;
        // Block after block, as they lie in memory.
        let first = (2 * p).min(sums.len());
        let (all, others) = sums.split_at_mut(first);
        for other in others.chunks_exact(2 * p.max(1)) {
            for (a, &b) in all.iter_mut().zip(other) {
                *a += b;
            }
        }
        for (to, at) in [(dw, 0), (db, p)] {
            let Some(to) = to else { continue };
            for (i, to) in to.iter_mut().enumerate() {
                *to = all.get(at + i).map_or(T::zero(), |&a| T::rounded(a));
            }
        }
        Ok(())
    }

    /// `dx = scale (v - mean(v) - xh mean(v xh))` with `v = g w` and `xh` the normalised row; without the first mean if
    /// the row was not centered. With a weight, adds to the sums of the parameters in `few`.
    #[inline(always)]
    fn rows_back<T: Summed, const R: usize>(
        &self,
        lanes: Lanes,
        rows: [Row<T>; R],
        weight: Option<&[T]>,
        first: usize,
        few: &mut [T],
        dx: &mut [T],
    ) {
        let n = self.n;
        let (dw, db) = few.split_at_mut(few.len() / 2);
        let mut parameters = match weight {
            Some(w) => {
                let mine = first..first + n;
                Parameters { weight: &w[mine.clone()], dw: &mut dw[mine.clone()], db: &mut db[mine] }
            }
            None => Parameters { weight: &[], dw: &mut [], db: &mut [] },
        };
        let found = match weight {
            Some(_) => back::sums::<T, T, R, true>(lanes, &rows, &mut parameters),
            None => back::sums::<T, T, R, false>(lanes, &rows, &mut parameters),
        };
        for ((row, [level, along]), dx) in rows.into_iter().zip(found).zip(dx.chunks_exact_mut(n)) {
            let share = 1.0 / n as f64;
            let scale = row.scale.into();
            let level = if self.centered { T::rounded(level * share) } else { T::zero() };
            let slope = T::rounded(along * share * scale) * row.scale;
            match weight {
                Some(_) => back::input::<T, true>(lanes, row, parameters.weight, level, slope, dx),
                None => back::input::<T, false>(lanes, row, &[], level, slope, dx),
            }
        }
    }

    /// As `rows_back`, where `inner` elements share a weight; hands over the sums of `g xh` and `g` of each segment.
    #[inline(always)]
    fn segments_back<T: Summed>(
        &self,
        lanes: Lanes,
        row: Row<T>,
        weight: Option<&[T]>,
        dx: &mut [T],
        mut sums: impl FnMut(usize, f64, f64),
    ) {
        let (inner, Row { g, x, mean, scale }) = (self.inner, row);
        let of = |c: usize| weight.map_or(T::one(), |w| w[c]);
        let factor: f64 = scale.into();
        let (mut along, mut level) = (0.0, 0.0);
        for (c, (g, x)) in g.chunks_exact(inner).zip(x.chunks_exact(inner)).enumerate() {
            let segment = [Row { g, x, mean, scale }];
            let none = &mut Parameters { weight: &[], dw: &mut [], db: &mut [] };
            let [[plain, gx]] = back::sums::<T, T, 1, false>(lanes, &segment, none);
            let gx = gx * factor;
            sums(c, gx, plain);
            let w: f64 = of(c).into();
            along += gx * w;
            level += plain * w;
        }
        let share = 1.0 / self.n as f64;
        let level = if self.centered { T::rounded(level * share) } else { T::zero() };
        let slope = T::rounded(along * share) * scale;
        for (c, ((d, g), x)) in
            dx.chunks_exact_mut(inner).zip(g.chunks_exact(inner)).zip(x.chunks_exact(inner)).enumerate()
        {
            let w = of(c);
            for ((d, &g), &x) in d.iter_mut().zip(g).zip(x) {
                *d = (g * w - level - (x - mean) * slope) * scale;
            }
        }
    }
}
