//! Outputs of a tile to their places in the target, or added to what is there.
//!
//! Those for `R` rows move `n` outputs of each; pointers come with the distance of their rows.

use crate::cpu::gemm::lanes::{Float, Lanes};

/// The first `n` lanes of a vector, one at least.
///
/// # Safety
/// The instruction set of `V`; the elements writable, and readable where they are added to.
#[inline(always)]
pub(super) unsafe fn put<V: Lanes>(mut x: V, n: usize, to: *mut V::Elem, add: bool) {
    // SAFETY: the caller's word.
    unsafe {
        if n == V::LANES {
            if add { x.add(V::load(to)) } else { x }.store(to);
            return;
        }
        if add {
            x = x.add(V::load_first(to, n));
        }
        x.store_first(to, n);
    }
}

/// One output beside the other.
///
/// # Safety
/// The instruction set of `V`; the elements readable and writable, those read in whole vectors.
#[inline(always)]
pub(super) unsafe fn dense<V: Lanes, const R: usize>(
    n: usize,
    (from, from_row): (*const V::Elem, usize),
    (to, to_row): (*mut V::Elem, usize),
    add: bool,
) {
    for i in (0..n).step_by(V::LANES) {
        let part = V::LANES.min(n - i);
        for row in 0..R {
            // SAFETY: the caller's word.
            unsafe { put(V::load_first(from.add(row * from_row + i), part), part, to.add(row * to_row + i), add) };
        }
    }
}

/// `n` elements in all, from two rows of outputs in turn: even places from the first, odd ones from the second, which
/// is `apart` elements behind it.
///
/// # Safety
/// As for [`dense`].
#[inline(always)]
pub(super) unsafe fn pairs<V: Lanes, const R: usize>(
    n: usize,
    (from, from_row, apart): (*const V::Elem, usize, usize),
    (to, to_row): (*mut V::Elem, usize),
    add: bool,
) {
    for i in (0..n).step_by(2 * V::LANES) {
        for row in 0..R {
            // SAFETY: the caller's word.
            unsafe {
                let (from, to) = (from.add(row * from_row + i / 2), to.add(row * to_row + i));
                let (low, high) = V::load(from).zip(V::load(from.add(apart)));
                put(low, V::LANES.min(n - i), to, add);
                if n - i > V::LANES {
                    put(high, V::LANES.min(n - i - V::LANES), to.add(V::LANES), add);
                }
            }
        }
    }
}

/// Outputs that come to lie `step` apart.
///
/// # Safety
/// As for [`dense`].
#[inline(always)]
pub(super) unsafe fn apart<T: Float, const R: usize>(
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
