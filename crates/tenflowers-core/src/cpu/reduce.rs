//! Reductions over any dimensions of any layout. How the work is cut depends on shapes only, and parts are merged in order.
use super::walk::Walk;
use super::{View, map, pool, simd::vectorize};
use crate::dtype::Element;
use crate::error::Result;
use crate::layout::{Shape, Strides};
use std::ops::Range;
use std::sync::Mutex;

/// Accumulators that run side by side over one row.
const LANES: usize = 16;
/// Outputs that are accumulated side by side where they lie side by side.
const COLUMNS: usize = 128;
/// Elements that one accumulator sees before its result is merged with others.
const BLOCK: usize = 1 << 16;
/// Elements a task.
const GRAIN: usize = 1 << 15;

/// The dimensions that stay and those that go, each with the strides of the input.
pub struct Plan {
    kept: Walk,
    reduced: Walk,
    outputs: usize,
    elements: usize,
}

impl Plan {
    pub fn new(x: &View, dims: &[usize]) -> Plan {
        let part = |reduced: bool| {
            let dims = (0..x.layout.rank()).filter(|d| dims.contains(d) == reduced);
            let (shape, strides): (Shape, Strides) = dims.map(|d| (x.layout.shape[d], x.layout.strides[d])).unzip();
            (shape.iter().product(), Walk::new(&shape, &[&strides]))
        };
        let ((outputs, kept), (elements, reduced)) = (part(false), part(true));
        Plan { kept, reduced, outputs, elements }
    }
    /// The number of elements that come together in one.
    pub fn elements(&self) -> usize {
        self.elements
    }
    /// Whether outputs lie side by side, closer than the elements that come together.
    fn columns(&self) -> bool {
        let near = self.reduced.inner()[0].unsigned_abs();
        self.kept.inner()[0] == 1 && near != 1 && self.outputs >= 4
    }
}

/// How elements come together.
pub struct Fold<A, S, M> {
    pub start: A,
    pub step: S,
    pub merge: M,
}

impl<A: Copy + Send + Sync, S, M: Fn(A, A) -> A + Sync> Fold<A, S, M> {
    /// Folds the elements behind each output and hands over the result of each, by its number.
    pub fn run<T: Element>(&self, x: &View, plan: &Plan, write: &(dyn Fn(usize, A) + Sync)) -> Result<()>
    where
        S: Fn(A, T) -> A + Sync,
    {
        let (outputs, elements) = (plan.outputs, plan.elements);
        if elements <= BLOCK {
            let grain = (GRAIN / elements.max(1)).max(1);
            return pool::ranges(outputs, grain, &|range| {
                self.part(x, plan, range.clone(), 0..elements, &mut |i, a| write(i, a));
            });
        }
        // Many elements: blocks of them in parallel, merged in order.
        let blocks = elements.div_ceil(BLOCK);
        let parts = Mutex::new(vec![self.start; blocks * outputs]);
        pool::parallel(blocks, &|b| {
            let mut mine = vec![self.start; outputs];
            self.part(x, plan, 0..outputs, b * BLOCK..elements.min((b + 1) * BLOCK), &mut |i, a| mine[i] = a);
            let mut parts = parts.lock().unwrap_or_else(|e| e.into_inner());
            parts[b * outputs..][..outputs].copy_from_slice(&mine);
        })?;
        let parts = parts.into_inner().unwrap_or_else(|e| e.into_inner());
        for i in 0..outputs {
            let rest = (1..blocks).fold(parts[i], |a, b| (self.merge)(a, parts[b * outputs + i]));
            write(i, rest);
        }
        Ok(())
    }

    fn part<T: Element>(
        &self,
        x: &View,
        plan: &Plan,
        outputs: Range<usize>,
        elements: Range<usize>,
        write: &mut dyn FnMut(usize, A),
    ) where
        S: Fn(A, T) -> A + Sync,
    {
        let p = x.ptr::<T>();
        let mut number = outputs.start;
        let columns = plan.columns();
        plan.kept.run(outputs, &mut |at, step, n| {
            if !columns {
                for i in 0..n as isize {
                    write(number, self.row(p.wrapping_offset(at[0] + i * step[0]), plan, elements.clone()));
                    number += 1;
                }
                return;
            }
            for first in (0..n).step_by(COLUMNS) {
                let width = COLUMNS.min(n - first);
                let mut sums = [self.start; COLUMNS];
                let base = p.wrapping_offset(at[0] + first as isize);
                plan.reduced.run(elements.clone(), &mut |at, step, m| {
                    macro_rules! add {
                        () => {
                            for j in 0..m as isize {
                                let start = base.wrapping_offset(at[0] + j * step[0]);
                                // SAFETY: the walks stay within the view, and the outputs lie side by side.
                                let row = unsafe { std::slice::from_raw_parts(start, width) };
                                for (sum, &x) in sums.iter_mut().zip(row) {
                                    *sum = (self.step)(*sum, x);
                                }
                            }
                        };
                    }
                    if const { map::wide::<T>() } {
                        vectorize(
                            #[inline(always)]
                            |_| add!(),
                        );
                    } else {
                        add!();
                    }
                });
                for &sum in &sums[..width] {
                    write(number, sum);
                    number += 1;
                }
            }
        });
    }

    fn row<T: Element>(&self, p: *const T, plan: &Plan, elements: Range<usize>) -> A
    where
        S: Fn(A, T) -> A + Sync,
    {
        let mut lanes = [self.start; LANES];
        plan.reduced.run(elements, &mut |at, step, n| {
            let p = p.wrapping_offset(at[0]);
            if step[0] != 1 {
                for i in 0..n {
                    // SAFETY: the walk stays within the view.
                    let x = unsafe { *p.offset(i as isize * step[0]) };
                    lanes[i % LANES] = (self.step)(lanes[i % LANES], x);
                }
                return;
            }
            // SAFETY: the walk stays within the view.
            let row = unsafe { std::slice::from_raw_parts(p, n) };
            macro_rules! add {
                () => {{
                    let chunks = row.chunks_exact(LANES);
                    let rest = chunks.remainder();
                    for chunk in chunks {
                        for (lane, &x) in lanes.iter_mut().zip(chunk) {
                            *lane = (self.step)(*lane, x);
                        }
                    }
                    for (lane, &x) in lanes.iter_mut().zip(rest) {
                        *lane = (self.step)(*lane, x);
                    }
                }};
            }
            if const { map::wide::<T>() } {
                vectorize(
                    #[inline(always)]
                    |_| add!(),
                );
            } else {
                add!();
            }
        });
        lanes[1..].iter().fold(lanes[0], |a, &b| (self.merge)(a, b))
    }
}

/// The place of the element that `better` prefers to all before it, along one dimension, for each output: its number there.
pub fn best<T: Element>(
    x: &View,
    plan: &Plan,
    better: impl Fn(T, T) -> bool + Sync,
    write: &(dyn Fn(usize, T, usize) + Sync),
) -> Result<()> {
    let grain = (GRAIN / plan.elements.max(1)).max(1);
    pool::ranges(plan.outputs, grain, &|range| {
        let mut number = range.start;
        plan.kept.run(range, &mut |at, step, n| {
            for i in 0..n as isize {
                let p = x.ptr::<T>().wrapping_offset(at[0] + i * step[0]);
                let (mut found, mut k): (Option<(T, usize)>, usize) = (None, 0);
                plan.reduced.all(&mut |at, step, n| {
                    for j in 0..n as isize {
                        // SAFETY: the walks stay within the view.
                        let value = unsafe { *p.offset(at[0] + j * step[0]) };
                        if found.is_none_or(|(best, _)| better(value, best)) {
                            found = Some((value, k));
                        }
                        k += 1;
                    }
                });
                if let Some((value, k)) = found {
                    write(number, value, k);
                }
                number += 1;
            }
        });
    })
}
