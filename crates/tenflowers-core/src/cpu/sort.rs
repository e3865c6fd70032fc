//! Sorting along one dimension of dense operands: keys whose order as unsigned numbers is that of the elements, each beside
//! its place, so that equal elements keep their order.
use super::pool::{self, Parts};
use super::simd::vectorize;
use super::vec_for;
use crate::error::Result;
use half::{bf16, f16};

/// Elements a task.
const GRAIN: usize = 1 << 13;
/// Rows from here on are sorted digit by digit.
const RADIX: usize = 192;
/// Accumulators of [`Ranked::bound`].
const LANES: usize = 64;

/// An element whose order is that of a number of at most 64 bits: numbers first, what is none last, zeros alike.
pub trait Key: Copy + Send + Sync + 'static {
    const BITS: u32;
    fn key(self) -> u64;
    /// Whether it is not a number.
    fn is_nothing(self) -> bool {
        false
    }
}

macro_rules! keys {
    ($($t:ty, $bits:expr, |$x:ident| $key:expr $(, $nothing:expr)?;)*) => {$(
        impl Key for $t {
            const BITS: u32 = $bits;
            #[inline(always)]
            fn key(self) -> u64 { let $x = self; $key }
            $(fn is_nothing(self) -> bool { let $x = self; $nothing })?
        }
    )*};
}
keys! {
    bool, 8, |x| u64::from(x);
    u8, 8, |x| u64::from(x);
    u16, 16, |x| u64::from(x);
    u32, 32, |x| u64::from(x);
    u64, 64, |x| x;
    i8, 8, |x| u64::from(x as u8 ^ 0x80);
    i16, 16, |x| u64::from(x as u16 ^ 0x8000);
    i32, 32, |x| u64::from(x as u32 ^ 0x8000_0000);
    i64, 64, |x| x as u64 ^ 1 << 63;
    f16, 32, |x| x.to_f32().key(), x.is_nan();
    bf16, 32, |x| x.to_f32().key(), x.is_nan();
    f32, 32, |x| {
        let bits = if x == 0.0 { 0 } else { x.to_bits() };
        let ordered = bits ^ ((bits as i32 >> 31) as u32 | 0x8000_0000);
        u64::from(if x.is_nan() { u32::MAX } else { ordered })
    }, x.is_nan();
    f64, 64, |x| {
        let bits = if x == 0.0 { 0 } else { x.to_bits() };
        let ordered = bits ^ ((bits as i64 >> 63) as u64 | 1 << 63);
        if x.is_nan() { u64::MAX } else { ordered }
    }, x.is_nan();
}

/// A key and the place of its element, in the order of which both stand.
trait Entry: Copy + Ord + Default + Send {
    /// The number of digits of the key.
    const DIGITS: u32;
    fn new(key: u64, place: usize) -> Self;
    fn digit(self, d: u32) -> usize;
    fn place(self) -> usize;
}

/// 32 bits of each, in one number.
impl Entry for u64 {
    const DIGITS: u32 = 4;
    #[inline(always)]
    fn new(key: u64, place: usize) -> u64 {
        key << 32 | place as u64
    }
    #[inline(always)]
    fn digit(self, d: u32) -> usize {
        (self >> (32 + 8 * d)) as usize & 255
    }
    #[inline(always)]
    fn place(self) -> usize {
        self as u32 as usize
    }
}

impl Entry for (u64, u64) {
    const DIGITS: u32 = 8;
    #[inline(always)]
    fn new(key: u64, place: usize) -> (u64, u64) {
        (key, place as u64)
    }
    #[inline(always)]
    fn digit(self, d: u32) -> usize {
        (self.0 >> (8 * d)) as usize & 255
    }
    #[inline(always)]
    fn place(self) -> usize {
        self.1 as usize
    }
}

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
        if T::BITS <= 32 && self.n <= u32::MAX as usize {
            self.lines::<T, u64>(x, values, places)
        } else {
            self.lines::<T, (u64, u64)>(x, values, places)
        }
    }

    fn lines<T: Key + Default, E: Entry>(&self, x: &[T], values: &mut [T], places: &mut [i64]) -> Result<()> {
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
    fn line<'a, T: Key, E: Entry>(&self, row: &[T], entries: &'a mut [E], other: &'a mut [E]) -> &'a [E] {
        let flip = if self.descending { u64::MAX >> (64 - key_bits::<T>()) } else { 0 };
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
                if by_digits(entries, other) { other } else { entries }
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
                let held = if 4 * k <= LANES && row.len() >= 4 * LANES {
                    candidates(row, flip, k, entries)
                } else {
                    fill(entries);
                    row.len()
                };
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

const fn key_bits<T: Key>() -> u32 {
    if T::BITS <= 32 { 32 } else { 64 }
}

/// The entries among which the first `k` of a row are: those up to the k-th of the firsts of `LANES` interleaved parts.
fn candidates<T: Key, E: Entry>(row: &[T], flip: u64, k: usize, entries: &mut [E]) -> usize {
    if T::BITS <= 32 {
        up_to_bound::<T, u32, E>(row, flip, k, entries)
    } else {
        up_to_bound::<T, u64, E>(row, flip, k, entries)
    }
}

fn up_to_bound<T: Key, B: Bits, E: Entry>(row: &[T], flip: u64, k: usize, entries: &mut [E]) -> usize {
    let mut held = 0;
    vectorize(
        #[inline(always)]
        |_| {
            let mut firsts = [B::MAX; LANES];
            let (chunks, rest) = row.as_chunks::<LANES>();
            for chunk in chunks {
                for i in 0..LANES {
                    let key = B::of(chunk[i].key() ^ flip);
                    firsts[i] = if key < firsts[i] { key } else { firsts[i] };
                }
            }
            let bound = *firsts.select_nth_unstable(k - 1).1;
            for (c, chunk) in chunks.iter().enumerate() {
                let mut hits = [0u8; LANES];
                for i in 0..LANES {
                    hits[i] = u8::from(B::of(chunk[i].key() ^ flip) <= bound);
                }
                for (w, eight) in hits.as_chunks::<8>().0.iter().enumerate() {
                    let mut word = u64::from_le_bytes(*eight);
                    while word != 0 {
                        let i = 8 * w + (word.trailing_zeros() / 8) as usize;
                        entries[held] = E::new(chunk[i].key() ^ flip, c * LANES + i);
                        held += 1;
                        word &= word - 1;
                    }
                }
            }
            for (i, &x) in rest.iter().enumerate() {
                if B::of(x.key() ^ flip) <= bound {
                    entries[held] = E::new(x.key() ^ flip, chunks.len() * LANES + i);
                    held += 1;
                }
            }
        },
    );
    held
}

/// A key as narrow as it can be.
trait Bits: Copy + Ord {
    const MAX: Self;
    fn of(key: u64) -> Self;
}

impl Bits for u32 {
    const MAX: u32 = u32::MAX;
    #[inline(always)]
    fn of(key: u64) -> u32 {
        key as u32
    }
}

impl Bits for u64 {
    const MAX: u64 = u64::MAX;
    #[inline(always)]
    fn of(key: u64) -> u64 {
        key
    }
}

/// Sorts by the digits of the keys, the lowest first, each pass stable; says whether the result is in `other`.
fn by_digits<E: Entry>(entries: &mut [E], other: &mut [E]) -> bool {
    let mut counts = [[0u32; 256]; 8];
    let n = entries.len();
    if n > u32::MAX as usize {
        entries.sort_unstable();
        return false;
    }
    for &e in entries.iter() {
        for d in 0..E::DIGITS {
            counts[d as usize][e.digit(d)] += 1;
        }
    }
    let (mut from, mut to, mut swapped) = (entries, other, false);
    for d in 0..E::DIGITS {
        let counts = &mut counts[d as usize];
        // A digit that all have in common moves nothing.
        if counts[from[0].digit(d)] as usize == n {
            continue;
        }
        let mut at = 0;
        for count in counts.iter_mut() {
            at += std::mem::replace(count, at);
        }
        for &e in from.iter() {
            let place = &mut counts[e.digit(d)];
            to[*place as usize] = e;
            *place += 1;
        }
        std::mem::swap(&mut from, &mut to);
        swapped = !swapped;
    }
    swapped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::tests::each_isa;

    #[test]
    fn every_way_gives_the_same_order() {
        each_isa(|isa| {
            for n in [1, 5, 191, 192, 1000] {
                let x: Vec<f32> =
                    (0..n).map(|i| if i % 97 == 96 { f32::NAN } else { ((i * 7919) % 61) as f32 - 30.0 }).collect();
                for descending in [false, true] {
                    let mut want: Vec<usize> = (0..n).collect();
                    want.sort_by_key(|&i| if descending { u64::MAX - x[i].key() } else { x[i].key() });
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
