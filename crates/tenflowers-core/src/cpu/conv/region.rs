//! One task of a convolution of floats: a stripe, gathered into panels, under the register tile.
// Iterators over arrays of vectors keep them in memory: by index they stay in registers.
#![allow(clippy::needless_range_loop)]

use super::direct::Pass;
use super::pieces::{Piece, Pieces, Reading, WIDTH};
use super::places;
use super::stripe::{SLACK, Stripe};
use super::terms::{Sum, Terms};
use crate::cpu::gemm::lanes::{Float, Lanes, Task};
use crate::cpu::gemm::tile::{Apart, Halves, Stride, Table, piece, rows_of, tile};
use std::mem::MaybeUninit;
use std::ops::Range;

/// Tiles whose panels are gathered before the target channels pass over them.
pub(super) const TILES: usize = 4;
/// The most elements of a tile.
const BLOCK: usize = 14 * WIDTH;

/// A band of grid rows of some target channels of some images.
pub(super) struct Region<'a, T> {
    pub pass: &'a Pass<'a, T>,
    pub stripe: &'a Stripe<'a>,
    /// Source channels at a time, and the terms of so many.
    pub channels: usize,
    pub terms: &'a Terms,
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
        let plane = pass.axes[0].source * pass.axes[1].source;
        let size = self.stripe.size(self.channels, 0);
        // What a row of the grid takes up in tiles, and all rows.
        let reading = self.reading::<V>();
        let row = pass.axes[1].grid.next_multiple_of(reading.unit::<V>());
        let places = self.images.len() * self.band.len() * row;
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
            let reads = channels * self.terms.each;
            let width = V::NV * V::LANES;
            let mut tiles = [const { Pieces::NONE }; TILES];
            for first in (0..places).step_by(TILES * width) {
                let used = (places - first).div_ceil(width).min(TILES);
                for (t, tile) in tiles[..used].iter_mut().enumerate() {
                    self.cut::<V>(first + t * width, places, row, tile);
                    if reading == Reading::Panels {
                        let panel = self.panel.wrapping_add(t * reads * width);
                        // SAFETY: as above; the panels have room for all that is read.
                        unsafe { self.gather::<V>(reads, tile, panel) };
                    }
                }
                let mut target = self.targets.start;
                while target < self.targets.end {
                    let rows = piece(pass.tile_rows(V::MR), self.targets.end - target);
                    for (t, pieces) in tiles[..used].iter().enumerate() {
                        let panel = self.panel.wrapping_add(t * reads * width);
                        let strip = Strip { channel, channels, panel, target, pieces };
                        // SAFETY: as above.
                        unsafe {
                            match rows {
                                14 if V::MR == 14 => self.strip::<V, 14>(strip),
                                8 if V::MR >= 8 => self.strip::<V, 8>(strip),
                                6 if V::MR == 6 => self.strip::<V, 6>(strip),
                                4 => self.strip::<V, 4>(strip),
                                2 => self.strip::<V, 2>(strip),
                                _ => self.strip::<V, 1>(strip),
                            }
                        }
                    }
                    target += rows;
                }
            }
        }
    }
}

/// Some target channels, from `target` on, of the outputs of a tile.
struct Strip<'a, T> {
    /// The first source channel, and how many go in.
    channel: usize,
    channels: usize,
    /// What was gathered for the tile.
    panel: *const T,
    target: usize,
    pieces: &'a Pieces,
}

impl<T: Float> Region<'_, T> {
    /// Fills a panel: row by row what each output of the tile reads.
    #[inline(always)]
    unsafe fn gather<V: Lanes<Elem = T>>(&self, reads: usize, pieces: &Pieces, panel: *mut T) {
        let (width, offsets) = (V::NV * V::LANES, &self.terms.reads[..reads]);
        for piece in &pieces.pieces[..pieces.count] {
            for i in (0..piece.outputs).step_by(V::LANES) {
                let n = V::LANES.min(piece.outputs - i);
                // A whole vector where what is too much falls on later outputs of the same term, which come later.
                let at = piece.at + i;
                let free = width - at;
                // SAFETY: the caller's word; `SLACK` covers what is read beyond the last output.
                unsafe {
                    let (from, to) = (self.buffer.cast_const().add(piece.from + i), panel.add(at));
                    if n <= 4 && free >= 4 {
                        each_read(
                            offsets,
                            from,
                            to,
                            width,
                            #[inline(always)]
                            |f, t| move_all::<T, 4>(f, t),
                        );
                    } else if n <= 8 && free >= 8 {
                        each_read(
                            offsets,
                            from,
                            to,
                            width,
                            #[inline(always)]
                            |f, t| move_all::<T, 8>(f, t),
                        );
                    } else if free >= V::LANES {
                        each_read(
                            offsets,
                            from,
                            to,
                            width,
                            #[inline(always)]
                            |f, t| V::load(f).store(t),
                        );
                    } else {
                        each_read(
                            offsets,
                            from,
                            to,
                            width,
                            #[inline(always)]
                            |f, t| V::load_first(f, n).store_first(t, n),
                        );
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn strip<V: Lanes<Elem = T>, const R: usize>(&self, strip: Strip<T>) {
        let width = strip.pieces.width;
        // SAFETY: the caller's word.
        unsafe {
            if width <= V::LANES {
                self.sums::<V, R, 1>(&strip)
            } else if V::NV == 3 && width > 2 * V::LANES {
                self.sums::<V, R, 3>(&strip)
            } else {
                self.sums::<V, R, 2>(&strip)
            }
        }
    }

    /// All sums of a strip: those for positions side by side together, so that they are written together.
    #[inline(always)]
    unsafe fn sums<V: Lanes<Elem = T>, const R: usize, const N: usize>(&self, strip: &Strip<T>) {
        let across = self.pass.axes[1].spread;
        let simple = self.terms.sums.len() == 1 && self.reading::<V>() != Reading::Panels;
        let mut blocks = [const { MaybeUninit::<T>::uninit() }; 2 * BLOCK + WIDTH];
        let blocks = blocks.as_mut_ptr().cast::<T>();
        for (number, sum) in self.terms.sums.iter().enumerate() {
            let (down, beside) = (number / across, number % across);
            // SAFETY: the caller's word; no tile has more than 14 x 32 elements, and all that is used of a block is
            // written.
            unsafe {
                let mut acc = self.tile::<V, R, N>(strip, sum);
                for i in 0..R {
                    let bias = V::splat(self.bias(strip, i));
                    for v in 0..N {
                        acc[i][v] = acc[i][v].add(bias);
                    }
                }
                if simple {
                    self.write_vectors(strip, acc);
                    continue;
                }
                let block = if across == 2 { blocks.add(beside * BLOCK) } else { blocks };
                for i in 0..R {
                    for v in 0..N {
                        acc[i][v].store(block.add((i * N + v) * V::LANES));
                    }
                }
                if across != 2 || beside == 1 {
                    self.write::<V, R>(strip, (blocks, N * V::LANES), [down, beside]);
                }
            }
        }
    }

    /// One sum for `R` target channels.
    #[inline(always)]
    unsafe fn tile<V: Lanes<Elem = T>, const R: usize, const N: usize>(
        &self,
        strip: &Strip<T>,
        sum: &Sum,
    ) -> [[V; N]; R] {
        let before = sum.before * self.pass.to * self.pass.from;
        let first = (strip.target * self.pass.from + strip.channel * R) * sum.taps;
        let mut places = rows_of::<N>(V::LANES as isize);
        let (from, table) = match self.reading::<V>() {
            Reading::Panels => (strip.panel, &sum.in_panel),
            _ => {
                for v in 0..N {
                    places[v] = strip.pieces.pieces[v].from as isize;
                }
                (self.buffer.cast_const(), &sum.in_stripe)
            }
        };
        let (k, vectors) = (strip.channels * sum.taps, Apart(Table(table.as_ptr()), places));
        let a = (self.weights.wrapping_add(before + first), rows_of::<R>(1), Stride(R as isize));
        // SAFETY: the caller's word.
        unsafe {
            if V::HALVES && N == V::NV && strip.pieces.halves {
                let upper = strip.pieces.pieces[N].from as isize;
                return tile::<V, R, N, false>(k, a, (from, Halves(vectors, upper)), 0);
            }
            tile::<V, R, N, false>(k, a, (from, vectors), 0)
        }
    }

    /// What a target channel begins with.
    #[inline(always)]
    unsafe fn bias(&self, strip: &Strip<T>, row: usize) -> T {
        match self.pass.bias {
            // SAFETY: there is one for each target channel of each group.
            Some(bias) if strip.channel == 0 => unsafe { *bias.add(self.group * self.pass.to + strip.target + row) },
            _ => T::ZERO,
        }
    }

    /// Writes a tile whose vectors come to lie where the pieces say, one output beside the other.
    #[inline(always)]
    unsafe fn write_vectors<V: Lanes<Elem = T>, const R: usize, const N: usize>(
        &self,
        strip: &Strip<T>,
        acc: [[V; N]; R],
    ) {
        let to = |piece: &Piece| self.pass.plane(strip.target).wrapping_add(piece.to);
        let (row, add) = (self.pass.target_plane(), strip.channel > 0);
        for v in 0..N {
            let piece = &strip.pieces.pieces[v];
            for i in 0..R {
                // SAFETY: the caller's word.
                unsafe { places::put(acc[i][v], piece.outputs, to(piece).wrapping_add(i * row), add) };
            }
        }
        let upper = &strip.pieces.pieces[N];
        if V::HALVES && strip.pieces.halves && upper.outputs > 0 {
            for i in 0..R {
                // SAFETY: the caller's word.
                unsafe { places::put(acc[i][N - 1].upper(), upper.outputs, to(upper).wrapping_add(i * row), add) };
            }
        }
    }

    /// Writes the sums for a position of each output, or those for two beside each other.
    #[inline(always)]
    unsafe fn write<V: Lanes<Elem = T>, const R: usize>(
        &self,
        strip: &Strip<T>,
        (from, from_row): (*const T, usize),
        [down, beside]: [usize; 2],
    ) {
        let (spread, row) = (self.pass.axes[1].spread, self.pass.target_plane());
        let add = strip.channel > 0;
        for piece in &strip.pieces.pieces[..strip.pieces.count] {
            let from = (from.wrapping_add(piece.at), from_row);
            if down >= piece.room[0] {
                continue;
            }
            let to = self.pass.plane(strip.target).wrapping_add(piece.to + down * self.pass.axes[1].target);
            // SAFETY: the caller's word, and no more than there is room for.
            unsafe {
                match spread {
                    1 => places::dense::<V, R>(piece.outputs, from, (to, row), add),
                    2 => {
                        let n = (2 * piece.outputs).min(piece.room[1]);
                        places::pairs::<V, R>(n, (from.0, from.1, BLOCK), (to, row), add);
                    }
                    _ => {
                        let n = piece.outputs.min(piece.room[1].saturating_sub(beside).div_ceil(spread));
                        places::apart::<T, R>(n, from, (to.wrapping_add(beside), row), spread, add);
                    }
                }
            }
        }
    }
}

/// Runs `work` on the places of each read in buffer and panel.
#[inline(always)]
unsafe fn each_read<T>(offsets: &[isize], from: *const T, to: *mut T, width: usize, work: impl Fn(*const T, *mut T)) {
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
