//! The kernel of tile registers (Intel AMX): 32 rows of A by 32 columns of B, in four tiles of sums.
//!
//! A tile of A is 16 rows of 16 words that follow each other along k, one of B 16 groups of 16 columns, which is how columns
//! are packed for vectors too. Rows and steps of k that are not there are zeros.

use super::words::{panel_of, turned};
use super::{Kernel, finish};
use crate::cpu::gemm::Onto;
use crate::cpu::gemm::scheme::Scheme;
use crate::cpu::gemm::scheme::halves::Dots;
use crate::cpu::gemm::scheme::integers::x86::Quads;
use std::arch::asm;
use std::mem::MaybeUninit;

/// Rows of a tile, and words of each.
const SIDE: usize = 16;
/// Words of a tile.
const TILE: usize = SIDE * SIDE;
/// Rows and columns of C at a time.
const WIDE: usize = 2 * SIDE;
/// Groups of a panel of B that stay in the first cache ...
const WHOLE: usize = 256;
/// ... and that do so beside sums that wait.
const STRETCH: usize = 192;
/// Rows of which the sums wait while others go through a stretch.
const WAITING: usize = 64;
/// Panels side by side that rows go through, so that what is written of a row of C lies together.
const ACROSS: usize = 16;

/// Sums in tile registers.
pub(super) struct Tiles;

/// Multiplications below which a product is done sooner than tiles are configured.
const SMALL: usize = 1 << 12;

/// Whether tiles pay: they take 16 rows for a few.
pub(super) fn pay<S: Tiled>([m, n, k]: [usize; 3]) -> bool {
    m > S::FEW && m * n * k >= SMALL
}

/// Schemes of which a word is what the instruction for tiles takes.
pub(super) trait Tiled: Scheme {
    /// Rows that vectors multiply sooner.
    const FEW: usize;
    /// Adds a tile of A, or two, times a tile of B, or two, to the sums.
    ///
    /// # Safety
    /// Tiles are configured, and the operands are packed whole.
    unsafe fn multiply<const R: usize, const N: usize>(a: *const Self::Word, b: *const Self::Word);
}

/// The sums are tiles 0 to 3, row by row; A is in 4 and 5, B in 6 and 7.
macro_rules! tiled {
    ($($scheme:ty: $instruction:literal, $few:literal;)*) => {$(
        impl Tiled for $scheme {
            const FEW: usize = $few;
            #[inline(always)]
            unsafe fn multiply<const R: usize, const N: usize>(a: *const Self::Word, b: *const Self::Word) {
                // SAFETY: the caller's word.
                unsafe {
                    asm!(
                        "tileloaddt1 tmm4, [{a} + {row}]",
                        "tileloadd tmm6, [{b} + 2*{row}]",
                        concat!($instruction, " tmm0, tmm4, tmm6"),
                        a = in(reg) a, b = in(reg) b, row = in(reg) 4 * SIDE,
                        out("tmm0") _, out("tmm4") _, out("tmm6") _,
                        options(nostack, preserves_flags, readonly),
                    );
                    if N == 2 {
                        asm!(
                            "tileloadd tmm7, [{b} + 2*{row} + 64]",
                            concat!($instruction, " tmm1, tmm4, tmm7"),
                            b = in(reg) b, row = in(reg) 4 * SIDE,
                            out("tmm1") _, out("tmm7") _,
                            options(nostack, preserves_flags, readonly),
                        );
                    }
                    if R == 2 {
                        asm!(
                            "tileloaddt1 tmm5, [{a} + {row} + 1024]",
                            concat!($instruction, " tmm2, tmm5, tmm6"),
                            a = in(reg) a, row = in(reg) 4 * SIDE,
                            out("tmm2") _, out("tmm5") _,
                            options(nostack, preserves_flags, readonly),
                        );
                    }
                    if R == 2 && N == 2 {
                        asm!(
                            concat!($instruction, " tmm3, tmm5, tmm7"),
                            out("tmm3") _,
                            options(nostack, preserves_flags, nomem),
                        );
                    }
                }
            }
        }
    )*};
}
tiled! {
    Dots: "tdpbf16ps", 4;
    Quads: "tdpbusd", 8;
}

/// Tiles of 16 rows of 64 bytes, as long as this lives.
struct Configured;

impl Configured {
    /// # Safety
    /// The machine has tiles, and the system lets this process use them.
    #[inline(always)]
    unsafe fn new() -> Self {
        /// What `ldtilecfg` takes: the palette, and at 16 and 48 the bytes and the rows of each tile.
        static CONFIGURATION: [u8; 64] = {
            let mut bytes = [0; 64];
            bytes[0] = 1;
            let mut tile = 0;
            while tile < 8 {
                bytes[16 + 2 * tile] = 4 * SIDE as u8;
                bytes[48 + tile] = SIDE as u8;
                tile += 1;
            }
            bytes
        };
        // SAFETY: the caller's word.
        unsafe {
            asm!(
                "ldtilecfg [{}]",
                in(reg) CONFIGURATION.as_ptr(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, preserves_flags, readonly),
            );
        }
        Configured
    }
}

impl Drop for Configured {
    /// What the tiles hold need not be kept by the system any more.
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the machine has tiles, or they could not have been configured.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, preserves_flags, nomem),
            );
        }
    }
}

impl<S: Tiled> Kernel<S> for Tiles {
    const MR: usize = WIDE;
    const DEPTH: usize = SIDE;
    const A_BYTES: usize = 1 << 20;

    /// Tiles along k, two of them side by side but for the last rows.
    #[inline(always)]
    unsafe fn pack_rows(m: usize, k: usize, (a, row, col): (*const S::Elem, isize, isize), to: *mut S::Word) {
        let groups = <Self as Kernel<S>>::groups(k);
        for i in (0..m).step_by(WIDE) {
            let rows = (m - i).min(WIDE);
            for t in (0..rows).step_by(SIDE) {
                for g in (0..groups).step_by(SIDE) {
                    let from = a.wrapping_offset((i + t) as isize * row + (g * S::GROUP) as isize * col);
                    let to = to.wrapping_add(i * groups + g * rows.next_multiple_of(SIDE) + t * SIDE);
                    let size = (SIDE.min(rows - t), (SIDE * S::GROUP).min(k - g * S::GROUP));
                    // SAFETY: the caller's word; the tiles before this one fill the room before it.
                    unsafe { tile_of::<S>(size, (from, row, col), to) };
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn sweep(
        dims: [usize; 3],
        a: *const S::Word,
        b: *const S::Word,
        c: (*mut S::Elem, usize),
        onto: Onto<S::Elem>,
    ) {
        let block = Block::<S> { dims, a, b, c, onto };
        // SAFETY: the caller's word.
        unsafe {
            if dims[2] <= WHOLE {
                block.sweep::<WIDE>();
            } else {
                block.sweep::<WAITING>();
            }
        }
    }
}

/// A tile of A: `rows` rows of `k` steps.
#[inline(always)]
unsafe fn tile_of<S: Scheme>(
    (rows, k): (usize, usize),
    (from, row, col): (*const S::Elem, isize, isize),
    to: *mut S::Word,
) {
    // SAFETY: the caller's word; a tile has room for `SIDE` rows of as many words.
    unsafe {
        if rows < SIDE || k < SIDE * S::GROUP {
            to.write_bytes(0, TILE);
        }
        if col == 1 {
            for i in 0..rows {
                let (from, to) = (from.offset(i as isize * row), to.add(i * SIDE));
                // A whole row is of a length that the compiler knows.
                if k == SIDE * S::GROUP {
                    S::along(from, SIDE * S::GROUP, to);
                } else {
                    S::along(from, k, to);
                }
            }
            return;
        }
        let mut words = [const { MaybeUninit::<S::Word>::uninit() }; TILE];
        let words: *mut S::Word = words.as_mut_ptr().cast();
        panel_of::<S>((rows, SIDE), (k, SIDE), (from, row, col), (words, SIDE));
        turned::<S>((SIDE, SIDE), (words.cast_const(), SIDE as isize, 1), (to, SIDE));
    }
}

/// Sums of `ROWS` rows, from the beginning of a cache line.
#[repr(align(64))]
struct Sums<T, const ROWS: usize>([[MaybeUninit<T>; WIDE]; ROWS]);

/// A block of C, from packed blocks of A and B.
struct Block<S: Scheme> {
    dims: [usize; 3],
    a: *const S::Word,
    b: *const S::Word,
    c: (*mut S::Elem, usize),
    onto: Onto<S::Elem>,
}

impl<S: Tiled> Block<S> {
    /// `ROWS` rows of C at a time: one panel of A that goes through all of k, or several, whose sums wait while others go
    /// through a stretch of it.
    #[inline(always)]
    unsafe fn sweep<const ROWS: usize>(&self) {
        let [m, n, groups] = self.dims;
        let mut sums = Sums([const { [const { MaybeUninit::<S::Total>::uninit() }; WIDE] }; ROWS]);
        let sums: *mut S::Total = sums.0.as_mut_ptr().cast();
        let (stretch, side) = if ROWS == WIDE { (groups, ACROSS * WIDE) } else { (STRETCH, WIDE) };
        // SAFETY: the caller's word; there is room for the sums of all panels that wait.
        unsafe {
            let _configured = Configured::new();
            for beside in (0..n).step_by(side) {
                for first in (0..m).step_by(ROWS) {
                    for j in (beside..n.min(beside + side)).step_by(WIDE) {
                        for g in (0..groups).step_by(stretch) {
                            for i in (first..m.min(first + ROWS)).step_by(WIDE) {
                                self.part((i, j), (g, stretch.min(groups - g)), sums.add((i - first) * WIDE));
                            }
                        }
                    }
                }
            }
        }
    }

    /// The sums of a panel of A with one of B over some groups, and after the last of them what they come to.
    #[inline(always)]
    unsafe fn part(&self, (i, j): (usize, usize), depth: (usize, usize), sums: *mut S::Total) {
        let [m, n, groups] = self.dims;
        let (rows, columns) = ((m - i).min(WIDE), (n - j).min(WIDE));
        let a = self.a.wrapping_add(i * groups + depth.0 * rows.next_multiple_of(SIDE));
        let b = self.b.wrapping_add(j * groups + depth.0 * WIDE);
        // SAFETY: the caller's word for the whole block, of which this is a part.
        unsafe {
            match (rows > SIDE, columns > SIDE) {
                (true, true) => tile::<S, 2, 2>(depth, a, b, sums),
                (true, false) => tile::<S, 2, 1>(depth, a, b, sums),
                (false, true) => tile::<S, 1, 2>(depth, a, b, sums),
                (false, false) => tile::<S, 1, 1>(depth, a, b, sums),
            }
            if depth.0 + depth.1 == groups {
                let (c, ldc) = self.c;
                let onto = self.onto.map(|(d, ldd)| (d.wrapping_add(i * ldd + j), ldd));
                finish::<S>(WIDE, (rows, columns), sums, (c.wrapping_add(i * ldc + j), ldc), onto);
            }
        }
    }
}

/// `R` by `N` tiles of sums over some groups, the first of which begin with nothing.
#[inline(always)]
unsafe fn tile<S: Tiled, const R: usize, const N: usize>(
    (first, groups): (usize, usize),
    a: *const S::Word,
    b: *const S::Word,
    sums: *mut S::Total,
) {
    // SAFETY: the caller's word; sums are as wide as two tiles.
    unsafe {
        if first == 0 {
            asm!(
                "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                options(nostack, preserves_flags, nomem),
            );
        } else {
            asm!(
                "tileloadd tmm0, [{sums} + 2*{row}]",
                "tileloadd tmm1, [{sums} + 2*{row} + 64]",
                sums = in(reg) sums, row = in(reg) 4 * SIDE,
                out("tmm0") _, out("tmm1") _,
                options(nostack, preserves_flags, readonly),
            );
            if R == 2 {
                asm!(
                    "tileloadd tmm2, [{sums} + 2*{row} + 2048]",
                    "tileloadd tmm3, [{sums} + 2*{row} + 2112]",
                    sums = in(reg) sums, row = in(reg) 4 * SIDE,
                    out("tmm2") _, out("tmm3") _,
                    options(nostack, preserves_flags, readonly),
                );
            }
        }
        for step in 0..groups / SIDE {
            S::multiply::<R, N>(a.add(step * R * TILE), b.add(step * 2 * TILE));
        }
        asm!(
            "tilestored [{sums} + 2*{row}], tmm0",
            "tilestored [{sums} + 2*{row} + 64], tmm1",
            sums = in(reg) sums, row = in(reg) 4 * SIDE,
            options(nostack, preserves_flags),
        );
        if R == 2 {
            asm!(
                "tilestored [{sums} + 2*{row} + 2048], tmm2",
                "tilestored [{sums} + 2*{row} + 2112], tmm3",
                sums = in(reg) sums, row = in(reg) 4 * SIDE,
                options(nostack, preserves_flags),
            );
        }
    }
}
