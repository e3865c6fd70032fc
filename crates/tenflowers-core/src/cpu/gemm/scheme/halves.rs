//! Floats of 16 bits: multiplied as float32, or in pairs by the instruction for them; sums are rounded once.

use super::Scheme;
use crate::cpu::convert::converter;
use crate::cpu::gemm::Product;
use crate::cpu::gemm::lanes::Lanes;
use crate::cpu::number::{from_bf16, to_bf16};
use crate::dtype::DType;
use half::{bf16, f16};
use std::marker::PhantomData;

/// Floats of 16 bits. `wide`: the code is compiled for AVX2 or more.
pub(crate) trait Half: Product {
    /// # Safety
    /// `n` elements are there, and room for them.
    unsafe fn widen(wide: bool, from: *const Self, to: *mut f32, n: usize);
    /// # Safety
    /// As above.
    unsafe fn narrow(wide: bool, from: *const f32, to: *mut Self, n: usize);
}

impl Half for bf16 {
    #[inline(always)]
    unsafe fn widen(_: bool, from: *const bf16, to: *mut f32, n: usize) {
        for i in 0..n {
            // SAFETY: the caller's word.
            unsafe { *to.add(i) = from_bf16(*from.add(i)) };
        }
    }
    #[inline(always)]
    unsafe fn narrow(_: bool, from: *const f32, to: *mut bf16, n: usize) {
        for i in 0..n {
            // SAFETY: the caller's word.
            unsafe { *to.add(i) = to_bf16(*from.add(i)) };
        }
    }
}

impl Half for f16 {
    #[inline(always)]
    unsafe fn widen(wide: bool, from: *const f16, to: *mut f32, n: usize) {
        // SAFETY: the caller's word.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if wide {
                return eights::<f16, f32>(
                    from,
                    to,
                    n,
                    #[inline(always)]
                    |from, to| x86::widen(from, to),
                );
            }
            let _ = wide;
            converter(DType::F16, DType::F32)(from.cast(), to.cast(), n);
        }
    }
    #[inline(always)]
    unsafe fn narrow(wide: bool, from: *const f32, to: *mut f16, n: usize) {
        // SAFETY: the caller's word.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if wide {
                return eights::<f32, f16>(
                    from,
                    to,
                    n,
                    #[inline(always)]
                    |from, to| x86::narrow(from, to),
                );
            }
            let _ = wide;
            converter(DType::F32, DType::F16)(from.cast(), to.cast(), n);
        }
    }
}

/// Converts eight at a time, the last ones by way of eight others.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn eights<S: Copy + Default, T: Copy + Default>(
    from: *const S,
    to: *mut T,
    n: usize,
    convert: impl Fn(*const S, *mut T),
) {
    let rest = n % 8;
    for i in (0..n - rest).step_by(8) {
        convert(from.wrapping_add(i), to.wrapping_add(i));
    }
    if rest > 0 {
        let (mut tail, mut done) = ([S::default(); 8], [T::default(); 8]);
        // SAFETY: the caller's word; both have room for less than eight.
        unsafe {
            from.add(n - rest).copy_to_nonoverlapping(tail.as_mut_ptr(), rest);
            convert(tail.as_ptr(), done.as_mut_ptr());
            done.as_ptr().copy_to_nonoverlapping(to.add(n - rest), rest);
        }
    }
}

/// Adds what lies in D, and narrows.
#[inline(always)]
unsafe fn narrowed<E: Half>(wide: bool, totals: *const f32, onto: Option<*const E>, c: *mut E, n: usize) {
    // SAFETY: the caller's word; a tile is not wider than 32.
    unsafe {
        let Some(d) = onto else { return E::narrow(wide, totals, c, n) };
        let mut sums = [0.0; 32];
        E::widen(wide, d, sums.as_mut_ptr(), n);
        for (j, sum) in sums.iter_mut().enumerate().take(n) {
            *sum += *totals.add(j);
        }
        E::narrow(wide, sums.as_ptr(), c, n);
    }
}

/// Halves as float32, which they become while they are packed.
pub(in crate::cpu::gemm) struct Widened<V, W, E>(PhantomData<(V, W, E)>);

impl<V: Lanes<Elem = f32> + 'static, W: Lanes<Elem = f64> + 'static, E: Half + 'static> Scheme for Widened<V, W, E> {
    type Elem = E;
    type Word = f32;
    type Columns = V;
    type Sums = V;
    type Total = f32;
    type Four = V;
    type Eight = W;
    const GROUP: usize = 1;
    const LANES: usize = V::LANES;
    const MR: usize = V::MR;

    #[inline(always)]
    fn word(at: impl Fn(usize) -> E) -> f32 {
        let (half, mut wide) = (at(0), 0.0);
        // SAFETY: one element each.
        unsafe { E::widen(false, &half, &mut wide, 1) };
        wide
    }
    #[inline(always)]
    unsafe fn along(from: *const E, n: usize, to: *mut f32) {
        // SAFETY: the caller's word.
        unsafe { E::widen(V::LANES >= 8, from, to, n) }
    }
    #[inline(always)]
    unsafe fn across(from: *const E, _: isize, _: usize, n: usize, to: *mut f32) {
        // SAFETY: the caller's word.
        unsafe { E::widen(V::LANES >= 8, from, to, n) }
    }
    #[inline(always)]
    unsafe fn load(b: *const f32) -> V {
        // SAFETY: the caller's word.
        unsafe { V::load(b) }
    }
    #[inline(always)]
    unsafe fn zero() -> V {
        // SAFETY: the caller's word.
        unsafe { V::splat(0.0) }
    }
    #[inline(always)]
    unsafe fn step(sums: V, a: *const f32, b: V) -> V {
        // SAFETY: the caller's word.
        unsafe { sums.fma(V::splat(*a), b) }
    }
    #[inline(always)]
    unsafe fn totals(sums: V, to: *mut f32) {
        // SAFETY: the caller's word.
        unsafe { sums.store(to) }
    }
    #[inline(always)]
    unsafe fn finish(totals: *const f32, onto: Option<*const E>, c: *mut E, n: usize) {
        // SAFETY: the caller's word.
        unsafe { narrowed(V::LANES >= 8, totals, onto, c, n) }
    }
}

/// bfloat16 two steps of k at a time, where AVX512-BF16, or AMX, multiplies and adds them in float32.
///
/// Its instructions take denormal numbers for zero, in A, B, D and the sums.
#[cfg(target_arch = "x86_64")]
pub(in crate::cpu::gemm) struct Dots;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Dots, Scheme};
    use crate::cpu::gemm::lanes::Float;
    use crate::cpu::gemm::scheme::words;
    use half::{bf16, f16};
    use std::arch::x86_64::*;

    #[inline(always)]
    pub(super) unsafe fn widen(from: *const f16, to: *mut f32) {
        // SAFETY: the caller's word.
        unsafe { _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128(from.cast()))) };
    }
    #[inline(always)]
    pub(super) unsafe fn narrow(from: *const f32, to: *mut f16) {
        // SAFETY: the caller's word.
        unsafe {
            let half = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(from));
            _mm_storeu_si128(to.cast(), half);
        }
    }

    /// Sixteen halves in float32.
    #[inline(always)]
    unsafe fn wide(halves: __m256i) -> __m512 {
        // SAFETY: the caller's word.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves))) }
    }

    impl Scheme for Dots {
        type Elem = bf16;
        type Word = u32;
        type Columns = __m512i;
        type Sums = __m512;
        type Total = f32;
        type Four = <f32 as Float>::Avx512;
        type Eight = <f64 as Float>::Avx512;
        const GROUP: usize = 2;
        const LANES: usize = 16;
        const MR: usize = 14;

        #[inline(always)]
        fn word(at: impl Fn(usize) -> bf16) -> u32 {
            u32::from(at(0).to_bits()) | u32::from(at(1).to_bits()) << 16
        }
        #[inline(always)]
        unsafe fn along(from: *const bf16, n: usize, to: *mut u32) {
            // SAFETY: the caller's word; a word is its elements as they lie in memory.
            unsafe { words(from, n, to) }
        }
        #[inline(always)]
        unsafe fn load(b: *const u32) -> __m512i {
            // SAFETY: the caller's word.
            unsafe { _mm512_loadu_si512(b.cast()) }
        }
        #[inline(always)]
        unsafe fn zero() -> __m512 {
            // SAFETY: the caller's word.
            unsafe { _mm512_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn step(sums: __m512, a: *const u32, b: __m512i) -> __m512 {
            // SAFETY: the caller's word; all vectors of 64 bytes are the same bits.
            unsafe {
                let a = _mm512_set1_epi32(*a as i32);
                _mm512_dpbf16_ps(
                    sums,
                    std::mem::transmute::<__m512i, __m512bh>(a),
                    std::mem::transmute::<__m512i, __m512bh>(b),
                )
            }
        }
        #[inline(always)]
        unsafe fn totals(sums: __m512, to: *mut f32) {
            // SAFETY: the caller's word.
            unsafe { _mm512_storeu_ps(to, sums) }
        }
        #[inline(always)]
        unsafe fn finish(totals: *const f32, onto: Option<*const bf16>, c: *mut bf16, n: usize) {
            let mask = u32::MAX >> (32 - n);
            let (low, high) = (mask as u16, (mask >> 16) as u16);
            // SAFETY: the caller's word; a tile is not wider than 32, and nothing is read or written beyond it.
            unsafe {
                let mut sums =
                    (_mm512_maskz_loadu_ps(low, totals), _mm512_maskz_loadu_ps(high, totals.wrapping_add(16)));
                if let Some(d) = onto {
                    let d = _mm512_maskz_loadu_epi16(mask, d.cast());
                    let (first, second) = (_mm512_castsi512_si256(d), _mm512_extracti64x4_epi64::<1>(d));
                    sums = (_mm512_add_ps(sums.0, wide(first)), _mm512_add_ps(sums.1, wide(second)));
                }
                let halves = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(sums.1, sums.0));
                _mm512_mask_storeu_epi16(c.cast(), mask, halves);
            }
        }
    }
}
