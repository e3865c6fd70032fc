//! Functions by polynomials of low degree, one for each of 32 intervals, whose coefficients are looked up in registers: for
//! instruction sets that permute the elements of two vectors by those of a third.
#![cfg(target_arch = "x86_64")]
mod gelu;
mod tanh;

pub use gelu::gelu;
use std::arch::x86_64::*;
pub use tanh::tanh;

/// Adding 1.5 * 2^23 rounds to an integer, which is then in the low bits.
const ROUND: f32 = 12_582_912.0;

/// A function of `t` from 0 on, constant from `end` on: in the k'th interval `table[0][k] + table[1][k] u + ...` for `u = t
/// scale - k`, which is half a unit at most in size.
struct Segments<const N: usize> {
    scale: f32,
    end: f32,
    table: &'static [[f32; 32]; N],
}

impl<const N: usize> Segments<N> {
    /// Row `j` of the table at `at`, the low bits of its elements.
    #[inline(always)]
    unsafe fn look_up(table: &[[__m512; 2]; N], j: usize, at: __m512i) -> __m512 {
        // SAFETY: the caller's word.
        unsafe { _mm512_permutex2var_ps(table[j][0], at, table[j][1]) }
    }

    /// The size of `x`, or the end where that is less; its interval; and the value there.
    #[inline(always)]
    unsafe fn value(&self, table: &[[__m512; 2]; N], x: __m512) -> (__m512, __m512, __m512) {
        // SAFETY: the caller's word.
        unsafe {
            let (scale, end, round) = (_mm512_set1_ps(self.scale), _mm512_set1_ps(self.end), _mm512_set1_ps(ROUND));
            // The second operand where one is not a number.
            let t = _mm512_min_ps(end, _mm512_abs_ps(x));
            let rounded = _mm512_fmadd_ps(t, scale, round);
            let at = _mm512_castps_si512(rounded);
            let k = _mm512_sub_ps(rounded, round);
            let u = _mm512_fmsub_ps(t, scale, k);
            let mut value = Self::look_up(table, N - 1, at);
            for j in (0..N - 1).rev() {
                value = _mm512_fmadd_ps(value, u, Self::look_up(table, j, at));
            }
            (t, k, value)
        }
    }
}

/// `finish(x, t, k, f(t))` for each of `n` elements `x`, with `t` its size, or the end where that is less, and `k` its interval.
///
/// # Safety
/// The elements are there, the machine has AVX-512, and the output is the input or apart from it.
#[inline(always)]
unsafe fn run<const N: usize>(
    segments: &Segments<N>,
    (from, to, n): (*const f32, *mut f32, usize),
    finish: impl Fn(__m512, __m512, __m512, __m512) -> __m512,
) {
    // SAFETY: the caller's word, and the mask leaves out what is beyond the end; each row of the table has 32 elements.
    unsafe {
        let mut table = [[_mm512_setzero_ps(); 2]; N];
        for (row, of) in table.iter_mut().zip(segments.table) {
            *row = [_mm512_loadu_ps(of.as_ptr()), _mm512_loadu_ps(of.as_ptr().add(16))];
        }
        let whole = n / 16 * 16;
        for i in (0..whole).step_by(16) {
            let x = _mm512_loadu_ps(from.add(i));
            let (t, k, value) = segments.value(&table, x);
            _mm512_storeu_ps(to.add(i), finish(x, t, k, value));
        }
        if whole < n {
            let mask = (1 << (n - whole)) - 1;
            let x = _mm512_maskz_loadu_ps(mask, from.add(whole));
            let (t, k, value) = segments.value(&table, x);
            _mm512_mask_storeu_ps(to.add(whole), mask, finish(x, t, k, value));
        }
    }
}
