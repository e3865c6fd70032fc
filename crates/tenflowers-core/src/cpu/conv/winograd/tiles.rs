//! Rows of tiles out of planes and back: channels move into lanes, and the transforms of tiles run on whole vectors.

use super::{POINTS, REACH, SIDE, Tiling, points};
use crate::cpu::gemm::lanes::Lanes;
use std::ops::Range;

/// The most elements of a block that is transposed.
const BLOCK: usize = 64;

/// Planes of float32, `batch x channels x size`, that tiles are taken from.
#[derive(Clone, Copy)]
pub(super) struct Planes<'a> {
    pub data: &'a [f32],
    pub channels: usize,
    pub size: [usize; 2],
    /// Zeros before the first row and column.
    pub pad: [usize; 2],
    pub tiling: Tiling,
}

/// Where transformed tiles go: `[point][tile][channel]`.
#[derive(Clone, Copy)]
pub(super) struct Values {
    pub to: *mut f32,
    /// From one point and one tile to the next.
    pub point: usize,
    pub tile: usize,
}

impl Values {
    /// Elements of the values of so many tiles and channels. A line between points keeps them out of one another's
    /// places in the cache.
    pub fn size(tiles: usize, channels: usize) -> usize {
        POINTS * (tiles * channels + 16)
    }

    pub fn new(to: *mut f32, tiles: usize, channels: usize) -> Self {
        Values { to, point: tiles * channels + 16, tile: channels }
    }
}

/// Elements of the buffer of one row of tiles, with room for what a transposed block has too much.
pub(super) fn buffer_size<V: Lanes>(across: usize) -> usize {
    (REACH * (SIDE * across + 2) + V::SIDE).max(SIDE * (SIDE * across + REACH)) * V::LANES
}

impl Planes<'_> {
    /// Transforms the tiles of some rows: what outputs read, 6x6 to 36 values.
    ///
    /// # Safety
    /// The instruction set of `V`; `values` has room for all tiles and channels, `buffer` has its size.
    #[inline(always)]
    pub unsafe fn inputs<V: Lanes<Elem = f32>>(
        &self,
        rows: Range<usize>,
        channels: Range<usize>,
        values: Values,
        buffer: *mut f32,
    ) {
        let across = self.tiling.across;
        let columns = SIDE * across + 2;
        let at = |row: usize, column: usize| buffer.wrapping_add((row * columns + column) * V::LANES);
        // SAFETY: the caller's word.
        unsafe {
            for channel in channels.clone().step_by(V::LANES) {
                for (number, row) in rows.clone().enumerate() {
                    self.gather::<V, 6>(row, (channel, channels.end), columns, buffer);
                    for column in 0..columns {
                        let d = points::input(load_6::<V>(at(0, column), columns * V::LANES));
                        store_6(d, at(0, column), columns * V::LANES);
                    }
                    let to = values.to.add(number * across * values.tile + channel - channels.start);
                    for i in 0..6 {
                        for t in 0..across {
                            let d = points::input(load_6::<V>(at(i, SIDE * t), V::LANES));
                            store_6(d, to.add(i * 6 * values.point + t * values.tile), values.point);
                        }
                    }
                }
            }
        }
    }

    /// Transforms the gradients of the outputs of some rows of tiles, 4x4 to 36 values.
    ///
    /// # Safety
    /// As [`inputs`](Self::inputs).
    #[inline(always)]
    pub unsafe fn gradients<V: Lanes<Elem = f32>>(
        &self,
        rows: Range<usize>,
        channels: Range<usize>,
        values: Values,
        buffer: *mut f32,
    ) {
        let across = self.tiling.across;
        let columns = SIDE * across;
        let at = |row: usize, column: usize| buffer.wrapping_add((row * columns + column) * V::LANES);
        // SAFETY: the caller's word.
        unsafe {
            for channel in channels.clone().step_by(V::LANES) {
                for (number, row) in rows.clone().enumerate() {
                    self.gather::<V, 4>(row, (channel, channels.end), columns, buffer);
                    for column in 0..columns {
                        let y = points::gradient(load_4::<V>(at(0, column), columns * V::LANES));
                        store_6(y, at(0, column), columns * V::LANES);
                    }
                    let to = values.to.add(number * across * values.tile + channel - channels.start);
                    for i in 0..6 {
                        for t in 0..across {
                            let y = points::gradient(load_4::<V>(at(i, SIDE * t), V::LANES));
                            store_6(y, to.add(i * 6 * values.point + t * values.tile), values.point);
                        }
                    }
                }
            }
        }
    }

    /// The first `R` rows that a row of tiles reads, as `[row][column][channel]`, zeros where there is nothing.
    #[inline(always)]
    unsafe fn gather<V: Lanes<Elem = f32>, const R: usize>(
        &self,
        row: usize,
        (first, end): (usize, usize),
        columns: usize,
        buffer: *mut f32,
    ) {
        let [height, width] = self.size;
        let (image, top) = (row / self.tiling.down, row % self.tiling.down * SIDE);
        let left = self.pad[1].min(columns);
        let right = (width + left).min(columns);
        let plane = height * width;
        for r in 0..R {
            let line = buffer.wrapping_add(r * columns * V::LANES);
            // SAFETY: the caller's word; a block that would reach beyond the data or its channels is copied first.
            unsafe {
                let Some(y) = (top + r).checked_sub(self.pad[0]).filter(|&y| y < height) else {
                    zeros::<V>(line, columns);
                    continue;
                };
                zeros::<V>(line, left);
                for part in (0..V::LANES).step_by(V::SIDE) {
                    let channel = first + part;
                    let start = ((image * self.channels + channel) * height + y) * width;
                    for column in (left..right).step_by(V::SIDE) {
                        let (x, to) = (column - left, line.add(column * V::LANES + part));
                        let from = start + x;
                        if channel + V::SIDE <= end && from + (V::SIDE - 1) * plane + V::SIDE <= self.data.len() {
                            V::transpose(self.data.as_ptr().add(from), plane as isize, to, V::LANES);
                        } else {
                            let mut block = [0.0; BLOCK];
                            for i in 0..V::SIDE.min(end.saturating_sub(channel)) {
                                let n = V::SIDE.min(width - x);
                                let from = &self.data[from + i * plane..][..n];
                                block[i * V::SIDE..][..n].copy_from_slice(from);
                            }
                            V::transpose(block.as_ptr(), V::SIDE as isize, to, V::LANES);
                        }
                    }
                }
                zeros::<V>(line.add(right * V::LANES), columns - right);
            }
        }
    }
}

/// Vectors that are `step` elements apart. Written out, since iterating over an array of vectors copies it in pieces.
#[inline(always)]
pub(super) unsafe fn load_6<V: Lanes<Elem = f32>>(p: *const f32, step: usize) -> [V; 6] {
    // SAFETY: the caller's word.
    unsafe {
        [
            V::load(p),
            V::load(p.add(step)),
            V::load(p.add(2 * step)),
            V::load(p.add(3 * step)),
            V::load(p.add(4 * step)),
            V::load(p.add(5 * step)),
        ]
    }
}

#[inline(always)]
unsafe fn load_4<V: Lanes<Elem = f32>>(p: *const f32, step: usize) -> [V; 4] {
    // SAFETY: the caller's word.
    unsafe { [V::load(p), V::load(p.add(step)), V::load(p.add(2 * step)), V::load(p.add(3 * step))] }
}

#[inline(always)]
pub(super) unsafe fn store_6<V: Lanes<Elem = f32>>([a, b, c, d, e, f]: [V; 6], p: *mut f32, step: usize) {
    // SAFETY: the caller's word.
    unsafe {
        a.store(p);
        b.store(p.add(step));
        c.store(p.add(2 * step));
        d.store(p.add(3 * step));
        e.store(p.add(4 * step));
        f.store(p.add(5 * step));
    }
}

#[inline(always)]
unsafe fn store_4<V: Lanes<Elem = f32>>([a, b, c, d]: [V; 4], p: *mut f32, step: usize) {
    // SAFETY: the caller's word.
    unsafe {
        a.store(p);
        b.store(p.add(step));
        c.store(p.add(2 * step));
        d.store(p.add(3 * step));
    }
}

#[inline(always)]
unsafe fn zeros<V: Lanes<Elem = f32>>(to: *mut f32, columns: usize) {
    for i in 0..columns {
        // SAFETY: the caller's word.
        unsafe { V::splat(0.0).store(to.add(i * V::LANES)) };
    }
}

/// Planes that results are written to.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub data: *mut f32,
    pub channels: usize,
    pub size: [usize; 2],
    pub tiling: Tiling,
    /// What the sums of each channel begin with.
    pub bias: Option<*const f32>,
}

impl Target {
    /// Transforms the products of some rows of tiles back, 36 values to 4x4 outputs of `V::LANES` channels from `channel`
    /// on.
    ///
    /// # Safety
    /// The instruction set of `V`; `values` holds the products, `buffer` has its size, the planes can be written.
    #[inline(always)]
    pub unsafe fn outputs<V: Lanes<Elem = f32>>(
        &self,
        rows: Range<usize>,
        channel: usize,
        values: Values,
        buffer: *mut f32,
    ) {
        let across = self.tiling.across;
        let columns = SIDE * across;
        let here = V::LANES.min(self.channels - channel);
        // SAFETY: the caller's word.
        unsafe {
            let bias = self.bias.map_or(V::splat(0.0), |bias| V::load_first(bias.add(channel), here));
            for (number, row) in rows.enumerate() {
                for t in 0..across {
                    let from = values.to.add((number * across + t) * values.tile);
                    // Half transformed, four rows of six.
                    let half = buffer.add(SIDE * columns * V::LANES);
                    for j in 0..6 {
                        let y = points::output(load_6::<V>(from.add(j * values.point), 6 * values.point));
                        store_4(y, half.add(j * V::LANES), 6 * V::LANES);
                    }
                    for r in 0..SIDE {
                        let [a, b, c, d] = points::output(load_6::<V>(half.add(6 * r * V::LANES), V::LANES));
                        let y = [a.add(bias), b.add(bias), c.add(bias), d.add(bias)];
                        store_4(y, buffer.add((r * columns + SIDE * t) * V::LANES), V::LANES);
                    }
                }
                self.scatter::<V>(row, channel, here, buffer);
            }
        }
    }

    #[inline(always)]
    unsafe fn scatter<V: Lanes<Elem = f32>>(&self, row: usize, channel: usize, channels: usize, buffer: *const f32) {
        let [height, width] = self.size;
        let (image, top) = (row / self.tiling.down, row % self.tiling.down * SIDE);
        let (plane, columns) = (height * width, SIDE * self.tiling.across);
        for r in 0..SIDE.min(height - top) {
            for part in (0..channels).step_by(V::SIDE) {
                let start = ((image * self.channels + channel + part) * height + top + r) * width;
                let many = V::SIDE.min(channels - part);
                for column in (0..width).step_by(V::SIDE) {
                    // SAFETY: the caller's word; a block that has too much goes through a copy.
                    unsafe {
                        let from = buffer.add((r * columns + column) * V::LANES + part);
                        let to = self.data.add(start + column);
                        if many == V::SIDE && column + V::SIDE <= width {
                            V::transpose(from, V::LANES as isize, to, plane);
                        } else {
                            let mut block = [0.0; BLOCK];
                            V::transpose(from, V::LANES as isize, block.as_mut_ptr(), V::SIDE);
                            for i in 0..many {
                                let n = V::SIDE.min(width - column);
                                let from = block.as_ptr().add(i * V::SIDE);
                                std::ptr::copy_nonoverlapping(from, to.add(i * plane), n);
                            }
                        }
                    }
                }
            }
        }
    }
}
