//! Running sums, products and extremes along one dimension of dense operands.
use super::pool::{self, Parts};
use super::simd::vectorize;
use crate::error::Result;
use std::ops::Range;

mod sums;

/// Elements a task.
const GRAIN: usize = 1 << 14;
/// Columns side by side.
const COLUMNS: usize = 128;

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
        widen: impl Fn(T) -> A + Copy + Sync,
        join: impl Fn(A, A) -> A + Copy + Sync,
        narrow: impl Fn(A) -> U + Copy + Sync,
    ) -> Result<()> {
        let Lines { n, inner, reversed } = *self;
        if x.is_empty() {
            return Ok(());
        }
        if inner == 1 {
            return self.rows(x, out, |x, out| {
                vectorize(
                    #[inline(always)]
                    |_| {
                        for (row, to) in x.chunks(n).zip(out.chunks_mut(n)) {
                            if reversed {
                                along::<true, _, _, _>(row, to, start, widen, join, narrow);
                            } else {
                                along::<false, _, _, _>(row, to, start, widen, join, narrow);
                            }
                        }
                    },
                );
            });
        }
        let out = Parts::new(out);
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

    /// Gives `work` some whole rows at a time, and where their results go.
    fn rows<T: Sync, U: Send + Sync>(
        &self,
        x: &[T],
        out: &mut [U],
        work: impl Fn(&[T], &mut [U]) + Sync,
    ) -> Result<()> {
        let (n, out) = (self.n, Parts::new(out));
        pool::ranges(x.len() / n, (GRAIN / n).max(1), &|rows: Range<usize>| {
            let all = rows.start * n..rows.end * n;
            // SAFETY: each row belongs to one task.
            work(&x[all.clone()], unsafe { out.part(all) });
        })
    }
}

/// One row, from its end if `REVERSED`. Four elements at a time come together among themselves first: only one step of
/// the four waits for what was before.
#[inline(always)]
fn along<const REVERSED: bool, T: Copy, A: Copy, U: Copy>(
    x: &[T],
    out: &mut [U],
    start: A,
    widen: impl Fn(T) -> A + Copy,
    join: impl Fn(A, A) -> A + Copy,
    narrow: impl Fn(A) -> U + Copy,
) {
    let mut all = start;
    if REVERSED {
        let ((x_rest, xs), (y_rest, ys)) = (x.as_rchunks::<4>(), out.as_rchunks_mut::<4>());
        for (x, y) in xs.iter().zip(ys).rev() {
            all = four::<true, _, _, _>(all, x, y, widen, join, narrow);
        }
        for (x, y) in x_rest.iter().zip(y_rest).rev() {
            all = join(all, widen(*x));
            *y = narrow(all);
        }
    } else {
        let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<4>(), out.as_chunks_mut::<4>());
        for (x, y) in xs.iter().zip(ys) {
            all = four::<false, _, _, _>(all, x, y, widen, join, narrow);
        }
        for (x, y) in x_rest.iter().zip(y_rest) {
            all = join(all, widen(*x));
            *y = narrow(all);
        }
    }
}

#[inline(always)]
fn four<const REVERSED: bool, T: Copy, A: Copy, U: Copy>(
    all: A,
    x: &[T; 4],
    y: &mut [U; 4],
    widen: impl Fn(T) -> A + Copy,
    join: impl Fn(A, A) -> A + Copy,
    narrow: impl Fn(A) -> U + Copy,
) -> A {
    let [a, b, c, d] = if REVERSED { [x[3], x[2], x[1], x[0]] } else { *x };
    let x = [widen(a), widen(b), widen(c), widen(d)];
    let two = [x[0], join(x[0], x[1]), x[2], join(x[2], x[3])];
    let four = [two[0], two[1], join(two[1], two[2]), join(two[1], two[3])];
    let done = [
        narrow(join(all, four[0])),
        narrow(join(all, four[1])),
        narrow(join(all, four[2])),
        narrow(join(all, four[3])),
    ];
    *y = if REVERSED { [done[3], done[2], done[1], done[0]] } else { done };
    join(all, four[3])
}
