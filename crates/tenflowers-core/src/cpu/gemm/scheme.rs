//! Ways of multiplying that want their operands in another form than that of memory: widened, or several steps of k side by side.

use super::Product;
use super::lanes::Lanes;

pub(super) mod complex;
pub(super) mod halves;
pub(super) mod integers;

/// What panels hold, and what a group of steps of k adds to a vector of sums.
///
/// # Safety
/// Every method needs the instruction set that the scheme is for, and pointers good for what it reads and writes.
pub(super) trait Scheme: 'static {
    /// What the matrices hold.
    type Elem: Product;
    /// What panels hold: a group of elements that follow each other along k.
    type Word: Copy;
    /// Words for consecutive columns of B, one a lane.
    type Columns: Copy;
    /// The sums of these columns for a row of A.
    type Sums: Copy;
    /// What a sum comes to, before it is made an element.
    type Total: Copy;
    /// Vectors that move words of four and of eight bytes.
    type Four: Lanes<Elem = f32>;
    type Eight: Lanes<Elem = f64>;
    /// Elements of a word.
    const GROUP: usize;
    /// A word is one element as it is.
    const SAME: bool = false;
    /// Lanes of `Columns`.
    const LANES: usize;
    /// Rows of the register tile, which is two vectors wide.
    const MR: usize;

    fn word(at: impl Fn(usize) -> Self::Elem) -> Self::Word;
    unsafe fn load(b: *const Self::Word) -> Self::Columns;
    unsafe fn zero() -> Self::Sums;
    unsafe fn step(sums: Self::Sums, a: *const Self::Word, b: Self::Columns) -> Self::Sums;
    unsafe fn totals(sums: Self::Sums, to: *mut Self::Total);
    /// `c = totals + onto`, rounded or wrapped once.
    unsafe fn finish(totals: *const Self::Total, onto: Option<*const Self::Elem>, c: *mut Self::Elem, n: usize);

    /// The words of `n` elements in a row.
    #[inline(always)]
    unsafe fn along(from: *const Self::Elem, n: usize, to: *mut Self::Word) {
        let (groups, rest) = (n / Self::GROUP, n % Self::GROUP);
        // SAFETY: the caller's word.
        unsafe {
            for g in 0..groups {
                let from = from.add(g * Self::GROUP);
                *to.add(g) = Self::word(
                    #[inline(always)]
                    |q| *from.add(q),
                );
            }
            if rest > 0 {
                let from = from.add(groups * Self::GROUP);
                *to.add(groups) = Self::word(
                    #[inline(always)]
                    |q| if q < rest { *from.add(q) } else { Self::Elem::ZERO },
                );
            }
        }
    }

    /// `n` words from `rows` rows, at most a group, that are `step` apart.
    #[inline(always)]
    unsafe fn across(from: *const Self::Elem, step: isize, rows: usize, n: usize, to: *mut Self::Word) {
        // SAFETY: the caller's word.
        unsafe {
            if rows == Self::GROUP {
                for j in 0..n {
                    *to.add(j) = Self::word(
                        #[inline(always)]
                        |q| *from.offset(q as isize * step).add(j),
                    );
                }
            } else {
                for j in 0..n {
                    *to.add(j) = Self::word(
                        #[inline(always)]
                        |q| if q < rows { *from.offset(q as isize * step).add(j) } else { Self::Elem::ZERO },
                    );
                }
            }
        }
    }
}

/// Elements that follow each other as words, which they are in memory already; what the last one lacks is zero.
///
/// # Safety
/// `n` elements are there, and room for the words.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn words<E: Copy, W: Copy + Default>(from: *const E, n: usize, to: *mut W) {
    let rest = n % (size_of::<W>() / size_of::<E>());
    // SAFETY: the caller's word.
    unsafe {
        if rest > 0 {
            to.add(n * size_of::<E>() / size_of::<W>()).write(W::default());
        }
        std::ptr::copy_nonoverlapping(from, to.cast(), n);
    }
}
