//! Sorting along one dimension of dense operands: keys whose order as unsigned numbers is that of the elements, each beside
//! its place, so that equal elements keep their order.

mod first;
mod keys;

use super::pool::{self, Parts};
use super::simd::vectorize;
use super::vec_for;
use crate::error::Result;
pub use keys::Key;
use keys::{Bits, Entry};

/// Elements a task.
const GRAIN: usize = 1 << 13;
/// Rows from here on are sorted digit by digit.
const RADIX: usize = 192;

/// Rows of numbers that are spread are ordered by this many of their digits, and by a pass of insertions; up to that length.
const UPPER: u32 = 3;
const SPARSE: usize = 1 << 13;

/// Which elements along a dimension come out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Which {
    /// All, in order.
    All,
    /// The first `.0` in that order, themselves in order or not.
    First(usize, bool),
    /// The one that has the number `.0`.
    Number(usize),
    /// The one in the middle, the lower of two: of the numbers only, or else what is no number where there is one.
    Middle { skip: bool },
}

/// Elements by their order along a dimension: of `n`, `inner` elements apart.
#[derive(Clone, Copy, Debug)]
pub struct Ranked {
    pub n: usize,
    pub inner: usize,
    pub descending: bool,
    pub which: Which,
}

impl Ranked {
    /// The elements that come out of each line.
    pub fn kept(&self) -> usize {
        match self.which {
            Which::All => self.n,
            Which::First(k, _) => k,
            Which::Number(_) | Which::Middle { .. } => 1,
        }
    }

    /// The elements and their places along the dimension.
    pub fn run<T: Key + Default>(&self, x: &[T], values: &mut [T], places: &mut [i64]) -> Result<()> {
        if self.n <= u32::MAX as usize {
            self.lines::<T, <T::Bits as Bits>::Short>(x, values, places)
        } else {
            self.lines::<T, (T::Bits, u64)>(x, values, places)
        }
    }

    fn lines<T: Key + Default, E: Entry<Bits = T::Bits>>(
        &self,
        x: &[T],
        values: &mut [T],
        places: &mut [i64],
    ) -> Result<()> {
        let (n, inner, kept) = (self.n, self.inner, self.kept());
        if x.is_empty() || values.is_empty() {
            return Ok(());
        }
        let lines = x.len() / n;
        // Room is asked for once a task, and a lack of it is told once all are done.
        let full = std::sync::Mutex::new(None);
        let (values, places) = (Parts::new(values), Parts::new(places));
        pool::ranges(lines, (GRAIN / n).max(1), &|range| {
            let room = || -> Result<_> {
                let mut both = (vec_for::<E>(n)?, vec_for::<E>(n)?);
                both.0.resize(n, E::default());
                both.1.resize(n, E::default());
                let mut line = vec_for::<T>(if inner == 1 { 0 } else { n })?;
                line.resize(if inner == 1 { 0 } else { n }, T::default());
                Ok((both.0, both.1, line))
            };
            let (mut entries, mut other, mut line) = match room() {
                Ok(room) => room,
                Err(e) => {
                    *full.lock().unwrap_or_else(|e| e.into_inner()) = Some(e);
                    return;
                }
            };
            for l in range {
                let (outer, column) = (l / inner, l % inner);
                let row = if inner == 1 {
                    &x[l * n..(l + 1) * n]
                } else {
                    let from = x[outer * n * inner + column..].iter().step_by(inner);
                    line.iter_mut().zip(from).for_each(|(to, &x)| *to = x);
                    &line[..]
                };
                let found = self.line(row, &mut entries, &mut other);
                let at = outer * kept * inner + column;
                if inner == 1 {
                    // SAFETY: each line belongs to one task.
                    let (values, places) = unsafe { (values.part(at..at + kept), places.part(at..at + kept)) };
                    for ((v, p), e) in values.iter_mut().zip(places).zip(found) {
                        (*v, *p) = (row[e.place()], e.place() as i64);
                    }
                } else {
                    for (k, e) in found.iter().enumerate() {
                        let at = at + k * inner;
                        // SAFETY: as above.
                        let (values, places) = unsafe { (values.part(at..at + 1), places.part(at..at + 1)) };
                        (values[0], places[0]) = (row[e.place()], e.place() as i64);
                    }
                }
            }
        })?;
        full.into_inner().unwrap_or_else(|e| e.into_inner()).map_or(Ok(()), Err)
    }

    /// The entries that come out of one line, in `entries` or in `other`.
    fn line<'a, T: Key, E: Entry<Bits = T::Bits>>(
        &self,
        row: &[T],
        entries: &'a mut [E],
        other: &'a mut [E],
    ) -> &'a [E] {
        let flip = if self.descending { T::Bits::MAX } else { T::Bits::default() };
        let fill = |entries: &mut [E]| {
            vectorize(
                #[inline(always)]
                |_| {
                    for (i, (e, &x)) in entries.iter_mut().zip(row).enumerate() {
                        *e = E::new(x.key() ^ flip, i);
                    }
                },
            );
        };
        match self.which {
            Which::All => {
                fill(entries);
                if row.len() < RADIX {
                    entries.sort_unstable();
                    return entries;
                }
                let lowest = if T::SPREAD && row.len() <= SPARSE { <T::Bits as Bits>::DIGITS - UPPER } else { 0 };
                if by_digits(entries, other, lowest) { other } else { entries }
            }
            Which::Number(_) | Which::Middle { .. } => {
                let numbers = || row.iter().filter(|x| !x.is_nothing()).count();
                let k = match self.which {
                    Which::Number(k) => k,
                    Which::Middle { skip: false } if numbers() < row.len() => numbers(),
                    Which::Middle { .. } => numbers().saturating_sub(1) / 2,
                    _ => 0,
                };
                fill(entries);
                entries.select_nth_unstable(k);
                &entries[k..=k]
            }
            Which::First(k, sorted) => {
                let held = first::candidates(row, flip, k, entries).unwrap_or_else(|| {
                    fill(entries);
                    row.len()
                });
                if held <= first::FEW {
                    first::by_rank(&entries[..held], other);
                    return &other[..k];
                }
                let held = &mut entries[..held];
                if k > 0 && held.len() > 2 * k {
                    held.select_nth_unstable(k - 1);
                }
                let found = if held.len() > 2 * k { &mut held[..k] } else { held };
                if sorted || found.len() > k {
                    found.sort_unstable();
                }
                &found[..k]
            }
        }
    }
}

/// Sorts by the digits of the keys from number `lowest` on, the lowest first, each pass stable, and then by what is below; says
/// whether the result is in `other`.
fn by_digits<E: Entry>(entries: &mut [E], other: &mut [E], lowest: u32) -> bool {
    let n = entries.len();
    if n > u32::MAX as usize {
        entries.sort_unstable();
        return false;
    }
    let mut counts = [[0u32; 256]; 8];
    for &e in entries.iter() {
        for d in lowest..E::Bits::DIGITS {
            counts[d as usize][e.key().digit(d)] += 1;
        }
    }
    let (mut from, mut to, mut swapped) = (entries, other, false);
    for d in lowest..E::Bits::DIGITS {
        let counts = &mut counts[d as usize];
        // A digit that all have in common moves nothing.
        if counts[from[0].key().digit(d)] as usize == n {
            continue;
        }
        let mut at = 0;
        for count in counts.iter_mut() {
            at += std::mem::replace(count, at);
        }
        for &e in from.iter() {
            let place = &mut counts[e.key().digit(d)];
            to[*place as usize] = e;
            *place += 1;
        }
        std::mem::swap(&mut from, &mut to);
        swapped = !swapped;
    }
    if lowest > 0 && !by_insertion(from) {
        from.sort_unstable();
    }
    swapped
}

/// Sorts entries that are nearly in order; says whether they were, and gives up where they are not.
fn by_insertion<E: Entry>(entries: &mut [E]) -> bool {
    let mut moves = entries.len();
    for i in 1..entries.len() {
        let entry = entries[i];
        let mut at = i;
        while at > 0 && entry < entries[at - 1] {
            entries[at] = entries[at - 1];
            at -= 1;
        }
        if at < i {
            entries[at] = entry;
            moves = match moves.checked_sub(i - at) {
                Some(left) => left,
                None => return false,
            };
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::tests::each_isa;

    #[test]
    fn every_way_gives_the_same_order() {
        each_isa(|isa| {
            // Many alike; keys that differ in the lowest digit alone, a few of them, or all and the wrong way round.
            let of: [fn(usize) -> f32; 3] = [
                |i| if i % 97 == 96 { f32::NAN } else { ((i * 7919) % 61) as f32 - 30.0 },
                |i| f32::from_bits(1.5f32.to_bits() + ((i * 7919) % 4099 * 96) as u32),
                |i| f32::from_bits(1.5f32.to_bits() - i as u32),
            ];
            for (n, of) in [1, 5, 191, 192, 257, 1000, 9000].into_iter().flat_map(|n| of.map(|of| (n, of))) {
                let x: Vec<f32> = (0..n).map(of).collect();
                for descending in [false, true] {
                    let mut want: Vec<usize> = (0..n).collect();
                    want.sort_by_key(|&i| if descending { u32::MAX - x[i].key() } else { x[i].key() });
                    for k in [1, 3, 16, 40, n] {
                        for which in [Which::All, Which::First(k.min(n), true), Which::Number(k.min(n) - 1)] {
                            let ranked = Ranked { n, inner: 1, descending, which };
                            let (mut values, mut places) = (vec![0.0; ranked.kept()], vec![0; ranked.kept()]);
                            ranked.run(&x, &mut values, &mut places).unwrap();
                            let first = if let Which::Number(k) = which { k } else { 0 };
                            let want: Vec<i64> = want[first..first + ranked.kept()].iter().map(|&i| i as i64).collect();
                            assert_eq!(places, want, "{isa:?} {n} {which:?} {descending}");
                        }
                    }
                }
            }
        });
    }
}
