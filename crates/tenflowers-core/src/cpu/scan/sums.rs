//! Running sums of floats, which are summed in float64.
use super::Lines;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::{Isa, isa};
use crate::error::Result;

/// A float that is summed in float64.
pub trait Summand: Copy + Send + Sync {
    fn widen(self) -> f64;
    fn narrow(sum: f64) -> Self;
    /// Rows of `n` elements by vectors, from their ends if `REVERSED`.
    ///
    /// # Safety
    /// The machine has AVX-512.
    #[cfg(target_arch = "x86_64")]
    unsafe fn rows<const REVERSED: bool>(x: &[Self], out: &mut [Self], n: usize);
}

impl Lines {
    /// `out[k]` is the sum of the elements up to `k`.
    pub fn sums<T: Summand>(&self, x: &[T], out: &mut [T]) -> Result<()> {
        #[cfg(target_arch = "x86_64")]
        if self.inner == 1 && self.n > 0 && isa() == Isa::Avx512 {
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

    /// The sums of eight elements and of all before them, and what all come to: eight come together among themselves in three
    /// steps, and only one more waits for what was before.
    #[inline(always)]
    pub unsafe fn eight<const REVERSED: bool>(x: __m512d, before: __m512d) -> (__m512d, __m512d) {
        // SAFETY: the caller's word.
        unsafe {
            let none = _mm512_setzero_si512();
            macro_rules! with_moved {
                ($x:expr, $by:literal, $rest:literal) => {{
                    let bits = _mm512_castpd_si512($x);
                    let moved = if REVERSED {
                        _mm512_alignr_epi64::<$by>(none, bits)
                    } else {
                        _mm512_alignr_epi64::<$rest>(bits, none)
                    };
                    _mm512_add_pd($x, _mm512_castsi512_pd(moved))
                }};
            }
            let two = with_moved!(x, 1, 7);
            let four = with_moved!(two, 2, 6);
            let sums = with_moved!(four, 4, 4);
            let last = _mm512_permutexvar_pd(_mm512_set1_epi64(if REVERSED { 0 } else { 7 }), sums);
            (_mm512_add_pd(before, sums), _mm512_add_pd(before, last))
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
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma")]
            unsafe fn rows<const REVERSED: bool>(x: &[$t], out: &mut [$t], n: usize) {
                use std::arch::x86_64::*;
                for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
                    let rest = n % 8;
                    let mut before = _mm512_setzero_pd();
                    for i in (0..n - rest).step_by(8) {
                        let at = if REVERSED { n - 8 - i } else { i };
                        let ($from, $to) = (x[at..at + 8].as_ptr(), out[at..at + 8].as_mut_ptr());
                        // SAFETY: eight elements on both sides.
                        unsafe {
                            let ($v, all) = x86::eight::<REVERSED>($load, before);
                            $store;
                            before = all;
                        }
                    }
                    let mut all = _mm512_cvtsd_f64(before);
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
        |from| _mm512_cvtps_pd(_mm256_loadu_ps(from)), |to, v| _mm256_storeu_ps(to, _mm512_cvtpd_ps(v));
    f64, |x| x, |sum| sum, |from| _mm512_loadu_pd(from), |to, v| _mm512_storeu_pd(to, v);
}
