//! Packing words: groups of elements along k, in the order in which a kernel reads them.

use crate::cpu::gemm::scheme::Scheme;
use crate::cpu::gemm::{Product, pack};
use std::mem::MaybeUninit;

/// `to[g * pitch + i]` = the word of `from[i * across + p * along]` for `p` of group `g`; words from `width` to `padded`, and
/// groups from the last one up to `deep`, are those of nothing.
#[inline(always)]
pub(super) unsafe fn panel_of<S: Scheme>(
    (width, padded): (usize, usize),
    (k, deep): (usize, usize),
    (from, across, along): (*const S::Elem, isize, isize),
    (to, pitch): (*mut S::Word, usize),
) {
    /// Words of a row that are moved together.
    const CHUNK: usize = 64;
    let groups = k.div_ceil(S::GROUP);
    let nothing = S::word(
        #[inline(always)]
        |_| S::Elem::ZERO,
    );
    // SAFETY: all elements named above are the caller's word, and nothing else is touched.
    unsafe {
        if width < padded {
            for g in 0..groups {
                for i in width..padded {
                    to.add(g * pitch + i).write(nothing);
                }
            }
        }
        for g in groups..deep {
            for i in 0..padded {
                to.add(g * pitch + i).write(nothing);
            }
        }
        if S::SAME {
            return turned::<S>((width, groups), (from.cast(), across, along), (to, pitch));
        }
        if across == 1 {
            for g in 0..groups {
                let p = g * S::GROUP;
                S::across(from.offset(p as isize * along), along, S::GROUP.min(k - p), width, to.add(g * pitch));
            }
            return;
        }
        if along == 1 && width <= 32 {
            let mut rows = [const { MaybeUninit::<S::Word>::uninit() }; 32 * CHUNK];
            let rows: *mut S::Word = rows.as_mut_ptr().cast();
            for g in (0..groups).step_by(CHUNK) {
                let (p, n) = (g * S::GROUP, CHUNK.min(groups - g));
                for i in 0..width {
                    let from = from.offset(i as isize * across + p as isize);
                    S::along(from, (k - p).min(n * S::GROUP), rows.add(i * CHUNK));
                }
                turned::<S>((width, n), (rows.cast_const(), CHUNK as isize, 1), (to.add(g * pitch), pitch));
            }
            return;
        }
        for g in 0..groups {
            for i in 0..width {
                let p = g * S::GROUP;
                let from = from.offset(i as isize * across + p as isize * along);
                let word = S::word(
                    #[inline(always)]
                    |q| if p + q < k { *from.offset(q as isize * along) } else { S::Elem::ZERO },
                );
                to.add(g * pitch + i).write(word);
            }
        }
    }
}

/// `to[p * pitch + i] = from[i * across + p * along]`, words as they are.
#[inline(always)]
pub(super) unsafe fn turned<S: Scheme>(
    (width, n): (usize, usize),
    (from, across, along): (*const S::Word, isize, isize),
    (to, pitch): (*mut S::Word, usize),
) {
    // SAFETY: the caller's word; floats of the same size move the bits of a word.
    unsafe {
        match size_of::<S::Word>() {
            4 => pack::panel::<S::Four>((width, n), (from.cast(), across, along), (to.cast(), pitch)),
            8 => pack::panel::<S::Eight>((width, n), (from.cast(), across, along), (to.cast(), pitch)),
            _ => {
                for p in 0..n {
                    for i in 0..width {
                        *to.add(p * pitch + i) = *from.offset(i as isize * across + p as isize * along);
                    }
                }
            }
        }
    }
}
