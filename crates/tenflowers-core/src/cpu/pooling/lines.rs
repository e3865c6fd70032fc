//! The rows of a plane as windows meet them: with the padding written out.
//!
//! Rows of networks are short, often 7 to 56 elements: what is left over after the last whole vector would be most of the
//! work.

use super::Pool2d;
use crate::cpu::vec_for;
use crate::error::Result;

/// Calls `f` with a constant stride, of which LLVM makes vectors: `constant_stride!(stride, S => f::<S>(..))`.
macro_rules! constant_stride {
    ($stride:expr, $s:ident => $f:expr) => {
        match $stride {
            1 => {
                const $s: usize = 1;
                $f
            }
            2 => {
                const $s: usize = 2;
                $f
            }
            _ => {
                const $s: usize = 0;
                $f
            }
        }
    };
}
pub(super) use constant_stride;

/// Calls `f` with the number of elements to make together, of which the last may be made twice: `groups!(n, N => f::<N>(..))`.
macro_rules! groups {
    ($n:expr, $group:ident => $f:expr) => {
        match $n {
            16.. => {
                const $group: usize = 16;
                $f
            }
            8.. => {
                const $group: usize = 8;
                $f
            }
            4.. => {
                const $group: usize = 4;
                $f
            }
            _ => {
                const $group: usize = 1;
                $f
            }
        }
    };
}
pub(super) use groups;

/// Scratch for the rows of windows.
pub(super) struct Lines<T> {
    pub(super) pitch: usize,
    /// Lines one after the other, each with what pads it in place.
    pub(super) elements: Vec<T>,
}

impl<T: Copy> Lines<T> {
    /// `count` lines of nothing but `pad`, as long as the windows of `joined` rows reach.
    pub(super) fn new(p: &Pool2d, [joined, count]: [usize; 2], pad: T) -> Result<Lines<T>> {
        let columns = joined * p.output[1];
        let pitch = columns.saturating_sub(1) * p.stride[1] + p.dilation[1] * (p.kernel[1] - 1) + 1;
        let mut elements = vec_for(count.saturating_mul(pitch))?;
        elements.resize(count * pitch, pad);
        Ok(Lines { pitch, elements })
    }

    /// Where the elements of input rows stand in line `n`, and how many of them windows meet, `before` rows having been
    /// joined.
    #[inline(always)]
    pub(super) fn inside(&mut self, p: &Pool2d, n: usize, before: usize) -> &mut [T] {
        let start = (before * p.input[1] + p.padding[1]).min(self.pitch);
        let end = (start + p.input[1]).min(self.pitch);
        &mut self.elements[n * self.pitch..][start..end]
    }
}

impl Pool2d {
    /// `combine` over the elements of the windows of a row: down the rows first, then along.
    #[inline(always)]
    pub(super) fn fold<T: Copy>(
        &self,
        plane: &[T],
        row: usize,
        nothing: T,
        line: &mut Lines<T>,
        to: &mut [T],
        combine: impl Fn(T, T) -> T + Copy,
    ) {
        let (first, count) = self.heights(row);
        let (width, step) = (self.input[1], self.dilation[0] * self.input[1]);
        let inside = line.inside(self, 0, 0);
        if count == 0 {
            inside.fill(nothing);
        } else {
            down(inside, &plane[first * width..], (count, step), combine);
        }
        constant_stride!(self.stride[1], S => groups!(to.len(), N => self.along::<T, S, N>(&line.elements, to, combine)));
    }

    #[inline(always)]
    fn along<T: Copy, const S: usize, const N: usize>(
        &self,
        line: &[T],
        to: &mut [T],
        combine: impl Fn(T, T) -> T + Copy,
    ) {
        let (mut at, length) = (0, to.len());
        while at < length {
            let first = at.min(length - N);
            let start = first * if S == 0 { self.stride[1] } else { S };
            let mut found = group::<T, S, N>(&line[start..], self.stride[1]);
            for j in 1..self.kernel[1] {
                let x = group::<T, S, N>(&line[start + j * self.dilation[1]..], self.stride[1]);
                for i in 0..N {
                    found[i] = combine(found[i], x[i]);
                }
            }
            put(to, first, found);
            at += N;
        }
    }
}

/// `combine` over as many rows as `to` is long, the first at the start of `x` and one at least, each `step` after the last.
#[inline(always)]
pub(super) fn down<T: Copy>(to: &mut [T], x: &[T], (count, step): (usize, usize), combine: impl Fn(T, T) -> T + Copy) {
    groups!(to.len(), N => chunks::<T, N>(to, x, (count, step), combine));
}

/// As `down`, `N` elements at a time; the last may be made twice.
#[inline(always)]
fn chunks<T: Copy, const N: usize>(
    to: &mut [T],
    x: &[T],
    (count, step): (usize, usize),
    combine: impl Fn(T, T) -> T + Copy,
) {
    let (mut at, length) = (0, to.len());
    while at < length {
        let start = at.min(length - N);
        let Some(&(mut found)) = x[start..].first_chunk::<N>() else { unreachable!("as long as the row") };
        for n in 1..count {
            let Some(row) = x[n * step + start..].first_chunk::<N>() else { unreachable!("as long as the row") };
            for i in 0..N {
                found[i] = combine(found[i], row[i]);
            }
        }
        put(to, start, found);
        at += N;
    }
}

/// Writes a group: one store, where `copy_from_slice` may be a call.
#[inline(always)]
pub(super) fn put<T, const N: usize>(to: &mut [T], at: usize, group: [T; N]) {
    let Some(to) = to[at..].first_chunk_mut::<N>() else { unreachable!("within the row") };
    *to = group;
}

/// Every `S`-th element of a group, the first of which is the first of `line`; `stride` tells where `S` is 0.
#[inline(always)]
pub(super) fn group<T: Copy, const S: usize, const N: usize>(line: &[T], stride: usize) -> [T; N] {
    let stride = if S == 0 { stride } else { S };
    let line = &line[..(N - 1) * stride + 1];
    let mut found = [line[0]; N];
    for i in 1..N {
        found[i] = line[i * stride];
    }
    found
}
