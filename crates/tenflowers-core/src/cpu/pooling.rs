//! Maximum and average over windows of planes, and the way back.
//!
//! Rows of the output are made tap by tap, so that the inner loop runs along a row and is vectorised.

use crate::cpu::gemm::Product;
use crate::cpu::pool::{Parts, ranges};
use crate::cpu::simd::vectorize;
use crate::error::Result;
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
    /// The sum over `n` elements, divided.
    fn over(self, n: i64) -> Self;
}

impl Mean for f32 {
    #[inline(always)]
    fn over(self, n: i64) -> f32 {
        self / n as f32
    }
}

impl Mean for i64 {
    #[inline(always)]
    fn over(self, n: i64) -> i64 {
        self.wrapping_div(n)
    }
}

impl Mean for f64 {
    #[inline(always)]
    fn over(self, n: i64) -> f64 {
        self / n as f64
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

impl Pool2d {
    /// The largest element of each window, and where in its plane it stands: the first of equal ones, the last nan if
    /// there is one. A window without any element gives `lowest` and index 0.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn max<T: PartialOrd + Copy + Send + Sync>(
        &self,
        x: &[T],
        lowest: T,
        values: &mut [T],
        indices: &mut [i64],
    ) -> Result<()> {
        self.check(x.len(), values.len());
        assert_eq!(values.len(), indices.len());
        let (values, indices) = (Parts::new(values), Parts::new(indices));
        self.rows(&|rows, out| {
            // SAFETY: each row of the output is made once.
            let (values, indices) = unsafe { (values.part(out.clone()), indices.part(out)) };
            let columns = self.output[1];
            vectorize(
                #[inline(always)]
                |_| {
                    for (row, (values, indices)) in
                        rows.zip(values.chunks_exact_mut(columns).zip(indices.chunks_exact_mut(columns)))
                    {
                        self.max_row(self.plane(x, row), row % self.output[0], lowest, values, indices);
                    }
                },
            );
        })
    }

    #[inline(always)]
    fn max_row<T: PartialOrd + Copy>(&self, x: &[T], row: usize, lowest: T, values: &mut [T], indices: &mut [i64]) {
        values.fill(lowest);
        indices.fill(-1);
        for i in 0..self.kernel[0] {
            let Some(y) = self.at(0, row, i) else { continue };
            for j in 0..self.kernel[1] {
                let columns = self.reach(j);
                let Some(first) = self.at(1, columns.start, j) else { continue };
                let first = y * self.input[1] + first;
                let (values, indices) = (&mut values[columns.clone()], &mut indices[columns]);
                // Constant strides: LLVM makes vectors of them.
                match self.stride[1] {
                    1 => larger::<T, 1>(&x[first..], 1, first, values, indices),
                    2 => larger::<T, 2>(&x[first..], 2, first, values, indices),
                    s => larger::<T, 0>(&x[first..], s, first, values, indices),
                }
            }
        }
        for index in indices {
            *index = (*index).max(0);
        }
    }

    /// The average of each window. Padding counts as zeros if `count_include_pad`; what hangs over the padding never
    /// counts; `divisor` replaces the count.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn average<T: Mean>(&self, x: &[T], y: &mut [T], count_include_pad: bool, divisor: Option<i64>) -> Result<()> {
        self.check(x.len(), y.len());
        assert_eq!(self.dilation, [1, 1]);
        let y = Parts::new(y);
        self.rows(&|rows, out| {
            // SAFETY: each row of the output is made once.
            let y = unsafe { y.part(out) };
            vectorize(
                #[inline(always)]
                |_| {
                    for (row, y) in rows.zip(y.chunks_exact_mut(self.output[1])) {
                        let (plane, row) = (self.plane(x, row), row % self.output[0]);
                        y.fill(T::ZERO);
                        for i in 0..self.kernel[0] {
                            let Some(line) = self.at(0, row, i) else { continue };
                            self.add_taps(&plane[line * self.input[1]..][..self.input[1]], y);
                        }
                        self.divide(row, y, count_include_pad, divisor);
                    }
                },
            );
        })
    }

    #[inline(always)]
    fn add_taps<T: Mean>(&self, line: &[T], y: &mut [T]) {
        for j in 0..self.kernel[1] {
            let columns = self.reach(j);
            let Some(first) = self.at(1, columns.start, j) else { continue };
            let outputs = &mut y[columns];
            match self.stride[1] {
                1 => add::<T, 1>(&line[first..], 1, outputs),
                2 => add::<T, 2>(&line[first..], 2, outputs),
                s => add::<T, 0>(&line[first..], s, outputs),
            }
        }
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
            for row in 0..rows {
                share.copy_from_slice(&dy[(plane * rows + row) * columns..][..columns]);
                self.divide(row, &mut share, count_include_pad, divisor);
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

    /// Divides a row of sums by what each of its windows counts.
    #[inline(always)]
    fn divide<T: Mean>(&self, row: usize, y: &mut [T], count_include_pad: bool, divisor: Option<i64>) {
        let count = |axis: usize, n: usize| {
            let (start, pad, size) = (n * self.stride[axis], self.padding[axis], self.input[axis]);
            let end = (start + self.kernel[axis]).min(size + 2 * pad);
            if count_include_pad { end - start } else { end.min(size + pad).saturating_sub(start.max(pad)) }
        };
        let height = count(0, row);
        for (column, y) in y.iter_mut().enumerate() {
            // A window with no element is zero, whatever it is divided by.
            *y = y.over(divisor.unwrap_or_else(|| (height * count(1, column)).max(1) as i64));
        }
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

    /// The input plane that a row of all output planes comes from.
    #[inline(always)]
    fn plane<'a, T>(&self, x: &'a [T], row: usize) -> &'a [T] {
        let size = self.input[0] * self.input[1];
        &x[row / self.output[0] * size..][..size]
    }

    /// Runs `work(rows, elements)` for the rows of all output planes, some at a time.
    fn rows(&self, work: &(dyn Fn(Range<usize>, Range<usize>) + Sync)) -> Result<()> {
        let [rows, columns] = self.output;
        if columns == 0 {
            return Ok(());
        }
        let cost = columns * self.kernel[0] * self.kernel[1];
        ranges(self.planes * rows, (4 * GRAIN).div_ceil(cost.max(1)), &|range| {
            work(range.clone(), range.start * columns..range.end * columns);
        })
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

/// Every `stride`-th element, as many as there are outputs. `S` is the stride, or 0 where it is not known in the code.
#[inline(always)]
fn every<T: Copy, const S: usize>(x: &[T], stride: usize, outputs: usize) -> impl Fn(usize) -> T + use<'_, T, S> {
    let stride = if S == 0 { stride } else { S };
    assert!(outputs == 0 || (outputs - 1) * stride < x.len());
    // SAFETY: below the number of outputs, as asserted above.
    move |n| unsafe { *x.get_unchecked(n * stride) }
}

/// Updates a row of maxima by one tap: element `n * stride` of `x` is number `first + n * stride` of its plane.
#[inline(always)]
fn larger<T: PartialOrd + Copy, const S: usize>(
    x: &[T],
    stride: usize,
    first: usize,
    values: &mut [T],
    indices: &mut [i64],
) {
    let at = every::<T, S>(x, stride, values.len());
    for (n, (value, index)) in values.iter_mut().zip(indices).enumerate() {
        let v = at(n);
        // A nan is larger than all, and -1 marks a window with no element yet. All three are asked: no branches.
        #[expect(clippy::eq_op, reason = "only a nan differs from itself")]
        let larger = (v > *value) | (v != v) | (*index < 0);
        *value = if larger { v } else { *value };
        *index = if larger { (first + n * stride) as i64 } else { *index };
    }
}

/// Adds one tap to a row of sums.
#[inline(always)]
fn add<T: Product, const S: usize>(x: &[T], stride: usize, sums: &mut [T]) {
    let at = every::<T, S>(x, stride, sums.len());
    for (n, sum) in sums.iter_mut().enumerate() {
        *sum = sum.plus(at(n));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::pool::set_num_threads;
    use crate::cpu::simd::tests::each_isa;

    fn cases() -> Vec<Pool2d> {
        let mut cases = Vec::new();
        for (planes, input) in [(3, [7, 9]), (1, [4, 40]), (2, [5, 1]), (0, [4, 4])] {
            for (kernel, stride, padding, dilation) in [
                ([2, 2], [2, 2], [0, 0], [1, 1]),
                ([3, 3], [2, 2], [1, 1], [1, 1]),
                ([3, 2], [1, 1], [1, 0], [1, 1]),
                ([2, 3], [3, 4], [0, 1], [1, 1]),
                ([2, 3], [1, 2], [1, 1], [2, 1]),
                ([1, 1], [1, 1], [0, 0], [1, 1]),
                ([3, 3], [5, 3], [1, 1], [1, 2]),
            ] {
                for ceil in [false, true] {
                    let size = |a: usize| {
                        let room: usize = input[a] + 2 * padding[a];
                        let room = room.checked_sub(dilation[a] * (kernel[a] - 1) + 1)?;
                        let n = if ceil { room.div_ceil(stride[a]) } else { room / stride[a] } + 1;
                        // A window must begin inside the input or the padding before it.
                        Some(if (n - 1) * stride[a] >= input[a] + padding[a] { n - 1 } else { n })
                    };
                    if let (Some(h), Some(w)) = (size(0), size(1)) {
                        cases.push(Pool2d { planes, input, kernel, stride, padding, dilation, output: [h, w] });
                    }
                }
            }
        }
        assert!(cases.len() > 30);
        cases
    }

    /// The elements of a window: index in the plane, in order.
    fn window(p: &Pool2d, row: usize, column: usize) -> Vec<usize> {
        let taps = (0..p.kernel[0]).flat_map(|i| (0..p.kernel[1]).map(move |j| (i, j)));
        taps.filter_map(|(i, j)| Some(p.at(0, row, i)? * p.input[1] + p.at(1, column, j)?)).collect()
    }

    fn outputs(p: &Pool2d) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let [h, w] = p.output;
        (0..p.planes).flat_map(move |n| (0..h).flat_map(move |i| (0..w).map(move |j| (n, i, j))))
    }

    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i * 7919 % 23) as f32 - 11.0).collect()
    }

    #[test]
    fn max_finds_the_first_maximum_and_its_place() {
        each_isa(|isa| {
            for p in cases() {
                let size = p.input[0] * p.input[1];
                let x = numbers(p.planes * size);
                let n = outputs(&p).count();
                let (mut values, mut indices) = (vec![0.0; n], vec![0; n]);
                p.max(&x, f32::NEG_INFINITY, &mut values, &mut indices).unwrap();
                let whole: Vec<i32> = x.iter().map(|&x| x as i32).collect();
                let (mut whole_values, mut whole_indices) = (vec![0; n], vec![0; n]);
                p.max(&whole, i32::MIN, &mut whole_values, &mut whole_indices).unwrap();
                for (o, (plane, i, j)) in outputs(&p).enumerate() {
                    let mut best = (f32::NEG_INFINITY, 0);
                    for at in window(&p, i, j) {
                        if x[plane * size + at] > best.0 {
                            best = (x[plane * size + at], at as i64);
                        }
                    }
                    assert_eq!((values[o], indices[o]), best, "{isa:?} {p:?} output {o}");
                    if best.0.is_finite() {
                        assert_eq!((whole_values[o] as f32, whole_indices[o]), best);
                    }
                }
            }
        });
    }

    #[test]
    fn nan_and_the_lowest_value_win_as_they_should() {
        let p = Pool2d {
            planes: 1,
            input: [2, 6],
            kernel: [2, 2],
            stride: [2, 2],
            padding: [0, 0],
            dilation: [1, 1],
            output: [1, 3],
        };
        let (low, nan) = (f32::NEG_INFINITY, f32::NAN);
        let x = [low, low, nan, 5.0, 1.0, 3.0, low, low, 9.0, nan, 3.0, 2.0];
        let (mut values, mut indices) = ([0.0; 3], [0; 3]);
        p.max(&x, low, &mut values, &mut indices).unwrap();
        assert!(values[0] == low && values[1].is_nan() && values[2] == 3.0, "{values:?}");
        assert_eq!(indices, [0, 9, 5]);
        // Both taps of a dilated window lie in the padding.
        let p = Pool2d { input: [1, 4], kernel: [1, 2], stride: [1, 1], padding: [0, 1], dilation: [1, 5], ..p };
        let p = Pool2d { output: [1, 1], ..p };
        p.max(&x[2..6], low, &mut values[..1], &mut indices[..1]).unwrap();
        assert_eq!((values[0], indices[0]), (low, 0));
    }

    #[test]
    fn max_backward_adds_up_where_the_maximum_was() {
        for p in cases() {
            let size = p.input[0] * p.input[1];
            let x = numbers(p.planes * size);
            let n = outputs(&p).count();
            let (mut values, mut indices) = (vec![0.0; n], vec![0; n]);
            p.max(&x, f32::NEG_INFINITY, &mut values, &mut indices).unwrap();
            let dy = numbers(n);
            let (mut dx, mut expected) = (vec![7.0; x.len()], vec![0.0; x.len()]);
            spread(p.planes, &dy, &indices, &mut dx).unwrap();
            for (o, (plane, ..)) in outputs(&p).enumerate() {
                expected[plane * size + indices[o] as usize] += dy[o];
            }
            assert_eq!(dx, expected, "{p:?}");
        }
    }

    #[test]
    fn averages_count_as_they_should_and_go_back() {
        each_isa(|_| {
            for p in cases().into_iter().filter(|p| p.dilation == [1, 1]) {
                for (include, divisor) in [(true, None), (false, None), (true, Some(3)), (false, Some(-2))] {
                    let size = p.input[0] * p.input[1];
                    let x: Vec<f64> = numbers(p.planes * size).into_iter().map(f64::from).collect();
                    let dy: Vec<f64> = numbers(outputs(&p).count()).into_iter().map(f64::from).collect();
                    let (mut y, mut dx, mut expected) = (dy.clone(), vec![9.0; x.len()], vec![0.0; x.len()]);
                    p.average(&x, &mut y, include, divisor).unwrap();
                    p.average_backward(&dy, &mut dx, include, divisor).unwrap();
                    for (o, (plane, i, j)) in outputs(&p).enumerate() {
                        let window = window(&p, i, j);
                        let span = |a: usize, n: usize| {
                            let start = n * p.stride[a];
                            (start + p.kernel[a]).min(p.input[a] + 2 * p.padding[a]) - start
                        };
                        let count = if include { span(0, i) * span(1, j) } else { window.len().max(1) };
                        let count = divisor.map_or(count as f64, |d| d as f64);
                        let sum: f64 = window.iter().map(|at| x[plane * size + at]).sum();
                        assert!((y[o] - sum / count).abs() < 1e-12, "{p:?} {include} {divisor:?}");
                        window.iter().for_each(|at| expected[plane * size + at] += dy[o] / count);
                    }
                    assert!(
                        dx.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12),
                        "{p:?} {include} {divisor:?}"
                    );
                }
            }
        });
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let p = Pool2d {
            planes: 40,
            input: [33, 70],
            kernel: [3, 3],
            stride: [2, 2],
            padding: [1, 1],
            dilation: [1, 1],
            output: [17, 35],
        };
        let x = numbers(40 * 33 * 70);
        let n = 40 * 17 * 35;
        let run = |threads| {
            set_num_threads(threads).unwrap();
            let (mut values, mut indices, mut y, mut dx) = (vec![0.0; n], vec![0; n], vec![0.0; n], vec![0.0; x.len()]);
            p.max(&x, f32::NEG_INFINITY, &mut values, &mut indices).unwrap();
            p.average(&x, &mut y, false, None).unwrap();
            p.average_backward(&y, &mut dx, false, None).unwrap();
            (values, indices, y, dx)
        };
        let one = run(1);
        assert!(run(2) == one && run(3) == one);
        set_num_threads(0).unwrap();
    }
}
