//! Extremes and where they are.
use super::super::{
    View, accumulate, map,
    number::Ordered,
    pool,
    simd::{LINE, prefetch, vectorize},
};
use super::{COLUMNS, Plan};
use crate::dtype::Element;
use crate::error::Result;

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

/// Elements that are compared with the extreme together.
const CHUNK: usize = 64;

/// First the extreme, then the first element like it: both by vectors. While the second looks at what the first cache holds,
/// the next row is asked for.
fn row<T: Element + Ordered>(x: &[T], largest: bool) -> (T, usize) {
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
            let (chunks, rest) = x.as_chunks::<CHUNK>();
            for (c, chunk) in chunks.iter().enumerate() {
                for line in (0..size_of_val(chunk)).step_by(LINE) {
                    prefetch(chunk.as_ptr().wrapping_add(x.len()).wrapping_byte_add(line));
                }
                let mut hits = [0u8; CHUNK];
                for i in 0..CHUNK {
                    hits[i] = u8::from((chunk[i] == best) | (nothing & chunk[i].is_nothing()));
                }
                for (w, eight) in hits.as_chunks::<8>().0.iter().enumerate() {
                    let word = u64::from_le_bytes(*eight);
                    if word != 0 {
                        let k = c * CHUNK + w * 8 + (word.trailing_zeros() / 8) as usize;
                        return (x[k], k);
                    }
                }
            }
            let like = |x: &T| *x == best || nothing && x.is_nothing();
            let k = rest.iter().position(like).map_or(0, |k| chunks.len() * CHUNK + k);
            (x[k], k)
        }};
    }
    if const { map::wide::<T>() } {
        vectorize(
            #[inline(always)]
            |_| find!(),
        )
    } else {
        find!()
    }
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
