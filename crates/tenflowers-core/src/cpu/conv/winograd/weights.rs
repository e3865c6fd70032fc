//! dw = G^T [sum over tiles of (A dy A^T) x (B^T x B)] G: at each point a matrix product over all tiles.

use super::apply::Widest;
use super::tiles::{Planes, Values, buffer_size, load_6};
use super::{POINTS, Tiling, points};
use crate::cpu::conv::Conv2d;
use crate::cpu::conv::stripe::noting;
use crate::cpu::gemm::lanes::{self, Lanes, Task};
use crate::cpu::gemm::tile::{Geometry, Stride, piece, rows_of, store, tile};
use crate::cpu::gemm::{Outcome, Scratch};
use crate::cpu::pool::{Parts, ranges};
use crate::cpu::simd;
use crate::error::Result;
use std::ops::Range;

/// The most blocks of tiles that are summed by themselves, and the most bytes of their sums together.
const BLOCKS: usize = 8;
const SUM_BYTES: usize = 8 << 20;
/// Tasks that blocks and parts of the target channels come to, where there is enough work.
const TASKS: usize = 8;

/// How sums are cut depends on shapes only: rows of tiles fall into blocks, blocks are added in order.
pub(crate) fn backward_weight(c: &Conv2d, x: &[f32], dy: &[f32], dw: &mut [f32]) -> Result<()> {
    let isa = simd::isa();
    // SAFETY: `isa` names what this machine has.
    let (_, width) = unsafe { lanes::run::<f32, _>(isa, Geometry) };
    let tiling = Tiling::new(c.batch, c.output);
    let x = Planes { data: x, channels: c.in_channels, size: c.input, pad: c.padding, tiling };
    let dy = Planes { data: dy, channels: c.out_channels, size: c.output, pad: [0, 0], tiling };
    let padded = c.in_channels.next_multiple_of(width);
    let size = POINTS * c.out_channels * padded;
    let together = tiling.together(padded.max(c.out_channels.min(128)));
    let chunks = tiling.rows.div_ceil(together);
    let blocks = BLOCKS.min(SUM_BYTES / (4 * size)).clamp(1, chunks);
    let blocks = chunks.div_ceil(chunks.div_ceil(blocks));
    let rows = chunks.div_ceil(blocks) * together;
    // Each part of the target channels transforms all of x anew, so none is thin.
    let part = c.out_channels.div_ceil(TASKS.div_ceil(blocks)).next_multiple_of(56).min(c.out_channels);
    let parts = c.out_channels.div_ceil(part);

    let sums = Scratch::<f32>::new(blocks * size)?;
    let address = sums.ptr() as usize;
    let outcome = Outcome::default();
    ranges(blocks * parts, 1, &|range| {
        let work = || {
            let tiles = together * tiling.across;
            let (room, other) = (Values::size(tiles, padded), Values::size(tiles, part.next_multiple_of(width)));
            let scratch = Scratch::new(room + other + buffer_size::<Widest>(tiling.across))?;
            for task in range {
                let (block, number) = (task / parts, task % parts);
                let product = Product {
                    x,
                    dy,
                    rows: block * rows..tiling.rows.min((block + 1) * rows),
                    together,
                    targets: number * part..c.out_channels.min((number + 1) * part),
                    sums: (address as *mut f32).wrapping_add(block * size),
                    inputs: Values::new(scratch.ptr(), tiles, padded),
                    gradients: Values::new(scratch.ptr().wrapping_add(room), tiles, part.next_multiple_of(width)),
                    buffer: scratch.ptr().wrapping_add(room + other),
                };
                // SAFETY: `isa` names what this machine has; each task has its own part of the sums.
                unsafe { lanes::run(isa, product) };
            }
            Ok(())
        };
        noting(&outcome, work());
    })?;
    outcome.result()?;

    let dw = Parts::new(dw);
    let row = 9 * c.in_channels;
    ranges(c.out_channels, (1 << 14) / (POINTS * padded * blocks) + 1, &|targets| {
        // SAFETY: each target channel is taken once.
        let dw = unsafe { dw.part(targets.start * row..targets.end * row) };
        let sums = Sums { sums: address as *const f32, blocks, size, shape: [c.out_channels, padded], targets, dw };
        // SAFETY: `isa` names what this machine has; all sums have been written.
        unsafe { lanes::run(isa, sums) };
    })
}

/// The sums of one block of rows of tiles for some target channels: `sums[point][target][source]`.
struct Product<'a> {
    x: Planes<'a>,
    dy: Planes<'a>,
    rows: Range<usize>,
    /// Rows of tiles at a time.
    together: usize,
    targets: Range<usize>,
    sums: *mut f32,
    inputs: Values,
    gradients: Values,
    buffer: *mut f32,
}

impl Task<f32> for Product<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = f32>>(self) {
        let across = self.x.tiling.across;
        let padded = self.inputs.tile;
        for first in self.rows.clone().step_by(self.together) {
            let rows = first..self.rows.end.min(first + self.together);
            let tiles = rows.len() * across;
            // SAFETY: the caller's word.
            unsafe {
                self.x.inputs::<V>(rows.clone(), 0..self.x.channels, self.inputs, self.buffer);
                self.dy.gradients::<V>(rows, self.targets.clone(), self.gradients, self.buffer);
                for point in 0..POINTS {
                    for source in (0..self.x.channels).step_by(V::NV * V::LANES) {
                        let mut target = 0;
                        while target < self.targets.len() {
                            let count = piece(V::MR, self.targets.len() - target);
                            let at = (point * self.dy.channels + self.targets.start + target) * padded + source;
                            let to = (self.sums.add(at), first > self.rows.start);
                            let place = [point, target, source];
                            let narrow = self.x.channels - source <= V::LANES;
                            match count {
                                14 if V::MR == 14 => self.tile::<V, 14>(tiles, place, to, narrow),
                                8 if V::MR >= 8 => self.tile::<V, 8>(tiles, place, to, narrow),
                                6 if V::MR == 6 => self.tile::<V, 6>(tiles, place, to, narrow),
                                4 => self.tile::<V, 4>(tiles, place, to, narrow),
                                2 => self.tile::<V, 2>(tiles, place, to, narrow),
                                _ => self.tile::<V, 1>(tiles, place, to, narrow),
                            }
                            target += count;
                        }
                    }
                }
            }
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    unsafe fn tile<V: Lanes<Elem = f32>, const R: usize>(
        &self,
        tiles: usize,
        place: [usize; 3],
        to: (*mut f32, bool),
        narrow: bool,
    ) {
        // SAFETY: the caller's word.
        unsafe {
            if narrow { self.finish::<V, R, 1>(tiles, place, to) } else { self.finish::<V, R, 2>(tiles, place, to) }
        }
    }

    #[inline(always)]
    unsafe fn finish<V: Lanes<Elem = f32>, const R: usize, const N: usize>(
        &self,
        tiles: usize,
        [point, target, source]: [usize; 3],
        (to, accumulate): (*mut f32, bool),
    ) {
        let (dy, x) = (self.gradients, self.inputs);
        // SAFETY: the caller's word.
        unsafe {
            let a = (dy.to.cast_const().add(point * dy.point + target), rows_of::<R>(1), Stride(dy.tile as isize));
            let b = (x.to.cast_const().add(point * x.point + source), Stride(x.tile as isize));
            let acc = tile::<V, R, N, false>(tiles, a, b, 0);
            store::<V, R, N, false>(acc, (to, x.tile), 0, accumulate);
        }
    }
}

/// Adds the blocks of some target channels and transforms them back into gradients of weights.
struct Sums<'a> {
    sums: *const f32,
    blocks: usize,
    /// Elements of a block.
    size: usize,
    /// Target channels, and source channels with what fills up vectors.
    shape: [usize; 2],
    targets: Range<usize>,
    dw: &'a mut [f32],
}

impl Task<f32> for Sums<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = f32>>(self) {
        let [targets, padded] = self.shape;
        let row = self.dw.len() / self.targets.len();
        for (dw, target) in self.dw.chunks_exact_mut(row).zip(self.targets) {
            for (first, dw) in (0..padded).step_by(V::LANES).zip(dw.chunks_mut(9 * V::LANES)) {
                let mut taps = [[0.0; 16]; 9];
                // SAFETY: the caller's word; `16` is the most lanes there are.
                unsafe {
                    let mut half = [[0.0; 16]; 18];
                    for j in 0..6 {
                        let mut s = [[0.0; 16]; 6];
                        for (i, s) in s.iter_mut().enumerate() {
                            let at = self.sums.add(((i * 6 + j) * targets + target) * padded + first);
                            let mut sum = V::load(at);
                            for block in 1..self.blocks {
                                sum = sum.add(V::load(at.add(block * self.size)));
                            }
                            sum.store(s.as_mut_ptr());
                        }
                        let [a, b, c] = points::weight(load_6::<V>(s.as_ptr().cast(), 16));
                        a.store(half[j].as_mut_ptr());
                        b.store(half[6 + j].as_mut_ptr());
                        c.store(half[12 + j].as_mut_ptr());
                    }
                    for i in 0..3 {
                        let [a, b, c] = points::weight(load_6::<V>(half[6 * i].as_ptr(), 16));
                        a.store(taps[3 * i].as_mut_ptr());
                        b.store(taps[3 * i + 1].as_mut_ptr());
                        c.store(taps[3 * i + 2].as_mut_ptr());
                    }
                }
                for (lane, dw) in dw.chunks_exact_mut(9).enumerate() {
                    for (dw, taps) in dw.iter_mut().zip(&taps) {
                        *dw = taps[lane];
                    }
                }
            }
        }
    }
}
