//! Maximum and average over windows that cut planes into a given number of parts, and the way back of the average.

use crate::cpu::accumulate::fold;
use crate::cpu::gemm::{Outcome, Product, Scratch};
use crate::cpu::number::Ordered;
use crate::cpu::pool::{Parts, ranges};
use crate::cpu::pooling::Mean;
use crate::cpu::simd::vectorize;
use crate::error::Result;
use std::ops::Range;

/// Input elements of one chunk.
const GRAIN: usize = 1 << 15;
/// Elements of a row that are worked on at once: one after the other is slow.
const PARTS: usize = 16;
/// The longest rows that go down a window before they go along it.
const COLUMNS: usize = 512;

/// A pooling of contiguous `planes x depth x height x width`, whose windows may be of different sizes and may overlap.
#[derive(Clone, Copy, Debug)]
pub struct AdaptivePool {
    /// Planes, that is batch times channels.
    pub planes: usize,
    /// Size of an input plane.
    pub input: [usize; 3],
    /// Size of an output plane.
    pub output: [usize; 3],
}

impl AdaptivePool {
    /// The input positions of output `n` along an axis.
    #[inline(always)]
    fn window(&self, axis: usize, n: usize) -> Range<usize> {
        let (size, parts) = (self.input[axis], self.output[axis]);
        n * size / parts..((n + 1) * size).div_ceil(parts)
    }

    /// The depths and heights of a row of an output plane.
    #[inline(always)]
    fn lines(&self, row: usize) -> impl Iterator<Item = usize> + Clone + use<> {
        let (depths, heights) = (self.window(0, row / self.output[1]), self.window(1, row % self.output[1]));
        let height = self.input[1];
        depths.flat_map(move |d| heights.clone().map(move |h| d * height + h))
    }

    /// Rows of an output plane, and elements of a plane of either.
    fn sizes(&self) -> (usize, usize, usize) {
        (self.output[0] * self.output[1], self.output.iter().product(), self.input.iter().product())
    }

    /// The average of each window.
    ///
    /// # Errors
    /// `OutOfMemory`, `Interrupted`.
    pub fn average<T: Mean>(&self, x: &[T], y: &mut [T]) -> Result<()> {
        let (rows, outputs, inputs) = self.sizes();
        assert_eq!((x.len(), y.len()), (self.planes * inputs, self.planes * outputs));
        if y.is_empty() {
            return Ok(());
        }
        let (width, columns) = (self.input[2], self.output[2]);
        let (y, outcome) = (Parts::new(y), Outcome::default());
        ranges(self.planes * rows, (GRAIN * rows).div_ceil(inputs), &|range| {
            // SAFETY: each row of the output is made once.
            let y = unsafe { y.part(range.start * columns..range.end * columns) };
            with_row(&outcome, width, |sums| {
                vectorize(
                    #[inline(always)]
                    |_| {
                        for (row, y) in range.zip(y.chunks_exact_mut(columns)) {
                            let plane = &x[row / rows * inputs..][..inputs];
                            sums.fill(T::ZERO);
                            let mut lines = 0;
                            for line in self.lines(row % rows) {
                                add(&plane[line * width..][..width], sums);
                                lines += 1;
                            }
                            for (n, y) in y.iter_mut().enumerate() {
                                let window = self.window(2, n);
                                *y = sum(&sums[window.clone()]).over(T::count((lines * window.len()) as i64));
                            }
                        }
                    },
                );
            });
        })?;
        outcome.result()
    }

    /// The gradient of [`average`](Self::average); writes all of `dx`.
    ///
    /// # Errors
    /// `OutOfMemory`, `Interrupted`.
    pub fn average_backward<T: Mean>(&self, dy: &[T], dx: &mut [T]) -> Result<()> {
        let (rows, outputs, inputs) = self.sizes();
        assert_eq!((dx.len(), dy.len()), (self.planes * inputs, self.planes * outputs));
        let (width, columns) = (self.input[2], self.output[2]);
        let (dx, outcome) = (Parts::new(dx), Outcome::default());
        ranges(self.planes, GRAIN.div_ceil(inputs.max(1)), &|range| {
            with_row(&outcome, width, |share| {
                vectorize(
                    #[inline(always)]
                    |_| {
                        for plane in range {
                            // SAFETY: each plane is taken once.
                            let dx = unsafe { dx.part(plane * inputs..(plane + 1) * inputs) };
                            dx.fill(T::ZERO);
                            for row in 0..rows {
                                let dy = &dy[plane * outputs + row * columns..][..columns];
                                let lines = self.lines(row);
                                let count = lines.clone().count();
                                share.fill(T::ZERO);
                                for (n, g) in dy.iter().enumerate() {
                                    let window = self.window(2, n);
                                    let g = g.over(T::count((count * window.len()) as i64));
                                    share[window].iter_mut().for_each(|s| *s = s.plus(g));
                                }
                                for line in lines {
                                    add(share, &mut dx[line * width..][..width]);
                                }
                            }
                        }
                    },
                );
            });
        })?;
        outcome.result()
    }

    /// A row of outputs: first the largest of the lines of each column, then of the columns of each window.
    #[inline(always)]
    fn down_then_along<T: Ordered>(&self, plane: &[T], row: usize, values: &mut [T], indices: &mut [i64]) {
        let width = self.input[2];
        let (mut best, mut places) = ([T::LOWEST; COLUMNS], [0u32; COLUMNS]);
        let (best, places) = (&mut best[..width], &mut places[..width]);
        let mut lines = self.lines(row);
        let Some(first) = lines.next() else { return };
        best.copy_from_slice(&plane[first * width..][..width]);
        places.fill(first as u32);
        for line in lines {
            for ((best, place), &x) in best.iter_mut().zip(&mut *places).zip(&plane[line * width..][..width]) {
                let wins = wins(x, *best);
                *best = if wins { x } else { *best };
                *place = if wins { line as u32 } else { *place };
            }
        }
        for (n, (value, index)) in values.iter_mut().zip(indices).enumerate() {
            let window = self.window(2, n);
            let mut at = window.start;
            let mut top = best[at];
            for k in window.skip(1) {
                let x = best[k];
                // Of equal ones the first in the plane, and of those that are no numbers the last.
                let nothing = x.is_nothing() & (!top.is_nothing() | (places[k] >= places[at]));
                let equal = (x == top) & (places[k] < places[at]);
                let wins = x.above(top) | equal | nothing;
                (top, at) = if wins { (x, k) } else { (top, at) };
            }
            (*value, *index) = (top, (places[at] as usize * width + at) as i64);
        }
    }

    /// The largest element of each window, and where in its plane it stands: the first of equal ones, the last nan if
    /// there is one.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn max<T: Ordered + Send + Sync>(&self, x: &[T], values: &mut [T], indices: &mut [i64]) -> Result<()> {
        let (rows, outputs, inputs) = self.sizes();
        assert_eq!((x.len(), values.len()), (self.planes * inputs, self.planes * outputs));
        assert_eq!(values.len(), indices.len());
        if values.is_empty() {
            return Ok(());
        }
        let (width, columns) = (self.input[2], self.output[2]);
        let (values, indices) = (Parts::new(values), Parts::new(indices));
        ranges(self.planes * rows, (GRAIN * rows).div_ceil(inputs), &|range| {
            let out = range.start * columns..range.end * columns;
            // SAFETY: each row of the output is made once.
            let (values, indices) = unsafe { (values.part(out.clone()), indices.part(out)) };
            vectorize(
                #[inline(always)]
                |_| {
                    let outs = values.chunks_exact_mut(columns).zip(indices.chunks_exact_mut(columns));
                    for (row, (values, indices)) in range.zip(outs) {
                        let plane = &x[row / rows * inputs..][..inputs];
                        if outputs == 1 {
                            (values[0], indices[0]) = largest(plane);
                        } else if width > COLUMNS || (inputs == width && width >= 2 * PARTS * columns) {
                            for (n, (value, index)) in values.iter_mut().zip(indices).enumerate() {
                                let window = self.window(2, n);
                                (*value, *index) = self
                                    .lines(row % rows)
                                    .map(|line| {
                                        let start = line * width + window.start;
                                        let (value, k) = largest(&plane[start..][..window.len()]);
                                        (value, start as i64 + k)
                                    })
                                    .reduce(|a, b| if wins(b.0, a.0) { b } else { a })
                                    .unwrap_or((T::LOWEST, 0));
                            }
                        } else {
                            self.down_then_along(plane, row % rows, values, indices);
                        }
                    }
                },
            );
        })
    }
}

/// Whether an element further on takes the place of the largest so far: the first of equal ones stays, and the last
/// that is no number.
#[inline(always)]
fn wins<T: Ordered>(x: T, best: T) -> bool {
    x.above(best) | x.is_nothing()
}

/// Runs `work` with room for a row.
#[inline(always)]
fn with_row<T: Product>(outcome: &Outcome, width: usize, work: impl FnOnce(&mut [T])) {
    match Scratch::filled(width, T::ZERO) {
        // SAFETY: `filled` wrote all of it.
        Ok(mut row) => work(unsafe { row.slice_mut() }),
        Err(e) => outcome.note(e),
    }
}

/// Adds a row to another.
#[inline(always)]
fn add<T: Product>(x: &[T], sums: &mut [T]) {
    sums.iter_mut().zip(x).for_each(|(s, &x)| *s = s.plus(x));
}

/// The sum of a row.
#[inline(always)]
fn sum<T: Product>(x: &[T]) -> T {
    let chunks = x.chunks_exact(PARTS);
    let rest = chunks.remainder();
    let mut total = T::ZERO;
    if x.len() >= PARTS {
        let mut parts = [T::ZERO; PARTS];
        for chunk in chunks {
            add(chunk, &mut parts);
        }
        total = parts.into_iter().fold(total, T::plus);
    }
    rest.iter().fold(total, |a, &x| a.plus(x))
}

/// The largest element of a run, and where it is: first what it is, then which is like it, both by vectors.
#[inline(always)]
fn largest<T: Ordered>(x: &[T]) -> (T, i64) {
    let best = fold(
        x,
        T::LOWEST,
        #[inline(always)]
        |a: T, x: T| a.larger(x),
        #[inline(always)]
        |a: T, b: T| a.larger(b),
    );
    let at = if best.is_nothing() {
        x.iter().rposition(|x| x.is_nothing())
    } else {
        let mut at = 0;
        for part in x.chunks(PARTS) {
            if part.iter().fold(false, |any, &x| any | (x == best)) {
                break;
            }
            at += PARTS;
        }
        x.iter().skip(at).position(|&x| x == best).map(|k| at + k)
    };
    at.map_or((best, 0), |at| (x[at], at as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::pool::set_num_threads;
    use crate::cpu::simd::tests::each_isa;

    fn cases() -> Vec<AdaptivePool> {
        let mut cases = Vec::new();
        for (planes, input) in [(3, [1, 7, 9]), (2, [3, 4, 50]), (1, [1, 1, 100]), (0, [1, 4, 4]), (2, [2, 1, 1])] {
            for output in [[1, 1, 1], [1, 2, 3], [2, 3, 7], [1, 7, 9], [3, 1, 40], [1, 9, 11], [1, 0, 2]] {
                cases.push(AdaptivePool { planes, input, output });
            }
        }
        cases
    }

    /// Every window: its output, and its elements by their indices.
    fn windows(p: &AdaptivePool) -> Vec<Vec<usize>> {
        let size: usize = p.input.iter().product();
        let span = |axis: usize, n: usize| {
            let (i, o) = (p.input[axis] as f64, p.output[axis] as f64);
            (n as f64 * i / o).floor() as usize..((n + 1) as f64 * i / o).ceil() as usize
        };
        let mut all = Vec::new();
        for plane in 0..p.planes {
            for (a, b, c) in (0..p.output[0])
                .flat_map(|a| (0..p.output[1]).flat_map(move |b| (0..p.output[2]).map(move |c| (a, b, c))))
            {
                let mut window = Vec::new();
                for d in span(0, a) {
                    for h in span(1, b) {
                        window.extend(span(2, c).map(|w| plane * size + (d * p.input[1] + h) * p.input[2] + w));
                    }
                }
                all.push(window);
            }
        }
        all
    }

    fn numbers(p: &AdaptivePool) -> Vec<f64> {
        (0..p.planes * p.input.iter().product::<usize>()).map(|i| (i * 7919 % 23) as f64 - 11.0).collect()
    }

    #[test]
    fn averages_and_their_way_back() {
        each_isa(|_| {
            for p in cases() {
                let (x, windows) = (numbers(&p), windows(&p));
                let (mut y, mut dx) = (vec![0.0; windows.len()], vec![0.0; x.len()]);
                p.average(&x, &mut y).unwrap();
                let dy: Vec<f64> = (0..y.len()).map(|i| i as f64 - 3.0).collect();
                p.average_backward(&dy, &mut dx).unwrap();
                let mut expected = vec![0.0; x.len()];
                for (o, window) in windows.iter().enumerate() {
                    let mean = window.iter().map(|&i| x[i]).sum::<f64>() / window.len() as f64;
                    assert!((y[o] - mean).abs() < 1e-12, "{p:?}");
                    window.iter().for_each(|&i| expected[i] += dy[o] / window.len() as f64);
                }
                assert!(dx.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{p:?}");
            }
        });
    }

    #[test]
    fn max_finds_the_first_maximum_and_the_last_nan() {
        each_isa(|_| {
            for p in cases() {
                for every in [0, 5, 1] {
                    let mut x = numbers(&p);
                    let size: usize = p.input.iter().product();
                    x.iter_mut().skip(2).step_by(every.max(1)).take(every).for_each(|x| *x = f64::NAN);
                    let windows = windows(&p);
                    let (mut y, mut at) = (vec![0.0; windows.len()], vec![0; windows.len()]);
                    p.max(&x, &mut y, &mut at).unwrap();
                    for (o, window) in windows.iter().enumerate() {
                        let mut best = window[0];
                        for &i in window {
                            if x[i] > x[best] || x[i].is_nan() {
                                best = i;
                            }
                        }
                        assert_eq!(at[o] as usize, best % size, "{p:?}");
                        assert!(y[o] == x[best] || y[o].is_nan() && x[best].is_nan(), "{p:?}");
                    }
                }
            }
        });
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let p = AdaptivePool { planes: 60, input: [1, 33, 70], output: [1, 5, 9] };
        let x: Vec<f32> = numbers(&p).into_iter().map(|x| x as f32 * 0.3).collect();
        let run = |threads| {
            set_num_threads(threads).unwrap();
            let (mut y, mut dx) = (vec![0.0; 60 * 45], vec![0.0; x.len()]);
            p.average(&x, &mut y).unwrap();
            p.average_backward(&y, &mut dx).unwrap();
            (y, dx)
        };
        let one = run(1);
        assert!(run(2) == one && run(3) == one);
        set_num_threads(0).unwrap();
    }
}
