//! Convolutions without stride of few channels, depthwise ones above all: windows of planes read where they lie.
//!
//! Vectors that reach beyond a side of the plane read zeros there, and a line of zeros stands for the rows above and
//! below. Rows of outputs go together, so that a row of the source is read once for all that it goes into.
// Iterators over arrays of vectors keep them in memory: by index they stay in registers.
#![allow(clippy::needless_range_loop)]

use super::Conv2d;
use super::direct::Pass;
use super::stripe::Axis;
use crate::cpu::gemm::lanes::{self, Float, Lanes, Task};
use crate::cpu::gemm::matvec::total;
use crate::cpu::pool::ranges;
use crate::cpu::simd;
use crate::error::Result;
use std::ops::Range;

/// Rows of outputs at a time.
const ROWS: usize = 8;
/// The most rows of a kernel.
const HEIGHT: usize = 7;
/// Floating point operations that are worth a worker.
const GRAIN: usize = 1 << 20;

/// Whether the kernel moves by one position, and its rows follow one another, as many as there is code for.
pub(super) fn fit(axes: &[Axis; 2]) -> bool {
    let height = axes[0].taps.len();
    axes.iter().all(|axis| axis.stride == 1 && axis.spread == 1)
        && matches!(height, 3 | 5 | HEIGHT)
        && axes[0].reach() == height - 1
        && axes[1].taps.len() == height
}

pub(super) fn run<T: Float>(pass: &Pass<T>) -> Result<()> {
    let isa = simd::isa();
    let axes = pass.axes;
    let (taps, height) = (axes[0].taps.len() * axes[1].taps.len(), axes[0].taps.len());
    // Column of the kernel by column, each from the top row that it reads.
    let mut order = vec![(0, 0); taps];
    for across in 0..axes[1].taps.len() {
        for (down, tap) in axes[0].taps.iter().enumerate() {
            order[across * height + tap.offset] = (down, across);
        }
    }
    let mut weights = pass.packed(&order)?;
    // SAFETY: all of them are written.
    let packed = &*unsafe { weights.slice_mut() };
    let shifts = shifts(&axes[1]);
    let zeros = vec![T::ZERO; axes[1].source];
    let grid = axes[0].grid;
    let row = 2 * pass.to * pass.from * taps * axes[1].grid;
    let band = (GRAIN / row.max(1) + 1).next_multiple_of(ROWS);
    let bands = grid.div_ceil(band);
    ranges(pass.batch * pass.groups * bands, GRAIN / (row * band.min(grid)).max(1) + 1, &|range| {
        let lines = Lines { height: axes[0].source, width: axes[1].source, zeros: &zeros };
        let windows = Windows { pass, shifts: &shifts, lines, weights: packed, range, bands: (bands, band) };
        // SAFETY: `isa` names what this machine has; each band of an image and group is taken once.
        unsafe { lanes::run(isa, windows) };
    })
}

/// The gradient of the weights of a convolution with one target channel in each group: the sum of each block of images
/// goes to `sums[block][group][channel][tap]`.
pub(super) fn products<T: Float>(
    c: &Conv2d,
    axes: &[Axis; 2],
    images: usize,
    (x, dy): (&[T], &[T]),
    sums: *mut T,
) -> Result<()> {
    let isa = simd::isa();
    let (shifts, zeros) = (shifts(&axes[1]), vec![T::ZERO; axes[1].source]);
    let lines = Lines { height: axes[0].source, width: axes[1].source, zeros: &zeros };
    let taps = c.kernel[0] * c.kernel[1];
    let work = 2 * images * c.plane_out() * taps;
    let address = sums as usize;
    ranges(c.batch.div_ceil(images) * c.in_channels, GRAIN / work.max(1) + 1, &|range| {
        let sums = address as *mut T;
        let products = Products { c, axes, images, shifts: &shifts, lines, x, dy, range, sums };
        // SAFETY: `isa` names what this machine has; each channel of a block is taken once.
        unsafe { lanes::run(isa, products) };
    })
}

/// Where the columns of the kernel read, from the column of the output on.
fn shifts(axis: &Axis) -> Vec<isize> {
    axis.taps.iter().map(|tap| tap.offset as isize - axis.pad).collect()
}

/// The rows of planes, and zeros for what lies above and below.
#[derive(Clone, Copy)]
struct Lines<'a, T> {
    height: usize,
    width: usize,
    zeros: &'a [T],
}

impl<T> Lines<'_, T> {
    /// The first `count` rows from `first` on.
    #[inline(always)]
    fn from(&self, plane: *const T, first: isize, count: usize) -> [*const T; ROWS + HEIGHT - 1] {
        let mut lines = [self.zeros.as_ptr(); ROWS + HEIGHT - 1];
        for i in 0..count {
            let at = (first + i as isize) as usize;
            // A number below zero is a large one.
            if at < self.height {
                lines[i] = plane.wrapping_add(at * self.width);
            }
        }
        lines
    }
}

/// The lanes of a vector at `from` that lie inside a row of `width`.
#[inline(always)]
fn inside<V: Lanes>(from: isize, width: usize) -> (usize, usize) {
    let lanes = V::LANES as isize;
    ((-from).clamp(0, lanes) as usize, (width as isize - from).clamp(0, lanes) as usize)
}

/// Bands of rows, numbered by image, group and band.
struct Windows<'a, T> {
    pass: &'a Pass<'a, T>,
    shifts: &'a [isize],
    lines: Lines<'a, T>,
    weights: &'a [T],
    range: Range<usize>,
    /// How many bands there are, and their rows.
    bands: (usize, usize),
}

impl<T: Float> Task<T> for Windows<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        let pass = self.pass;
        let (bands, height) = self.bands;
        for task in self.range.clone() {
            let (image, first) = (task / bands, task % bands * height);
            let rows = first..pass.axes[0].grid.min(first + height);
            // SAFETY: the caller's word.
            unsafe {
                match pass.axes[0].taps.len() {
                    3 => self.targets::<V, 3>(image, rows),
                    5 => self.targets::<V, 5>(image, rows),
                    _ => self.targets::<V, HEIGHT>(image, rows),
                }
            }
        }
    }
}

impl<T: Float> Windows<'_, T> {
    #[inline(always)]
    unsafe fn targets<V: Lanes<Elem = T>, const H: usize>(&self, image: usize, rows: Range<usize>) {
        let mut target = 0;
        while target < self.pass.to {
            let left = self.pass.to - target;
            let mut row = rows.start;
            let mut taken = 1;
            while row < rows.end {
                let n = rows.end - row;
                // SAFETY: the caller's word.
                unsafe {
                    // As many sums as there are registers for, beside the weights of a column of the kernel.
                    if H == 3 && V::MR == 14 && left >= 4 {
                        taken = 4;
                        row += match n {
                            4.. => self.sums::<V, H, 4, 4>(image, target, row),
                            2.. => self.sums::<V, H, 4, 2>(image, target, row),
                            _ => self.sums::<V, H, 4, 1>(image, target, row),
                        }
                    } else if H == 3 && V::MR < 14 && left >= 2 {
                        taken = 2;
                        row += match n {
                            4.. => self.sums::<V, H, 2, 4>(image, target, row),
                            2.. => self.sums::<V, H, 2, 2>(image, target, row),
                            _ => self.sums::<V, H, 2, 1>(image, target, row),
                        }
                    } else {
                        row += match n {
                            // The heights that planes come down to from 224 by halves.
                            7 | 14 | 21 | 28 => self.sums::<V, H, 1, 7>(image, target, row),
                            ROWS.. => self.sums::<V, H, 1, ROWS>(image, target, row),
                            4.. => self.sums::<V, H, 1, 4>(image, target, row),
                            2.. => self.sums::<V, H, 1, 2>(image, target, row),
                            _ => self.sums::<V, H, 1, 1>(image, target, row),
                        }
                    }
                }
            }
            target += taken;
        }
    }

    /// `R` rows of `C` target channels, for a kernel of `H` rows.
    #[inline(always)]
    unsafe fn sums<V: Lanes<Elem = T>, const H: usize, const C: usize, const R: usize>(
        &self,
        image: usize,
        target: usize,
        row: usize,
    ) -> usize {
        let first = row as isize - self.pass.axes[0].pad;
        let inside = first >= 0 && first as usize + R + H - 1 <= self.pass.axes[0].source;
        // SAFETY: the caller's word.
        unsafe {
            if inside {
                self.part::<V, H, C, R, false>(image, target, row)
            } else {
                self.part::<V, H, C, R, true>(image, target, row)
            }
        }
        R
    }

    #[inline(always)]
    unsafe fn part<V: Lanes<Elem = T>, const H: usize, const C: usize, const R: usize, const EDGE: bool>(
        &self,
        image: usize,
        target: usize,
        row: usize,
    ) {
        let (pass, lines) = (self.pass, &self.lines);
        let (grid, plane_size) = (pass.axes[1].grid, lines.height * lines.width);
        let taps = H * H;
        let first = row as isize - pass.axes[0].pad;
        let channel = image % pass.groups * pass.to + target;
        // SAFETY: the caller's word: rows and channels lie inside the tensors, and `inside` keeps to rows.
        unsafe {
            let source = pass.source.add(image * pass.from * plane_size);
            let weights = self.weights.as_ptr().add(channel * pass.from * taps);
            let to = pass.plane(image * pass.to + target).add(row * grid);
            let mut bias = [V::splat(T::ZERO); C];
            if let Some(all) = pass.bias {
                for c in 0..C {
                    bias[c] = V::splat(*all.add(channel + c));
                }
            }
            for column in (0..grid).step_by(V::LANES) {
                // The last vector goes over a part of the one before it.
                let column = if grid < V::LANES { 0 } else { column.min(grid - V::LANES) };
                let mut acc = [[V::splat(T::ZERO); R]; C];
                for c in 0..C {
                    acc[c] = [bias[c]; R];
                }
                for from in 0..pass.from {
                    let plane = source.add(from * plane_size);
                    let rows = lines.from(plane, first, R + H - 1);
                    let plane = plane.wrapping_offset(first * lines.width as isize);
                    let weights = weights.add(from * taps);
                    for j in 0..H {
                        let at = column as isize + self.shifts[j];
                        let (low, high) = inside::<V>(at, lines.width);
                        let mut w = [[V::splat(T::ZERO); H]; C];
                        for c in 0..C {
                            for i in 0..H {
                                w[c][i] = V::splat(*weights.add(c * pass.from * taps + j * H + i));
                            }
                        }
                        let plane = plane.wrapping_offset(at);
                        for line in 0..R + H - 1 {
                            let from = if EDGE {
                                rows[line].wrapping_offset(at)
                            } else {
                                plane.wrapping_add(line * lines.width)
                            };
                            let x = V::load_between(from, low, high);
                            for i in 0..H {
                                if line >= i && line - i < R {
                                    for c in 0..C {
                                        acc[c][line - i] = acc[c][line - i].fma(w[c][i], x);
                                    }
                                }
                            }
                        }
                    }
                }
                for c in 0..C {
                    for i in 0..R {
                        let to = to.add(c * pass.target_plane() + i * grid + column);
                        if grid < V::LANES {
                            acc[c][i].store_first(to, grid);
                        } else {
                            acc[c][i].store(to);
                        }
                    }
                }
            }
        }
    }
}

/// Channels of x, numbered by block of images and channel.
struct Products<'a, T> {
    c: &'a Conv2d,
    axes: &'a [Axis; 2],
    images: usize,
    shifts: &'a [isize],
    lines: Lines<'a, T>,
    x: &'a [T],
    dy: &'a [T],
    range: Range<usize>,
    sums: *mut T,
}

impl<T: Float> Task<T> for Products<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        for task in self.range.clone() {
            // SAFETY: the caller's word.
            unsafe {
                match self.c.kernel[0] {
                    3 => self.channel::<V, 3, 3>(task),
                    5 => self.channel::<V, 5, 1>(task),
                    _ => self.channel::<V, HEIGHT, 1>(task),
                }
            }
        }
    }
}

impl<T: Float> Products<'_, T> {
    /// All taps of one channel, `J` columns of a kernel of `H` rows at a time.
    #[inline(always)]
    unsafe fn channel<V: Lanes<Elem = T>, const H: usize, const J: usize>(&self, task: usize) {
        let c = self.c;
        let (first, channel) = (task / c.in_channels * self.images, task % c.in_channels);
        for j in (0..H).step_by(J) {
            // SAFETY: the caller's word: the images and channels lie inside the tensors.
            unsafe {
                let mut sum = [[V::splat(T::ZERO); H]; J];
                for image in first..c.batch.min(first + self.images) {
                    let x = self.x.as_ptr().add((image * c.in_channels + channel) * c.plane_in());
                    let dy = self.dy.as_ptr().add((image * c.groups + channel / c.group_in()) * c.plane_out());
                    let mut acc = [[V::splat(T::ZERO); H]; J];
                    let mut row = 0;
                    while row < c.output[0] {
                        row += match c.output[0] - row {
                            4.. => self.rows::<V, H, J, 4>(&mut acc, x, dy, row, j),
                            2.. => self.rows::<V, H, J, 2>(&mut acc, x, dy, row, j),
                            _ => self.rows::<V, H, J, 1>(&mut acc, x, dy, row, j),
                        }
                    }
                    // Sums of sums lose less than one long one.
                    for k in 0..J {
                        for i in 0..H {
                            sum[k][i] = sum[k][i].add(acc[k][i]);
                        }
                    }
                }
                for k in 0..J {
                    for (i, tap) in self.axes[0].taps.iter().enumerate() {
                        let at = tap.kernel * H + self.axes[1].taps[j + k].kernel;
                        *self.sums.add(task * H * H + at) = total(sum[k][i]);
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn rows<V: Lanes<Elem = T>, const H: usize, const J: usize, const R: usize>(
        &self,
        acc: &mut [[V; H]; J],
        x: *const T,
        dy: *const T,
        row: usize,
        first: usize,
    ) -> usize {
        let grid = self.c.output[1];
        // SAFETY: the caller's word, and `inside` keeps to rows.
        unsafe {
            let rows = self.lines.from(x, row as isize - self.axes[0].pad, R + H - 1);
            for column in (0..grid).step_by(V::LANES) {
                let n = V::LANES.min(grid - column);
                let mut g = [V::splat(T::ZERO); R];
                for i in 0..R {
                    g[i] = V::load_between(dy.add((row + i) * grid + column), 0, n);
                }
                for k in 0..J {
                    let at = column as isize + self.shifts[first + k];
                    let (low, high) = inside::<V>(at, self.lines.width);
                    for line in 0..R + H - 1 {
                        // What is not multiplied by an output must not be read: it might be a NaN.
                        let x = V::load_between(rows[line].wrapping_offset(at), low, high.min(n));
                        for i in 0..H {
                            if line >= i && line - i < R {
                                acc[k][i] = acc[k][i].fma(g[line - i], x);
                            }
                        }
                    }
                }
            }
        }
        R
    }
}
