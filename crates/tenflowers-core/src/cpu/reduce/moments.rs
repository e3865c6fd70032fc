//! Means and variances.
use super::super::accumulate::{Moments, Summed, not_below_zero};
use super::super::{View, pool, pool::Parts, simd::vectorize};
use super::{BLOCK, GRAIN, Plan, gathered};
use crate::dtype::Element;
use crate::error::Result;

/// Columns that are worked on side by side.
const COLUMNS: usize = 512;

/// The moments of the elements behind each output, by its number: memory is read once.
pub fn moments<T: Element + Summed>(x: &View, plan: &Plan, write: &(dyn Fn(usize, Moments) + Sync)) -> Result<()> {
    let (outputs, elements) = (plan.outputs, plan.elements);
    if outputs == 1 && elements > BLOCK {
        let blocks = elements.div_ceil(BLOCK);
        let mut found = vec![Moments::default(); blocks];
        let parts = Parts::new(&mut found);
        pool::parallel(blocks, &|b| {
            // SAFETY: each block has its own place.
            let mine = unsafe { parts.part(b..b + 1) };
            mine[0] = one(x.ptr::<T>(), plan, b * BLOCK..elements.min((b + 1) * BLOCK));
        })?;
        write(0, found.iter().fold(Moments::default(), |a, &b| a.merged(b)));
        return Ok(());
    }
    let columns = plan.columns() && plan.reduced.is_run();
    pool::ranges(outputs, plan.grain(), &|range| {
        let (p, mut number) = (x.ptr::<T>(), range.start);
        plan.kept.run(range, &mut |at, step, n| {
            if columns {
                for first in (0..n).step_by(COLUMNS) {
                    let width = COLUMNS.min(n - first);
                    let base = p.wrapping_offset(at[0] + first as isize);
                    let mut found = [Moments::default(); COLUMNS];
                    let apart = plan.reduced.inner()[0];
                    let row = |k: usize| {
                        let start = base.wrapping_offset(k as isize * apart);
                        // SAFETY: the walks stay within the view, and the outputs lie side by side.
                        unsafe { std::slice::from_raw_parts(start, width) }
                    };
                    column_moments(elements, &row, &mut found[..width]);
                    found[..width].iter().enumerate().for_each(|(i, &m)| write(number + i, m));
                    number += width;
                }
                return;
            }
            for i in 0..n as isize {
                write(number, one(p.wrapping_offset(at[0] + i * step[0]), plan, 0..elements));
                number += 1;
            }
        });
    })
}

fn one<T: Element + Summed>(p: *const T, plan: &Plan, elements: std::ops::Range<usize>) -> Moments {
    let mut all = Moments::default();
    let mut take = |run: &[T]| {
        all = all.merged(vectorize(
            #[inline(always)]
            |lanes| Moments::of(lanes, run),
        ));
    };
    if plan.runs() {
        // SAFETY: the walk stays within the view.
        take(unsafe { std::slice::from_raw_parts(p.wrapping_add(elements.start), elements.len()) });
    } else {
        gathered(p, plan, elements, &mut take);
    }
    all
}

/// The moments of columns side by side, of which `row` gives the elements: a block of rows at a time, read twice from the
/// cache.
pub fn column_moments<'a, T: Summed>(rows: usize, row: &dyn Fn(usize) -> &'a [T], found: &mut [Moments]) {
    let width = found.len();
    assert!(width <= COLUMNS);
    let block = (GRAIN / 2 / width.max(1)).clamp(8, 64);
    for first in (0..rows).step_by(block) {
        let n = block.min(rows - first);
        let (mut sums, mut near, mut squares) = ([0.0; COLUMNS], [T::zero(); COLUMNS], [T::zero(); COLUMNS]);
        let share = 1.0 / n as f64;
        vectorize(
            #[inline(always)]
            |_| {
                // In double precision, so that the mean is right to its last place.
                let fours = n / 4 * 4;
                for k in (first..first + fours).step_by(4) {
                    add_four(&mut sums[..width], row(k), row(k + 1), row(k + 2), row(k + 3));
                }
                for k in first + fours..first + n {
                    add(&mut sums[..width], row(k));
                }
                for (m, s) in near.iter_mut().zip(&sums) {
                    *m = T::rounded(s * share);
                }
                for k in first..first + n {
                    add_squares(&mut squares[..width], row(k), &near[..width]);
                }
            },
        );
        let n = n as f64;
        for (((found, &s), &near), &q) in found.iter_mut().zip(&sums).zip(&near).zip(&squares) {
            let (mean, near, q): (f64, f64, f64) = (s / n, near.into(), q.into());
            let off = mean - near;
            *found = found.merged(Moments { count: n, mean, squares: not_below_zero(q - off * off * n) });
        }
    }
}

#[inline(always)]
fn add<T: Summed>(sums: &mut [f64], x: &[T]) {
    for (s, &x) in sums.iter_mut().zip(x) {
        *s += x.into();
    }
}

#[inline(always)]
fn add_four<T: Summed>(sums: &mut [f64], a: &[T], b: &[T], c: &[T], d: &[T]) {
    for ((((s, &a), &b), &c), &d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *s += (a.into() + b.into()) + (c.into() + d.into());
    }
}

#[inline(always)]
fn add_squares<T: Summed>(sums: &mut [T], x: &[T], near: &[T]) {
    for ((s, &x), &m) in sums.iter_mut().zip(x).zip(near) {
        let apart = x - m;
        *s = *s + apart * apart;
    }
}
