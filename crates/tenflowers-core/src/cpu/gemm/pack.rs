//! Packing: an operand copied into panels that the register tile reads from one end to the other.

use super::lanes::{Float, Lanes, Task};
use super::tile::piece;

/// Rows that are a multiple of this many bytes apart fall on a few sets of the first cache.
const ALIASING: usize = 1024;

/// Packs rows of A into panels of as many rows as each tile of `Sweep` takes: `panel[p * rows + i]`.
pub(crate) struct PackA<T> {
    pub rows: usize,
    pub k: usize,
    pub a: *const T,
    pub row: isize,
    pub col: isize,
    pub to: *mut T,
}

impl<T: Float> Task<T> for PackA<T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        let mut i = 0;
        while i < self.rows {
            let rows = piece(V::MR, self.rows - i);
            let a = self.a.wrapping_offset(i as isize * self.row);
            // SAFETY: the caller's word; the panels before this one hold `i * k` elements.
            unsafe { panel::<V>((rows, self.k), (a, self.row, self.col), (self.to.add(i * self.k), rows)) }
            i += rows;
        }
    }
}

/// Packs columns of B into panels as wide as the tile: `panel[p * width + j]`.
pub(crate) struct PackB<T> {
    pub columns: usize,
    pub k: usize,
    pub b: *const T,
    pub row: isize,
    pub col: isize,
    pub to: *mut T,
}

impl<T: Float> Task<T> for PackB<T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        let width = V::NV * V::LANES;
        for j in (0..self.columns).step_by(width) {
            let b = self.b.wrapping_offset(j as isize * self.col);
            let columns = width.min(self.columns - j);
            // SAFETY: the caller's word; the panels before this one hold `j * k` elements.
            unsafe { panel::<V>((columns, self.k), (b, self.col, self.row), (self.to.add(j * self.k), width)) }
        }
    }
}

/// `to[p * pitch + i] = from[i * across + p * along]` for `i` below `width` and `p` below `k`.
#[inline(always)]
pub(crate) unsafe fn panel<V: Lanes>(
    (width, k): (usize, usize),
    (from, across, along): (*const V::Elem, isize, isize),
    (to, pitch): (*mut V::Elem, usize),
) {
    // SAFETY: all elements named above are the caller's word, and nothing else is touched.
    unsafe {
        if across == 1 {
            for p in 0..k {
                let (from, to) = (from.offset(p as isize * along), to.add(p * pitch));
                let mut i = 0;
                while i + V::LANES <= width {
                    V::load(from.add(i)).store(to.add(i));
                    i += V::LANES;
                }
                if i < width {
                    V::load_first(from.add(i), width - i).store_first(to.add(i), width - i);
                }
            }
            return;
        }
        if along == 1 && k >= V::SQUARE && width >= V::SQUARE {
            return squares::<V, true>((width, k), (from, across), (to, pitch));
        }
        if along == 1 && k >= V::SIDE {
            return squares::<V, false>((width, k), (from, across), (to, pitch));
        }
        for p in 0..k {
            for i in 0..width {
                *to.add(p * pitch + i) = *from.offset(i as isize * across + p as isize * along);
            }
        }
    }
}

/// `panel` for elements that lie along k, by squares that are turned in registers, `WIDE` ones or the others; the last ones
/// overlap those before them.
#[inline(always)]
unsafe fn squares<V: Lanes, const WIDE: bool>(
    (width, k): (usize, usize),
    (from, across): (*const V::Elem, isize),
    (to, pitch): (*mut V::Elem, usize),
) {
    let side = if WIDE { V::SQUARE } else { V::SIDE };
    // Along the rows of a square where more of them would drive each other out of the cache, or else across them, so that what
    // is written is written in whole lines.
    let aliased = (across.unsigned_abs() * size_of::<V::Elem>()).is_multiple_of(ALIASING);
    let (sides, steps) = (width.div_ceil(side), k.div_ceil(side));
    let (outer, inner) = if aliased { (sides, steps) } else { (steps, sides) };
    for first in 0..outer {
        for second in 0..inner {
            let (s, step) = if aliased { (first, second) } else { (second, first) };
            let (i, p) = ((s * side).min(width.saturating_sub(side)), (step * side).min(k - side));
            // SAFETY: the caller's word.
            unsafe {
                let (from, to) = (from.offset(i as isize * across + p as isize), to.add(p * pitch + i));
                if WIDE {
                    V::turn(from, across, to, pitch);
                } else if width >= side {
                    V::transpose(from, across, to, pitch);
                } else {
                    V::transpose_rows(from, across, width, to, pitch);
                }
            }
        }
    }
}
