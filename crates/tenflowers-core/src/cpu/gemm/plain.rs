//! Products of integers and complex numbers: by panels, or with vectors, where rows of B are added up into rows of C, which
//! LLVM vectorises.

use super::panels::{self, Panels};
use super::scratch::{Outcome, Scratch};
use super::{Mat, Onto, Product, prepare};
use crate::cpu::{pool, simd};
use crate::error::Result;

/// Steps of k, and columns, of the block of B that is used for all rows of a task.
const KC: usize = 128;
const NC: usize = 256;
/// Multiplications that are worth a task.
const GRAIN: usize = 1 << 18;

/// Multiplications that are done one after the other.
const TINY: usize = 128;

/// # Safety
/// As `product`.
unsafe fn tiny<T: Product>([m, n, k]: [usize; 3], a: Mat<T>, b: Mat<T>, (c, ldc): (*mut T, usize), onto: Onto<T>) {
    for i in 0..m {
        for j in 0..n {
            // SAFETY: the caller's word.
            unsafe {
                let mut sum = onto.map_or(T::ZERO, |(d, ldd)| *d.add(i * ldd + j));
                let (mut x, mut y) = (a.at(i, 0), b.at(0, j));
                for _ in 0..k {
                    sum = sum.plus((*x).times(*y));
                    (x, y) = (x.wrapping_offset(a.col), y.wrapping_offset(b.row));
                }
                *c.add(i * ldc + j) = sum;
            }
        }
    }
}

/// `y[i * step]` = the sum of `rows[i * apart + p] * x[p]`.
unsafe fn dots<T: Product>(
    (rows, apart): (*const T, isize),
    x: *const T,
    (y, step): (*mut T, usize),
    [m, k]: [usize; 2],
) -> Result<()> {
    /// Sums that run side by side.
    const SUMS: usize = 256;
    struct Vectors<T>(*const T, *const T, *mut T);
    // SAFETY: tasks read rows and x, and write elements of y of their own.
    unsafe impl<T> Sync for Vectors<T> {}
    let all = Vectors(rows, x, y);
    pool::ranges(m, ((1 << 17) / k).max(1), &|range| {
        let Vectors(rows, x, y) = &all;
        simd::vectorize(
            #[inline(always)]
            |_| {
                for i in range {
                    // SAFETY: the caller's word.
                    let (row, x) = unsafe {
                        let row = rows.offset(i as isize * apart);
                        (std::slice::from_raw_parts(row, k), std::slice::from_raw_parts(*x, k))
                    };
                    let mut sums = [T::ZERO; SUMS];
                    for (row, x) in row.chunks(SUMS).zip(x.chunks(SUMS)) {
                        for ((sum, a), b) in sums.iter_mut().zip(row).zip(x) {
                            *sum = sum.plus(a.times(*b));
                        }
                    }
                    let mut n = SUMS;
                    while n > 1 {
                        n /= 2;
                        let (low, high) = sums[..2 * n].split_at_mut(n);
                        for (a, b) in low.iter_mut().zip(high) {
                            *a = a.plus(*b);
                        }
                    }
                    // SAFETY: the caller's word.
                    unsafe { *y.add(i * step) = sums[0] };
                }
            },
        );
    })
}

struct Shared<T> {
    a: Mat<T>,
    b: Mat<T>,
    c: *mut T,
    ldc: usize,
}

// SAFETY: tasks read A and B and write different rows of C.
unsafe impl<T: Sync> Sync for Shared<T> {}

/// C = A B + D.
///
/// # Safety
/// As `gemm`.
pub(crate) unsafe fn product<T: Product + Panels>(
    [m, n, k]: [usize; 3],
    a: Mat<T>,
    mut b: Mat<T>,
    (c, ldc): (*mut T, usize),
    onto: Onto<T>,
) -> Result<()> {
    if m * n * k <= TINY {
        // SAFETY: the caller's word.
        unsafe { tiny([m, n, k], a, b, (c, ldc), onto) };
        return Ok(());
    }
    if onto.is_none() && n == 1 && a.col == 1 && b.row == 1 {
        // SAFETY: the caller's word.
        return unsafe { dots((a.ptr, a.row), b.ptr, (c, ldc), [m, k]) };
    }
    if onto.is_none() && m == 1 && b.row == 1 && a.col == 1 {
        // SAFETY: the caller's word.
        return unsafe { dots((b.ptr, b.col), a.ptr, (c, 1), [n, k]) };
    }
    if panels::fit([m, n, k]) {
        // SAFETY: the caller's word.
        return unsafe { T::by_panels([m, n, k], a, b, (c, ldc), onto) };
    }
    let accumulate = onto.is_some();
    // SAFETY: the caller's word.
    unsafe { prepare([m, n], c, ldc, onto) };
    if n == 1 {
        b.col = 1;
    }
    let shared = Shared { a, b, c, ldc };
    let rows = (GRAIN / (n * k)).clamp(1, m).next_multiple_of(4);
    let outcome = Outcome::default();
    let task = |r: std::ops::Range<usize>| {
        let size = if shared.b.col == 1 { 0 } else { KC.min(k) * NC.min(n) };
        outcome.with(size, |packed: &mut Scratch<T>| {
            for j in (0..n).step_by(NC) {
                for p in (0..k).step_by(KC) {
                    let (first, add) = ((r.start, j, p), accumulate || p > 0);
                    let dims = [r.len(), NC.min(n - j), KC.min(k - p)];
                    // SAFETY: the caller's word; the scratch has room for the block.
                    simd::vectorize(
                        #[inline(always)]
                        |_| unsafe { block(&shared, first, dims, packed.ptr(), add) },
                    );
                }
            }
        });
    };
    if m <= rows {
        task(0..m)
    } else {
        pool::ranges(m, rows, &task)?
    }
    outcome.result()
}

#[inline(always)]
unsafe fn block<T: Product>(
    of: &Shared<T>,
    (i, j, p): (usize, usize, usize),
    [m, n, k]: [usize; 3],
    packed: *mut T,
    accumulate: bool,
) {
    // SAFETY: the caller's word: all elements named are inside the matrices, rows of B are contiguous or packed.
    unsafe {
        let (mut b, mut row) = (of.b.at(p, j), of.b.row);
        if of.b.col != 1 {
            for p in 0..k {
                for j in 0..n {
                    *packed.add(p * n + j) = *b.offset(p as isize * row + j as isize * of.b.col);
                }
            }
            (b, row) = (packed, n as isize);
        }
        for r in 0..m {
            let a = of.a.at(i + r, p);
            let c = of.c.add((i + r) * of.ldc + j);
            if !accumulate {
                for j in 0..n {
                    c.add(j).write(T::ZERO);
                }
            }
            let c = std::slice::from_raw_parts_mut(c, n);
            let line = |p: usize| std::slice::from_raw_parts(b.offset(p as isize * row), n);
            let x = |p: usize| *a.offset(p as isize * of.a.col);
            let fours = k / 4 * 4;
            for p in (0..fours).step_by(4) {
                let (x, b) = ([x(p), x(p + 1), x(p + 2), x(p + 3)], [line(p), line(p + 1), line(p + 2), line(p + 3)]);
                for j in 0..n {
                    let sum = x[0].times(b[0][j]).plus(x[1].times(b[1][j]));
                    c[j] = c[j].plus(sum.plus(x[2].times(b[2][j]).plus(x[3].times(b[3][j]))));
                }
            }
            for p in fours..k {
                let (x, b) = (x(p), line(p));
                for j in 0..n {
                    c[j] = c[j].plus(x.times(b[j]));
                }
            }
        }
    }
}
