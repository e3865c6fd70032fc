//! Outputs of a tile to their places in the target, or added to what is there.
//!
//! Every function moves `n` outputs of each of `R` rows; pointers come with the distance of their rows.

use crate::cpu::gemm::lanes::{Float, Lanes};

/// One output beside the other.
///
/// # Safety
/// The instruction set of `V`; the elements readable and writable, those read in whole vectors.
#[inline(always)]
pub(super) unsafe fn dense<V: Lanes, const R: usize, const ADD: bool>(
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
                for (v, mut x) in [low, high].into_iter().enumerate() {
                    let (to, part) = (to.add(v * V::LANES), V::LANES.min((n - i).saturating_sub(v * V::LANES)));
                    if add {
                        x = x.add(V::load_first(to, part));
                    }
                    x.store_first(to, part);
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
