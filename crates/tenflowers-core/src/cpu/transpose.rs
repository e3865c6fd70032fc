//! Blocks of elements turned over: rows of the source become columns of the destination.
//!
//! Both sides are moved in whole vectors, by squares that are transposed in registers.
use super::gemm::lanes::{self, Lanes, Task};
use super::simd::{isa, prefetch_to_write};

/// Rows and columns of the tiles that callers cut their work into: those of 4-byte elements on both sides, and of the next on
/// one, fit the first cache.
pub const TILE: (usize, usize) = (32, 64);

/// A square that is transposed in registers.
trait Square {
    type Elem: Copy;
    const SIDE: usize;
    /// # Safety
    /// The machine has the instructions, and both squares are there.
    unsafe fn turn(from: *const Self::Elem, from_row: isize, to: *mut Self::Elem, to_row: usize);
}

/// What to turn: `to[j * to_row + i] = from[i * from_row + j]` for `i` below `rows` and `j` below `columns`.
#[derive(Clone, Copy)]
struct Block<T> {
    from: *const T,
    from_row: isize,
    to: *mut T,
    to_row: usize,
    rows: usize,
    columns: usize,
    /// How many elements further the next block is written; 0 where that is not known.
    next: isize,
}

impl<T: Copy> Block<T> {
    #[inline(always)]
    unsafe fn squares<S: Square<Elem = T>>(self) {
        let Block { from_row, to_row, rows, columns, .. } = self;
        if rows < S::SIDE || columns < S::SIDE {
            // SAFETY: the caller's word.
            return unsafe { self.narrow() };
        }
        // The last square overlaps the one before it.
        let place = |k: usize, n: usize| (k * S::SIDE).min(n - S::SIDE);
        let (down, across) = (rows.div_ceil(S::SIDE), columns.div_ceil(S::SIDE));
        // The side whose rows are further apart is done with some of them before it goes on to others.
        if to_row > from_row.unsigned_abs() {
            for j in 0..across {
                for i in 0..down {
                    // SAFETY: the caller's word.
                    unsafe { self.square::<S>(place(i, rows), place(j, columns)) };
                }
            }
        } else {
            for i in 0..down {
                for j in 0..across {
                    // SAFETY: the caller's word.
                    unsafe { self.square::<S>(place(i, rows), place(j, columns)) };
                }
            }
        }
    }

    /// The square that begins with row `i` and column `j` of the source.
    #[inline(always)]
    unsafe fn square<S: Square<Elem = T>>(self, i: usize, j: usize) {
        let Block { from, from_row, to, to_row, next, .. } = self;
        let to = to.wrapping_add(j * to_row + i);
        if next != 0 {
            // Rows are so far apart that the processor does not foresee them, and a write has to get its line first.
            for k in 0..S::SIDE as isize {
                prefetch_to_write(to.wrapping_offset(next + k * to_row as isize));
            }
        }
        // SAFETY: the square lies within the block.
        unsafe { S::turn(from.wrapping_offset(i as isize * from_row).wrapping_add(j), from_row, to, to_row) }
    }

    /// Element by element; where an image's channels are the shorter side, in loops that become shuffles of vectors.
    #[inline(always)]
    unsafe fn narrow(self) {
        let Block { from, from_row, to, to_row, rows, columns, .. } = self;
        /// `$n` rows that are interleaved, or separated.
        macro_rules! channels {
            ($n:literal, [$($k:literal $row:ident),*]) => {{
                if rows == $n && to_row == $n {
                    // SAFETY: the caller's word: these are the block's elements, and the two sides do not overlap.
                    let to = unsafe { std::slice::from_raw_parts_mut(to.cast::<[T; $n]>(), columns) };
                    $(
                        // SAFETY: as above.
                        let $row = unsafe { std::slice::from_raw_parts(from.offset($k * from_row), columns) };
                    )*
                    for (j, to) in to.iter_mut().enumerate() {
                        // SAFETY: all rows have as many elements as there are columns.
                        *to = unsafe { [$(*$row.get_unchecked(j)),*] };
                    }
                    return;
                }
                if columns == $n && from_row == $n {
                    // SAFETY: as above.
                    let from = unsafe { std::slice::from_raw_parts(from.cast::<[T; $n]>(), rows) };
                    $(
                        // SAFETY: as above; the rows of the destination are apart.
                        let $row = unsafe { std::slice::from_raw_parts_mut(to.add($k * to_row), rows) };
                    )*
                    for (i, from) in from.iter().enumerate() {
                        // SAFETY: all rows are that long.
                        unsafe { $(*$row.get_unchecked_mut(i) = from[$k];)* }
                    }
                    return;
                }
            }};
        }
        channels!(2, [0 a, 1 b]);
        channels!(3, [0 a, 1 b, 2 c]);
        channels!(4, [0 a, 1 b, 2 c, 3 d]);
        for j in 0..columns {
            for i in 0..rows {
                // SAFETY: the caller's word.
                unsafe { *to.add(j * to_row + i) = *from.offset(i as isize * from_row).add(j) };
            }
        }
    }
}

/// The squares of the vectors that products use, the largest or the others.
struct Of<V, const LARGE: bool>(std::marker::PhantomData<V>);

impl<V: Lanes, const LARGE: bool> Square for Of<V, LARGE> {
    type Elem = V::Elem;
    const SIDE: usize = if LARGE { V::SQUARE } else { V::SIDE };
    #[inline(always)]
    unsafe fn turn(from: *const V::Elem, from_row: isize, to: *mut V::Elem, to_row: usize) {
        // SAFETY: the caller's word.
        unsafe { if LARGE { V::turn(from, from_row, to, to_row) } else { V::transpose(from, from_row, to, to_row) } }
    }
}

impl<T: lanes::Float> Task<T> for Block<T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        // SAFETY: the caller's word.
        unsafe {
            if self.rows.min(self.columns) >= V::SQUARE {
                self.squares::<Of<V, true>>()
            } else {
                self.squares::<Of<V, false>>()
            }
        }
    }
}

/// `to[j * to_row + i] = from[i * from_row + j]` for `i` below `rows` and `j` below `columns`, of elements of 1, 2, 4, 8 or 16
/// bytes; offsets count elements. Best for blocks of a `TILE`; the lines of the next one, `next` elements further in the
/// destination, are asked for, if that is not 0.
///
/// # Safety
/// All those elements are there, aligned to their size (16 bytes: to 8), and the two sides do not overlap.
pub unsafe fn block(
    size: usize,
    (from, from_row): (*const u8, isize),
    (to, to_row): (*mut u8, usize),
    (rows, columns): (usize, usize),
    next: isize,
) {
    macro_rules! of {
        ($T:ty) => {
            Block { from: from.cast::<$T>(), from_row, to: to.cast::<$T>(), to_row, rows, columns, next }
        };
    }
    // SAFETY: the caller's word; the machine has what `isa` names. As floats, elements are only moved.
    unsafe {
        match size {
            #[cfg(target_arch = "x86_64")]
            1 => of!(u8).squares::<x86::U8x16>(),
            #[cfg(target_arch = "x86_64")]
            2 => of!(u16).squares::<x86::U16x8>(),
            #[cfg(not(target_arch = "x86_64"))]
            1 => of!(u8).narrow(),
            #[cfg(not(target_arch = "x86_64"))]
            2 => of!(u16).narrow(),
            4 => lanes::run(isa(), of!(f32)),
            8 => lanes::run(isa(), of!(f64)),
            _ => of!([u64; 2]).narrow(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Square;
    use std::arch::x86_64::*;

    /// Interleaving the first half of the rows with the second, once for each bit of an index, turns a square over.
    macro_rules! interleaved {
        ($name:ident, $T:ty, $side:literal, $rounds:literal, $low:ident, $high:ident) => {
            pub(super) struct $name;

            impl Square for $name {
                type Elem = $T;
                const SIDE: usize = $side;
                #[inline(always)]
                unsafe fn turn(from: *const $T, from_row: isize, to: *mut $T, to_row: usize) {
                    // SAFETY: the caller's word.
                    unsafe {
                        let mut r = [_mm_setzero_si128(); $side];
                        for (i, r) in r.iter_mut().enumerate() {
                            *r = _mm_loadu_si128(from.offset(i as isize * from_row).cast());
                        }
                        for _ in 0..$rounds {
                            let s = r;
                            for i in 0..$side / 2 {
                                r[2 * i] = $low(s[i], s[i + $side / 2]);
                                r[2 * i + 1] = $high(s[i], s[i + $side / 2]);
                            }
                        }
                        for (j, r) in r.iter().enumerate() {
                            _mm_storeu_si128(to.add(j * to_row).cast(), *r);
                        }
                    }
                }
            }
        };
    }
    interleaved!(U8x16, u8, 16, 4, _mm_unpacklo_epi8, _mm_unpackhi_epi8);
    interleaved!(U16x8, u16, 8, 3, _mm_unpacklo_epi16, _mm_unpackhi_epi16);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::tests::each_isa;

    #[test]
    fn a_block_of_any_size_turns_over() {
        fn check<T: Copy + PartialEq + std::fmt::Debug + Default>(of: impl Fn(usize) -> T) {
            for (rows, columns) in
                [(1, 1), (2, 9), (3, 50), (4, 7), (9, 3), (8, 8), (16, 16), (17, 31), (40, 64), (5, 5)]
            {
                for (pitch, to_row, next) in [(columns, rows, 0), (columns + 3, rows + 1, rows as isize)] {
                    let from: Vec<T> = (0..rows * pitch).map(&of).collect();
                    let mut to = vec![T::default(); columns * to_row];
                    // SAFETY: both sides hold the block.
                    unsafe {
                        let (from, to) = ((from.as_ptr().cast(), pitch as isize), (to.as_mut_ptr().cast(), to_row));
                        block(size_of::<T>(), from, to, (rows, columns), next);
                    }
                    for i in 0..rows {
                        for j in 0..columns {
                            assert_eq!(to[j * to_row + i], from[i * pitch + j], "{rows} {columns} {i} {j}");
                        }
                    }
                }
            }
        }
        each_isa(|_| {
            check(|i| (i % 251) as u8 + 1);
            check(|i| i as u16 + 1);
            check(|i| i as u32 + 0x7fa0_0000);
            check(|i| i as u64 + 1);
            check(|i| [i as u64 + 1, i as u64 + 2]);
        });
    }
}
