//! Rows that are normalised each by itself: layer, group, instance and root-mean-square normalisation.
use super::super::accumulate::{Moments, Summed, prefetch, sum_of};
use super::super::pool::{self, Parts};
use super::super::simd::{Lanes, vectorize};
use super::{GRAIN, Gradients, sum_pairs};
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
                        self.apply(r, row, weight, bias, mean, scale, &mut out[i * n..(i + 1) * n]);
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
                    *y = (x - mean) * factor + shift;
                }
            }
            return;
        }
        match (weight.map(|w| &w[first..first + self.n]), bias.map(|b| &b[first..first + self.n])) {
            (Some(w), Some(b)) => {
                for (((y, &x), &w), &b) in out.iter_mut().zip(row).zip(w).zip(b) {
                    *y = (x - mean) * scale * w + b;
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
        // A fixed number of blocks, each with sums of its own.
        let most = if wanted { (1 << 22) / p.max(1) } else { usize::MAX };
        let block = (GRAIN / n.max(1)).max(rows.div_ceil(most.clamp(1, 64))).max(1).next_multiple_of(self.groups);
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
            // Rows are added in their own precision, a few at a time.
            let mut few = vec![T::zero(); if wanted && self.inner == 1 { 2 * p } else { 0 }];
            vectorize(
                #[inline(always)]
                |_| {
                    for (i, r) in range.enumerate() {
                        if i > 0 && i % FEW == 0 {
                            flush(&mut few, sums);
                        }
                        let at = r * n..(r + 1) * n;
                        prefetch(x, at.end, n);
                        prefetch(g, (r + 1) * g_step, n);
                        let (g, x, dx) = (&g[r * g_step..][..n], &x[at], &mut dx[i * n..(i + 1) * n]);
                        let first = self.first(r);
                        if self.inner == 1 {
                            self.row_back(g, x, means[r], scales[r], weight.map(|w| &w[first..first + n]), dx);
                            if wanted {
                                let (dw, db) = few.split_at_mut(p);
                                let (mean, scale) = (means[r], scales[r]);
                                let (dw, db) = (&mut dw[first..first + n], &mut db[first..first + n]);
                                for (((w, b), &g), &x) in dw.iter_mut().zip(db).zip(g).zip(x) {
                                    *w = *w + g * ((x - mean) * scale);
                                    *b = *b + g;
                                }
                            }
                        } else {
                            self.segments_back(
                                g,
                                x,
                                means[r],
                                scales[r],
                                weight.map(|w| &w[first..]),
                                dx,
                                |c, gx, g| {
                                    if wanted {
                                        sums[first + c] += gx;
                                        sums[p + first + c] += g;
                                    }
                                },
                            );
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
    /// the row was not centered.
    #[inline(always)]
    fn row_back<T: Summed>(&self, g: &[T], x: &[T], mean: T, scale: T, weight: Option<&[T]>, dx: &mut [T]) {
        match weight {
            Some(w) => {
                for ((d, &g), &w) in dx.iter_mut().zip(g).zip(w) {
                    *d = g * w;
                }
            }
            None => dx.copy_from_slice(g),
        }
        let share = 1.0 / self.n as f64;
        let along = T::rounded(sum_pairs(dx, x, |v, x| v * ((x - mean) * scale)) * share);
        let level = if self.centered { T::rounded(sum_of(dx, |v| v) * share) } else { T::zero() };
        for (d, &x) in dx.iter_mut().zip(x) {
            *d = (*d - level - (x - mean) * scale * along) * scale;
        }
    }

    /// As `row_back`, where `inner` elements share a weight; hands over the sums of `g xh` and `g` of each segment.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "one row and all that it is multiplied by")]
    fn segments_back<T: Summed>(
        &self,
        g: &[T],
        x: &[T],
        mean: T,
        scale: T,
        weight: Option<&[T]>,
        dx: &mut [T],
        mut sums: impl FnMut(usize, f64, f64),
    ) {
        let inner = self.inner;
        let of = |c: usize| weight.map_or(T::one(), |w| w[c]);
        let (mut along, mut level) = (0.0, 0.0);
        for (c, (g, x)) in g.chunks_exact(inner).zip(x.chunks_exact(inner)).enumerate() {
            let gx = sum_pairs(g, x, |g, x| g * ((x - mean) * scale));
            let plain = sum_of(g, |g| g);
            sums(c, gx, plain);
            let w: f64 = of(c).into();
            along += gx * w;
            level += plain * w;
        }
        let share = 1.0 / self.n as f64;
        let (along, level) =
            (T::rounded(along * share), if self.centered { T::rounded(level * share) } else { T::zero() });
        for (c, ((d, g), x)) in
            dx.chunks_exact_mut(inner).zip(g.chunks_exact(inner)).zip(x.chunks_exact(inner)).enumerate()
        {
            let w = of(c);
            for ((d, &g), &x) in d.iter_mut().zip(g).zip(x) {
                *d = (g * w - level - (x - mean) * scale * along) * scale;
            }
        }
    }
}
