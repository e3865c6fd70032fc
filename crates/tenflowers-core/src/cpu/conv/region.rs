//! One task of a convolution of floats: a stripe, gathered into panels, under the register tile.
// Iterators over arrays of vectors keep them in memory: by index they stay in registers.
#![allow(clippy::needless_range_loop)]

use super::direct::Pass;
use super::stripe::{SLACK, Stripe};
use crate::cpu::gemm::lanes::{Float, Lanes, Task};
use crate::cpu::gemm::tile::{Stride, piece, rows_of, tile};
use std::mem::MaybeUninit;
use std::ops::Range;

/// Tiles whose panels are gathered before the target channels pass over them.
pub(super) const TILES: usize = 4;
/// The most elements of a row of the tile, and of the whole.
const WIDTH: usize = 32;
const BLOCK: usize = 14 * WIDTH;

/// A band of grid rows of some target channels of some images.
pub(super) struct Region<'a, T> {
    pub pass: &'a Pass<'a, T>,
    pub stripe: &'a Stripe<'a>,
    /// Source channels at a time.
    pub channels: usize,
    /// Where the terms of an output are, for that many channels.
    pub offsets: &'a [isize],
    /// The packed weights of the group.
    pub weights: *const T,
    pub images: Range<usize>,
    pub group: usize,
    pub band: Range<usize>,
    pub targets: Range<usize>,
    pub buffer: *mut T,
    pub panel: *mut T,
}

impl<T: Float> Task<T> for Region<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        let pass = self.pass;
        let taps = self.offsets.len() / self.channels;
        let plane = pass.axes[0].source * pass.axes[1].source;
        let size = self.stripe.size(self.channels, 0);
        // Outputs of a target channel, one after the other.
        let outputs = self.images.len() * self.band.len() * pass.axes[1].grid;
        for channel in (0..pass.from).step_by(self.channels) {
            let channels = self.channels.min(pass.from - channel);
            for (slot, image) in self.images.clone().enumerate() {
                let first = (image * pass.groups + self.group) * pass.from + channel;
                let slack = if slot + 1 == self.images.len() { SLACK } else { 0 };
                // SAFETY: the caller's word: image, channels and rows are inside the source, the buffer has its size.
                unsafe {
                    let (source, buffer) = (pass.source.add(first * plane), self.buffer.add(slot * size));
                    self.stripe.fill::<V>(source, channels, self.band.start, buffer, slack);
                }
            }
            let terms = channels * taps;
            let width = V::NV * V::LANES;
            for first in (0..outputs).step_by(TILES * width) {
                let mut tiles = [Pieces { count: 0, width: 0, pieces: [Piece::default(); WIDTH] }; TILES];
                let used = (outputs - first).div_ceil(width).min(TILES);
                for (t, tile) in tiles[..used].iter_mut().enumerate() {
                    self.cut::<V>(first + t * width, outputs, tile);
                    let panel = self.panel.wrapping_add(t * terms * width);
                    // SAFETY: as above; the panels have room for all terms.
                    unsafe { self.gather::<V>(terms, tile, panel) };
                }
                let mut target = self.targets.start;
                while target < self.targets.end {
                    let rows = piece(V::MR, self.targets.end - target);
                    let weights = self.weights.wrapping_add((target * pass.from + channel * rows) * taps);
                    for (t, pieces) in tiles[..used].iter().enumerate() {
                        let panel = self.panel.wrapping_add(t * terms * width);
                        let sums = Sums { terms, weights, panel, accumulate: channel > 0, target, pieces };
                        // SAFETY: as above.
                        unsafe {
                            match rows {
                                14 if V::MR == 14 => self.tile::<V, 14>(sums),
                                8 if V::MR >= 8 => self.tile::<V, 8>(sums),
                                6 if V::MR == 6 => self.tile::<V, 6>(sums),
                                4 => self.tile::<V, 4>(sums),
                                2 => self.tile::<V, 2>(sums),
                                _ => self.tile::<V, 1>(sums),
                            }
                        }
                    }
                    target += rows;
                }
            }
        }
    }
}

/// The outputs of a tile, as pieces of rows of the grid.
#[derive(Clone, Copy)]
struct Pieces {
    count: usize,
    /// All outputs together.
    width: usize,
    pieces: [Piece; WIDTH],
}

#[derive(Clone, Copy, Default)]
struct Piece {
    outputs: usize,
    /// Where the first output reads its first term, and where it stands in the first target channel.
    from: usize,
    to: usize,
}

/// What one tile sums up.
struct Sums<'a, T> {
    terms: usize,
    weights: *const T,
    panel: *const T,
    accumulate: bool,
    target: usize,
    pieces: &'a Pieces,
}

impl<T: Float> Region<'_, T> {
    /// Cuts the tile that begins at output `at` into pieces.
    #[inline(always)]
    fn cut<V: Lanes<Elem = T>>(&self, at: usize, outputs: usize, result: &mut Pieces) {
        let pass = self.pass;
        let grid = pass.axes[1].grid;
        let size = self.stripe.size(self.channels, 0);
        result.width = (V::NV * V::LANES).min(outputs - at);
        let (mut line, mut column, mut left) = (at / grid, at % grid, result.width);
        while left > 0 {
            let (slot, row) = (line / self.band.len(), line % self.band.len());
            let n = left.min(grid - column);
            let plane = ((self.images.start + slot) * pass.groups + self.group) * pass.to;
            let start = (self.band.start + row) * pass.target_steps[0] + column * pass.target_steps[1];
            result.pieces[result.count] = Piece {
                outputs: n,
                from: slot * size + row * self.stripe.pitch + column,
                to: plane * pass.target_plane + pass.target_start + start,
            };
            result.count += 1;
            left -= n;
            (line, column) = (line + 1, 0);
        }
    }

    /// Fills a panel: for each term what each output of the tile reads.
    #[inline(always)]
    unsafe fn gather<V: Lanes<Elem = T>>(&self, terms: usize, pieces: &Pieces, panel: *mut T) {
        let (width, offsets) = (V::NV * V::LANES, &self.offsets[..terms]);
        let mut at = 0;
        for piece in &pieces.pieces[..pieces.count] {
            for i in (0..piece.outputs).step_by(V::LANES) {
                let n = V::LANES.min(piece.outputs - i);
                // A whole vector where what is too much falls on later outputs of the same term, which come later.
                let free = width - at;
                // SAFETY: the caller's word; `SLACK` covers what is read beyond the last output.
                unsafe {
                    let (from, to) = (self.buffer.cast_const().add(piece.from + i), panel.add(at));
                    if n <= 4 && free >= 4 {
                        each_term(
                            offsets,
                            from,
                            to,
                            width,
                            #[inline(always)]
                            |f, t| move_all::<T, 4>(f, t),
                        );
                    } else if n <= 8 && free >= 8 {
                        each_term(
                            offsets,
                            from,
                            to,
                            width,
                            #[inline(always)]
                            |f, t| move_all::<T, 8>(f, t),
                        );
                    } else if free >= V::LANES {
                        each_term(
                            offsets,
                            from,
                            to,
                            width,
                            #[inline(always)]
                            |f, t| V::load(f).store(t),
                        );
                    } else {
                        each_term(
                            offsets,
                            from,
                            to,
                            width,
                            #[inline(always)]
                            |f, t| V::load_first(f, n).store_first(t, n),
                        );
                    }
                }
                at += n;
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<V: Lanes<Elem = T>, const R: usize>(&self, sums: Sums<T>) {
        let width = sums.pieces.width;
        // SAFETY: the caller's word.
        unsafe {
            if width <= V::LANES {
                self.finish::<V, R, 1>(sums)
            } else if V::NV == 3 && width > 2 * V::LANES {
                self.finish::<V, R, 3>(sums)
            } else {
                self.finish::<V, R, 2>(sums)
            }
        }
    }

    #[inline(always)]
    unsafe fn finish<V: Lanes<Elem = T>, const R: usize, const N: usize>(&self, sums: Sums<T>) {
        let pass = self.pass;
        let mut block = [const { MaybeUninit::<T>::uninit() }; BLOCK];
        let block = block.as_mut_ptr().cast::<T>();
        // SAFETY: the caller's word; no tile has more than 14 x 32 elements, and all that is read of `block` is
        // written.
        unsafe {
            let a = (sums.weights, rows_of::<R>(1), Stride(R as isize));
            let b = (sums.panel, Stride((V::NV * V::LANES) as isize));
            let acc = tile::<V, R, N, false>(sums.terms, a, b, 0);
            for i in 0..R {
                let bias = V::splat(self.bias(sums.target + i, sums.accumulate));
                for v in 0..N {
                    acc[i][v].add(bias).store(block.add((i * N + v) * V::LANES));
                }
            }
            let mut done = 0;
            for piece in &sums.pieces.pieces[..sums.pieces.count] {
                let from = block.cast_const().add(done);
                let to = pass.target.add(sums.target * pass.target_plane + piece.to);
                self.write::<V, R>(piece.outputs, (from, N * V::LANES), (to, pass.target_plane), sums.accumulate);
                done += piece.outputs;
            }
        }
    }
}

impl<T: Float> Region<'_, T> {
    /// What a target channel begins with.
    #[inline(always)]
    unsafe fn bias(&self, target: usize, accumulate: bool) -> T {
        match self.pass.bias {
            // SAFETY: there is one for each target channel of each group.
            Some(bias) if !accumulate => unsafe { *bias.add(self.group * self.pass.to + target) },
            _ => T::ZERO,
        }
    }

    /// Writes `n` outputs of `R` target channels.
    #[inline(always)]
    unsafe fn write<V: Lanes<Elem = T>, const R: usize>(
        &self,
        n: usize,
        from: (*const T, usize),
        to: (*mut T, usize),
        accumulate: bool,
    ) {
        // SAFETY: the caller's word.
        unsafe {
            match (self.pass.target_steps[1], accumulate) {
                (1, false) => put::<V, R, false>(n, from, to),
                (1, true) => put::<V, R, true>(n, from, to),
                (step, add) => spread::<T, R>(n, from, to, step, add),
            }
        }
    }
}

/// Runs `work` on the places of each term in buffer and panel.
#[inline(always)]
unsafe fn each_term<T>(offsets: &[isize], from: *const T, to: *mut T, width: usize, work: impl Fn(*const T, *mut T)) {
    for (p, &offset) in offsets.iter().enumerate() {
        work(from.wrapping_offset(offset), to.wrapping_add(p * width));
    }
}

/// Moves `U` elements, as vectors.
#[inline(always)]
unsafe fn move_all<T: Copy, const U: usize>(from: *const T, to: *mut T) {
    // SAFETY: the caller's word.
    unsafe { to.cast::<[T; U]>().write_unaligned(from.cast::<[T; U]>().read_unaligned()) }
}

/// Writes `n` elements of each of `R` rows, or adds them; pointers come with the distance of their rows.
#[inline(always)]
unsafe fn put<V: Lanes, const R: usize, const ADD: bool>(
    n: usize,
    (from, from_row): (*const V::Elem, usize),
    (to, to_row): (*mut V::Elem, usize),
) {
    for i in (0..n).step_by(V::LANES) {
        let part = V::LANES.min(n - i);
        for row in 0..R {
            // SAFETY: the caller's word.
            unsafe {
                let to = to.add(row * to_row + i);
                let mut v = V::load_first(from.add(row * from_row + i), part);
                if ADD {
                    v = v.add(V::load_first(to, part));
                }
                v.store_first(to, part);
            }
        }
    }
}

/// As [`put`], to elements `step` apart.
#[inline(always)]
unsafe fn spread<T: Float, const R: usize>(
    n: usize,
    (from, from_row): (*const T, usize),
    (to, to_row): (*mut T, usize),
    step: usize,
    add: bool,
) {
    for row in 0..R {
        for i in 0..n {
            // SAFETY: the caller's word.
            unsafe {
                let (from, to) = (from.add(row * from_row + i), to.add(row * to_row + i * step));
                *to = if add { *to + *from } else { *from };
            }
        }
    }
}
