//! Maximum and average over windows of planes, and the way back.
//!
//! Rows of the output are made a group at a time, so that the inner loop runs along a row and is vectorised.

mod lines;
mod max;

use crate::cpu::gemm::{Outcome, Product};
use crate::cpu::pool::{Parts, ranges};
use crate::cpu::simd::vectorize;
use crate::error::Result;
use lines::Lines;
use std::ops::Range;

/// Elements of one chunk.
const GRAIN: usize = 1 << 14;

/// A pooling over contiguous `planes x height x width`; pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug)]
pub struct Pool2d {
    /// Planes, that is batch times channels.
    pub planes: usize,
    /// Size of an input plane.
    pub input: [usize; 2],
    /// Size of the window, in taps.
    pub kernel: [usize; 2],
    /// From one window to the next.
    pub stride: [usize; 2],
    /// Padding before the first row and column; windows may hang over on the other side.
    pub padding: [usize; 2],
    /// From one tap to the next; averages take 1 only.
    pub dilation: [usize; 2],
    /// Size of an output plane.
    pub output: [usize; 2],
}

/// The element types that have averages.
pub trait Mean: Product {
    /// A number of elements.
    fn count(n: i64) -> Self;
    /// The sum over `n` elements, divided.
    fn over(self, n: Self) -> Self;
}

impl Mean for f32 {
    #[inline(always)]
    fn count(n: i64) -> f32 {
        n as f32
    }
    #[inline(always)]
    fn over(self, n: f32) -> f32 {
        self / n
    }
}

impl Mean for i64 {
    #[inline(always)]
    fn count(n: i64) -> i64 {
        n
    }
    #[inline(always)]
    fn over(self, n: i64) -> i64 {
        self.wrapping_div(n)
    }
}

impl Mean for f64 {
    #[inline(always)]
    fn count(n: i64) -> f64 {
        n as f64
    }
    #[inline(always)]
    fn over(self, n: f64) -> f64 {
        self / n
    }
}

/// Adds up each output's gradient where its plane had the element that `indices` name; writes all of `dx`.
///
/// # Errors
/// `Interrupted`.
pub fn spread<T: Product>(planes: usize, dy: &[T], indices: &[i64], dx: &mut [T]) -> Result<()> {
    assert_eq!(dy.len(), indices.len());
    let (outputs, inputs) = (dy.len() / planes.max(1), dx.len() / planes.max(1));
    let dx = Parts::new(dx);
    ranges(planes, GRAIN.div_ceil((inputs + outputs).max(1)), &|range| {
        for plane in range {
            // SAFETY: each plane is taken once.
            let dx = unsafe { dx.part(plane * inputs..(plane + 1) * inputs) };
            dx.fill(T::ZERO);
            let at = plane * outputs..(plane + 1) * outputs;
            for (&g, &i) in dy[at.clone()].iter().zip(&indices[at]) {
                dx[i as usize] = dx[i as usize].plus(g);
            }
        }
    })
}

/// What the windows of a row count.
struct Counts<'a, T> {
    pool: &'a Pool2d,
    count_include_pad: bool,
    divisor: Option<i64>,
    /// Of a window of one row, for each column.
    widths: Vec<i64>,
    height: Option<i64>,
    of_row: Vec<T>,
}

impl<'a, T: Mean> Counts<'a, T> {
    fn new(pool: &'a Pool2d, count_include_pad: bool, divisor: Option<i64>) -> Self {
        let mut counts = Counts { pool, count_include_pad, divisor, widths: vec![], height: None, of_row: vec![] };
        counts.widths = (0..pool.output[1]).map(|n| counts.along(1, n)).collect();
        counts
    }

    fn along(&self, axis: usize, n: usize) -> i64 {
        let p = self.pool;
        let (start, pad, size) = (n * p.stride[axis], p.padding[axis], p.input[axis]);
        let end = (start + p.kernel[axis]).min(size + 2 * pad);
        let inside = || end.min(size + pad).saturating_sub(start.max(pad));
        if self.count_include_pad { (end - start) as i64 } else { inside() as i64 }
    }

    /// Divides a row of sums by what each of its windows counts.
    #[inline(always)]
    fn divide(&mut self, row: usize, y: &mut [T]) {
        let height = self.along(0, row);
        if self.height != Some(height) {
            self.height = Some(height);
            self.of_row.clear();
            // A window with no element is zero, whatever it is divided by.
            self.of_row.extend(self.widths.iter().map(|w| T::count(self.divisor.unwrap_or((height * w).max(1)))));
        }
        y.iter_mut().zip(&self.of_row).for_each(|(y, &n)| *y = y.over(n));
    }
}

impl Pool2d {
    /// The average of each window. Padding counts as zeros if `count_include_pad`; what hangs over the padding never
    /// counts; `divisor` replaces the count.
    ///
    /// # Errors
    /// `OutOfMemory`, `Interrupted`.
    pub fn average<T: Mean>(&self, x: &[T], y: &mut [T], count_include_pad: bool, divisor: Option<i64>) -> Result<()> {
        self.check(x.len(), y.len());
        assert_eq!(self.dilation, [1, 1]);
        let y = Parts::new(y);
        self.rows([1, 1], T::ZERO, &|rows, out, mut line| {
            // SAFETY: each row of the output is made once.
            let y = unsafe { y.part(out) };
            vectorize(
                #[inline(always)]
                |_| {
                    let mut counts = Counts::new(self, count_include_pad, divisor);
                    for (row, y) in rows.zip(y.chunks_exact_mut(self.output[1])) {
                        let (plane, row) = (self.plane(x, row), row % self.output[0]);
                        self.fold(
                            plane,
                            row,
                            T::ZERO,
                            &mut line,
                            y,
                            #[inline(always)]
                            |a, b| a.plus(b),
                        );
                        counts.divide(row, y);
                    }
                },
            );
        })
    }

    /// The gradient of [`average`](Self::average); writes all of `dx`.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn average_backward<T: Mean>(
        &self,
        dy: &[T],
        dx: &mut [T],
        count_include_pad: bool,
        divisor: Option<i64>,
    ) -> Result<()> {
        self.check(dx.len(), dy.len());
        assert_eq!(self.dilation, [1, 1]);
        let [rows, columns] = self.output;
        self.planes(dx, &|plane, dx| {
            dx.fill(T::ZERO);
            let mut share = vec![T::ZERO; columns];
            let mut counts = Counts::new(self, count_include_pad, divisor);
            for row in 0..rows {
                share.copy_from_slice(&dy[(plane * rows + row) * columns..][..columns]);
                counts.divide(row, &mut share);
                for i in 0..self.kernel[0] {
                    let Some(line) = self.at(0, row, i) else { continue };
                    let line = &mut dx[line * self.input[1]..][..self.input[1]];
                    for j in 0..self.kernel[1] {
                        let columns = self.reach(j);
                        let Some(first) = self.at(1, columns.start, j) else { continue };
                        let inputs = line[first..].iter_mut().step_by(self.stride[1]);
                        inputs.zip(&share[columns]).for_each(|(x, g)| *x = x.plus(*g));
                    }
                }
            }
        })
    }

    /// The input position of a tap, if it is not padding.
    #[inline(always)]
    fn at(&self, axis: usize, output: usize, tap: usize) -> Option<usize> {
        let padded = output * self.stride[axis] + tap * self.dilation[axis];
        padded.checked_sub(self.padding[axis]).filter(|&i| i < self.input[axis])
    }

    /// The columns of the output for which tap `j` of a row is not padding.
    #[inline(always)]
    fn reach(&self, j: usize) -> Range<usize> {
        let (tap, stride, pad) = (j * self.dilation[1], self.stride[1], self.padding[1]);
        let start = pad.saturating_sub(tap).div_ceil(stride).min(self.output[1]);
        let end = (self.input[1] + pad).saturating_sub(tap).div_ceil(stride);
        start..end.clamp(start, self.output[1])
    }

    /// The input rows that the windows of a row meet: the first, and how many, each `dilation` from the one before.
    #[inline(always)]
    fn heights(&self, row: usize) -> (usize, usize) {
        let (start, step) = (row * self.stride[0], self.dilation[0]);
        let skipped = self.padding[0].saturating_sub(start).div_ceil(step);
        let end = (self.input[0] + self.padding[0]).saturating_sub(start).div_ceil(step).min(self.kernel[0]);
        ((start + skipped * step).saturating_sub(self.padding[0]), end.saturating_sub(skipped))
    }

    /// The input plane that a row of all output planes comes from.
    #[inline(always)]
    fn plane<'a, T>(&self, x: &'a [T], row: usize) -> &'a [T] {
        let size = self.input[0] * self.input[1];
        &x[row / self.output[0] * size..][..size]
    }

    /// Runs `work(rows, elements, lines)` for the rows of all output planes, some at a time, with [`Lines`] of the sizes `room`.
    fn rows<T: Copy + Sync>(
        &self,
        room: [usize; 2],
        pad: T,
        work: &(dyn Fn(Range<usize>, Range<usize>, Lines<T>) + Sync),
    ) -> Result<()> {
        let [rows, columns] = self.output;
        if columns == 0 {
            return Ok(());
        }
        let cost = columns * self.kernel[0] * self.kernel[1];
        let outcome = Outcome::default();
        ranges(self.planes * rows, (4 * GRAIN).div_ceil(cost.max(1)), &|range| match Lines::new(self, room, pad) {
            Ok(lines) => work(range.clone(), range.start * columns..range.end * columns, lines),
            Err(e) => outcome.note(e),
        })?;
        outcome.result()
    }

    /// Runs `work` on each input plane.
    fn planes<T: Send>(&self, dx: &mut [T], work: &(dyn Fn(usize, &mut [T]) + Sync)) -> Result<()> {
        let size = self.input[0] * self.input[1];
        let dx = Parts::new(dx);
        ranges(self.planes, GRAIN.div_ceil(size.max(1)), &|range| {
            for plane in range {
                // SAFETY: each plane is taken once.
                work(plane, unsafe { dx.part(plane * size..(plane + 1) * size) });
            }
        })
    }

    fn check(&self, input: usize, output: usize) {
        assert_eq!(input, self.planes * self.input[0] * self.input[1]);
        assert_eq!(output, self.planes * self.output[0] * self.output[1]);
    }
}

#[cfg(test)]
mod tests;
