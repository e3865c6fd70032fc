//! Matrix products on memory: any strides, any number type, results equal bit for bit for any number of threads.
//!
//! f32 and f64 go through a register tile for each instruction set (`tile`), packed where that pays (`blocked`); 16-bit
//! floats, integers and complex numbers through panels in the form that the instruction set multiplies (`panels`, `scheme`),
//! in vectors or, bfloat16 and bytes, in the tile registers of machines that have them; products of integers and complex
//! numbers with vectors through a plain loop.

pub(crate) mod blocked;
mod halves;
pub(crate) mod lanes;
pub(crate) mod matvec;
pub(crate) mod pack;
mod panels;
mod plain;
mod scheme;
mod scratch;
pub(crate) mod tile;

pub(crate) use scratch::{Outcome, Scratch};

use crate::cpu::number::Number;
use crate::cpu::pool;
use crate::error::Result;
use half::{bf16, f16};
use num_complex::Complex;

/// A matrix in memory: its first element and the strides of rows and columns, in elements (of any sign, or 0).
#[derive(Clone, Copy)]
pub struct Mat<T> {
    /// The element in row 0, column 0.
    pub ptr: *const T,
    /// From one row to the next.
    pub row: isize,
    /// From one column to the next.
    pub col: isize,
}

impl<T> Mat<T> {
    /// The address of an element; valid only if the matrix has it.
    fn at(&self, i: usize, j: usize) -> *const T {
        self.ptr.wrapping_offset(i as isize * self.row + j as isize * self.col)
    }

    fn cast<U>(self) -> Mat<U> {
        Mat { ptr: self.ptr.cast(), row: self.row, col: self.col }
    }
}

/// The element types that have products; integers wrap around.
pub trait Product: sealed::Kernel + Number {
    /// The sum of nothing.
    const ZERO: Self;
}

mod sealed {
    use super::{Mat, Onto};
    use crate::error::Result;

    /// The kernel of an element type.
    pub trait Kernel: Copy + Send + Sync + 'static {
        /// # Safety
        /// As `gemm`, with no dimension of 0.
        unsafe fn product(
            dims: [usize; 3],
            a: Mat<Self>,
            b: Mat<Self>,
            c: (*mut Self, usize),
            onto: Onto<Self>,
        ) -> Result<()>;
    }
}

macro_rules! product {
    ($kernel:ident, $($t:ty as $same:ty)+, $zero:expr) => {$(
        impl sealed::Kernel for $t {
            unsafe fn product(dims: [usize; 3], a: Mat<$t>, b: Mat<$t>, c: (*mut $t, usize), onto: Onto<$t>) -> Result<()> {
                let onto = onto.map(|(d, ldd)| (d.cast::<$same>(), ldd));
                // SAFETY: the caller's word; integers of one size are the same bits.
                unsafe { $kernel::product(dims, a.cast::<$same>(), b.cast::<$same>(), (c.0.cast::<$same>(), c.1), onto) }
            }
        }
        impl Product for $t {
            const ZERO: $t = $zero;
        }
    )+};
}
product!(blocked, f32 as f32 f64 as f64, 0.0);
product!(halves, f16 as f16, f16::ZERO);
product!(halves, bf16 as bf16, bf16::ZERO);
product!(plain, Complex<f32> as Complex<f32> Complex<f64> as Complex<f64>, Complex::new(0.0, 0.0));
// What wraps around does not depend on the sign.
product!(plain, i8 as i8 i16 as i16 i32 as i32 i64 as i64 u8 as i8 u16 as i16 u32 as i32 u64 as i64, 0);

/// What a product is added to: the first element of D, and how far its rows are apart, which are as long as those of C.
/// D may be C itself, or one row (0 apart), such as the biases of a layer.
pub type Onto<T> = Option<(*const T, usize)>;

/// C = A B, or C += A B if `accumulate`, for A of `m x k` and B of `k x n`; C is `m x n` with contiguous rows `ldc`
/// apart.
///
/// # Errors
/// As [`gemm_onto`].
///
/// # Safety
/// As [`gemm_onto`]; C is initialised if `accumulate`.
pub unsafe fn gemm<T: Product>(
    dims: [usize; 3],
    a: Mat<T>,
    b: Mat<T>,
    c: *mut T,
    ldc: usize,
    accumulate: bool,
) -> Result<()> {
    let onto = if accumulate { Some((c.cast_const(), ldc)) } else { None };
    // SAFETY: the caller's word.
    unsafe { gemm_onto(dims, a, b, onto, c, ldc) }
}

/// C = A B + D, for A of `m x k` and B of `k x n`; C is `m x n` with contiguous rows `ldc` apart.
///
/// With `k == 0` the product is zeros. Parallel inside when that pays.
///
/// # Errors
/// `OutOfMemory` where there is no room to pack, `Interrupted` when the user asked to stop; C then holds anything.
///
/// # Safety
/// A, B and D can be read at all their elements, C can be written at all of its own (`ldc >= n` unless `m < 2`); C overlaps
/// neither A nor B, nor D but where it is the same.
pub unsafe fn gemm_onto<T: Product>(
    [m, n, k]: [usize; 3],
    a: Mat<T>,
    b: Mat<T>,
    onto: Onto<T>,
    c: *mut T,
    ldc: usize,
) -> Result<()> {
    if m == 0 || n == 0 {
        return Ok(());
    }
    if k == 0 {
        for i in 0..if onto.is_some() { 0 } else { m } {
            for j in 0..n {
                // SAFETY: an element of C.
                unsafe { c.add(i * ldc + j).write(T::ZERO) };
            }
        }
        // SAFETY: the caller's word.
        unsafe { prepare([m, n], c, ldc, onto) };
        return Ok(());
    }
    // SAFETY: the caller's word.
    unsafe { T::product([m, n, k], a, b, (c, ldc), onto) }
}

/// C = D, for kernels that only add to C.
///
/// # Safety
/// As [`gemm_onto`].
unsafe fn prepare<T: Copy>([m, n]: [usize; 2], c: *mut T, ldc: usize, onto: Onto<T>) {
    let Some((d, ldd)) = onto.filter(|&(d, _)| !std::ptr::eq(d, c)) else { return };
    for i in 0..m {
        // SAFETY: a row of each.
        unsafe { std::ptr::copy_nonoverlapping(d.add(i * ldd), c.add(i * ldc), n) };
    }
}

/// Products of one size above which the threads work on one of them together rather than on several.
const ALONE: usize = 10_000_000;
/// Floating point operations of one chunk of small products.
const GRAIN: usize = 1 << 20;

/// One product for each pair of offsets: C of product `i` begins at `i * m * n`, A and B at their first elements plus
/// `offsets[i]`, in elements.
///
/// # Errors
/// As [`gemm`].
///
/// # Safety
/// As [`gemm`], for each of the products; C is contiguous.
pub unsafe fn gemm_batched<T: Product>(
    [m, n, k]: [usize; 3],
    a: Mat<T>,
    b: Mat<T>,
    c: *mut T,
    offsets: &[(isize, isize)],
) -> Result<()> {
    struct Batch<T>(Mat<T>, Mat<T>, *mut T);
    // SAFETY: the products read A and B and write different parts of C.
    unsafe impl<T: Sync> Sync for Batch<T> {}
    impl<T: Product> Batch<T> {
        unsafe fn one(&self, dims: [usize; 3], i: usize, (a, b): (isize, isize)) -> Result<()> {
            let Batch(x, y, c) = self;
            let (x, y) = (Mat { ptr: x.ptr.wrapping_offset(a), ..*x }, Mat { ptr: y.ptr.wrapping_offset(b), ..*y });
            // SAFETY: the caller's word.
            unsafe { gemm(dims, x, y, c.wrapping_add(i * dims[0] * dims[1]), dims[1], false) }
        }
    }
    let (batch, dims) = (Batch(a, b, c), [m, n, k]);
    let each = 2 * m * n * k;
    if each >= ALONE || offsets.len() * each < 2 * GRAIN {
        // SAFETY: the caller's word.
        return offsets.iter().enumerate().try_for_each(|(i, &pair)| unsafe { batch.one(dims, i, pair) });
    }
    let outcome = Outcome::default();
    pool::ranges(offsets.len(), GRAIN.div_ceil(each.max(1)), &|range| {
        for i in range {
            // SAFETY: the caller's word.
            if let Err(e) = unsafe { batch.one(dims, i, offsets[i]) } {
                outcome.note(e);
            }
        }
    })?;
    outcome.result()
}

#[cfg(test)]
mod tests;
