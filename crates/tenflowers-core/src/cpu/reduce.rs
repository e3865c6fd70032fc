//! Reductions over any dimensions of any layout. How the work is cut depends on shapes only, and parts are merged in order.
mod best;
mod moments;

pub use best::best;
pub use moments::{column_moments, moments};

use super::accumulate::{self, CHAIN, FOUR, LONG};
use super::walk::Walk;
use super::{
    View, map, pool,
    pool::Parts,
    simd::{vectorize, vectorize_reads},
};
use crate::dtype::Element;
use crate::error::Result;
use crate::layout::{Shape, Strides};
use smallvec::SmallVec;
use std::ops::Range;

/// Outputs that are accumulated side by side where they lie side by side.
const COLUMNS: usize = 1024;
/// Rows whose results are handed over together.
const ROWS: usize = 32;
/// Elements that come together in one run of work.
const BLOCK: usize = LONG;
/// Blocks of one run that a task does.
const TOGETHER: usize = 4;
/// Elements a task.
const GRAIN: usize = 1 << 15;
/// The shortest rows that vectors are worth their end.
const SHORT: usize = 8;

/// How often sums of at most [`CHAIN`] are summed again for so many elements.
fn levels(elements: usize) -> u32 {
    elements.saturating_sub(1).checked_ilog(CHAIN).unwrap_or(0)
}

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
        if self.columns() { grain.clamp(COLUMNS / 4, self.outputs.max(COLUMNS / 4)) } else { grain }
    }
}

/// How elements come together.
pub struct Fold<A, S, M> {
    start: A,
    step: S,
    merge: M,
}

impl<A: Copy + Send + Sync, S, M: Fn(A, A) -> A + Copy + Sync> Fold<A, S, M> {
    /// From `start`, which changes nothing, by what adds an element and what adds two results.
    pub fn new<T>(start: A, step: S, merge: M) -> Self
    where
        S: Fn(A, T) -> A,
    {
        Fold { start, step, merge }
    }

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

    /// Folds the elements behind each output and hands over results with the number of the first.
    pub fn run<T: Element>(&self, x: &View, plan: &Plan, write: &(dyn Fn(usize, &[A]) + Sync)) -> Result<()>
    where
        S: Fn(A, T) -> A + Copy + Sync,
    {
        let (outputs, elements) = (plan.outputs, plan.elements);
        let grain = plan.grain();
        let few = outputs < 4 * grain && elements >= 64 && outputs * elements >= 4 * GRAIN;
        if elements <= BLOCK && !few {
            return pool::ranges(outputs, grain, &|range| {
                self.part(x, plan, range, 0..elements, &mut |first, found| write(first, found));
            });
        }
        // Many elements, or few outputs: blocks of elements in parallel, merged in pairs.
        let mut block = (4 * GRAIN / outputs.max(1)).clamp(64, BLOCK);
        if !plan.columns() && plan.reduced.inner_run() <= FOUR {
            block = block.next_multiple_of(plan.reduced.inner_run());
        }
        let blocks = elements.div_ceil(block);
        let mut found = vec![self.start; blocks * outputs];
        let parts = Parts::new(&mut found);
        if outputs == 1 && plan.runs() {
            // SAFETY: the walk stays within the view.
            let x = unsafe { std::slice::from_raw_parts(x.ptr::<T>(), elements) };
            pool::ranges(blocks, TOGETHER, &|range| {
                // SAFETY: each block has its own part.
                let mine = unsafe { parts.part(range.clone()) };
                for (a, part) in mine.iter_mut().zip(x[range.start * block..].chunks(block)) {
                    *a = self.slice(part);
                }
            })?;
        } else {
            pool::parallel(blocks, &|b| {
                // SAFETY: each block has its own part.
                let mine = unsafe { parts.part(b * outputs..(b + 1) * outputs) };
                self.part(x, plan, 0..outputs, b * block..elements.min((b + 1) * block), &mut |first, found| {
                    mine[first..first + found.len()].copy_from_slice(found);
                });
            })?;
        }
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
        write(0, &found[..outputs]);
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
        if plan.columns() {
            let mut sums = [self.start; COLUMNS];
            let mut below = vec![self.start; levels(elements.len()).saturating_sub(1) as usize * COLUMNS];
            plan.kept.run(outputs, &mut |at, _, n| {
                for first in (0..n).step_by(COLUMNS) {
                    let base = p.wrapping_offset(at[0] + first as isize);
                    let width = COLUMNS.min(n - first);
                    let sums = &mut sums[..width];
                    self.column(base, plan, elements.clone(), sums, &mut below);
                    write(number, sums);
                    number += width;
                }
            });
            return;
        }
        let runs = plan.runs();
        plan.kept.run(outputs, &mut |at, step, n| {
            for first in (0..n).step_by(ROWS) {
                let mut found = [self.start; ROWS];
                let found = &mut found[..ROWS.min(n - first)];
                let p = p.wrapping_offset(at[0] + first as isize * step[0]);
                if runs {
                    self.rows(p, step[0], elements.clone(), found);
                } else {
                    for (i, a) in found.iter_mut().enumerate() {
                        *a = self.row(p.wrapping_offset(i as isize * step[0]), plan, elements.clone());
                    }
                }
                write(number, found);
                number += found.len();
            }
        });
    }

    /// Elements of rows, each in one run, `step` apart.
    fn rows<T: Element>(&self, p: *const T, step: isize, elements: Range<usize>, found: &mut [A])
    where
        S: Fn(A, T) -> A + Copy + Sync,
    {
        let (p, n) = (p.wrapping_add(elements.start), elements.len());
        // SAFETY: the walks stay within the view.
        let row = |i: usize| unsafe { std::slice::from_raw_parts(p.wrapping_offset(i as isize * step), n) };
        if const { map::wide::<T>() } && elements.len() >= SHORT {
            vectorize_reads(
                p.addr() | (step.unsigned_abs() * size_of::<T>()),
                #[inline(always)]
                |_| accumulate::fold_rows(row, n, self.start, self.step, self.merge, found),
            );
        } else {
            for (i, a) in found.iter_mut().enumerate() {
                *a = accumulate::fold(row(i), self.start, self.step, self.merge);
            }
        }
    }

    /// Elements of columns side by side; `below` has room for the sums of each level of [`levels`] but the last.
    fn column<T: Element>(&self, base: *const T, plan: &Plan, elements: Range<usize>, sums: &mut [A], below: &mut [A])
    where
        S: Fn(A, T) -> A + Copy + Sync,
    {
        if elements.len() > CHAIN * CHAIN {
            let part = CHAIN.pow(levels(elements.len()));
            let (found, below) = below.split_at_mut(sums.len());
            for start in elements.clone().step_by(part) {
                if start == elements.start {
                    self.column(base, plan, start..elements.end.min(start + part), sums, below);
                    continue;
                }
                self.column(base, plan, start..elements.end.min(start + part), found, below);
                if const { map::wide::<T>() } {
                    vectorize(
                        #[inline(always)]
                        |_| self.add(sums, found),
                    );
                } else {
                    self.add(sums, found);
                }
            }
            return;
        }
        sums.fill(self.start);
        let width = sums.len();
        plan.reduced.run(elements, &mut |at, apart, m| {
            let row = |j: usize| {
                let start = base.wrapping_offset(at[0] + j as isize * apart[0]);
                // SAFETY: the walks stay within the view, and the outputs lie side by side.
                unsafe { std::slice::from_raw_parts(start, width) }
            };
            if const { map::wide::<T>() } {
                vectorize(
                    #[inline(always)]
                    |_| accumulate::fold_columns(sums, row, m, self.start, self.step, self.merge),
                );
            } else {
                accumulate::fold_columns(sums, row, m, self.start, self.step, self.merge);
            }
        });
    }

    #[inline(always)]
    fn add(&self, sums: &mut [A], found: &[A]) {
        for (sum, &a) in sums.iter_mut().zip(found) {
            *sum = (self.merge)(*sum, a);
        }
    }

    /// Elements in several runs, or apart.
    fn row<T: Element>(&self, p: *const T, plan: &Plan, elements: Range<usize>) -> A
    where
        S: Fn(A, T) -> A + Copy + Sync,
    {
        if const { map::wide::<T>() } && plan.reduced.inner()[0] == 1 {
            return self.short_runs(p, plan, elements);
        }
        let mut all = self.start;
        gathered(p, plan, elements, &mut |run: &[T]| all = (self.merge)(all, self.slice(run)));
        all
    }

    /// Elements in runs: equal ones that are short come together four at a time.
    fn short_runs<T: Element>(&self, p: *const T, plan: &Plan, elements: Range<usize>) -> A
    where
        S: Fn(A, T) -> A + Copy + Sync,
    {
        let merge = self.merge;
        let (mut all, mut part, mut merged) = (self.start, self.start, 0);
        let mut flush = |runs: &[&[T]]| {
            let found = if let &[a, b, c, d] = runs {
                let [a, b, c, d] = vectorize(
                    #[inline(always)]
                    |_| accumulate::fold_four(a, b, c, d, self.start, self.step, merge),
                );
                merge(merge(a, b), merge(c, d))
            } else {
                runs.iter().fold(self.start, |all, run| merge(all, self.slice(run)))
            };
            part = merge(part, found);
            merged += 1;
            if merged == CHAIN {
                (all, part, merged) = (merge(all, part), self.start, 0);
            }
        };
        let (mut runs, mut held): ([&[T]; 4], usize) = ([&[]; 4], 0);
        plan.reduced.run(elements, &mut |at, _, n| {
            // SAFETY: the walk stays within the view.
            let run = unsafe { std::slice::from_raw_parts(p.wrapping_offset(at[0]), n) };
            for run in run.chunks(BLOCK) {
                if held > 0 && run.len() != runs[0].len() {
                    flush(&runs[..held]);
                    held = 0;
                }
                runs[held] = run;
                held += 1;
                if held == 4 || run.len() > FOUR {
                    flush(&runs[..held]);
                    held = 0;
                }
            }
        });
        flush(&runs[..held]);
        merge(all, part)
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
