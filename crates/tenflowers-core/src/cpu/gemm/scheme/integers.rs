//! Integers, which wrap around: whether they have a sign makes no difference to the low bits of a sum of products, so that
//! narrow ones are multiplied in whatever form there is an instruction for, and cut off at the end.

use super::Scheme;
use crate::cpu::gemm::lanes::{Float, Lanes};
use std::marker::PhantomData;

/// A vector register of integers.
///
/// # Safety
/// Every method needs the instruction set, and pointers good for the lanes it reads or writes.
pub(in crate::cpu::gemm) trait Bits: Copy + 'static {
    type Four: Lanes<Elem = f32>;
    type Eight: Lanes<Elem = f64>;
    /// Lanes of four bytes.
    const LANES: usize;
    /// Rows of the register tile.
    const MR: usize;
    unsafe fn load(p: *const u8) -> Self;
    unsafe fn store(self, p: *mut u8);
    unsafe fn splat4(x: i32) -> Self;
    unsafe fn splat8(x: i64) -> Self;
    /// Adds products of pairs of 16 bits to lanes of 32.
    unsafe fn pairs(self, a: Self, b: Self) -> Self;
    /// Adds products of 32 bits.
    unsafe fn fours(self, a: Self, b: Self) -> Self;
    /// Adds products of 64 bits.
    unsafe fn eights(self, a: Self, b: Self) -> Self;
}

/// Four numbers of 32 bits without any instructions of their own.
#[derive(Clone, Copy)]
#[repr(align(16))]
pub(in crate::cpu::gemm) struct Array([i32; 4]);

impl Bits for Array {
    type Four = <f32 as Float>::Portable;
    type Eight = <f64 as Float>::Portable;
    const LANES: usize = 4;
    const MR: usize = 4;
    #[inline(always)]
    unsafe fn load(p: *const u8) -> Self {
        // SAFETY: the caller's word.
        Array(unsafe { p.cast::<[i32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut u8) {
        // SAFETY: the caller's word.
        unsafe { p.cast::<[i32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn splat4(x: i32) -> Self {
        Array([x; 4])
    }
    #[inline(always)]
    unsafe fn splat8(x: i64) -> Self {
        // SAFETY: numbers are bits.
        Array(unsafe { std::mem::transmute::<[i64; 2], [i32; 4]>([x; 2]) })
    }
    #[inline(always)]
    unsafe fn pairs(mut self, a: Self, b: Self) -> Self {
        for (c, (a, b)) in self.0.iter_mut().zip(a.0.into_iter().zip(b.0)) {
            let low = i32::from(a as i16) * i32::from(b as i16);
            *c = c.wrapping_add(low).wrapping_add((a >> 16) * (b >> 16));
        }
        self
    }
    #[inline(always)]
    unsafe fn fours(mut self, a: Self, b: Self) -> Self {
        for (c, (a, b)) in self.0.iter_mut().zip(a.0.into_iter().zip(b.0)) {
            *c = c.wrapping_add(a.wrapping_mul(b));
        }
        self
    }
    #[inline(always)]
    unsafe fn eights(self, a: Self, b: Self) -> Self {
        // SAFETY: numbers are bits.
        unsafe {
            let wide = |x: Self| std::mem::transmute::<[i32; 4], [i64; 2]>(x.0);
            let (mut c, a, b) = (wide(self), wide(a), wide(b));
            for (c, (a, b)) in c.iter_mut().zip(a.into_iter().zip(b)) {
                *c = c.wrapping_add(a.wrapping_mul(b));
            }
            Array(std::mem::transmute::<[i64; 2], [i32; 4]>(c))
        }
    }
}

macro_rules! finish {
    ($elem:ty) => {
        #[inline(always)]
        unsafe fn finish(totals: *const Self::Total, onto: Option<*const $elem>, c: *mut $elem, n: usize) {
            // SAFETY: the caller's word.
            unsafe {
                match onto {
                    None => (0..n).for_each(
                        #[inline(always)]
                        |j| *c.add(j) = *totals.add(j) as $elem,
                    ),
                    Some(d) => (0..n).for_each(
                        #[inline(always)]
                        |j| *c.add(j) = (*totals.add(j) as $elem).wrapping_add(*d.add(j)),
                    ),
                }
            }
        }
    };
}

/// Integers of `E` in vectors of `V`.
pub(in crate::cpu::gemm) struct Whole<V, E>(PhantomData<(V, E)>);

/// Two of at most 16 bits make a word of 32.
macro_rules! integers {
    ($($elem:ty: $word:ty, $group:literal, $same:literal, $per:literal, $splat:ident, $step:ident, |$at:ident| $pack:expr;)*) => {$(
        impl<V: Bits> Scheme for Whole<V, $elem> {
            type Elem = $elem;
            type Word = $word;
            type Columns = V;
            type Sums = V;
            type Total = $word;
            type Four = V::Four;
            type Eight = V::Eight;
            const GROUP: usize = $group;
            const SAME: bool = $same;
            const LANES: usize = V::LANES / $per;
            const MR: usize = V::MR;
            #[inline(always)]
            fn word($at: impl Fn(usize) -> $elem) -> $word {
                $pack
            }
            #[inline(always)]
            unsafe fn load(b: *const $word) -> V {
                // SAFETY: the caller's word.
                unsafe { V::load(b.cast()) }
            }
            #[inline(always)]
            unsafe fn zero() -> V {
                // SAFETY: the caller's word.
                unsafe { V::splat4(0) }
            }
            #[inline(always)]
            unsafe fn step(sums: V, a: *const $word, b: V) -> V {
                // SAFETY: the caller's word.
                unsafe { sums.$step(V::$splat(*a), b) }
            }
            #[inline(always)]
            unsafe fn totals(sums: V, to: *mut $word) {
                // SAFETY: the caller's word.
                unsafe { sums.store(to.cast()) }
            }
            finish!($elem);
        }
    )*};
}
integers! {
    i8: i32, 2, false, 1, splat4, pairs, |at| i32::from(at(0)) & 0xffff | i32::from(at(1)) << 16;
    i16: i32, 2, false, 1, splat4, pairs, |at| i32::from(at(0)) & 0xffff | i32::from(at(1)) << 16;
    i32: i32, 1, true, 1, splat4, fours, |at| at(0);
    i64: i64, 1, true, 2, splat8, eights, |at| at(0);
}

#[cfg(target_arch = "x86_64")]
pub(in crate::cpu::gemm) mod x86 {
    use super::*;
    use crate::cpu::gemm::scheme::words;
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub(in crate::cpu::gemm) struct Zmm(__m512i);
    #[derive(Clone, Copy)]
    pub(in crate::cpu::gemm) struct Ymm(__m256i);

    /// The methods that are one intrinsic each.
    macro_rules! intrinsics {
        ($load:ident $store:ident $splat4:ident $splat8:ident $add4:ident $pairs:ident $mul4:ident) => {
            #[inline(always)]
            unsafe fn load(p: *const u8) -> Self {
                // SAFETY: the caller's word.
                Self(unsafe { $load(p.cast()) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut u8) {
                // SAFETY: the caller's word.
                unsafe { $store(p.cast(), self.0) }
            }
            #[inline(always)]
            unsafe fn splat4(x: i32) -> Self {
                // SAFETY: the caller's word.
                Self(unsafe { $splat4(x) })
            }
            #[inline(always)]
            unsafe fn splat8(x: i64) -> Self {
                // SAFETY: the caller's word.
                Self(unsafe { $splat8(x) })
            }
            #[inline(always)]
            unsafe fn pairs(self, a: Self, b: Self) -> Self {
                // SAFETY: the caller's word.
                Self(unsafe { $add4(self.0, $pairs(a.0, b.0)) })
            }
            #[inline(always)]
            unsafe fn fours(self, a: Self, b: Self) -> Self {
                // SAFETY: the caller's word.
                Self(unsafe { $add4(self.0, $mul4(a.0, b.0)) })
            }
        };
    }

    impl Bits for Zmm {
        type Four = <f32 as Float>::Avx512;
        type Eight = <f64 as Float>::Avx512;
        const LANES: usize = 16;
        const MR: usize = 14;
        intrinsics!(_mm512_loadu_si512 _mm512_storeu_si512 _mm512_set1_epi32 _mm512_set1_epi64 _mm512_add_epi32
            _mm512_madd_epi16 _mm512_mullo_epi32);
        #[inline(always)]
        unsafe fn eights(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller's word.
            Self(unsafe { _mm512_add_epi64(self.0, _mm512_mullo_epi64(a.0, b.0)) })
        }
    }

    impl Bits for Ymm {
        type Four = <f32 as Float>::Avx2;
        type Eight = <f64 as Float>::Avx2;
        const LANES: usize = 8;
        const MR: usize = 6;
        intrinsics!(_mm256_loadu_si256 _mm256_storeu_si256 _mm256_set1_epi32 _mm256_set1_epi64x _mm256_add_epi32
            _mm256_madd_epi16 _mm256_mullo_epi32);
        #[inline(always)]
        unsafe fn eights(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller's word.
            unsafe {
                // Low halves in full, and what crosses over from them to the high half.
                let crossed = _mm256_mullo_epi32(a.0, _mm256_shuffle_epi32::<0xB1>(b.0));
                let high = _mm256_slli_epi64::<32>(_mm256_add_epi32(crossed, _mm256_srli_epi64::<32>(crossed)));
                Self(_mm256_add_epi64(self.0, _mm256_add_epi64(_mm256_mul_epu32(a.0, b.0), high)))
            }
        }
    }

    /// Bytes four steps of k at a time, where VNNI multiplies and adds them in 32 bits.
    ///
    /// It takes the bytes of A without a sign and those of B with one, which the low byte of the sum does not show.
    pub(in crate::cpu::gemm) struct Quads;

    impl Scheme for Quads {
        type Elem = i8;
        type Word = i32;
        type Columns = __m512i;
        type Sums = __m512i;
        type Total = i32;
        type Four = <f32 as Float>::Avx512;
        type Eight = <f64 as Float>::Avx512;
        const GROUP: usize = 4;
        const LANES: usize = 16;
        const MR: usize = 14;

        #[inline(always)]
        fn word(at: impl Fn(usize) -> i8) -> i32 {
            let byte = |x: i8, q: usize| i32::from(x as u8) << (8 * q);
            byte(at(0), 0) | byte(at(1), 1) | byte(at(2), 2) | byte(at(3), 3)
        }
        #[inline(always)]
        unsafe fn along(from: *const i8, n: usize, to: *mut i32) {
            // SAFETY: the caller's word; a word is its elements as they lie in memory.
            unsafe { words(from, n, to) }
        }
        #[inline(always)]
        unsafe fn load(b: *const i32) -> __m512i {
            // SAFETY: the caller's word.
            unsafe { _mm512_loadu_si512(b.cast()) }
        }
        #[inline(always)]
        unsafe fn zero() -> __m512i {
            // SAFETY: the caller's word.
            unsafe { _mm512_setzero_si512() }
        }
        #[inline(always)]
        unsafe fn step(sums: __m512i, a: *const i32, b: __m512i) -> __m512i {
            // SAFETY: the caller's word.
            unsafe { _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(*a), b) }
        }
        #[inline(always)]
        unsafe fn totals(sums: __m512i, to: *mut i32) {
            // SAFETY: the caller's word.
            unsafe { _mm512_storeu_si512(to.cast(), sums) }
        }
        #[inline(always)]
        unsafe fn finish(totals: *const i32, onto: Option<*const i8>, c: *mut i8, n: usize) {
            let mask = u32::MAX >> (32 - n);
            let (low, high) = (mask as u16, (mask >> 16) as u16);
            // SAFETY: the caller's word; a tile is not wider than 32, and nothing is read or written beyond it.
            unsafe {
                let first = _mm512_maskz_loadu_epi32(low, totals);
                let second = _mm512_maskz_loadu_epi32(high, totals.wrapping_add(16));
                let mut bytes = _mm256_set_m128i(_mm512_cvtepi32_epi8(second), _mm512_cvtepi32_epi8(first));
                if let Some(d) = onto {
                    bytes = _mm256_add_epi8(bytes, _mm256_maskz_loadu_epi8(mask, d));
                }
                _mm256_mask_storeu_epi8(c, mask, bytes);
            }
        }
    }
}
