//! Vectors of f32 and f64 in each instruction set, and the way into code that uses them.

use crate::cpu::simd::{Flush, Isa};

/// A vector register of floats, with the register tile that suits its instruction set.
///
/// # Safety
/// Every method needs the instruction set, and pointers good for the lanes it reads or writes.
pub(crate) trait Lanes: Copy {
    /// What a lane holds.
    type Elem: Float;
    /// Lanes of one vector.
    const LANES: usize;
    /// Rows of the register tile.
    const MR: usize;
    /// Vectors in a row of the register tile.
    const NV: usize;
    /// Side of the square block that `transpose` moves.
    const SIDE: usize;

    unsafe fn splat(x: Self::Elem) -> Self;
    unsafe fn load(p: *const Self::Elem) -> Self;
    unsafe fn store(self, p: *mut Self::Elem);
    /// Reads the first `n` lanes, the others are zero.
    unsafe fn load_first(p: *const Self::Elem, n: usize) -> Self;
    /// Reads the lanes from `low` to `high`, none if that is not more; the others are zero.
    unsafe fn load_between(p: *const Self::Elem, low: usize, high: usize) -> Self;
    /// Whether halves of a vector can be read from two places, and the upper one moved to the lower: `join` and `upper`.
    const HALVES: bool = false;
    /// The lower half of the lanes from `low`, the upper half from `high`.
    #[inline(always)]
    unsafe fn join(_low: *const Self::Elem, _high: *const Self::Elem) -> Self {
        unreachable!("HALVES")
    }
    /// The upper half of the lanes in the place of the lower one.
    #[inline(always)]
    unsafe fn upper(self) -> Self {
        unreachable!("HALVES")
    }
    /// Writes the first `n` lanes.
    unsafe fn store_first(self, p: *mut Self::Elem, n: usize);
    /// `self + a * b`.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    /// The lanes of both in turn, as two vectors that follow each other.
    #[inline(always)]
    unsafe fn zip(self, other: Self) -> (Self, Self) {
        let mut both = [Self::Elem::ZERO; 32];
        let (mut even, mut odd) = ([Self::Elem::ZERO; 16], [Self::Elem::ZERO; 16]);
        // SAFETY: no vector has more than 16 lanes.
        unsafe {
            self.store(even.as_mut_ptr());
            other.store(odd.as_mut_ptr());
            for j in 0..Self::LANES {
                (both[2 * j], both[2 * j + 1]) = (even[j], odd[j]);
            }
            (Self::load(both.as_ptr()), Self::load(both.as_ptr().add(Self::LANES)))
        }
    }
    /// `dst[j * dst_row + i] = src[i * src_row + j]` for `i` and `j` below `SIDE`.
    unsafe fn transpose(src: *const Self::Elem, src_row: isize, dst: *mut Self::Elem, dst_row: usize);
    /// As `transpose`, for `i` below `rows` only, which is at most `SIDE`.
    #[inline(always)]
    unsafe fn transpose_rows(
        src: *const Self::Elem,
        src_row: isize,
        rows: usize,
        dst: *mut Self::Elem,
        dst_row: usize,
    ) {
        for i in 0..rows {
            for j in 0..Self::SIDE {
                // SAFETY: the caller's word.
                unsafe { *dst.add(j * dst_row + i) = *src.offset(i as isize * src_row).add(j) };
            }
        }
    }
    /// Side of the square that `turn` moves: the largest that the machine does at once.
    const SQUARE: usize = Self::SIDE;
    /// As `transpose`, for `i` and `j` below `SQUARE`.
    #[inline(always)]
    unsafe fn turn(src: *const Self::Elem, src_row: isize, dst: *mut Self::Elem, dst_row: usize) {
        // SAFETY: the caller's word.
        unsafe { Self::transpose(src, src_row, dst, dst_row) }
    }
}

/// The element types that have vector kernels.
pub(crate) trait Float:
    Copy
    + Send
    + Sync
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + 'static
{
    #[cfg(target_arch = "x86_64")]
    type Avx512: Lanes<Elem = Self>;
    #[cfg(target_arch = "x86_64")]
    type Avx2: Lanes<Elem = Self>;
    #[cfg(target_arch = "aarch64")]
    type Neon: Lanes<Elem = Self>;
    type Portable: Lanes<Elem = Self>;
    const ZERO: Self;
}

impl Float for f32 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = x86::F32x16;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = x86::F32x8;
    #[cfg(target_arch = "aarch64")]
    type Neon = arm::F32x4;
    type Portable = Array<f32, 4>;
    const ZERO: f32 = 0.0;
}

impl Float for f64 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = x86::F64x8;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = x86::F64x4;
    #[cfg(target_arch = "aarch64")]
    type Neon = arm::F64x2;
    type Portable = Array<f64, 2>;
    const ZERO: f64 = 0.0;
}

/// Work that is compiled once for each instruction set. `run` and all that it calls are `#[inline(always)]`.
pub(crate) trait Task<T: Float> {
    type Output;
    /// # Safety
    /// The machine has the instruction set of `V`, and the task's own conditions hold.
    unsafe fn run<V: Lanes<Elem = T>>(self) -> Self::Output;
}

/// Runs a task in the code for `isa`, with subnormal numbers taken for zero.
///
/// # Safety
/// The machine has `isa`, and the task's own conditions hold.
#[inline]
pub(crate) unsafe fn run<T: Float, K: Task<T>>(isa: Isa, task: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
    unsafe fn avx512<T: Float, K: Task<T>>(task: K) -> K::Output {
        // SAFETY: the caller's word.
        unsafe { task.run::<T::Avx512>() }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
    unsafe fn avx2<T: Float, K: Task<T>>(task: K) -> K::Output {
        // SAFETY: the caller's word.
        unsafe { task.run::<T::Avx2>() }
    }
    let _flush = Flush::start();
    // SAFETY: the caller's word; `Isa` values are made only for what the machine has.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::<T, K>(task),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::<T, K>(task),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => task.run::<T::Neon>(),
            _ => task.run::<T::Portable>(),
        }
    }
}

/// A vector as an array, which LLVM puts into whatever registers there are. It multiplies and adds in two steps, since
/// a fused step without the instruction is a library call.
#[derive(Clone, Copy)]
#[repr(align(16))]
pub(crate) struct Array<T, const N: usize>([T; N]);

impl<T: Float, const N: usize> Lanes for Array<T, N> {
    type Elem = T;
    const LANES: usize = N;
    const MR: usize = 4;
    const NV: usize = 2;
    const SIDE: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Array([x; N])
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: the caller's word.
        Array(unsafe { p.cast::<[T; N]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: the caller's word.
        unsafe { p.cast::<[T; N]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const T, n: usize) -> Self {
        let mut v = [T::ZERO; N];
        for (i, v) in v.iter_mut().enumerate().take(n) {
            // SAFETY: `i < n`; the caller's word.
            *v = unsafe { p.add(i).read() };
        }
        Array(v)
    }
    #[inline(always)]
    unsafe fn load_between(p: *const T, low: usize, high: usize) -> Self {
        if (low, high) == (0, N) {
            // SAFETY: the caller's word.
            return unsafe { Self::load(p) };
        }
        let mut v = [T::ZERO; N];
        for (i, v) in v.iter_mut().enumerate().take(high).skip(low) {
            // SAFETY: `low <= i < high`; the caller's word.
            *v = unsafe { p.wrapping_add(i).read() };
        }
        Array(v)
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut T, n: usize) {
        for (i, v) in self.0.into_iter().enumerate().take(n) {
            // SAFETY: `i < n`; the caller's word.
            unsafe { p.add(i).write(v) };
        }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        let mut v = self.0;
        for (v, (a, b)) in v.iter_mut().zip(a.0.into_iter().zip(b.0)) {
            *v = *v + a * b;
        }
        Array(v)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        let mut v = self.0;
        for (v, x) in v.iter_mut().zip(other.0) {
            *v = *v + x;
        }
        Array(v)
    }
    #[inline(always)]
    unsafe fn transpose(src: *const T, src_row: isize, dst: *mut T, dst_row: usize) {
        // SAFETY: the caller's word.
        unsafe { transpose_4x4(src, src_row, dst, dst_row) }
    }
}

#[inline(always)]
unsafe fn transpose_4x4<T: Copy>(src: *const T, src_row: isize, dst: *mut T, dst_row: usize) {
    // SAFETY: both blocks are 4 x 4, by the caller's word.
    unsafe {
        let mut rows = [src.cast::<[T; 4]>().read_unaligned(); 4];
        for (i, row) in rows.iter_mut().enumerate().skip(1) {
            *row = src.offset(i as isize * src_row).cast::<[T; 4]>().read_unaligned();
        }
        let [a, b, c, d] = rows;
        for j in 0..4 {
            dst.add(j * dst_row).cast::<[T; 4]>().write_unaligned([a[j], b[j], c[j], d[j]]);
        }
    }
}

/// The methods that are one intrinsic each.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! intrinsics {
    ($splat:ident $load:ident $store:ident $add:ident fma($c:ident, $a:ident, $b:ident) => $fma:expr) => {
        #[inline(always)]
        unsafe fn splat(x: Self::Elem) -> Self {
            // SAFETY: the caller's word.
            Self(unsafe { $splat(x) })
        }
        #[inline(always)]
        unsafe fn load(p: *const Self::Elem) -> Self {
            // SAFETY: the caller's word.
            Self(unsafe { $load(p) })
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut Self::Elem) {
            // SAFETY: the caller's word.
            unsafe { $store(p, self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller's word.
            Self(unsafe { $add(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            let ($c, $a, $b) = (self.0, a.0, b.0);
            // SAFETY: the caller's word.
            Self(unsafe { $fma })
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
mod arm;
