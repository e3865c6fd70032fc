//! Products with a vector, which memory bandwidth limits: one pass over the matrix, nothing packed.

use super::lanes::{Float, Lanes, Task};
use super::scratch::Scratch;
use super::tile::{Stride, store, tile};
use crate::cpu::{pool, simd};
use crate::error::Result;

/// Elements of the matrix that one chunk reads.
const GRAIN: usize = 1 << 17;

/// Elements of the matrix that one chunk reads at most.
const MOST: usize = 1 << 22;
/// Bytes of a matrix that is read as it lies ...
const FAR: usize = 1 << 20;
/// ... in pieces of rows of this many bytes at least ...
const PIECE: usize = 2 << 10;
/// ... and of what waits in the first cache meanwhile.
const NEAR: usize = 16 << 10;

/// `y[i] = sum over p of m[i * row + p * col] * x[p]`, or `+=`.
pub(crate) struct MatVec<T> {
    pub rows: usize,
    pub k: usize,
    pub matrix: *const T,
    pub row: isize,
    pub col: isize,
    pub x: *const T,
    pub x_step: isize,
    pub y: *mut T,
    pub y_step: usize,
    pub accumulate: bool,
}

// SAFETY: the pointers are good for all that the product reads and writes, and chunks write different elements of y.
unsafe impl<T: Sync> Sync for MatVec<T> {}

impl<T: Float> MatVec<T> {
    /// Whether one of the two kernels below fits the strides.
    pub(crate) fn fits(&self) -> bool {
        self.col == 1 || (self.row == 1 && self.y_step == 1)
    }

    /// Whether so many elements of y wait in a cache while the matrix passes by row after row, as it lies in memory: it is
    /// in no near cache.
    fn passes_by(&self, n: usize) -> bool {
        self.col != 1
            && !self.accumulate
            && n * self.k * size_of::<T>() >= FAR
            && (PIECE..=NEAR).contains(&(n * size_of::<T>()))
    }

    /// # Safety
    /// The pointers are good for all elements named; y overlaps nothing.
    pub(crate) unsafe fn run(mut self) -> Result<()> {
        let isa = simd::isa();
        let by_rows = self.col == 1;
        let mut copy;
        if by_rows && self.x_step != 1 {
            copy = Scratch::filled(self.k, T::ZERO)?;
            // SAFETY: `filled` wrote all of it.
            for (p, x) in unsafe { copy.slice_mut() }.iter_mut().enumerate() {
                // SAFETY: the caller's word.
                *x = unsafe { *self.x.offset(p as isize * self.x_step) };
            }
            (self.x, self.x_step) = (copy.ptr(), 1);
        }
        let this = &self;
        let work = |range: std::ops::Range<usize>| {
            // SAFETY: the caller's word; the ISA is this machine's.
            unsafe {
                if by_rows {
                    super::lanes::run(isa, Dots { of: this, range });
                } else {
                    super::lanes::run(isa, Columns { of: this, range });
                }
            }
        };
        let mut grain = (GRAIN / self.k.max(1)).next_multiple_of(128);
        if self.passes_by(self.rows) {
            // Rows of the matrix in long pieces, as many as there are threads for; no sum is cut by it.
            let share = self.rows.div_ceil(pool::num_threads());
            grain = grain.max(share.min(MOST / self.k.max(1)).next_multiple_of(128));
        }
        if self.rows <= grain {
            work(0..self.rows);
            return Ok(());
        }
        pool::ranges(self.rows, grain, &work)
    }
}

/// Rows of the matrix are contiguous: one dot product each, four at a time.
struct Dots<'a, T> {
    of: &'a MatVec<T>,
    range: std::ops::Range<usize>,
}

impl<T: Float> Task<T> for Dots<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        let mut i = self.range.start;
        // SAFETY: the caller's word.
        unsafe {
            while i + 4 <= self.range.end {
                dots::<V, 4>(self.of, i);
                i += 4;
            }
            while i < self.range.end {
                dots::<V, 1>(self.of, i);
                i += 1;
            }
        }
    }
}

/// The sum of a row does not depend on `R`.
#[inline(always)]
unsafe fn dots<V: Lanes, const R: usize>(of: &MatVec<V::Elem>, first: usize) {
    // SAFETY: the caller's word.
    unsafe {
        let rows = of.matrix.offset(first as isize * of.row);
        let mut acc = [[V::splat(V::Elem::ZERO); R]; 2];
        let mut p = 0;
        while p + 2 * V::LANES <= of.k {
            for half in &mut acc {
                let x = V::load(of.x.add(p));
                for (i, acc) in half.iter_mut().enumerate() {
                    *acc = acc.fma(x, V::load(rows.offset(i as isize * of.row).add(p)));
                }
                p += V::LANES;
            }
        }
        let mut half = 0;
        while p < of.k {
            let n = V::LANES.min(of.k - p);
            let x = V::load_first(of.x.add(p), n);
            for (i, acc) in acc[half].iter_mut().enumerate() {
                *acc = acc.fma(x, V::load_first(rows.offset(i as isize * of.row).add(p), n));
            }
            p += n;
            half = 1;
        }
        let [even, odd] = acc;
        for (i, (even, odd)) in even.into_iter().zip(odd).enumerate() {
            let y = of.y.add((first + i) * of.y_step);
            let sum = total(even.add(odd));
            *y = if of.accumulate { *y + sum } else { sum };
        }
    }
}

/// The sum of all lanes, by halves.
#[inline(always)]
pub(crate) unsafe fn total<V: Lanes>(v: V) -> V::Elem {
    let mut lanes = [V::Elem::ZERO; 16];
    // SAFETY: no vector has more than 16 lanes.
    unsafe { v.store(lanes.as_mut_ptr()) };
    let mut n = V::LANES;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            lanes[i] = lanes[i] + lanes[i + n];
        }
    }
    lanes[0]
}

/// Columns of the matrix are contiguous: many elements of y in registers while k runs.
struct Columns<'a, T> {
    of: &'a MatVec<T>,
    range: std::ops::Range<usize>,
}

impl<T: Float> Task<T> for Columns<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        if self.of.passes_by(self.range.len()) {
            // SAFETY: the caller's word.
            return unsafe { passing::<V>(self.of, self.range) };
        }
        let mut i = self.range.start;
        while i < self.range.end {
            let left = self.range.end - i;
            // SAFETY: the caller's word.
            unsafe {
                i += match left.div_ceil(V::LANES) {
                    8.. if left >= 8 * V::LANES => columns::<V, 8, false>(self.of, i, left),
                    4.. if left >= 4 * V::LANES => columns::<V, 4, false>(self.of, i, left),
                    2.. if left >= 2 * V::LANES => columns::<V, 2, false>(self.of, i, left),
                    2.. => columns::<V, 2, true>(self.of, i, left),
                    _ => columns::<V, 1, true>(self.of, i, left),
                };
            }
        }
    }
}

#[inline(always)]
unsafe fn columns<V: Lanes, const N: usize, const PART: bool>(
    of: &MatVec<V::Elem>,
    first: usize,
    left: usize,
) -> usize {
    let last = left.wrapping_sub((N - 1) * V::LANES);
    // SAFETY: the caller's word.
    unsafe {
        let x = (of.x, [0], Stride(of.x_step));
        let acc = tile::<V, 1, N, PART>(of.k, x, (of.matrix.add(first), Stride(of.col)), last);
        store::<V, 1, N, PART>(acc, (of.y.add(first), 0), last, of.accumulate);
    }
    if PART { left } else { N * V::LANES }
}

/// The same sums in the same order, which wait in y for the next rows of the matrix.
#[inline(always)]
unsafe fn passing<V: Lanes>(of: &MatVec<V::Elem>, range: std::ops::Range<usize>) {
    let mut p = 0;
    while p < of.k {
        // SAFETY: the caller's word.
        unsafe {
            if p == 0 || p + 4 > of.k {
                add_rows::<V, 1>(of, range.clone(), p);
                p += 1;
            } else {
                add_rows::<V, 4>(of, range.clone(), p);
                p += 4;
            }
        }
    }
}

/// Adds `R` rows of the matrix to the sums, which begin with the first.
#[inline(always)]
unsafe fn add_rows<V: Lanes, const R: usize>(of: &MatVec<V::Elem>, range: std::ops::Range<usize>, p: usize) {
    // SAFETY: the caller's word.
    unsafe {
        let (mut rows, mut x) = ([of.matrix; R], [V::splat(V::Elem::ZERO); R]);
        for r in 0..R {
            let at = (p + r) as isize;
            rows[r] = of.matrix.offset(at * of.col);
            x[r] = V::splat(*of.x.offset(at * of.x_step));
        }
        let zero = V::splat(V::Elem::ZERO);
        let mut i = range.start;
        while i + V::LANES <= range.end {
            let mut sum = if p == 0 { zero } else { V::load(of.y.add(i)) };
            for r in 0..R {
                sum = sum.fma(x[r], V::load(rows[r].add(i)));
            }
            sum.store(of.y.add(i));
            i += V::LANES;
        }
        let n = range.end - i;
        if n > 0 {
            let mut sum = if p == 0 { zero } else { V::load_first(of.y.add(i), n) };
            for r in 0..R {
                sum = sum.fma(x[r], V::load_first(rows[r].add(i), n));
            }
            sum.store_first(of.y.add(i), n);
        }
    }
}
