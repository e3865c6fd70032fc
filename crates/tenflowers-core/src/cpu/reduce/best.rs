//! Extremes and where they are.
use super::super::{View, accumulate, map, number::Ordered, pool, simd::vectorize};
use super::{COLUMNS, Plan};
use crate::dtype::Element;
use crate::error::Result;
use std::ops::Range;

/// Whether `x` goes before `best`: by its size, and what is no number before all numbers. Equal ones do not.
#[inline(always)]
fn better<T: Ordered>(x: T, best: T, largest: bool) -> bool {
    !best.is_nothing() & (x.is_nothing() | if largest { x.above(best) } else { best.above(x) })
}

/// The first of the largest or smallest elements along one dimension, and its number there, for each output.
pub fn best<T: Element + Ordered>(
    x: &View,
    plan: &Plan,
    largest: bool,
    write: &(dyn Fn(usize, T, usize) + Sync),
) -> Result<()> {
    let (columns, runs) = (plan.columns() && plan.elements <= u32::MAX as usize, plan.runs());
    pool::ranges(plan.outputs, plan.grain(), &|range| {
        let (p, mut number) = (x.ptr::<T>(), range.start);
        plan.kept.run(range, &mut |at, step, n| {
            if columns {
                for first in (0..n).step_by(COLUMNS) {
                    let base = p.wrapping_offset(at[0] + first as isize);
                    let width = COLUMNS.min(n - first);
                    column(base, plan, width, largest, &mut |i, value, k| write(number + i, value, k));
                    number += width;
                }
                return;
            }
            for i in 0..n as isize {
                let p = p.wrapping_offset(at[0] + i * step[0]);
                let (value, k) = if runs {
                    // SAFETY: the walks stay within the view.
                    row(unsafe { std::slice::from_raw_parts(p, plan.elements) }, largest)
                } else {
                    apart(p, plan, largest)
                };
                write(number, value, k);
                number += 1;
            }
        });
    })
}

/// First the extreme, then the first element like it: both by vectors.
fn row<T: Element + Ordered>(x: &[T], largest: bool) -> (T, usize) {
    let found = |range: Range<usize>, best: T| {
        x[range.clone()].iter().position(|&x| x == best || best.is_nothing() && x.is_nothing()).map(|k| range.start + k)
    };
    macro_rules! find {
        () => {{
            let start = if largest { T::LOWEST } else { T::HIGHEST };
            let best = if largest {
                accumulate::fold(
                    x,
                    start,
                    #[inline(always)]
                    |a: T, x: T| a.larger(x),
                    #[inline(always)]
                    |a: T, b: T| a.larger(b),
                )
            } else {
                accumulate::fold(
                    x,
                    start,
                    #[inline(always)]
                    |a: T, x: T| a.smaller(x),
                    #[inline(always)]
                    |a: T, b: T| a.smaller(b),
                )
            };
            let nothing = best.is_nothing();
            let mut at = 0;
            for chunk in x.chunks(64) {
                let mut any = false;
                for &x in chunk {
                    any |= (x == best) | (nothing & x.is_nothing());
                }
                if any {
                    break;
                }
                at += 64;
            }
            (best, at)
        }};
    }
    let (best, at) = if const { map::wide::<T>() } {
        vectorize(
            #[inline(always)]
            |_| find!(),
        )
    } else {
        find!()
    };
    let k = found(at.min(x.len())..x.len().min(at + 64), best).unwrap_or(0);
    (x[k], k)
}

fn column<T: Element + Ordered>(
    base: *const T,
    plan: &Plan,
    width: usize,
    largest: bool,
    write: &mut dyn FnMut(usize, T, usize),
) {
    // SAFETY: the first row of columns side by side, which the plan has.
    let first = unsafe { std::slice::from_raw_parts(base, width) };
    let (mut values, mut places) = ([T::default(); COLUMNS], [0u32; COLUMNS]);
    let (values, places) = (&mut values[..width], &mut places[..width]);
    values.copy_from_slice(first);
    let mut k = 0u32;
    plan.reduced.all(&mut |at, step, m| {
        macro_rules! pick {
            () => {
                for j in 0..m {
                    let start = base.wrapping_offset(at[0] + j as isize * step[0]);
                    // SAFETY: the walks stay within the view.
                    let row = unsafe { std::slice::from_raw_parts(start, width) };
                    prefer(values, places, row, k + j as u32, largest);
                }
            };
        }
        if const { map::wide::<T>() } {
            vectorize(
                #[inline(always)]
                |_| pick!(),
            );
        } else {
            pick!();
        }
        k += m as u32;
    });
    for i in 0..width {
        write(i, values[i], places[i] as usize);
    }
}

/// Puts the elements of row `k` where they go before those found so far.
#[inline(always)]
fn prefer<T: Ordered>(values: &mut [T], places: &mut [u32], row: &[T], k: u32, largest: bool) {
    for ((value, place), &x) in values.iter_mut().zip(places).zip(row) {
        let wins = better(x, *value, largest);
        *value = if wins { x } else { *value };
        *place = if wins { k } else { *place };
    }
}

fn apart<T: Element + Ordered>(p: *const T, plan: &Plan, largest: bool) -> (T, usize) {
    let (mut found, mut k) = ((T::default(), usize::MAX), 0);
    plan.reduced.all(&mut |at, step, n| {
        for j in 0..n as isize {
            // SAFETY: the walks stay within the view.
            let value = unsafe { *p.offset(at[0] + j * step[0]) };
            if found.1 == usize::MAX || better(value, found.0, largest) {
                found = (value, k);
            }
            k += 1;
        }
    });
    found
}
