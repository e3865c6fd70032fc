//! Convolutions of few channels, depthwise ones above all: sums along rows of planes, with nothing gathered.
//!
//! Four rows of a grid go together, so that 3x3 kernels of stride 1 read each row of the source for three of them.
// Iterators over arrays of vectors keep them in memory: by index they stay in registers.
#![allow(clippy::needless_range_loop)]

use super::direct::Pass;
use super::stripe::{Axis, SLACK, Stripe, noting};
use crate::cpu::gemm::lanes::{self, Float, Lanes, Task};
use crate::cpu::gemm::{Outcome, Scratch};
use crate::cpu::pool::ranges;
use crate::cpu::simd;
use crate::error::Result;
use std::ops::Range;

/// Bytes of a stripe of all source channels of a group.
const STRIPE_BYTES: usize = 128 << 10;
/// Floating point operations that are worth a worker.
const GRAIN: usize = 1 << 20;

/// Whether sums along rows beat tiles of gathered columns: a side of so few channels leaves the tile's rows, or what it
/// gathers, without use.
pub(super) fn pays(from: usize, to: usize, axes: &[Axis; 2]) -> bool {
    from.min(to) == 1 || (from.min(to) <= 4 && from.max(to) <= 64 && dense(axes))
}

/// Whether the kernel is 3x3 without stride or dilation.
pub(super) fn dense(axes: &[Axis; 2]) -> bool {
    axes.iter().all(|axis| axis.stride == 1 && axis.taps.len() == 3 && axis.reach() == 2)
}

pub(super) fn run<T: Float>(pass: &Pass<T>) -> Result<()> {
    let isa = simd::isa();
    let axes = pass.axes;
    let taps = axes[0].taps.len() * axes[1].taps.len();
    let stripe = Stripe::fit(axes, pass.from, STRIPE_BYTES / size_of::<T>());
    let offsets = stripe.offsets(pass.from);
    let mut order: Vec<_> = (0..taps).collect();
    order.sort_by_key(|&tap| offsets[tap]);
    let offsets: Vec<_> = (0..pass.from)
        .flat_map(|channel| order.iter().map(move |tap| channel * taps + tap))
        .map(|i| offsets[i])
        .collect();

    // The weights of each target channel, in the order of offsets.
    let mut weights = Scratch::filled(pass.groups * pass.to * pass.from * taps, T::ZERO)?;
    // SAFETY: `filled` has written all of them.
    let packed = unsafe { weights.slice_mut() };
    for (number, packed) in packed.chunks_exact_mut(taps).enumerate() {
        let (target, channel) = (number / pass.from, number % pass.from);
        let (group, target) = (target / pass.to, target % pass.to);
        let kernel = group * pass.weight_group + target * pass.weight_row + channel * pass.weight_channel;
        for (packed, tap) in packed.iter_mut().zip(&order) {
            let (i, j) = (tap / axes[1].taps.len(), tap % axes[1].taps.len());
            let at = kernel + axes[0].taps[i].kernel * pass.kernel_width + axes[1].taps[j].kernel;
            // SAFETY: a tap of a channel of a target channel.
            *packed = unsafe { *pass.weights.add(at) };
        }
    }
    let packed = &*packed;
    let bands: Vec<_> = stripe.bands().collect();
    let work = 2 * pass.to * pass.from * taps * stripe.rows * axes[1].grid;
    let outcome = Outcome::default();
    ranges(pass.batch * pass.groups * bands.len(), GRAIN / work.max(1) + 1, &|range| {
        let work = || {
            let buffer = Scratch::new(stripe.size(pass.from, SLACK))?;
            let rows = Rows { pass, stripe: &stripe, offsets: &offsets, weights: packed, bands: &bands, range };
            // SAFETY: `isa` names what this machine has; each band of an image and group is taken once.
            unsafe { lanes::run(isa, (rows, buffer.ptr())) };
            Ok(())
        };
        noting(&outcome, work());
    })?;
    outcome.result()
}

/// Bands of planes, numbered by image, group and band.
struct Rows<'a, T> {
    pass: &'a Pass<'a, T>,
    stripe: &'a Stripe<'a>,
    offsets: &'a [isize],
    weights: &'a [T],
    bands: &'a [Range<usize>],
    range: Range<usize>,
}

impl<T: Float> Task<T> for (Rows<'_, T>, *mut T) {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        let (rows, buffer) = self;
        let pass = rows.pass;
        let plane = pass.axes[0].source * pass.axes[1].source;
        let dense = dense(pass.axes);
        let taps = rows.offsets.len() / pass.from;
        for task in rows.range.clone() {
            let (image, band) = (task / rows.bands.len(), &rows.bands[task % rows.bands.len()]);
            // SAFETY: the caller's word; the buffer has the size of a whole stripe.
            unsafe {
                let source = pass.source.add(image * pass.from * plane);
                rows.stripe.fill::<V>(source, pass.from, band.start, buffer, SLACK);
                for target in 0..pass.to {
                    let channel = image % pass.groups * pass.to + target;
                    let line = Line {
                        pass,
                        offsets: rows.offsets,
                        weights: rows.weights[channel * pass.from * taps..].as_ptr(),
                        bias: V::splat(pass.bias.map_or(T::ZERO, |bias| *bias.add(channel))),
                        to: pass.target.add((image * pass.to + target) * pass.target_plane + pass.target_start),
                        pitch: rows.stripe.pitch,
                    };
                    let mut row = 0;
                    while row < band.len() {
                        let from = buffer.cast_const().add(row * rows.stripe.pitch);
                        let at = band.start + row;
                        row += match (band.len() - row, dense) {
                            (4.., true) => line.sums::<4, true>(from, at),
                            (4.., false) => line.sums::<4, false>(from, at),
                            (2.., true) => line.sums::<2, true>(from, at),
                            (2.., false) => line.sums::<2, false>(from, at),
                            (_, true) => line.sums::<1, true>(from, at),
                            (_, false) => line.sums::<1, false>(from, at),
                        };
                    }
                }
            }
        }
    }
}

/// Rows of one target channel.
struct Line<'a, V: Lanes> {
    pass: &'a Pass<'a, V::Elem>,
    offsets: &'a [isize],
    weights: *const V::Elem,
    bias: V,
    to: *mut V::Elem,
    pitch: usize,
}

impl<V: Lanes> Line<'_, V> {
    /// Computes `R` rows of the grid from row `at` on, whose first terms begin at `from`.
    #[inline(always)]
    unsafe fn sums<const R: usize, const DENSE: bool>(&self, from: *const V::Elem, at: usize) -> usize {
        let (grid, [down, across]) = (self.pass.axes[1].grid, self.pass.target_steps);
        for column in (0..grid).step_by(V::LANES) {
            let mut acc = [self.bias; R];
            // SAFETY: the caller's word; `SLACK` covers what is read beyond the last output.
            unsafe {
                let from = from.add(column);
                if DENSE {
                    for (number, &offset) in self.offsets.iter().step_by(9).enumerate() {
                        dense_sums::<V, R>(&mut acc, from.offset(offset), self.pitch, self.weights.add(9 * number));
                    }
                } else {
                    for (number, &offset) in self.offsets.iter().enumerate() {
                        let (w, from) = (V::splat(*self.weights.add(number)), from.offset(offset));
                        for i in 0..R {
                            acc[i] = acc[i].fma(w, V::load(from.add(i * self.pitch)));
                        }
                    }
                }
                let (n, to) = (V::LANES.min(grid - column), self.to.add(at * down + column * across));
                for i in 0..R {
                    let to = to.add(i * down);
                    if across > 1 {
                        let mut lanes = [V::Elem::ZERO; 16];
                        acc[i].store(lanes.as_mut_ptr());
                        for (j, &x) in lanes[..n].iter().enumerate() {
                            *to.add(j * across) = x;
                        }
                    } else if n == V::LANES {
                        acc[i].store(to);
                    } else {
                        acc[i].store_first(to, n);
                    }
                }
            }
        }
        R
    }
}

/// Adds nine taps to `R` rows; each row of the source is read for all that it goes into.
#[inline(always)]
unsafe fn dense_sums<V: Lanes, const R: usize>(
    acc: &mut [V; R],
    from: *const V::Elem,
    pitch: usize,
    weights: *const V::Elem,
) {
    // SAFETY: the caller's word.
    unsafe {
        let w = |i: usize| V::splat(*weights.add(i));
        let w = [[w(0), w(1), w(2)], [w(3), w(4), w(5)], [w(6), w(7), w(8)]];
        for row in 0..R + 2 {
            for j in 0..3 {
                let x = V::load(from.add(row * pitch + j));
                for i in 0..3 {
                    if row >= i && row - i < R {
                        acc[row - i] = acc[row - i].fma(w[i][j], x);
                    }
                }
            }
        }
    }
}
