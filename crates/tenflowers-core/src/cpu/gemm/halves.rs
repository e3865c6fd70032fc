//! Products of floats of 16 bits: by panels, or where a short vector takes part, as float32.

use super::panels::{self, Panels};
use super::scheme::halves::Half;
use super::scratch::Scratch;
use super::{Mat, Onto, blocked};
use crate::cpu::simd::vectorize;
use crate::error::Result;

/// Elements of the matrix from which on a product with a vector goes by panels: a copy in float32 would leave the caches.
const LARGE: usize = 1 << 20;

/// C = A B + D.
///
/// # Safety
/// As `gemm`; no dimension is 0.
pub(crate) unsafe fn product<T: Half + Panels>(
    dims: [usize; 3],
    a: Mat<T>,
    b: Mat<T>,
    (c, ldc): (*mut T, usize),
    onto: Onto<T>,
) -> Result<()> {
    let [m, n, k] = dims;
    // SAFETY: the caller's word.
    unsafe {
        if panels::fit(dims) {
            return T::by_panels(dims, a, b, (c, ldc), onto);
        }
        if m * n * k >= LARGE && k <= panels::STEPS {
            if m == 1 {
                return T::by_panels(dims, a, b, (c, ldc), onto);
            }
            // A column that lies together is a row.
            if n == 1 && ldc == 1 && onto.is_none_or(|(_, ldd)| ldd == 1) {
                let turned = |x: Mat<T>| Mat { ptr: x.ptr, row: x.col, col: x.row };
                return T::by_panels([1, m, k], turned(b), turned(a), (c, m), onto);
            }
        }
        let (_a, a) = widened(a, m, k)?;
        let (_b, b) = widened(b, k, n)?;
        let onto = match onto {
            Some((ptr, 0)) => Some((widened(Mat { ptr, row: 0, col: 1 }, 1, n)?, 0)),
            Some((ptr, ldd)) => Some((widened(Mat { ptr, row: ldd as isize, col: 1 }, m, n)?, n)),
            None => None,
        };
        let sums = Scratch::<f32>::new(m * n)?;
        let onto = onto.as_ref().map(|((_, d), ldd)| (d.ptr, *ldd));
        blocked::product(dims, a, b, (sums.ptr(), n), onto)?;
        for i in 0..m {
            vectorize(
                #[inline(always)]
                |_| T::narrow(false, sums.ptr().add(i * n), c.add(i * ldc), n),
            );
        }
    }
    Ok(())
}

/// A copy in float32, in the order in which the matrix lies.
unsafe fn widened<T: Half>(from: Mat<T>, rows: usize, columns: usize) -> Result<(Scratch<f32>, Mat<f32>)> {
    let to = Scratch::<f32>::new(rows * columns)?;
    let turned = columns == 1 || (from.col != 1 && from.row == 1);
    let (lines, along, step, line) =
        if turned { (columns, rows, from.row, from.col) } else { (rows, columns, from.col, from.row) };
    for i in 0..lines {
        let (from, to) = (from.ptr.wrapping_offset(i as isize * line), to.ptr().wrapping_add(i * along));
        vectorize(
            #[inline(always)]
            |_| {
                // SAFETY: the caller's word; the copy has room for every line.
                unsafe {
                    if step == 1 {
                        T::widen(false, from, to, along);
                    } else {
                        for j in 0..along {
                            T::widen(false, from.offset(j as isize * step), to.add(j), 1);
                        }
                    }
                }
            },
        );
    }
    let ptr = to.ptr().cast_const();
    let (row, col) = if turned { (1, rows as isize) } else { (columns as isize, 1) };
    Ok((to, Mat { ptr, row, col }))
}
