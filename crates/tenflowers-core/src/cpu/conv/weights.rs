//! The gradient of a convolution's weights, for floats: for each tap the product of the shifted image with dy, summed
//! over all positions of all images. Where there is one tap, unshifted, that is a product of matrices.
// Iterators over arrays of vectors keep them in memory: by index they stay in registers.
#![allow(clippy::needless_range_loop)]

use super::stripe::{Axis, SLACK, Stripe, channels_at_once, noting};
use super::windows;
use super::{Conv2d, matrix};
use crate::cpu::gemm::lanes::{self, Float, Lanes, Task};
use crate::cpu::gemm::matvec::total;
use crate::cpu::gemm::pack::panel;
use crate::cpu::gemm::tile::{Stride, Table, piece, store, tile};
use crate::cpu::gemm::{Outcome, Scratch, blocked};
use crate::cpu::pool::{Parts, num_threads, ranges};
use crate::cpu::simd;
use crate::error::Result;

/// Floating point operations of a block of images, at least.
const GRAIN: usize = 8 << 20;
/// The most blocks, and the most bytes of their sums together.
const BLOCKS: usize = 32;
const SUM_BYTES: usize = 16 << 20;
/// Bytes of a stripe of x, and of dy, which stay in L2.
const STRIPE_BYTES: usize = 160 << 10;

/// All that decides how sums are cut is made of shapes: images fall into blocks, blocks are added in order.
pub(super) fn backward<T: Float>(c: &Conv2d, x: &[T], dy: &[T], dw: &mut [T]) -> Result<()> {
    let axes = [Axis::forward(c, 0), Axis::forward(c, 1)];
    let taps = c.kernel[0] * c.kernel[1];
    let (from, to) = (c.group_in(), c.group_out());
    let flops = 2 * c.batch * c.plane_out() * dw.len();
    let most = BLOCKS.min(SUM_BYTES / size_of_val(dw)).max(1);
    let images = c.batch.div_ceil((flops / GRAIN).clamp(1, c.batch.min(most)));
    let blocks = c.batch.div_ceil(images);
    let sums = Scratch::<T>::new(blocks * dw.len())?;
    let base = sums.ptr() as usize;
    if c.is_product() && to > 1 {
        matrices(c, images, (x, dy), sums.ptr())?;
    } else if to == 1 && windows::fit(&axes) {
        windows::products(c, &axes, images, (x, dy), sums.ptr())?;
    } else {
        products(c, &axes, images, (x, dy), sums.ptr())?;
    }

    // The sums of blocks, transposed: 16 target channels at a time, which is a cache line.
    let (terms, size) = (from * taps, dw.len());
    let dw = Parts::new(dw);
    let lines = to.div_ceil(16);
    ranges(c.groups * lines, (1 << 14) / (16 * terms * blocks) + 1, &|range| {
        for line in range {
            let (group, first) = (line / lines, line % lines * 16);
            let width = 16.min(to - first);
            // SAFETY: each line of target channels is taken once; all sums have been written.
            unsafe {
                let dw = dw.part((group * to + first) * terms..(group * to + first + width) * terms);
                for term in 0..terms {
                    let at = (base as *const T).wrapping_add((group * terms + term) * to + first);
                    for i in 0..width {
                        let mut sum = *at.add(i);
                        for block in 1..blocks {
                            sum = sum + *at.add(block * size + i);
                        }
                        dw[i * terms + term] = sum;
                    }
                }
            }
        }
    })
}

/// As [`products`], where the images are matrices of channels and positions.
fn matrices<T: Float>(c: &Conv2d, images: usize, (x, dy): (&[T], &[T]), sums: *mut T) -> Result<()> {
    let (from, to, plane) = (c.group_in(), c.group_out(), c.plane_in());
    let (tasks, base) = (c.batch.div_ceil(images) * c.groups, sums as usize);
    let outcome = Outcome::default();
    let one = |task: usize| {
        let (block, group) = (task / c.groups, task % c.groups);
        let sum = (base as *mut T).wrapping_add(task * from * to);
        for image in block * images..c.batch.min((block + 1) * images) {
            let image = image * c.groups + group;
            let a = matrix(&x[image * from * plane..], plane, false);
            let b = matrix(&dy[image * to * plane..], plane, true);
            let onto = (image >= (block * images + 1) * c.groups).then_some((sum.cast_const(), to));
            // SAFETY: the matrices lie inside the tensors, and each task has sums of its own.
            noting(&outcome, unsafe { blocked::product([from, to, plane], a, b, (sum, to), onto) });
        }
    };
    if tasks < 2 * num_threads() {
        (0..tasks).for_each(one);
    } else {
        ranges(tasks, 1, &|range| range.for_each(one))?;
    }
    outcome.result()
}

/// The sums of each block of images: `sums[block][group][term][target]`.
fn products<T: Float>(c: &Conv2d, axes: &[Axis; 2], images: usize, (x, dy): (&[T], &[T]), sums: *mut T) -> Result<()> {
    let isa = simd::isa();
    let taps = c.kernel[0] * c.kernel[1];
    let (from, to) = (c.group_in(), c.group_out());
    let blocks = c.batch.div_ceil(images);
    // Channels of x are shared out as far as the blocks do not give enough tasks.
    let share = from.div_ceil(BLOCKS.div_ceil(blocks * c.groups));
    let channels = channels_at_once(from, taps, (share * taps).max(72));
    let parts = from.div_ceil(channels);

    let room = STRIPE_BYTES / size_of::<T>();
    let mut stripe = Stripe::fit(axes, channels, room, usize::MAX);
    stripe.rows = stripe.rows.min((room / (to * c.output[1])).max(1));
    let offsets = stripe.offsets(channels);
    let columns = c.output[1];
    let positions: Vec<_> =
        (0..stripe.rows * columns).map(|p| (p / columns * stripe.pitch + p % columns) as isize).collect();

    let base = sums as usize;
    let outcome = Outcome::default();
    ranges(blocks * c.groups * parts, 1, &|range| {
        for task in range {
            let (rest, part) = (task / parts, task % parts);
            let (block, group) = (rest / c.groups, rest % c.groups);
            let first = part * channels;
            let work = || {
                let buffer = Scratch::new(stripe.size(channels, SLACK))?;
                let transposed = Scratch::new(positions.len() * to)?;
                let sum =
                    (base as *mut T).wrapping_add((block * c.groups + group) * from * taps * to + first * taps * to);
                for image in block * images..c.batch.min((block + 1) * images) {
                    let image = image * c.groups + group;
                    let product = Product {
                        stripe: &stripe,
                        channels: channels.min(from - first),
                        taps,
                        to,
                        offsets: &offsets,
                        positions: &positions,
                        x: x[(image * from + first) * c.plane_in()..].as_ptr(),
                        dy: dy[image * to * c.plane_out()..].as_ptr(),
                        sum,
                        accumulate: image / c.groups > block * images,
                        buffer: buffer.ptr(),
                        transposed: transposed.ptr(),
                    };
                    // SAFETY: `isa` names what this machine has; image and channels lie inside the tensors, each task
                    // has its own part of the sums.
                    unsafe { lanes::run(isa, product) };
                }
                Ok(())
            };
            noting(&outcome, work());
        }
    })?;
    outcome.result()
}

/// What one image adds to the sums: `sum[term * to + target]`.
struct Product<'a, T> {
    stripe: &'a Stripe<'a>,
    channels: usize,
    taps: usize,
    /// Channels of dy in a group.
    to: usize,
    offsets: &'a [isize],
    positions: &'a [isize],
    x: *const T,
    dy: *const T,
    sum: *mut T,
    accumulate: bool,
    buffer: *mut T,
    transposed: *mut T,
}

impl<T: Float> Task<T> for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(mut self) {
        let columns = self.stripe.axes[1].grid;
        let plane = self.stripe.axes[0].grid * columns;
        for band in self.stripe.bands() {
            let k = band.len() * columns;
            // SAFETY: the caller's word: the buffers have the sizes of a whole stripe.
            unsafe {
                self.stripe.fill::<V>(self.x, self.channels, band.start, self.buffer, SLACK);
                if self.to == 1 {
                    self.lines::<V>(band.start, band.len());
                    self.accumulate = true;
                    continue;
                }
                let dy = self.dy.add(band.start * columns);
                panel::<V>((self.to, k), (dy, plane as isize, 1), (self.transposed, self.to));
            }
            let terms = self.channels * self.taps;
            for target in (0..self.to).step_by(V::NV * V::LANES) {
                let mut term = 0;
                while term < terms {
                    // More rows than that at places of their own take more address registers than there are.
                    let rows = match terms - term {
                        9.. if V::MR == 14 && self.taps == 9 => 9,
                        left => piece(V::MR.min(8), left),
                    };
                    // SAFETY: as above.
                    unsafe {
                        match rows {
                            9 if V::MR == 14 => self.tile::<V, 9>(k, term, target),
                            8 if V::MR >= 8 => self.tile::<V, 8>(k, term, target),
                            6 if V::MR == 6 => self.tile::<V, 6>(k, term, target),
                            4 => self.tile::<V, 4>(k, term, target),
                            2 => self.tile::<V, 2>(k, term, target),
                            _ => self.tile::<V, 1>(k, term, target),
                        }
                    }
                    term += rows;
                }
            }
            self.accumulate = true;
        }
    }
}

impl<T: Float> Product<'_, T> {
    /// The sums of a single target channel, as of a depthwise convolution: products of rows, element by element.
    #[inline(always)]
    unsafe fn lines<V: Lanes<Elem = T>>(&self, first: usize, rows: usize) {
        let terms = self.channels * self.taps;
        // SAFETY: the caller's word.
        unsafe {
            let mut term = 0;
            while term < terms {
                let n = if terms - term == 9 { 9 } else { piece(8, terms - term) };
                match n {
                    9 => self.line::<V, 9>(term, first, rows),
                    8 => self.line::<V, 8>(term, first, rows),
                    4 => self.line::<V, 4>(term, first, rows),
                    2 => self.line::<V, 2>(term, first, rows),
                    _ => self.line::<V, 1>(term, first, rows),
                }
                term += n;
            }
        }
    }

    #[inline(always)]
    unsafe fn line<V: Lanes<Elem = T>, const R: usize>(&self, term: usize, first: usize, rows: usize) {
        let columns = self.stripe.axes[1].grid;
        let whole = columns / V::LANES * V::LANES;
        // SAFETY: the caller's word.
        unsafe {
            let mut acc = [V::splat(T::ZERO); R];
            for row in 0..rows {
                let (dy, x) = (self.dy.add((first + row) * columns), self.buffer.add(row * self.stripe.pitch));
                for i in (0..whole).step_by(V::LANES) {
                    let dy = V::load(dy.add(i));
                    for t in 0..R {
                        acc[t] = acc[t].fma(dy, V::load(x.offset(self.offsets[term + t]).add(i)));
                    }
                }
                if whole < columns {
                    let n = columns - whole;
                    let dy = V::load_first(dy.add(whole), n);
                    for t in 0..R {
                        acc[t] = acc[t].fma(dy, V::load_first(x.offset(self.offsets[term + t]).add(whole), n));
                    }
                }
            }
            self.total(acc, term);
        }
    }

    /// Adds the lanes of vectors up, into the sums of terms from `term` on.
    #[inline(always)]
    unsafe fn total<V: Lanes<Elem = T>, const R: usize>(&self, acc: [V; R], term: usize) {
        for i in 0..R {
            // SAFETY: the caller's word.
            unsafe {
                let (sum, here) = (self.sum.add(term + i), total(acc[i]));
                *sum = if self.accumulate { *sum + here } else { here };
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<V: Lanes<Elem = T>, const R: usize>(&self, k: usize, term: usize, target: usize) {
        let left = self.to - target;
        // SAFETY: the caller's word.
        unsafe {
            if left <= V::LANES {
                self.finish::<V, R, 1, true>(k, term, target, left)
            } else if V::NV == 3 && left > 2 * V::LANES {
                self.finish::<V, R, 3, true>(k, term, target, left)
            } else if left >= 2 * V::LANES {
                self.finish::<V, R, 2, false>(k, term, target, left)
            } else {
                self.finish::<V, R, 2, true>(k, term, target, left)
            }
        }
    }

    #[inline(always)]
    unsafe fn finish<V: Lanes<Elem = T>, const R: usize, const N: usize, const PART: bool>(
        &self,
        k: usize,
        term: usize,
        target: usize,
        left: usize,
    ) {
        let last = V::LANES.min(left - (N - 1) * V::LANES);
        let mut rows = [0; R];
        rows.copy_from_slice(&self.offsets[term..term + R]);
        // SAFETY: the caller's word.
        unsafe {
            let a = (self.buffer.cast_const(), rows, Table(self.positions.as_ptr()));
            let b = (self.transposed.cast_const().add(target), Stride(self.to as isize));
            let acc = tile::<V, R, N, PART>(k, a, b, last);
            let c = (self.sum.add(term * self.to + target), self.to);
            store::<V, R, N, PART>(acc, c, last, self.accumulate);
        }
    }
}
