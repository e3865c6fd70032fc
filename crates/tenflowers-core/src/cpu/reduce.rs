//! Reductions over any dimensions of any layout. How the work is cut depends on shapes only, and parts are merged in order.
mod best;
mod moments;

pub use best::best;
pub use moments::{column_moments, moments};

use super::walk::Walk;
use super::{View, accumulate, map, pool, pool::Parts, simd::vectorize};
use crate::dtype::Element;
use crate::error::Result;
use crate::layout::{Shape, Strides};
use smallvec::SmallVec;
use std::ops::Range;

/// Outputs that are accumulated side by side where they lie side by side.
const COLUMNS: usize = 512;
/// Rows whose results are handed over together.
const ROWS: usize = 32;
/// Elements that one accumulator of a column sees before it is merged into the next level's, and results of a level that
/// come together in one of the next.
const STEPS: usize = 64;
/// Elements that come together in one run of work.
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
    /// `ordered` where the elements of an output are numbered, so that their order counts.
    pub fn new(x: &View, dims: &[usize], ordered: bool) -> Plan {
        let part = |reduced: bool| {
            let dims = (0..x.layout.rank()).filter(|d| dims.contains(d) == reduced);
            let mut dims: SmallVec<[usize; 6]> = dims.filter(|&d| x.layout.shape[d] != 1).collect();
            if reduced && !ordered {
                // As they lie in memory, so that a transposed tensor is one run as well.
                dims.sort_by_key(|&d| std::cmp::Reverse(x.layout.strides[d].unsigned_abs()));
            }
            let dims = dims.iter().map(|&d| (x.layout.shape[d], x.layout.strides[d]));
            let (shape, strides): (Shape, Strides) = dims.unzip();
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
        self.kept.inner()[0] == 1 && (near != 1 || self.elements < 2) && self.outputs >= 4
    }
    /// Whether the elements of each output are one run.
    fn runs(&self) -> bool {
        self.reduced.inner()[0] == 1 && self.reduced.is_run()
    }
    /// Outputs a task: whole stripes of columns where there are enough.
    fn grain(&self) -> usize {
        let grain = (GRAIN / self.elements.max(1)).max(1);
        if self.columns() { grain.clamp(COLUMNS / 2, self.outputs.max(COLUMNS / 2)) } else { grain }
    }
}

/// How elements come together.
pub struct Fold<A, S, M> {
    pub start: A,
    pub step: S,
    pub merge: M,
}

impl<A: Copy + Send + Sync, S, M: Fn(A, A) -> A + Copy + Sync> Fold<A, S, M> {
    /// All elements of a slice of at most 64K.
    pub fn slice<T: Element>(&self, x: &[T]) -> A
    where
        S: Fn(A, T) -> A + Copy + Sync,
    {
        if const { map::wide::<T>() } && x.len() >= 16 {
            return vectorize(
                #[inline(always)]
                |_| accumulate::fold(x, self.start, self.step, self.merge),
            );
        }
        accumulate::fold(x, self.start, self.step, self.merge)
    }

    /// Folds the elements behind each output and hands over the result of each, by its number.
    pub fn run<T: Element>(&self, x: &View, plan: &Plan, write: &(dyn Fn(usize, A) + Sync)) -> Result<()>
    where
        S: Fn(A, T) -> A + Copy + Sync,
    {
        let (outputs, elements) = (plan.outputs, plan.elements);
        let grain = plan.grain();
        let few = outputs < 4 * grain && elements >= 64 && outputs * elements >= 4 * GRAIN;
        if elements <= BLOCK && !few {
            return pool::ranges(outputs, grain, &|range| {
                self.part(x, plan, range.clone(), 0..elements, &mut |first, found| {
                    found.iter().enumerate().for_each(|(i, &a)| write(first + i, a));
                });
            });
        }
        // Many elements, or few outputs: blocks of elements in parallel, merged in pairs.
        let block = (4 * GRAIN / outputs.max(1)).clamp(64, BLOCK);
        let blocks = elements.div_ceil(block);
        let mut found = vec![self.start; blocks * outputs];
        let parts = Parts::new(&mut found);
        pool::parallel(blocks, &|b| {
            // SAFETY: each block has its own part.
            let mine = unsafe { parts.part(b * outputs..(b + 1) * outputs) };
            self.part(x, plan, 0..outputs, b * block..elements.min((b + 1) * block), &mut |first, found| {
                mine[first..first + found.len()].copy_from_slice(found);
            });
        })?;
        let mut apart = 1;
        while apart < blocks {
            for b in (0..blocks - apart).step_by(2 * apart) {
                let (one, other) = found[b * outputs..].split_at_mut(apart * outputs);
                for (a, &c) in one[..outputs].iter_mut().zip(&other[..outputs]) {
                    *a = (self.merge)(*a, c);
                }
            }
            apart *= 2;
        }
        found[..outputs].iter().enumerate().for_each(|(i, &a)| write(i, a));
        Ok(())
    }

    fn part<T: Element>(
        &self,
        x: &View,
        plan: &Plan,
        outputs: Range<usize>,
        elements: Range<usize>,
        write: &mut dyn FnMut(usize, &[A]),
    ) where
        S: Fn(A, T) -> A + Copy + Sync,
    {
        let p = x.ptr::<T>();
        let mut number = outputs.start;
        let (columns, runs) = (plan.columns(), plan.runs());
        plan.kept.run(outputs, &mut |at, step, n| {
            if columns {
                for first in (0..n).step_by(COLUMNS) {
                    let base = p.wrapping_offset(at[0] + first as isize);
                    let mut sums = [self.start; COLUMNS];
                    let sums = &mut sums[..COLUMNS.min(n - first)];
                    self.column(base, plan, elements.clone(), STEPS * STEPS, sums);
                    write(number, sums);
                    number += sums.len();
                }
                return;
            }
            for first in (0..n).step_by(ROWS) {
                let mut found = [self.start; ROWS];
                let found = &mut found[..ROWS.min(n - first)];
                let row = |i: usize| p.wrapping_offset(at[0] + (first + i) as isize * step[0]);
                if runs {
                    self.rows(&row, elements.clone(), found);
                } else {
                    for (i, a) in found.iter_mut().enumerate() {
                        *a = self.row(row(i), plan, elements.clone());
                    }
                }
                write(number, found);
                number += found.len();
            }
        });
    }

    /// Elements of rows, each in one run.
    fn rows<T: Element>(&self, row: &dyn Fn(usize) -> *const T, elements: Range<usize>, found: &mut [A])
    where
        S: Fn(A, T) -> A + Copy + Sync,
    {
        macro_rules! all {
            () => {
                for (i, a) in found.iter_mut().enumerate() {
                    // SAFETY: the walks stay within the view.
                    let x = unsafe { std::slice::from_raw_parts(row(i).wrapping_add(elements.start), elements.len()) };
                    *a = accumulate::fold(x, self.start, self.step, self.merge);
                }
            };
        }
        if const { map::wide::<T>() } {
            vectorize(
                #[inline(always)]
                |_| all!(),
            );
        } else {
            all!();
        }
    }

    /// Elements of columns side by side, a level for every `STEPS` results of the level below.
    fn column<T: Element>(&self, base: *const T, plan: &Plan, elements: Range<usize>, level: usize, sums: &mut [A])
    where
        S: Fn(A, T) -> A + Copy + Sync,
    {
        let width = sums.len();
        if elements.len() > level / STEPS && level > STEPS {
            for start in elements.clone().step_by(level / STEPS) {
                let mut below = [self.start; COLUMNS];
                let below = &mut below[..width];
                self.column(base, plan, start..elements.end.min(start + level / STEPS), level / STEPS, below);
                for (sum, &mut b) in sums.iter_mut().zip(below) {
                    *sum = (self.merge)(*sum, b);
                }
            }
            return;
        }
        plan.reduced.run(elements, &mut |at, apart, m| {
            macro_rules! add {
                () => {{
                    let (step, sums) = (self.step, &mut sums[..width]);
                    let row = |j: usize| {
                        let start = base.wrapping_offset(at[0] + j as isize * apart[0]);
                        // SAFETY: the walks stay within the view, and the outputs lie side by side.
                        unsafe { std::slice::from_raw_parts(start, width) }
                    };
                    let fours = m / 4 * 4;
                    for j in (0..fours).step_by(4) {
                        let (a, b, c, d) = (row(j), row(j + 1), row(j + 2), row(j + 3));
                        for i in 0..width {
                            let two = step(step(sums[i], a[i]), b[i]);
                            sums[i] = step(step(two, c[i]), d[i]);
                        }
                    }
                    for j in fours..m {
                        let a = row(j);
                        for i in 0..width {
                            sums[i] = step(sums[i], a[i]);
                        }
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
    }

    /// Elements in several runs, or apart.
    fn row<T: Element>(&self, p: *const T, plan: &Plan, elements: Range<usize>) -> A
    where
        S: Fn(A, T) -> A + Copy + Sync,
    {
        let mut all = self.start;
        gathered(p, plan, elements, &mut |run: &[T]| all = (self.merge)(all, self.slice(run)));
        all
    }
}

/// Hands over elements in runs of some length: as they lie, or collected.
fn gathered<T: Element>(p: *const T, plan: &Plan, elements: Range<usize>, take: &mut dyn FnMut(&[T])) {
    const ROOM: usize = 1024;
    let (mut buffer, mut held) = ([T::default(); ROOM], 0);
    plan.reduced.run(elements, &mut |at, step, n| {
        let p = p.wrapping_offset(at[0]);
        if step[0] == 1 && n >= ROOM / 4 {
            for start in (0..n).step_by(BLOCK) {
                // SAFETY: the walk stays within the view.
                take(unsafe { std::slice::from_raw_parts(p.add(start), BLOCK.min(n - start)) });
            }
            return;
        }
        for i in 0..n as isize {
            // SAFETY: the walk stays within the view.
            buffer[held] = unsafe { *p.offset(i * step[0]) };
            held += 1;
            if held == ROOM {
                take(&buffer);
                held = 0;
            }
        }
    });
    if held > 0 {
        take(&buffer[..held]);
    }
}
