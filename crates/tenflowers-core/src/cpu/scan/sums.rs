//! Running sums of floats, which are summed in float64.
use super::Lines;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::{Isa, isa};
use crate::error::Result;

/// A float that is summed in float64.
pub trait Summand: Copy + Send + Sync {
    fn widen(self) -> f64;
    fn narrow(sum: f64) -> Self;
    /// Rows of `n` elements by vectors of four sums, from their ends if `REVERSED`: wider ones have an order more to come
    /// together in, and are slower.
    ///
    /// # Safety
    /// The machine has AVX2.
    #[cfg(target_arch = "x86_64")]
    unsafe fn rows<const REVERSED: bool>(x: &[Self], out: &mut [Self], n: usize);
}

impl Lines {
    /// `out[k]` is the sum of the elements up to `k`.
    pub fn sums<T: Summand>(&self, x: &[T], out: &mut [T]) -> Result<()> {
        #[cfg(target_arch = "x86_64")]
        if self.inner == 1 && self.n > 0 && matches!(isa(), Isa::Avx2 | Isa::Avx512) {
            return self.rows(x, out, |x, out| {
                // SAFETY: the machine has it.
                unsafe {
                    if self.reversed { T::rows::<true>(x, out, self.n) } else { T::rows::<false>(x, out, self.n) }
                }
            });
        }
        self.scan(
            x,
            out,
            0.0,
            #[inline(always)]
            |x| T::widen(x),
            #[inline(always)]
            |a, b| a + b,
            #[inline(always)]
            |sum| T::narrow(sum),
        )
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// The sums of four elements and of all before them, and what all come to: four come together among themselves in two
    /// steps, and only one more waits for what was before.
    #[inline(always)]
    pub unsafe fn four<const REVERSED: bool>(x: __m256d, before: __m256d) -> (__m256d, __m256d) {
        // SAFETY: the caller's word.
        unsafe {
            let none = _mm256_setzero_pd();
            let (sums, last);
            if REVERSED {
                let two = _mm256_add_pd(x, _mm256_blend_pd::<0b1000>(_mm256_permute4x64_pd::<0b11_11_10_01>(x), none));
                sums = _mm256_add_pd(two, _mm256_permute2f128_pd::<0x81>(two, two));
                last = _mm256_permute4x64_pd::<0>(sums);
            } else {
                let two = _mm256_add_pd(x, _mm256_blend_pd::<0b0001>(_mm256_permute4x64_pd::<0b10_01_00_00>(x), none));
                sums = _mm256_add_pd(two, _mm256_permute2f128_pd::<0x08>(two, two));
                last = _mm256_permute4x64_pd::<0b11_11_11_11>(sums);
            }
            (_mm256_add_pd(before, sums), _mm256_add_pd(before, last))
        }
    }
}

macro_rules! summands {
    ($($t:ty, |$x:ident| $widen:expr, |$sum:ident| $narrow:expr, |$from:ident| $load:expr, |$to:ident, $v:ident| $store:expr;)*) => {$(
        impl Summand for $t {
            #[inline(always)]
            fn widen(self) -> f64 {
                let $x = self;
                $widen
            }
            #[inline(always)]
            fn narrow($sum: f64) -> $t {
                $narrow
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn rows<const REVERSED: bool>(x: &[$t], out: &mut [$t], n: usize) {
                use std::arch::x86_64::*;
                for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
                    let rest = n % 4;
                    let mut before = _mm256_setzero_pd();
                    for i in (0..n - rest).step_by(4) {
                        let at = if REVERSED { n - 4 - i } else { i };
                        let ($from, $to) = (x[at..at + 4].as_ptr(), out[at..at + 4].as_mut_ptr());
                        // SAFETY: four elements on both sides.
                        unsafe {
                            let ($v, all) = x86::four::<REVERSED>($load, before);
                            $store;
                            before = all;
                        }
                    }
                    let mut all = _mm256_cvtsd_f64(before);
                    for i in n - rest..n {
                        let at = if REVERSED { n - 1 - i } else { i };
                        all += x[at].widen();
                        out[at] = <$t>::narrow(all);
                    }
                }
            }
        }
    )*};
}
summands! {
    f32, |x| f64::from(x), |sum| sum as f32,
        |from| _mm256_cvtps_pd(_mm_loadu_ps(from)), |to, v| _mm_storeu_ps(to, _mm256_cvtpd_ps(v));
    f64, |x| x, |sum| sum, |from| _mm256_loadu_pd(from), |to, v| _mm256_storeu_pd(to, v);
}
