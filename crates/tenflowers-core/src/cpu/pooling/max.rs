//! The largest element of each window, and where it is.

use super::Pool2d;
use super::lines::{Lines, constant_stride, down, group, groups, put};
use crate::cpu::number::Ordered;
use crate::cpu::pool::Parts;
use crate::cpu::simd::vectorize;
use crate::error::{Result, TensorError};

/// Outputs that rows are joined for: a few vectors, so that what the last one makes twice is little.
const JOINED: usize = 64;

impl Pool2d {
    /// The largest element of each window; a nan if there is one, the lowest value if there is no element.
    ///
    /// # Errors
    /// `OutOfMemory`, `Interrupted`.
    pub fn largest<T: Ordered + Send + Sync>(&self, x: &[T], values: &mut [T]) -> Result<()> {
        self.check(x.len(), values.len());
        let values = Parts::new(values);
        self.rows([1, 1], T::LOWEST, &|rows, out, mut line| {
            // SAFETY: each row of the output is made once.
            let values = unsafe { values.part(out) };
            vectorize(
                #[inline(always)]
                |_| {
                    for (row, values) in rows.zip(values.chunks_exact_mut(self.output[1])) {
                        self.fold(
                            self.plane(x, row),
                            row % self.output[0],
                            T::LOWEST,
                            &mut line,
                            values,
                            #[inline(always)]
                            |a, b| b.larger(a),
                        );
                    }
                },
            );
        })
    }

    /// The largest element of each window, and where in its plane it stands: the first of equal ones, the last nan if
    /// there is one. A window without any element gives the lowest value and index 0.
    ///
    /// # Errors
    /// `Argument` where the taps of a window are more than 2^32 elements apart, `OutOfMemory`, `Interrupted`.
    pub fn max<T: Ordered + Send + Sync>(&self, x: &[T], values: &mut [T], indices: &mut [i64]) -> Result<()> {
        self.check(x.len(), values.len());
        assert_eq!(values.len(), indices.len());
        let (values, indices) = (Parts::new(values), Parts::new(indices));
        let (steps, columns) = (self.steps()?, self.output[1]);
        self.rows([steps.joined, self.kernel[0]], T::LOWEST, &|rows, out, mut lines| {
            // SAFETY: each row of the output is made once.
            let (values, indices) = unsafe { (values.part(out.clone()), indices.part(out)) };
            vectorize(
                #[inline(always)]
                |_| {
                    let mut next = rows.start;
                    while next < rows.end {
                        let (plane, row) = (self.plane(x, next), next % self.output[0]);
                        let joined = steps.joined.min(rows.end - next).min(self.output[0] - row);
                        let here = (next - rows.start) * columns..(next + joined - rows.start) * columns;
                        next += joined;
                        let (values, indices) = (&mut values[here.clone()], &mut indices[here]);
                        constant_stride!(self.stride[1], S => groups!(values.len(), N => {
                            self.max_row::<T, S, N>(plane, row, &steps, &mut lines, values, indices);
                        }));
                        if self.heights(row).1 == 0 {
                            indices.fill(0);
                        }
                        for &column in &steps.gaps {
                            indices[column] = 0;
                        }
                    }
                },
            );
        })
    }

    /// The windows of a row, or of rows that are joined. Places are counted from the first element of the window, as if it
    /// had no padding, until they are written.
    #[inline(always)]
    fn max_row<T: Ordered, const S: usize, const N: usize>(
        &self,
        plane: &[T],
        row: usize,
        steps: &Steps,
        lines: &mut Lines<T>,
        values: &mut [T],
        indices: &mut [i64],
    ) {
        let (first, count) = self.heights(row);
        let (first, step) = (first * self.input[1], self.dilation[0] * self.input[1]);
        for joined in 0..values.len() / self.output[1] {
            for n in 0..count {
                down(
                    lines.inside(self, n, joined),
                    &plane[first + joined * self.stride[0] * self.input[1] + n * step..],
                    (1, 0),
                    #[inline(always)]
                    |x, _| x,
                );
            }
        }
        let stride = if S == 0 { self.stride[1] } else { S };
        let (mut at, columns) = (0, values.len());
        while at < columns {
            let column = at.min(columns - N);
            let start = column * stride;
            let mut best = [T::LOWEST; N];
            let Some(&(mut places)) = steps.firsts[column..].first_chunk::<N>() else { unreachable!("of each column") };
            for n in 0..count {
                let line = &lines.elements[n * lines.pitch + start..(n + 1) * lines.pitch];
                for j in 0..self.kernel[1] {
                    let x = group::<T, S, N>(&line[j * self.dilation[1]..], stride);
                    let place = n as u32 * steps.down + j as u32 * steps.along;
                    for i in 0..N {
                        // Padding is never larger, so that its place is of no matter.
                        let larger = x[i].above(best[i]) | x[i].is_nothing();
                        best[i] = if larger { x[i] } else { best[i] };
                        places[i] = if larger { place } else { places[i] };
                    }
                }
            }
            put(values, column, best);
            let Some(windows) = steps.windows[column..].first_chunk::<N>() else { unreachable!("of each column") };
            let mut found = [0; N];
            for i in 0..N {
                found[i] = first as i64 + windows[i] + i64::from(places[i]);
            }
            put(indices, column, found);
            at += N;
        }
    }

    fn steps(&self) -> Result<Steps> {
        let (down, along) = (self.dilation[0].saturating_mul(self.input[1]), self.dilation[1]);
        let last = (self.kernel[0] - 1).saturating_mul(down).saturating_add((self.kernel[1] - 1).saturating_mul(along));
        if u32::try_from(last).is_err() {
            return Err(TensorError::argument("max_pool2d", "a window spans more than 2^32 elements of its plane"));
        }
        let (joined, columns) = (self.joined(), self.output[1]);
        let first = |n: usize| (0..self.kernel[1]).find(|&j| self.at(1, n, j).is_some());
        let firsts = (0..columns).map(|n| (first(n).unwrap_or(0) * along) as u32).collect::<Vec<_>>().repeat(joined);
        let gaps = (0..columns).filter(|&n| first(n).is_none()).collect();
        let window = |n: usize| n / columns * self.stride[0] * self.input[1] + n % columns * self.stride[1];
        let windows = (0..joined * columns).map(|n| window(n) as i64 - self.padding[1] as i64).collect();
        Ok(Steps { down: down as u32, along: along as u32, joined, firsts, windows, gaps })
    }

    /// How many rows of windows can be taken for one: their windows cover the rows of the input without a gap, a part in
    /// common or padding.
    fn joined(&self) -> usize {
        let spans = |axis: usize| self.dilation[axis].saturating_mul(self.kernel[axis] - 1);
        let inside = self.padding == [0, 0]
            && self.output[0].saturating_sub(1).saturating_mul(self.stride[0]).saturating_add(spans(0)) < self.input[0];
        let whole = self.output[1].saturating_mul(self.stride[1]) == self.input[1] && spans(1) < self.stride[1];
        if inside && whole { JOINED.div_ceil(self.output[1].max(1)).clamp(1, self.output[0].max(1)) } else { 1 }
    }
}

/// From one tap of a window to the next, in elements of the plane.
struct Steps {
    down: u32,
    along: u32,
    /// Rows that are taken for one.
    joined: usize,
    /// From the first tap of a row of the window to the first that is not padding, for each column of the output.
    firsts: Vec<u32>,
    /// From the first element that the first window of a row meets to the first tap of each window, padding or not.
    windows: Vec<i64>,
    /// The columns whose windows meet no element.
    gaps: Vec<usize>,
}
