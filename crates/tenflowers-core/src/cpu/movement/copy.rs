//! Copies between any two layouts of one element size, at the speed of memory.
//!
//! Dimensions are walked in the order of the destination's memory. Where source and destination have the same innermost
//! dimension, runs are copied; where they differ, tiles are turned over; a source that stands still is written as one value.
use super::{by_pieces, by_size};
use crate::cpu::simd::vectorize;
use crate::cpu::walk::Walk;
use crate::cpu::{View, ViewMut, pool, transpose};
use crate::error::Result;
use crate::layout::{Layout, Shape, Strides};
use smallvec::SmallVec;
use std::ops::Range;

/// Elements a task, and bytes where all is one run.
const GRAIN: usize = 1 << 15;
const RUN: usize = 1 << 18;

/// One dimension: its size, and its steps in the destination and in the source.
#[derive(Clone, Copy)]
struct Dim {
    n: usize,
    to: isize,
    from: isize,
}

/// The dimensions, largest step of the destination first, and joined where both sides walk them as one. The pointers move
/// to where the destination's first element lies.
fn dimensions(
    shape: &[usize],
    to: (&mut *mut u8, &[isize]),
    from: (&mut *const u8, &[isize]),
    size: usize,
) -> SmallVec<[Dim; 6]> {
    let mut dims: SmallVec<[Dim; 6]> = SmallVec::new();
    for (d, &n) in shape.iter().enumerate().filter(|(_, n)| **n != 1) {
        let mut dim = Dim { n, to: to.1[d], from: from.1[d] };
        if dim.to < 0 {
            let last = (n as isize - 1) * size as isize;
            *to.0 = to.0.wrapping_offset(dim.to * last);
            *from.0 = from.0.wrapping_offset(dim.from * last);
            dim = Dim { n, to: -dim.to, from: -dim.from };
        }
        // By insertion: nearly always in order already.
        let at = dims.iter().rposition(|o| o.to >= dim.to).map_or(0, |i| i + 1);
        dims.insert(at, dim);
    }
    let mut joined: SmallVec<[Dim; 6]> = SmallVec::new();
    for dim in dims {
        match joined.last_mut() {
            Some(o) if o.to == dim.to * dim.n as isize && o.from == dim.from * dim.n as isize => {
                *o = Dim { n: o.n * dim.n, ..dim };
            }
            _ => joined.push(dim),
        }
    }
    joined
}

/// Copies between any two layouts of one element size; the source is broadcast. They may overlap only where they are the
/// same elements in the same layout.
pub fn copy(from: &View, out: &mut ViewMut) -> Result<()> {
    let size = out.dtype.size();
    assert_eq!(from.dtype.size(), size);
    let (mut to, mut source, shape) = (out.start(), from.start(), &out.layout.shape);
    if from.layout.shape == *shape && from.layout.is_contiguous() && out.layout.is_contiguous() {
        return run(source, to, out.layout.numel() * size);
    }
    if shape.contains(&0) {
        return Ok(());
    }
    let same = from.layout.shape == *shape;
    let wide;
    let strides = if same {
        &from.layout.strides
    } else {
        wide = from.layout.broadcast_to(shape);
        &wide.strides
    };
    let dims = dimensions(shape, (&mut to, &out.layout.strides), (&mut source, strides), size);
    match dims[..] {
        // One element.
        [] => run(source, to, size),
        [Dim { n, to: 1, from: 1 }] => run(source, to, n * size),
        [Dim { n, to: 1, from: 0 }] => repeat(source, to, size, n),
        _ => {
            let inner = dims[dims.len() - 1];
            // The dimension along which the source is read best.
            let best = (0..dims.len() - 1)
                .filter(|&d| dims[d].n > 1 && dims[d].from != 0)
                .min_by_key(|&d| (dims[d].from.unsigned_abs(), usize::MAX - dims[d].n));
            match best {
                Some(d) if inner.from != 0 && dims[d].from.unsigned_abs() < inner.from.unsigned_abs() => {
                    turned(source, to, size, &dims, d)
                }
                _ => rows(source, to, size, &dims),
            }
        }
    }
}

/// Zeros everywhere.
pub fn zero(out: &mut ViewMut) -> Result<()> {
    const ZERO: &[u128; 1] = &[0];
    let layout = Layout::contiguous(&[]);
    // SAFETY: zero bytes, as many as the largest element has, aligned to it.
    copy(&unsafe { View::new(ZERO.as_ptr().cast(), &layout, out.dtype) }, out)
}

/// A run of bytes.
fn run(from: *const u8, to: *mut u8, bytes: usize) -> Result<()> {
    let (from, to) = (from as usize, to as usize);
    let part = |r: Range<usize>| {
        // SAFETY: both are runs of this many bytes; they may be the same.
        unsafe { std::ptr::copy((from + r.start) as *const u8, (to + r.start) as *mut u8, r.len()) };
    };
    if bytes <= RUN {
        part(0..bytes);
        return Ok(());
    }
    pool::ranges(bytes, RUN, &part)
}

/// One element over a run of `n`.
fn repeat(from: *const u8, to: *mut u8, size: usize, n: usize) -> Result<()> {
    // SAFETY: one element.
    let bytes = unsafe { std::slice::from_raw_parts(from, size) };
    let (from, to, one) = (from as usize, to as usize, bytes.iter().all(|b| *b == bytes[0]).then(|| bytes[0]));
    let part = |r: Range<usize>| {
        let to = (to + r.start * size) as *mut u8;
        // SAFETY: the run holds so many elements, and this part of it is written by nobody else.
        unsafe {
            match one {
                Some(byte) => to.write_bytes(byte, r.len() * size),
                None => by_size!(size, T => {
                    let (value, to) = (*(from as *const T), std::slice::from_raw_parts_mut(to.cast::<T>(), r.len()));
                    vectorize(#[inline(always)] |_| spread(value, to));
                }),
            }
        }
    };
    if n <= GRAIN {
        part(0..n);
        return Ok(());
    }
    pool::ranges(n, (RUN / size).max(GRAIN), &part)
}

/// Row by row of the destination: many short ones at a time, or pieces of long ones.
fn rows(from: *const u8, to: *mut u8, size: usize, dims: &[Dim]) -> Result<()> {
    let inner = dims[dims.len() - 1];
    let (from, to) = (from as usize, to as usize);
    let plane = |at: &[isize], steps: [(isize, isize); 2], counts: (usize, usize)| {
        let p = (from as *const u8).wrapping_offset(at[1] * size as isize);
        let q = (to as *mut u8).wrapping_offset(at[0] * size as isize);
        // SAFETY: the walk stays within both layouts.
        by_size!(size, T => unsafe { plane(p.cast::<T>(), q.cast::<T>(), steps, counts) });
    };
    let long = inner.n > GRAIN;
    let heads = if long { dims } else { &dims[..dims.len() - 1] };
    let shape: Shape = heads.iter().map(|d| d.n).collect();
    let (a, b): (Strides, Strides) = (heads.iter().map(|d| d.to).collect(), heads.iter().map(|d| d.from).collect());
    let walk = Walk::new(&shape, &[&a, &b]);
    let task = |range: Range<usize>| {
        walk.run(range, &mut |at, step, n| {
            let step = (step[0], step[1]);
            if long {
                plane(at, [(0, 0), step], (1, n));
            } else {
                plane(at, [step, (inner.to, inner.from)], (n, inner.n));
            }
        });
    };
    let (n, grain) = (walk.numel(), if long { GRAIN } else { GRAIN / inner.n });
    if n <= grain {
        task(0..n);
        return Ok(());
    }
    pool::ranges(n, grain, &task)
}

/// `count.0` rows of `count.1` elements; `steps` are those of rows and of elements, in the destination and in the source.
///
/// # Safety
/// All those elements are there; the destination is the source or apart from it.
unsafe fn plane<T: Copy>(
    from: *const T,
    to: *mut T,
    [row, (to_step, from_step)]: [(isize, isize); 2],
    (rows, n): (usize, usize),
) {
    macro_rules! each {
        (|$p:ident, $q:ident| $body:expr) => {
            for i in 0..rows as isize {
                let ($p, $q) = (from.wrapping_offset(i * row.1), to.wrapping_offset(i * row.0));
                // SAFETY: the caller's word.
                unsafe { $body };
            }
        };
    }
    /// A loop whose steps the compiler knows.
    macro_rules! fixed {
        ($($step:tt)+) => {
            vectorize(
                #[inline(always)]
                |_| {
                    each!(|p, q| for j in 0..n as isize {
                        q.offset(j).write(*p.offset($($step)+ j));
                    })
                },
            )
        };
    }
    match (to_step, from_step) {
        (1, 1) => {
            let bytes = n * size_of::<T>();
            macro_rules! pieces {
                ($T:ty) => {
                    vectorize(
                        #[inline(always)]
                        |_| each!(|p, q| by_pieces::<$T>(p.cast(), q.cast(), bytes)),
                    )
                };
            }
            match bytes {
                0..2 => each!(|p, q| q.cast::<u8>().write(*p.cast::<u8>())),
                2..4 => pieces!(u16),
                4..8 => pieces!(u32),
                8..16 => pieces!(u64),
                16..32 => pieces!([u64; 2]),
                32..64 => pieces!([u64; 4]),
                64..LONG_ROW => pieces!([u64; 8]),
                _ => each!(|p, q| std::ptr::copy(p, q, n)),
            }
        }
        (1, 0) => vectorize(
            #[inline(always)]
            |_| each!(|p, q| spread(*p, std::slice::from_raw_parts_mut(q, n))),
        ),
        (1, -1) => fixed!(-),
        (1, 2) => fixed!(2 *),
        (1, 3) => fixed!(3 *),
        (1, 4) => fixed!(4 *),
        _ => each!(|p, q| for j in 0..n as isize {
            q.offset(j * to_step).write(*p.offset(j * from_step));
        }),
    }
}

/// `fill`, which is not always inlined, and then is compiled for the baseline.
#[inline(always)]
fn spread<T: Copy>(value: T, to: &mut [T]) {
    for to in to {
        *to = value;
    }
}

/// Rows of as many bytes are left to `memmove`, which costs a call.
const LONG_ROW: usize = 1 << 14;

/// By tiles of the innermost dimension of the destination and dimension `best`, which is the source's.
fn turned(from: *const u8, to: *mut u8, size: usize, dims: &[Dim], best: usize) -> Result<()> {
    let (inner, outer) = (dims[dims.len() - 1], dims[best]);
    // Wide where the other side is short, so that tiles are of one size.
    let (high, wide) = transpose::TILE;
    let side = |n: usize, tile: usize, other: usize| if n < tile { n } else { (high * wide / other / 16 * 16).max(16) };
    let rows = side(inner.n, high, outer.n.min(wide));
    let columns = side(outer.n, wide, inner.n.min(high));
    let rest: SmallVec<[Dim; 6]> =
        dims[..dims.len() - 1].iter().enumerate().filter(|(d, _)| *d != best).map(|(_, d)| *d).collect();
    let (down, across) = (inner.n.div_ceil(rows), outer.n.div_ceil(columns));
    let tiles: usize = rest.iter().map(|d| d.n).product::<usize>() * down * across;
    let (from, to) = (from as usize, to as usize);
    let turns = inner.to == 1 && outer.from == 1;
    // Where a tile begins in the block of two dimensions, and its first elements.
    let place = |tile: usize| {
        let (i, mut at) = (tile % down * rows, tile / down);
        let j = at % across * columns;
        at /= across;
        let mut place =
            (i as isize * inner.to + j as isize * outer.to, i as isize * inner.from + j as isize * outer.from);
        for d in rest.iter().rev() {
            let k = (at % d.n) as isize;
            place = (place.0 + k * d.to, place.1 + k * d.from);
            at /= d.n;
        }
        ((i, j), place)
    };
    let task = |range: Range<usize>| {
        let mut here = place(range.start);
        for tile in range {
            let ((i, j), at) = here;
            here = place(tile + 1);
            let p = (from as *const u8).wrapping_offset(at.1 * size as isize);
            let q = (to as *mut u8).wrapping_offset(at.0 * size as isize);
            let (m, n) = (rows.min(inner.n - i), columns.min(outer.n - j));
            // SAFETY: a tile lies within both layouts, and the two do not overlap, as the order differs.
            unsafe {
                if turns {
                    transpose::block(size, (p, inner.from), (q, outer.to as usize), (m, n), here.1.0 - at.0);
                } else {
                    let steps = [(outer.to, outer.from), (inner.to, inner.from)];
                    by_size!(size, T => plane(p.cast::<T>(), q.cast::<T>(), steps, (n, m)));
                }
            }
        }
    };
    let grain = GRAIN.div_ceil(rows * columns);
    if tiles <= grain {
        task(0..tiles);
        return Ok(());
    }
    pool::ranges(tiles, grain, &task)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::tests::each_isa;

    /// Copies values that differ from one layout to another, and compares element by element.
    fn check(shape: &[usize], to: &[isize], from: &[isize]) {
        let lift = |strides: &[isize]| {
            let mut l = Layout { shape: shape.into(), strides: strides.into(), offset: 0 };
            l.offset = l.reach().map_or(0, |(low, _)| -low as usize);
            l
        };
        let (to, from) = (lift(to), lift(from));
        let room = |l: &Layout| l.reach().map_or(0, |(_, high)| high as usize + 1);
        fn run<T: crate::Element + From<u8>>(to: &Layout, from: &Layout, rooms: (usize, usize)) {
            let source: Vec<T> = (0..rooms.1).map(|i| T::from((i % 251) as u8)).collect();
            let mut out = vec![T::from(255); rooms.0];
            let view = View::of_slice(&source, from);
            // SAFETY: the vector holds the layout, and is nobody else's.
            copy(&view, &mut unsafe { ViewMut::new(out.as_mut_ptr().cast(), to, T::ELEMENT) }).unwrap();
            let mut expected = vec![T::from(255); rooms.0];
            Walk::new(&to.shape, &[&to.strides, &from.strides]).all(&mut |at, step, n| {
                for i in 0..n as isize {
                    let place = |k: usize, l: &Layout| (l.offset as isize + at[k] + i * step[k]) as usize;
                    expected[place(0, to)] = source[place(1, from)];
                }
            });
            assert!(out == expected, "{to:?} from {from:?}");
        }
        run::<u8>(&to, &from, (room(&to), room(&from)));
        run::<u16>(&to, &from, (room(&to), room(&from)));
        run::<f32>(&to, &from, (room(&to), room(&from)));
        run::<f64>(&to, &from, (room(&to), room(&from)));
    }

    #[test]
    fn any_layout_into_any_other() {
        each_isa(|_| {
            for (rows, columns) in [(1, 7), (3, 500), (200, 4), (65, 130), (300, 300)] {
                let (m, n) = (rows as isize, columns as isize);
                check(&[rows, columns], &[n, 1], &[1, m]);
                check(&[rows, columns], &[1, m], &[n, 1]);
                check(&[rows, columns], &[n, 1], &[n + 3, 1]);
                check(&[rows, columns], &[n + 2, 1], &[-n, -1]);
                check(&[rows, columns], &[-1, m], &[n, 1]);
                check(&[rows, columns], &[n, 1], &[0, 1]);
                check(&[rows, columns], &[n, 1], &[1, 0]);
                check(&[rows, columns], &[n, 1], &[0, 0]);
                check(&[rows, columns], &[n, 1], &[2, 2 * m]);
                check(&[rows, columns], &[n * 2, 2], &[n * 3, 3]);
                check(&[2, rows, columns], &[m * n, n, 1], &[1, 2, 2 * m]);
                check(&[rows, 2, columns, 1], &[2 * n, n, 1, 7], &[n, n * m, 1, 9]);
            }
            check(&[70_000], &[1], &[2]);
            check(&[0, 3], &[3, 1], &[1, 0]);
            check(&[], &[], &[]);
        });
    }
}
