//! Running sums, products and extremes along one dimension of dense operands.
use super::accumulate;
use super::pool::{self, Parts};
use super::simd::vectorize;
use crate::error::Result;

/// Elements a task.
const GRAIN: usize = 1 << 14;
/// Columns side by side.
const COLUMNS: usize = 128;
/// Parts of a row that are worked on side by side.
const CHAINS: usize = 4;

/// The elements along the dimension, and those that lie between two neighbours there.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    pub n: usize,
    pub inner: usize,
    /// From the last element to the first.
    pub reversed: bool,
}

impl Lines {
    /// `out[k]` is what `join` makes of the elements up to `k`, which `widen` brings to the type of the work: associative,
    /// and `start` changes nothing.
    pub fn scan<T: Copy + Send + Sync, A: Copy + Send + Sync, U: Copy + Send + Sync>(
        &self,
        x: &[T],
        out: &mut [U],
        start: A,
        widen: impl Fn(T) -> A + Sync,
        join: impl Fn(A, A) -> A + Copy + Sync,
        narrow: impl Fn(A) -> U + Sync,
    ) -> Result<()> {
        let Lines { n, inner, reversed } = *self;
        if x.is_empty() {
            return Ok(());
        }
        let out = Parts::new(out);
        if inner == 1 {
            return pool::ranges(x.len() / n, (GRAIN / n).max(1), &|range| {
                for r in range {
                    // SAFETY: each row belongs to one task.
                    let (row, to) = (&x[r * n..(r + 1) * n], unsafe { out.part(r * n..(r + 1) * n) });
                    if reversed {
                        let mut all = start;
                        for (y, &x) in to.iter_mut().zip(row).rev() {
                            all = join(widen(x), all);
                            *y = narrow(all);
                        }
                        continue;
                    }
                    vectorize(
                        #[inline(always)]
                        |_| {
                            // Parts of the row side by side, each from what the parts before it come to: or else every
                            // step waits for the one before.
                            let part = if n < 16 * CHAINS { 0 } else { n / CHAINS };
                            let mut all = [start; CHAINS];
                            for c in 1..CHAINS * usize::from(part > 0) {
                                let before = &row[(c - 1) * part..c * part];
                                let total = accumulate::fold(
                                    before,
                                    start,
                                    #[inline(always)]
                                    |a, x| join(a, widen(x)),
                                    join,
                                );
                                all[c] = join(all[c - 1], total);
                            }
                            let (mut xs, mut ys) = (
                                row[..CHAINS * part].chunks_exact(part.max(1)),
                                to[..CHAINS * part].chunks_exact_mut(part.max(1)),
                            );
                            let xs: [&[T]; CHAINS] = std::array::from_fn(|_| xs.next().unwrap_or(&[]));
                            let mut ys: [&mut [U]; CHAINS] = std::array::from_fn(|_| ys.next().unwrap_or(&mut []));
                            let [xa, xb, xc, xd] = xs;
                            let [ya, yb, yc, yd] = &mut ys;
                            let [mut a, mut b, mut c, mut d] = all;
                            let inputs = xa.iter().zip(xb).zip(xc.iter().zip(xd));
                            let outputs = ya.iter_mut().zip(yb.iter_mut()).zip(yc.iter_mut().zip(yd.iter_mut()));
                            for (((&xa, &xb), (&xc, &xd)), ((ya, yb), (yc, yd))) in inputs.zip(outputs) {
                                (a, b, c, d) =
                                    (join(a, widen(xa)), join(b, widen(xb)), join(c, widen(xc)), join(d, widen(xd)));
                                (*ya, *yb, *yc, *yd) = (narrow(a), narrow(b), narrow(c), narrow(d));
                            }
                            let mut all = d;
                            for (y, &x) in to.iter_mut().zip(row).skip(CHAINS * part) {
                                all = join(all, widen(x));
                                *y = narrow(all);
                            }
                        },
                    );
                }
            });
        }
        let across = inner.div_ceil(COLUMNS);
        let grain = (GRAIN / (n * inner.min(COLUMNS))).max(1);
        pool::ranges(x.len() / (n * inner) * across, grain, &|range| {
            for task in range {
                let first = task % across * COLUMNS;
                let (width, at) = (COLUMNS.min(inner - first), task / across * n * inner + first);
                vectorize(
                    #[inline(always)]
                    |_| {
                        let mut all = [start; COLUMNS];
                        for k in 0..n {
                            let here = at + if reversed { n - 1 - k } else { k } * inner;
                            // SAFETY: these columns are this task's alone.
                            let to = unsafe { out.part(here..here + width) };
                            for ((a, y), &x) in all.iter_mut().zip(to).zip(&x[here..here + width]) {
                                *a = join(*a, widen(x));
                                *y = narrow(*a);
                            }
                        }
                    },
                );
            }
        })
    }
}
