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
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct F32x16(__m512);
    #[derive(Clone, Copy)]
    pub(crate) struct F64x8(__m512d);
    #[derive(Clone, Copy)]
    pub(crate) struct F32x8(__m256);
    #[derive(Clone, Copy)]
    pub(crate) struct F64x4(__m256d);

    impl Lanes for F32x16 {
        type Elem = f32;
        const LANES: usize = 16;
        const MR: usize = 14;
        const NV: usize = 2;
        const SIDE: usize = 8;
        intrinsics!(_mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_add_ps
            fma(c, a, b) => _mm512_fmadd_ps(a, b, c));
        #[inline(always)]
        unsafe fn zip(self, other: Self) -> (Self, Self) {
            // SAFETY: the caller's word.
            unsafe {
                let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
                let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
                let half = |at| Self(_mm512_permutex2var_ps(self.0, at, other.0));
                (half(low), half(high))
            }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, n: usize) -> Self {
            // SAFETY: the mask leaves out what the caller does not vouch for.
            Self(unsafe { _mm512_maskz_loadu_ps(((1u32 << n) - 1) as __mmask16, p) })
        }
        #[inline(always)]
        unsafe fn load_between(p: *const f32, low: usize, high: usize) -> Self {
            let mask = ((1u32 << high) - 1) & !((1u32 << low) - 1);
            // SAFETY: the mask leaves out what the caller does not vouch for.
            Self(unsafe { _mm512_maskz_loadu_ps(mask as __mmask16, p) })
        }
        #[inline(always)]
        unsafe fn store_first(self, p: *mut f32, n: usize) {
            // SAFETY: the mask leaves out what the caller does not vouch for.
            unsafe { _mm512_mask_storeu_ps(p, ((1u32 << n) - 1) as __mmask16, self.0) }
        }
        #[inline(always)]
        unsafe fn transpose(src: *const f32, src_row: isize, dst: *mut f32, dst_row: usize) {
            // SAFETY: the caller's word.
            unsafe { transpose_8x8(src, src_row, 8, dst, dst_row) }
        }
        #[inline(always)]
        unsafe fn transpose_rows(src: *const f32, src_row: isize, rows: usize, dst: *mut f32, dst_row: usize) {
            // SAFETY: the caller's word.
            unsafe { transpose_8x8(src, src_row, rows, dst, dst_row) }
        }
        const SQUARE: usize = 16;
        #[inline(always)]
        unsafe fn turn(src: *const f32, src_row: isize, dst: *mut f32, dst_row: usize) {
            // SAFETY: the caller's word.
            unsafe { transpose_16x16(src, src_row, dst, dst_row) }
        }
    }

    impl Lanes for F64x8 {
        type Elem = f64;
        const LANES: usize = 8;
        const MR: usize = 14;
        const NV: usize = 2;
        const SIDE: usize = 4;
        intrinsics!(_mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_add_pd
            fma(c, a, b) => _mm512_fmadd_pd(a, b, c));
        #[inline(always)]
        unsafe fn zip(self, other: Self) -> (Self, Self) {
            // SAFETY: the caller's word.
            unsafe {
                let low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
                let high = _mm512_add_epi64(low, _mm512_set1_epi64(4));
                let half = |at| Self(_mm512_permutex2var_pd(self.0, at, other.0));
                (half(low), half(high))
            }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f64, n: usize) -> Self {
            // SAFETY: the mask leaves out what the caller does not vouch for.
            Self(unsafe { _mm512_maskz_loadu_pd(((1u32 << n) - 1) as __mmask8, p) })
        }
        #[inline(always)]
        unsafe fn load_between(p: *const f64, low: usize, high: usize) -> Self {
            let mask = ((1u32 << high) - 1) & !((1u32 << low) - 1);
            // SAFETY: the mask leaves out what the caller does not vouch for.
            Self(unsafe { _mm512_maskz_loadu_pd(mask as __mmask8, p) })
        }
        #[inline(always)]
        unsafe fn store_first(self, p: *mut f64, n: usize) {
            // SAFETY: the mask leaves out what the caller does not vouch for.
            unsafe { _mm512_mask_storeu_pd(p, ((1u32 << n) - 1) as __mmask8, self.0) }
        }
        #[inline(always)]
        unsafe fn transpose(src: *const f64, src_row: isize, dst: *mut f64, dst_row: usize) {
            // SAFETY: the caller's word.
            unsafe { transpose_4x4(src, src_row, dst, dst_row) }
        }
        const SQUARE: usize = 8;
        #[inline(always)]
        unsafe fn turn(src: *const f64, src_row: isize, dst: *mut f64, dst_row: usize) {
            // SAFETY: the caller's word.
            unsafe { wide_transpose_8x8(src, src_row, dst, dst_row) }
        }
    }

    /// The window of 8 that begins at `8 - n` has `n` lanes set.
    static MASK_32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    static MASK_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

    impl Lanes for F32x8 {
        type Elem = f32;
        const LANES: usize = 8;
        const MR: usize = 6;
        const NV: usize = 2;
        const SIDE: usize = 8;
        intrinsics!(_mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_add_ps
            fma(c, a, b) => _mm256_fmadd_ps(a, b, c));
        #[inline(always)]
        unsafe fn zip(self, other: Self) -> (Self, Self) {
            // SAFETY: the caller's word.
            unsafe {
                let (low, high) = (_mm256_unpacklo_ps(self.0, other.0), _mm256_unpackhi_ps(self.0, other.0));
                (Self(_mm256_permute2f128_ps(low, high, 0x20)), Self(_mm256_permute2f128_ps(low, high, 0x31)))
            }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, n: usize) -> Self {
            // SAFETY: `n <= 8`, and the mask leaves out what the caller does not vouch for.
            Self(unsafe { _mm256_maskload_ps(p, _mm256_loadu_si256(MASK_32.as_ptr().add(8 - n).cast())) })
        }
        #[inline(always)]
        unsafe fn load_between(p: *const f32, low: usize, high: usize) -> Self {
            // SAFETY: as above.
            unsafe {
                let mask = |n: usize| _mm256_loadu_si256(MASK_32.as_ptr().add(8 - n).cast());
                Self(_mm256_maskload_ps(p, _mm256_andnot_si256(mask(low), mask(high))))
            }
        }
        #[inline(always)]
        unsafe fn store_first(self, p: *mut f32, n: usize) {
            // SAFETY: as above.
            unsafe { _mm256_maskstore_ps(p, _mm256_loadu_si256(MASK_32.as_ptr().add(8 - n).cast()), self.0) }
        }
        #[inline(always)]
        unsafe fn transpose(src: *const f32, src_row: isize, dst: *mut f32, dst_row: usize) {
            // SAFETY: the caller's word.
            unsafe { transpose_8x8(src, src_row, 8, dst, dst_row) }
        }
        #[inline(always)]
        unsafe fn transpose_rows(src: *const f32, src_row: isize, rows: usize, dst: *mut f32, dst_row: usize) {
            // SAFETY: the caller's word.
            unsafe { transpose_8x8(src, src_row, rows, dst, dst_row) }
        }
    }

    impl Lanes for F64x4 {
        type Elem = f64;
        const LANES: usize = 4;
        const MR: usize = 6;
        const NV: usize = 2;
        const SIDE: usize = 4;
        intrinsics!(_mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_add_pd
            fma(c, a, b) => _mm256_fmadd_pd(a, b, c));
        #[inline(always)]
        unsafe fn zip(self, other: Self) -> (Self, Self) {
            // SAFETY: the caller's word.
            unsafe {
                let (low, high) = (_mm256_unpacklo_pd(self.0, other.0), _mm256_unpackhi_pd(self.0, other.0));
                (Self(_mm256_permute2f128_pd(low, high, 0x20)), Self(_mm256_permute2f128_pd(low, high, 0x31)))
            }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f64, n: usize) -> Self {
            // SAFETY: `n <= 4`, and the mask leaves out what the caller does not vouch for.
            Self(unsafe { _mm256_maskload_pd(p, _mm256_loadu_si256(MASK_64.as_ptr().add(4 - n).cast())) })
        }
        #[inline(always)]
        unsafe fn load_between(p: *const f64, low: usize, high: usize) -> Self {
            // SAFETY: as above.
            unsafe {
                let mask = |n: usize| _mm256_loadu_si256(MASK_64.as_ptr().add(4 - n).cast());
                Self(_mm256_maskload_pd(p, _mm256_andnot_si256(mask(low), mask(high))))
            }
        }
        #[inline(always)]
        unsafe fn store_first(self, p: *mut f64, n: usize) {
            // SAFETY: as above.
            unsafe { _mm256_maskstore_pd(p, _mm256_loadu_si256(MASK_64.as_ptr().add(4 - n).cast()), self.0) }
        }
        #[inline(always)]
        unsafe fn transpose(src: *const f64, src_row: isize, dst: *mut f64, dst_row: usize) {
            // SAFETY: the caller's word.
            unsafe { transpose_4x4(src, src_row, dst, dst_row) }
        }
    }

    #[inline(always)]
    unsafe fn transpose_8x8(src: *const f32, src_row: isize, rows: usize, dst: *mut f32, dst_row: usize) {
        // SAFETY: AVX, and two blocks of `rows` x 8, by the caller's word.
        unsafe {
            // No closures here: one that is not inlined would be compiled without AVX. Loops of known length are unrolled.
            let mut r = [_mm256_setzero_ps(); 8];
            for (i, r) in r.iter_mut().enumerate() {
                if i < rows {
                    *r = _mm256_loadu_ps(src.offset(i as isize * src_row));
                }
            }
            let mut s = [r[0]; 8];
            for h in 0..2 {
                let (lo, hi) = (_mm256_unpacklo_ps(r[4 * h], r[4 * h + 1]), _mm256_unpackhi_ps(r[4 * h], r[4 * h + 1]));
                let (lo2, hi2) =
                    (_mm256_unpacklo_ps(r[4 * h + 2], r[4 * h + 3]), _mm256_unpackhi_ps(r[4 * h + 2], r[4 * h + 3]));
                s[4 * h] = _mm256_shuffle_ps::<0x44>(lo, lo2);
                s[4 * h + 1] = _mm256_shuffle_ps::<0xEE>(lo, lo2);
                s[4 * h + 2] = _mm256_shuffle_ps::<0x44>(hi, hi2);
                s[4 * h + 3] = _mm256_shuffle_ps::<0xEE>(hi, hi2);
            }
            for j in 0..4 {
                let (low, high) = (
                    F32x8(_mm256_permute2f128_ps::<0x20>(s[j], s[j + 4])),
                    F32x8(_mm256_permute2f128_ps::<0x31>(s[j], s[j + 4])),
                );
                if rows == 8 {
                    low.store(dst.add(j * dst_row));
                    high.store(dst.add((j + 4) * dst_row));
                } else {
                    low.store_first(dst.add(j * dst_row), rows);
                    high.store_first(dst.add((j + 4) * dst_row), rows);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn transpose_16x16(src: *const f32, src_row: isize, dst: *mut f32, dst_row: usize) {
        // SAFETY: AVX-512, and two blocks of 16 x 16, by the caller's word.
        unsafe {
            let mut r = [_mm512_setzero_ps(); 16];
            for (i, r) in r.iter_mut().enumerate() {
                *r = _mm512_loadu_ps(src.offset(i as isize * src_row));
            }
            // 4 x 4 within the quarters of four rows each, then the quarters among the rows.
            let mut s = r;
            for g in 0..4 {
                let (a, b, c, d) = (r[4 * g], r[4 * g + 1], r[4 * g + 2], r[4 * g + 3]);
                let (ab, ab2) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (cd, cd2) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                s[4 * g] = _mm512_shuffle_ps::<0x44>(ab, cd);
                s[4 * g + 1] = _mm512_shuffle_ps::<0xEE>(ab, cd);
                s[4 * g + 2] = _mm512_shuffle_ps::<0x44>(ab2, cd2);
                s[4 * g + 3] = _mm512_shuffle_ps::<0xEE>(ab2, cd2);
            }
            for k in 0..4 {
                let (a, b, c, d) = (s[k], s[k + 4], s[k + 8], s[k + 12]);
                let (ab, ab2) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xDD>(a, b));
                let (cd, cd2) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xDD>(c, d));
                _mm512_storeu_ps(dst.add(k * dst_row), _mm512_shuffle_f32x4::<0x88>(ab, cd));
                _mm512_storeu_ps(dst.add((k + 4) * dst_row), _mm512_shuffle_f32x4::<0x88>(ab2, cd2));
                _mm512_storeu_ps(dst.add((k + 8) * dst_row), _mm512_shuffle_f32x4::<0xDD>(ab, cd));
                _mm512_storeu_ps(dst.add((k + 12) * dst_row), _mm512_shuffle_f32x4::<0xDD>(ab2, cd2));
            }
        }
    }

    #[inline(always)]
    unsafe fn wide_transpose_8x8(src: *const f64, src_row: isize, dst: *mut f64, dst_row: usize) {
        // SAFETY: AVX-512, and two blocks of 8 x 8, by the caller's word.
        unsafe {
            let mut r = [_mm512_setzero_pd(); 8];
            for (i, r) in r.iter_mut().enumerate() {
                *r = _mm512_loadu_pd(src.offset(i as isize * src_row));
            }
            let mut s = r;
            for g in 0..4 {
                s[2 * g] = _mm512_unpacklo_pd(r[2 * g], r[2 * g + 1]);
                s[2 * g + 1] = _mm512_unpackhi_pd(r[2 * g], r[2 * g + 1]);
            }
            for k in 0..2 {
                let (a, b, c, d) = (s[k], s[k + 2], s[k + 4], s[k + 6]);
                let (ab, ab2) = (_mm512_shuffle_f64x2::<0x88>(a, b), _mm512_shuffle_f64x2::<0xDD>(a, b));
                let (cd, cd2) = (_mm512_shuffle_f64x2::<0x88>(c, d), _mm512_shuffle_f64x2::<0xDD>(c, d));
                _mm512_storeu_pd(dst.add(k * dst_row), _mm512_shuffle_f64x2::<0x88>(ab, cd));
                _mm512_storeu_pd(dst.add((k + 2) * dst_row), _mm512_shuffle_f64x2::<0x88>(ab2, cd2));
                _mm512_storeu_pd(dst.add((k + 4) * dst_row), _mm512_shuffle_f64x2::<0xDD>(ab, cd));
                _mm512_storeu_pd(dst.add((k + 6) * dst_row), _mm512_shuffle_f64x2::<0xDD>(ab2, cd2));
            }
        }
    }

    #[inline(always)]
    unsafe fn transpose_4x4(src: *const f64, src_row: isize, dst: *mut f64, dst_row: usize) {
        // SAFETY: AVX, and two blocks of 4 x 4, by the caller's word.
        unsafe {
            let mut r = [_mm256_setzero_pd(); 4];
            for (i, r) in r.iter_mut().enumerate() {
                *r = _mm256_loadu_pd(src.offset(i as isize * src_row));
            }
            let s = [
                _mm256_unpacklo_pd(r[0], r[1]),
                _mm256_unpackhi_pd(r[0], r[1]),
                _mm256_unpacklo_pd(r[2], r[3]),
                _mm256_unpackhi_pd(r[2], r[3]),
            ];
            for j in 0..2 {
                _mm256_storeu_pd(dst.add(j * dst_row), _mm256_permute2f128_pd::<0x20>(s[j], s[j + 2]));
                _mm256_storeu_pd(dst.add((j + 2) * dst_row), _mm256_permute2f128_pd::<0x31>(s[j], s[j + 2]));
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::Lanes;
    use std::arch::aarch64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct F32x4(float32x4_t);
    #[derive(Clone, Copy)]
    pub(crate) struct F64x2(float64x2_t);

    /// NEON has no masked moves: the first lanes go through an array.
    macro_rules! partial {
        ($n:literal) => {
            #[inline(always)]
            unsafe fn load_first(p: *const Self::Elem, n: usize) -> Self {
                let mut lanes = [0.0; $n];
                // SAFETY: `n` elements can be read, by the caller's word, and the array has room for them.
                unsafe {
                    std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n.min($n));
                    Self::load(lanes.as_ptr())
                }
            }
            #[inline(always)]
            unsafe fn load_between(p: *const Self::Elem, low: usize, high: usize) -> Self {
                if (low, high) == (0, $n) {
                    // SAFETY: the caller's word.
                    return unsafe { Self::load(p) };
                }
                let mut lanes = [0.0; $n];
                // SAFETY: lanes from `low` to `high` can be read, by the caller's word.
                unsafe {
                    for i in low..high.min($n) {
                        lanes[i] = p.wrapping_add(i).read();
                    }
                    Self::load(lanes.as_ptr())
                }
            }
            #[inline(always)]
            unsafe fn store_first(self, p: *mut Self::Elem, n: usize) {
                let mut lanes = [0.0; $n];
                // SAFETY: `n` elements can be written, by the caller's word.
                unsafe {
                    self.store(lanes.as_mut_ptr());
                    std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n.min($n));
                }
            }
            #[inline(always)]
            unsafe fn transpose(src: *const Self::Elem, src_row: isize, dst: *mut Self::Elem, dst_row: usize) {
                // SAFETY: the caller's word.
                unsafe { super::transpose_4x4(src, src_row, dst, dst_row) }
            }
        };
    }

    impl Lanes for F32x4 {
        type Elem = f32;
        const LANES: usize = 4;
        const MR: usize = 8;
        const NV: usize = 3;
        const SIDE: usize = 4;
        intrinsics!(vdupq_n_f32 vld1q_f32 vst1q_f32 vaddq_f32 fma(c, a, b) => vfmaq_f32(c, a, b));
        partial!(4);
    }

    impl Lanes for F64x2 {
        type Elem = f64;
        const LANES: usize = 2;
        const MR: usize = 8;
        const NV: usize = 3;
        const SIDE: usize = 4;
        intrinsics!(vdupq_n_f64 vld1q_f64 vst1q_f64 vaddq_f64 fma(c, a, b) => vfmaq_f64(c, a, b));
        partial!(2);
    }
}
