//! Evenly spaced numbers, and the way by which elements that are made from their index come into an output.
use super::cast::cast;
use super::simd::vectorize;
use super::{View, ViewMut, pool};
use crate::dtype::{C64, DType, Element};
use crate::error::{Result, TensorError};
use crate::layout::Layout;
use std::ops::Range;

/// Elements of one task.
const GRAIN: usize = 1 << 14;
/// Elements that go by a buffer together.
pub(super) const BLOCK: usize = 1 << 10;

const _: () = assert!(GRAIN.is_multiple_of(4) && BLOCK.is_multiple_of(4));

/// Fills an output, which lies in one run, by parts: `part` gets the index of its first element, a multiple of 4. Another dtype
/// than that of the output is converted.
pub(super) fn by_parts<T: Element>(out: &mut ViewMut, part: impl Fn(usize, &mut [T]) + Sync) -> Result<()> {
    let n = out.layout.numel();
    let (to, dtype) = (out.start() as usize, out.dtype);
    let task = |range: Range<usize>| {
        if dtype == T::ELEMENT {
            // SAFETY: parts of a run that nobody else has.
            let run = unsafe { std::slice::from_raw_parts_mut((to as *mut T).add(range.start), range.len()) };
            part(range.start, run);
            return Ok(());
        }
        let mut buffer = [T::default(); BLOCK];
        for at in range.clone().step_by(BLOCK) {
            let run = &mut buffer[..BLOCK.min(range.end - at)];
            part(at, run);
            let layout = Layout::contiguous(&[run.len()]);
            // SAFETY: as above.
            let mut out = unsafe { ViewMut::new((to as *mut u8).add(at * dtype.size()), &layout, dtype) };
            cast(&View::of_slice(run, &layout), &mut out)?;
        }
        Ok::<(), TensorError>(())
    };
    if n <= GRAIN {
        return task(0..n);
    }
    // A conversion fails only where a user has interrupted, which the pool finds out too.
    pool::ranges(n, GRAIN, &|range| drop(task(range)))
}

/// `start + i * step`.
#[derive(Debug, Clone, Copy)]
pub enum Sequence {
    Integers {
        start: i64,
        step: i64,
    },
    /// With an end, the second half is counted from there, so that both ends are exact.
    Floats {
        start: f64,
        step: f64,
        end: Option<f64>,
    },
    Complex {
        start: C64,
        step: C64,
        end: Option<C64>,
    },
}

/// Fills an output, which lies in one run.
pub fn fill(sequence: Sequence, out: &mut ViewMut) -> Result<()> {
    let (n, dtype) = (out.layout.numel(), out.dtype);
    match sequence {
        Sequence::Integers { start, step } => by_parts(out, |at, run: &mut [i64]| {
            let start = start.wrapping_add(step.wrapping_mul(at as i64));
            vectorize(
                #[inline(always)]
                |_| (0i64..).zip(run).for_each(|(i, x)| *x = start.wrapping_add(i.wrapping_mul(step))),
            );
        }),
        Sequence::Floats { start, step, end } if dtype == DType::F32 => by_parts(out, |at, run: &mut [f32]| {
            floats(
                at,
                run,
                (start, step, end, n),
                #[inline(always)]
                |x| x as f32,
            )
        }),
        Sequence::Floats { start, step, end } => by_parts(out, |at, run: &mut [f64]| {
            floats(
                at,
                run,
                (start, step, end, n),
                #[inline(always)]
                |x| x,
            )
        }),
        Sequence::Complex { start, step, end } => by_parts(out, |at, run: &mut [C64]| {
            for (i, x) in (at..).zip(run) {
                *x = match end {
                    Some(end) if i >= n / 2 => end - step * (n - 1 - i) as f64,
                    _ => start + step * i as f64,
                };
            }
        }),
    }
}

/// Part `at` of `n` numbers.
#[inline(always)]
fn floats<T>(at: usize, run: &mut [T], (start, step, end, n): (f64, f64, Option<f64>, usize), f: impl Fn(f64) -> T) {
    let half = end.map_or(run.len(), |_| (n / 2).saturating_sub(at).min(run.len()));
    let (low, high) = run.split_at_mut(half);
    vectorize(
        #[inline(always)]
        |_| {
            let first = at as f64;
            for (i, x) in (0i32..).zip(low) {
                *x = f(start + (first + f64::from(i)) * step);
            }
            // Below zero only where nothing is left to fill.
            let (end, left) = (end.unwrap_or(start), n.wrapping_sub(at + half + 1) as f64);
            for (i, x) in (0i32..).zip(high) {
                *x = f(end - (left - f64::from(i)) * step);
            }
        },
    );
}
