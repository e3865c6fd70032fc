//! The few elements of a row that go first.

use super::keys::{Bits, Entry, Key};
use crate::cpu::simd::vectorize;

/// Interleaved parts of a row.
const LANES: usize = 64;
/// Chunks of a row that are looked at together.
const TOGETHER: usize = 4;
/// Entries of a chunk that are taken without asking whether there are as many.
const USUAL: usize = 3;
/// So many entries are ordered by counting.
pub(super) const FEW: usize = 64;

/// The entries among which the first `k` of a row are: those up to the k-th of the firsts of `LANES` interleaved parts. None
/// where that would be too many.
pub(super) fn candidates<T: Key, E: Entry<Bits = T::Bits>>(
    row: &[T],
    flip: T::Bits,
    k: usize,
    entries: &mut [E],
) -> Option<usize> {
    if k == 0 || 4 * k > LANES || row.len() < 4 * LANES {
        return None;
    }
    let held = vectorize(
        #[inline(always)]
        |_| {
            let mut firsts = [T::Bits::MAX; LANES];
            let (several, rest) = row.as_chunks::<{ TOGETHER * LANES }>();
            for chunk in several {
                for i in 0..LANES {
                    let mut first = firsts[i];
                    for j in 0..TOGETHER {
                        let key = chunk[j * LANES + i].key() ^ flip;
                        first = if key < first { key } else { first };
                    }
                    firsts[i] = first;
                }
            }
            for chunk in rest.as_chunks::<LANES>().0 {
                for i in 0..LANES {
                    let key = chunk[i].key() ^ flip;
                    firsts[i] = if key < firsts[i] { key } else { firsts[i] };
                }
            }
            let bound = number(&firsts, k);
            let mut held = 0;
            for c in 0..row.len().div_ceil(LANES) {
                // The last may begin in the one before it.
                let start = (c * LANES).min(row.len() - LANES);
                let Some(chunk) = row[start..].first_chunk::<LANES>() else { unreachable!("as long as a chunk") };
                let (mut keys, mut hits) = ([T::Bits::MAX; LANES], [0u8; LANES]);
                for i in 0..LANES {
                    keys[i] = chunk[i].key() ^ flip;
                    hits[i] = u8::from(keys[i] <= bound);
                }
                let mut left = bits(&hits) & u64::MAX << (c * LANES - start);
                // As many as most chunks have without a branch, which nothing could foresee.
                for _ in 0..USUAL {
                    let i = left.trailing_zeros() as usize % LANES;
                    if let Some(entry) = entries.get_mut(held) {
                        *entry = E::new(keys[i], start + i);
                    }
                    held += usize::from(left != 0);
                    left &= left.wrapping_sub(1);
                }
                while left != 0 {
                    let i = left.trailing_zeros() as usize;
                    entries[held] = E::new(keys[i], start + i);
                    held += 1;
                    left &= left - 1;
                }
            }
            held
        },
    );
    Some(held)
}

/// A bit for each byte, of which each is 0 or 1.
#[inline(always)]
fn bits(bytes: &[u8; LANES]) -> u64 {
    // The product has byte i's bit at place 56 + i, and no others that reach there.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let words = bytes.as_chunks::<8>().0.iter().enumerate();
    words.fold(
        0,
        #[inline(always)]
        |all, (w, &eight)| all | (u64::from_le_bytes(eight).wrapping_mul(GATHER) >> 56) << (8 * w),
    )
}

/// A key that `k` of them, at most half, are not behind, and few others: of pairs the first, then by counting, for all at
/// once, how many are not behind each.
#[inline(always)]
fn number<B: Bits>(firsts: &[B; LANES], k: usize) -> B {
    const HALF: usize = LANES / 2;
    let (mut keys, mut counts) = ([B::MAX; HALF], [0u32; HALF]);
    for i in 0..HALF {
        keys[i] = if firsts[i] < firsts[i + HALF] { firsts[i] } else { firsts[i + HALF] };
    }
    for key in keys {
        for i in 0..HALF {
            counts[i] += u32::from(key <= keys[i]);
        }
    }
    let mut found = B::MAX;
    for i in 0..HALF {
        found = if counts[i] >= k as u32 && keys[i] < found { keys[i] } else { found };
    }
    found
}

/// Writes at most [`FEW`] entries in order, none of which are alike: each to the number of those before it.
pub(super) fn by_rank<E: Entry>(entries: &[E], to: &mut [E]) {
    const BLOCK: usize = 16;
    vectorize(
        #[inline(always)]
        |_| {
            let mut all = [E::default(); FEW];
            all[..entries.len()].copy_from_slice(entries);
            let blocks = entries.len().div_ceil(BLOCK);
            for (b, block) in all.as_chunks::<BLOCK>().0[..blocks].iter().enumerate() {
                let mut ranks = [0u64; BLOCK];
                for &entry in entries {
                    for i in 0..BLOCK {
                        ranks[i] += u64::from(entry < block[i]);
                    }
                }
                for i in 0..BLOCK.min(entries.len() - b * BLOCK) {
                    to[ranks[i] as usize] = block[i];
                }
            }
        },
    );
}
