//! y = x * w, and dx = dy * w turned round, which is the same.

use super::tiles::{Planes, Target, Values, buffer_size, store_6};
use super::{POINTS, Tiling, points};
use crate::cpu::conv::Conv2d;
use crate::cpu::conv::stripe::noting;
use crate::cpu::gemm::lanes::{self, Lanes, Task};
use crate::cpu::gemm::tile::{Geometry, Stride, piece, rows_of, store, tile};
use crate::cpu::gemm::{Outcome, Scratch};
use crate::cpu::pool::{self, ranges};
use crate::cpu::simd;
use crate::error::Result;
use std::ops::Range;

pub(crate) fn forward(c: &Conv2d, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]) -> Result<()> {
    let tiling = Tiling::new(c.batch, c.output);
    let source = Planes { data: x, channels: c.in_channels, size: c.input, pad: c.padding, tiling };
    let bias = bias.map(<[f32]>::as_ptr);
    let target = Target { data: y.as_mut_ptr(), channels: c.out_channels, size: c.output, tiling, bias };
    Pass { source, target, weights: Weights { data: w, from: 9, to: 9 * c.in_channels, turned: false } }.run()
}

pub(crate) fn backward_input(c: &Conv2d, dy: &[f32], w: &[f32], dx: &mut [f32]) -> Result<()> {
    let tiling = Tiling::new(c.batch, c.input);
    let pad = c.padding.map(|p| 2 - p);
    let source = Planes { data: dy, channels: c.out_channels, size: c.output, pad, tiling };
    let target = Target { data: dx.as_mut_ptr(), channels: c.in_channels, size: c.input, tiling, bias: None };
    Pass { source, target, weights: Weights { data: w, from: 9 * c.in_channels, to: 9, turned: true } }.run()
}

#[derive(Clone, Copy)]
struct Weights<'a> {
    data: &'a [f32],
    /// From one source channel, and one target channel, to the next.
    from: usize,
    to: usize,
    /// Whether the taps are in the opposite order.
    turned: bool,
}

struct Pass<'a> {
    source: Planes<'a>,
    target: Target,
    weights: Weights<'a>,
}

// SAFETY: the pointers are good for the whole pass, and its tasks write different rows of the target.
unsafe impl Sync for Pass<'_> {}

impl Pass<'_> {
    fn run(&self) -> Result<()> {
        let isa = simd::isa();
        // SAFETY: `isa` names what this machine has.
        let (_, width) = unsafe { lanes::run::<f32, _>(isa, Geometry) };
        let (from, to) = (self.source.channels, self.target.channels);
        let blocks = to.div_ceil(width);
        let transformed = Scratch::<f32>::new(blocks * POINTS * from * width)?;
        let address = transformed.ptr() as usize;
        ranges(blocks * from, (1 << 13) / (POINTS * width) + 1, &|range| {
            let task = Transform { weights: self.weights, from, to, range, out: address as *mut f32 };
            // SAFETY: `isa` names what this machine has; each pair of block and source channel is taken once.
            unsafe { lanes::run(isa, task) };
        })?;

        let Tiling { rows, across, .. } = self.source.tiling;
        let padded = from.next_multiple_of(width);
        let mut together = self.source.tiling.together(padded);
        // No sum is cut, so chunks may depend on the threads: as many for each.
        let threads = pool::num_threads();
        if threads > 1 && rows > threads {
            let rounds = rows.div_ceil(together).div_ceil(threads);
            together = rows.div_ceil(rounds * threads);
        }
        let outcome = Outcome::default();
        ranges(rows.div_ceil(together), 1, &|range| {
            let work = || {
                let tiles = together * across;
                let room = Values::size(tiles, padded);
                let scratch = Scratch::new(room + Values::size(tiles, width) + buffer_size::<Widest>(across))?;
                for chunk in range {
                    let first = chunk * together;
                    let chunk = Chunk {
                        pass: self,
                        rows: first..rows.min(first + together),
                        weights: address as *const f32,
                        values: Values::new(scratch.ptr(), tiles, padded),
                        products: Values::new(scratch.ptr().wrapping_add(room), tiles, width),
                        buffer: scratch.ptr().wrapping_add(room + Values::size(tiles, width)),
                    };
                    // SAFETY: `isa` names what this machine has; each row of tiles is taken once.
                    unsafe { lanes::run(isa, chunk) };
                }
                Ok(())
            };
            noting(&outcome, work());
        })?;
        outcome.result()
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) type Widest = <f32 as lanes::Float>::Avx512;
#[cfg(target_arch = "aarch64")]
pub(super) type Widest = <f32 as lanes::Float>::Neon;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) type Widest = <f32 as lanes::Float>::Portable;

/// Transforms the weights of some pairs of a block of target channels and a source channel:
/// `[block][point][source][target]`.
struct Transform<'a> {
    weights: Weights<'a>,
    from: usize,
    to: usize,
    range: Range<usize>,
    out: *mut f32,
}

impl Task<f32> for Transform<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = f32>>(self) {
        let width = V::NV * V::LANES;
        let w = self.weights;
        for number in self.range {
            let (block, from) = (number / self.from, number % self.from);
            for v in 0..V::NV {
                let first = block * width + v * V::LANES;
                // `16` is the most lanes there are.
                let mut taps = [[0.0; 16]; 9];
                let count = V::LANES.min(self.to.saturating_sub(first));
                let kernels = w.data.get(from * w.from + first * w.to..).unwrap_or(&[]).chunks(w.to);
                for (lane, kernel) in kernels.take(count).enumerate() {
                    for (k, &tap) in kernel[..9].iter().enumerate() {
                        taps[if w.turned { 8 - k } else { k }][lane] = tap;
                    }
                }
                // SAFETY: the caller's word.
                unsafe {
                    let mut half = [[0.0; 16]; 18];
                    for j in 0..3 {
                        let tap = |i: usize| V::load(taps[3 * i + j].as_ptr());
                        store_6(points::kernel([tap(0), tap(1), tap(2)]), half[j].as_mut_ptr(), 3 * 16);
                    }
                    for i in 0..6 {
                        let tap = |j: usize| V::load(half[3 * i + j].as_ptr());
                        let at = ((block * POINTS + i * 6) * self.from + from) * width + v * V::LANES;
                        store_6(points::kernel([tap(0), tap(1), tap(2)]), self.out.add(at), self.from * width);
                    }
                }
            }
        }
    }
}

/// Some rows of tiles, of all channels.
struct Chunk<'a> {
    pass: &'a Pass<'a>,
    rows: Range<usize>,
    weights: *const f32,
    values: Values,
    products: Values,
    buffer: *mut f32,
}

impl Task<f32> for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = f32>>(self) {
        let Pass { source, target, .. } = self.pass;
        let width = V::NV * V::LANES;
        // SAFETY: the caller's word.
        unsafe {
            source.inputs::<V>(self.rows.clone(), 0..source.channels, self.values, self.buffer);
            for (block, first) in (0..target.channels).step_by(width).enumerate() {
                let narrow = target.channels - first <= V::LANES;
                for point in 0..POINTS {
                    let weights = self.weights.add((block * POINTS + point) * source.channels * width);
                    if narrow { self.products::<V, 1>(point, weights) } else { self.products::<V, 2>(point, weights) }
                }
                for channel in (first..target.channels.min(first + width)).step_by(V::LANES) {
                    let from = Values { to: self.products.to.add(channel - first), ..self.products };
                    target.outputs::<V>(self.rows.clone(), channel, from, self.buffer);
                }
            }
        }
    }
}

impl Chunk<'_> {
    /// All tiles at one point times the weights of a block of target channels.
    #[inline(always)]
    unsafe fn products<V: Lanes<Elem = f32>, const N: usize>(&self, point: usize, weights: *const f32) {
        let tiles = self.rows.len() * self.pass.source.tiling.across;
        let mut first = 0;
        while first < tiles {
            let rows = piece(V::MR, tiles - first);
            // SAFETY: the caller's word.
            unsafe {
                match rows {
                    14 if V::MR == 14 => self.product::<V, 14, N>(point, first, weights),
                    8 if V::MR >= 8 => self.product::<V, 8, N>(point, first, weights),
                    6 if V::MR == 6 => self.product::<V, 6, N>(point, first, weights),
                    4 => self.product::<V, 4, N>(point, first, weights),
                    2 => self.product::<V, 2, N>(point, first, weights),
                    _ => self.product::<V, 1, N>(point, first, weights),
                }
            }
            first += rows;
        }
    }

    #[inline(always)]
    unsafe fn product<V: Lanes<Elem = f32>, const R: usize, const N: usize>(
        &self,
        point: usize,
        first: usize,
        weights: *const f32,
    ) {
        let Values { to, point: step, tile: row } = self.values;
        // SAFETY: the caller's word.
        unsafe {
            let a = (to.cast_const().add(point * step + first * row), rows_of::<R>(row as isize), Stride(1));
            let b = (weights, Stride((V::NV * V::LANES) as isize));
            let acc = tile::<V, R, N, false>(self.pass.source.channels, a, b, 0);
            let Values { to, point: step, tile: row } = self.products;
            store::<V, R, N, false>(acc, (to.add(point * step + first * row), row), 0, false);
        }
    }
}
