//! The kernel of vector registers: a few rows of A by two vectors of columns.

use super::words::panel_of;
use super::{Kernel, finish};
use crate::cpu::gemm::Onto;
use crate::cpu::gemm::scheme::Scheme;
use std::mem::MaybeUninit;

/// Sums in vector registers.
pub(super) struct Registers;

impl<S: Scheme> Kernel<S> for Registers {
    const MR: usize = S::MR;
    const DEPTH: usize = 1;
    const A_BYTES: usize = 256 << 10;

    #[inline(always)]
    unsafe fn pack_rows(m: usize, k: usize, (a, row, col): (*const S::Elem, isize, isize), to: *mut S::Word) {
        let groups = k.div_ceil(S::GROUP);
        for i in (0..m).step_by(S::MR) {
            let pitch = height(S::MR, m - i);
            let from = (a.wrapping_offset(i as isize * row), row, col);
            // SAFETY: the caller's word; the panels before this one hold `i * groups` words.
            unsafe { panel_of::<S>((pitch.min(m - i), pitch), (k, groups), from, (to.add(i * groups), pitch)) };
        }
    }

    #[inline(always)]
    unsafe fn sweep(
        [m, n, groups]: [usize; 3],
        a: *const S::Word,
        b: *const S::Word,
        (c, ldc): (*mut S::Elem, usize),
        onto: Onto<S::Elem>,
    ) {
        let width = 2 * S::LANES;
        for j in (0..n).step_by(width) {
            for i in (0..m).step_by(S::MR) {
                let c = (c.wrapping_add(i * ldc + j), ldc);
                let onto = onto.map(|(d, ldd)| (d.wrapping_add(i * ldd + j), ldd));
                let (a, b) = (a.wrapping_add(i * groups), b.wrapping_add(j * groups));
                let size = ((m - i).min(S::MR), (n - j).min(width));
                // SAFETY: the caller's word for the whole block, of which this is a part.
                unsafe {
                    match height(S::MR, m - i) {
                        14 if S::MR == 14 => tile::<S, 14>(groups, a, b, size, c, onto),
                        8 if S::MR >= 8 => tile::<S, 8>(groups, a, b, size, c, onto),
                        6 if S::MR == 6 => tile::<S, 6>(groups, a, b, size, c, onto),
                        4 if S::MR >= 4 => tile::<S, 4>(groups, a, b, size, c, onto),
                        3 if S::MR == 3 => tile::<S, 3>(groups, a, b, size, c, onto),
                        2 => tile::<S, 2>(groups, a, b, size, c, onto),
                        _ => tile::<S, 1>(groups, a, b, size, c, onto),
                    }
                }
            }
        }
    }
}

/// Rows of the tile for `left` rows: the next of a few sizes, of which the last rows may be left over.
#[inline(always)]
fn height(mr: usize, left: usize) -> usize {
    match left {
        0..=2 => left,
        3..=4 => mr.min(4),
        5..=8 => mr.min(8),
        _ => mr,
    }
}

/// A tile of `R` rows, of which `size` are wanted.
#[inline(always)]
unsafe fn tile<S: Scheme, const R: usize>(
    groups: usize,
    a: *const S::Word,
    b: *const S::Word,
    size: (usize, usize),
    c: (*mut S::Elem, usize),
    onto: Onto<S::Elem>,
) {
    // SAFETY: the caller's word.
    unsafe {
        if size.1 > S::LANES {
            strip::<S, R, 2>(groups, a, b, size, c, onto);
        } else {
            strip::<S, R, 1>(groups, a, b, size, c, onto);
        }
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "an iterator over an array of registers puts it into memory")]
unsafe fn strip<S: Scheme, const R: usize, const N: usize>(
    groups: usize,
    a: *const S::Word,
    b: *const S::Word,
    (rows, columns): (usize, usize),
    (c, ldc): (*mut S::Elem, usize),
    onto: Onto<S::Elem>,
) {
    // SAFETY: the caller's word; the buffer has room for 14 rows of two vectors of 16 lanes.
    unsafe {
        let mut sums = [[S::zero(); N]; R];
        for g in 0..groups {
            let b = b.add(g * 2 * S::LANES);
            let mut along = [S::load(b); N];
            for (v, along) in along.iter_mut().enumerate() {
                *along = S::load(b.add(v * S::LANES));
            }
            for i in 0..R {
                let a = a.add(g * R + i);
                for v in 0..N {
                    sums[i][v] = S::step(sums[i][v], a, along[v]);
                }
            }
        }
        let mut totals = [const { MaybeUninit::<S::Total>::uninit() }; 14 * 32];
        let totals: *mut S::Total = totals.as_mut_ptr().cast();
        for i in 0..R {
            for v in 0..N {
                S::totals(sums[i][v], totals.add((i * N + v) * S::LANES));
            }
        }
        finish::<S>(N * S::LANES, (rows, columns), totals, (c, ldc), onto);
    }
}
