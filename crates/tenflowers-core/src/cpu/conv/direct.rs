//! Convolution of floats by the register tile, forward and the gradient of x.
//!
//! A stripe of the image is copied with its padding; from it, for as many outputs as a tile is wide, what they read is
//! gathered term by term into a panel that stays in the cache while all target channels pass over it.

use super::Conv2d;
use super::planes;
use super::region::{Region, TILES};
use super::stripe::{Axis, SLACK, Stripe, channels_at_once, noting};
use super::terms::{Sum, Terms};
use super::windows;
use crate::cpu::gemm::lanes::{self, Float, Lanes, Task};
use crate::cpu::gemm::pack::panel;
use crate::cpu::gemm::tile::{Geometry, piece};
use crate::cpu::gemm::{Outcome, Scratch};
use crate::cpu::pool::{self, ranges};
use crate::cpu::simd::{self, Isa};
use crate::error::Result;

/// Terms summed in one go: with 14 rows of f32 they fill a small L1.
const TERMS: usize = 576;
/// Bytes of a stripe, which stays in L2.
const STRIPE_BYTES: usize = 192 << 10;
/// Floating point operations that are worth a worker.
const GRAIN: usize = 1 << 20;

pub(super) fn forward<T: Float>(c: &Conv2d, x: &[T], w: &[T], bias: Option<&[T]>, y: &mut [T]) -> Result<()> {
    let axes = [Axis::forward(c, 0), Axis::forward(c, 1)];
    let kernel = c.kernel[0] * c.kernel[1];
    Pass {
        axes: &axes,
        batch: c.batch,
        groups: c.groups,
        from: c.group_in(),
        to: c.group_out(),
        source: x.as_ptr(),
        target: y.as_mut_ptr(),
        bias: bias.map(<[T]>::as_ptr),
        weights: w.as_ptr(),
        weight_group: c.group_out() * c.taps(),
        weight_row: c.taps(),
        weight_channel: kernel,
        kernel_width: c.kernel[1],
    }
    .run()
}

pub(super) fn backward<T: Float>(c: &Conv2d, dy: &[T], w: &[T], dx: &mut [T]) -> Result<()> {
    let axes = [Axis::backward(c, 0), Axis::backward(c, 1)];
    Pass {
        axes: &axes,
        batch: c.batch,
        groups: c.groups,
        from: c.group_out(),
        to: c.group_in(),
        source: dy.as_ptr(),
        target: dx.as_mut_ptr(),
        bias: None,
        weights: w.as_ptr(),
        weight_group: c.group_out() * c.taps(),
        weight_row: c.kernel[0] * c.kernel[1],
        weight_channel: c.taps(),
        kernel_width: c.kernel[1],
    }
    .run()
}

/// A grid of outputs of every channel of the target, each a sum over the channels and taps of the source; or several
/// such sums, for positions of the target side by side.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a, T> {
    pub axes: &'a [Axis; 2],
    pub batch: usize,
    pub groups: usize,
    /// Channels of the source, and of the target, in a group.
    pub from: usize,
    pub to: usize,
    pub source: *const T,
    pub target: *mut T,
    pub bias: Option<*const T>,
    pub weights: *const T,
    /// Steps in the weights from one group, target channel and source channel to the next.
    pub weight_group: usize,
    pub weight_row: usize,
    pub weight_channel: usize,
    pub kernel_width: usize,
}

// SAFETY: the pointers are good for the whole pass, and its tasks write different elements of the target.
unsafe impl<T: Sync> Sync for Pass<'_, T> {}

impl<T: Float> Pass<'_, T> {
    /// Elements of a plane of the target.
    pub(super) fn target_plane(&self) -> usize {
        self.axes[0].target * self.axes[1].target
    }

    /// Where a plane of the target begins.
    pub(super) fn plane(&self, number: usize) -> *mut T {
        self.target.wrapping_add(number * self.target_plane())
    }

    /// Rows of the tile that target channels go through, where a whole one has `mr`: two or six alone, behind 14, are too
    /// few sums for the latency of a step.
    pub(super) fn tile_rows(&self, mr: usize) -> usize {
        if mr == 14 && matches!(self.to, 16 | 20) { 8 } else { mr }
    }

    /// Elements of the target from one output to the next, down and across.
    pub(super) fn steps(&self) -> [usize; 2] {
        [self.axes[0].spread * self.axes[1].target, self.axes[1].spread]
    }

    /// The weights of each target and source channel of each group, those of the taps in `order`: places down and across.
    pub(super) fn packed(&self, order: &[(usize, usize)]) -> Result<Scratch<T>> {
        let mut weights = Scratch::filled(self.groups * self.to * self.from * order.len(), T::ZERO)?;
        // SAFETY: `filled` has written all of them.
        let packed = unsafe { weights.slice_mut() };
        for (number, packed) in packed.chunks_exact_mut(order.len()).enumerate() {
            let (target, channel) = (number / self.from, number % self.from);
            let (group, target) = (target / self.to, target % self.to);
            let kernel = group * self.weight_group + target * self.weight_row + channel * self.weight_channel;
            for (packed, &(down, across)) in packed.iter_mut().zip(order) {
                let [down, across] = [self.axes[0].taps[down].kernel, self.axes[1].taps[across].kernel];
                // SAFETY: a tap of a channel of a target channel.
                *packed = unsafe { *self.weights.add(kernel + down * self.kernel_width + across) };
            }
        }
        Ok(weights)
    }

    fn run(&self) -> Result<()> {
        // A side of few channels leaves the tile's rows, or what it gathers, without use.
        let (few, many) = (self.from.min(self.to), self.from.max(self.to));
        let small = few <= 4 && many <= 64 && self.axes[0].taps.len() == 3;
        if (few == 1 || small) && windows::fit(self.axes) {
            return windows::run(self);
        }
        let taps = self.axes[0].taps.len() * self.axes[1].taps.len();
        if few == 1 || taps == 0 {
            return planes::run(self);
        }
        let isa = simd::isa();
        // SAFETY: `isa` names what this machine has.
        let (mr, nr) = unsafe { lanes::run::<T, _>(isa, Geometry) };
        let channels = channels_at_once(self.from, self.axes[0].reads() * self.axes[1].reads(), TERMS);
        // Few images are cut into stripes for the threads: that repeats less than to share out their target channels.
        let tasks = 4 * pool::num_threads();
        let low = (4 * TILES * nr).div_ceil(self.axes[1].grid).max(4 * self.axes[0].reach());
        let most = self.axes[0].grid.div_ceil(tasks.div_ceil(self.batch * self.groups)).max(low);
        let stripe = Stripe::fit(self.axes, channels, STRIPE_BYTES / size_of::<T>(), most);
        let terms = Terms::new(&stripe, channels, self.kernel_width, nr);
        let weights = self.pack(isa, self.tile_rows(mr), &terms)?;
        let packed = weights.ptr() as usize;
        let bands: Vec<_> = stripe.bands().collect();
        // Small images go together, so that they fill tiles; few images share out the target channels too.
        let outputs = stripe.rows * self.axes[1].grid;
        let image = 2 * self.to * self.from * taps * outputs;
        let fit = STRIPE_BYTES / size_of::<T>() / stripe.size(channels, 0);
        let least = GRAIN.div_ceil(image).max((TILES * nr).div_ceil(outputs)).min(fit).clamp(1, self.batch);
        let together = match bands.len() {
            1 => (least..=(2 * least).min(fit.max(least)).min(self.batch)).min_by_key(|n| {
                let used = n * outputs;
                (used.next_multiple_of(nr) - used) * 1000 / used
            }),
            _ => None,
        };
        let together = together.unwrap_or(1);
        let whole = self.batch.div_ceil(together) * self.groups * bands.len();
        let wanted = tasks.div_ceil(whole).min((together * image).div_ceil(GRAIN));
        let height = self.to.div_ceil(wanted).next_multiple_of(2 * mr).min(self.to);
        let parts = self.to.div_ceil(height);
        let outcome = Outcome::default();
        ranges(whole * parts, (GRAIN / (together * image / parts)).max(1), &|range| {
            let work = || {
                let buffer = Scratch::new(stripe.size(channels, 0) * together + SLACK)?;
                let panel = Scratch::new(TILES * channels * terms.each * nr + SLACK)?;
                for task in range {
                    let (rest, part) = (task / parts, task % parts);
                    let (rest, band) = (rest / bands.len(), rest % bands.len());
                    let (first, group) = (rest / self.groups * together, rest % self.groups);
                    let region = Region {
                        pass: self,
                        stripe: &stripe,
                        channels,
                        terms: &terms,
                        weights: (packed as *const T).wrapping_add(group * self.to * self.from * taps),
                        images: first..self.batch.min(first + together),
                        group,
                        band: bands[band].clone(),
                        targets: part * height..self.to.min((part + 1) * height),
                        buffer: buffer.ptr(),
                        panel: panel.ptr(),
                    };
                    // SAFETY: `isa` names what this machine has; the region lies inside the tensors.
                    unsafe { lanes::run(isa, region) };
                }
                Ok(())
            };
            noting(&outcome, work());
        })?;
        outcome.result()
    }

    /// The weights in panels for the tile, group by group and sum by sum.
    fn pack(&self, isa: Isa, mr: usize, terms: &Terms) -> Result<Scratch<T>> {
        let places = |kernel: &Vec<usize>| {
            let channel = |channel| kernel.iter().map(move |at| (channel * self.weight_channel + at) as isize);
            (0..self.from).flat_map(channel).collect::<Vec<_>>()
        };
        let dense = |places: &[isize]| places.iter().enumerate().all(|(p, &at)| p as isize == at);
        let sum = |sum: &Sum| {
            let places = places(&sum.kernel);
            (dense(&places), places, sum.before)
        };
        let sums: Vec<_> = terms.sums.iter().map(sum).collect();
        let group = self.to * self.from * terms.taps;
        let packed = Scratch::new(self.groups * group)?;
        let to = packed.ptr() as usize;
        // Whole panels, so that each part is packed as it would be after the others.
        let rows = 12 * mr;
        let parts = self.to.div_ceil(rows);
        ranges(self.groups * parts, (1 << 16) / (rows * self.from * terms.taps) + 1, &|range| {
            for part in range {
                let (number, first) = (part / parts, part % parts * rows);
                let rows = rows.min(self.to - first);
                let from = self.weights.wrapping_add(number * self.weight_group + first * self.weight_row);
                for &(dense, ref places, before) in &sums {
                    let at = number * group + before * self.to * self.from + first * places.len();
                    let to = (to as *mut T).wrapping_add(at);
                    let task = PackTerms { mr, rows, from, row: self.weight_row, terms: places, dense, to };
                    // SAFETY: `isa` names what this machine has; the rows lie inside weights and scratch.
                    unsafe { lanes::run(isa, task) }
                }
            }
        })?;
        Ok(packed)
    }
}

/// Packs rows of weights into panels as the tile takes them, terms by table.
struct PackTerms<'a, T> {
    /// Rows of a whole panel.
    mr: usize,
    rows: usize,
    from: *const T,
    row: usize,
    terms: &'a [isize],
    /// Whether the terms follow one another.
    dense: bool,
    to: *mut T,
}

impl<T: Float> Task<T> for PackTerms<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        let mut first = 0;
        while first < self.rows {
            let rows = piece(self.mr, self.rows - first);
            // SAFETY: the caller's word.
            unsafe {
                let to = self.to.add(first * self.terms.len());
                if self.dense {
                    let from = self.from.add(first * self.row);
                    panel::<V>((rows, self.terms.len()), (from, self.row as isize, 1), (to, rows));
                    first += rows;
                    continue;
                }
                for (p, &term) in self.terms.iter().enumerate() {
                    for i in 0..rows {
                        *to.add(p * rows + i) = *self.from.add((first + i) * self.row).offset(term);
                    }
                }
            }
            first += rows;
        }
    }
}
