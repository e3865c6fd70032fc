//! Convolutions with a single channel on one side, of any kernel and stride: sums along rows of planes, with nothing gathered.
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

/// One position of each output after the other.
pub(super) fn run<T: Float>(pass: &Pass<T>) -> Result<()> {
    let [down, across] = pass.axes;
    let places = (0..down.spread).flat_map(|i| (0..across.spread).map(move |j| [i, j]));
    let each: Vec<_> = places.map(|[i, j]| ([i, j], [down.only(i), across.only(j)])).collect();
    let reached = |axes: &[Axis; 2]| axes.iter().all(|axis| !axis.taps.is_empty());
    if !each.iter().all(|(_, axes)| reached(axes)) {
        // Some positions are read by no tap.
        let size = pass.batch * pass.groups * pass.to * pass.target_plane();
        // SAFETY: the planes of the target, which this pass alone writes.
        unsafe { std::slice::from_raw_parts_mut(pass.target, size) }.fill(T::ZERO);
    }
    let mut each = each.iter().filter(|(_, axes)| reached(axes));
    each.try_for_each(|(to, axes)| positions(&Pass { axes, ..*pass }, *to))
}

/// The outputs' positions at `to` in the target: the axes hold what goes there.
fn positions<T: Float>(pass: &Pass<T>, to: [usize; 2]) -> Result<()> {
    let isa = simd::isa();
    let axes = pass.axes;
    let taps = axes[0].taps.len() * axes[1].taps.len();
    let stripe = Stripe::fit(axes, pass.from, STRIPE_BYTES / size_of::<T>(), usize::MAX);
    let offsets = stripe.offsets(pass.from);
    let mut order: Vec<_> = (0..taps).collect();
    order.sort_by_key(|&tap| offsets[tap]);
    let offsets: Vec<_> = (0..pass.from)
        .flat_map(|channel| order.iter().map(move |tap| channel * taps + tap))
        .map(|i| offsets[i])
        .collect();

    let across = axes[1].taps.len();
    let order: Vec<_> = order.iter().map(|tap| (tap / across, tap % across)).collect();
    let mut weights = pass.packed(&order)?;
    // SAFETY: all of them are written.
    let packed = &*unsafe { weights.slice_mut() };
    let bands: Vec<_> = stripe.bands().collect();
    let work = 2 * pass.to * pass.from * taps * stripe.rows * axes[1].grid;
    let outcome = Outcome::default();
    ranges(pass.batch * pass.groups * bands.len(), GRAIN / work.max(1) + 1, &|range| {
        let work = || {
            let buffer = Scratch::new(stripe.size(pass.from, SLACK))?;
            let rows = Rows { pass, to, stripe: &stripe, offsets: &offsets, weights: packed, bands: &bands, range };
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
    to: [usize; 2],
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
        let [down, across] = rows.to;
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
                        to: pass.plane(image * pass.to + target).add(down * pass.axes[1].target + across),
                        pitch: rows.stripe.pitch,
                    };
                    let mut row = 0;
                    while row < band.len() {
                        let from = buffer.cast_const().add(row * rows.stripe.pitch);
                        let at = band.start + row;
                        row += match band.len() - row {
                            4.. => line.sums::<4>(from, at),
                            2.. => line.sums::<2>(from, at),
                            _ => line.sums::<1>(from, at),
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
    unsafe fn sums<const R: usize>(&self, from: *const V::Elem, at: usize) -> usize {
        let (grid, [down, across]) = (self.pass.axes[1].grid, self.pass.steps());
        for column in (0..grid).step_by(V::LANES) {
            let mut acc = [self.bias; R];
            // SAFETY: the caller's word; `SLACK` covers what is read beyond the last output.
            unsafe {
                let from = from.add(column);
                for (number, &offset) in self.offsets.iter().enumerate() {
                    let (w, from) = (V::splat(*self.weights.add(number)), from.offset(offset));
                    for i in 0..R {
                        acc[i] = acc[i].fma(w, V::load(from.add(i * self.pitch)));
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
