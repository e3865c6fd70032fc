//! The exponential: `x = n ln 2 + r`, a polynomial in r, and n added to the exponent (Cody and Waite, 1980).
use super::{Lanes, Real};

impl Real for f32 {
    #[inline(always)]
    fn exp(self, lanes: Lanes) -> f32 {
        // Beyond these the result is infinite or 0 for sure; a NaN passes both comparisons.
        let x = if self > 89.0 { 89.0 } else { self };
        let x = if x < -104.0 { -104.0 } else { x };
        // Adding 1.5 * 2^23 rounds to an integer, which is then in the low bits.
        const ROUND: f32 = 12_582_912.0;
        let t = lanes.fma(x, std::f32::consts::LOG2_E, ROUND);
        let n = t - ROUND;
        // ln 2 in two parts: n times the first is exact.
        let r = lanes.fma(n, -0.693_359_4, x);
        let r = lanes.fma(n, 2.121_944_4e-4, r);
        // The coefficients are those of Cephes' expf.
        let p = lanes.fma(r, 1.987_569_1e-4, 1.398_199_9e-3);
        let p = lanes.fma(p, r, 8.333_452e-3);
        let p = lanes.fma(p, r, 4.166_579_6e-2);
        let p = lanes.fma(p, r, 0.166_666_65);
        let p = lanes.fma(p, r, 0.5);
        let p = lanes.fma(p, r * r, r) + 1.0;
        // 2^n in two factors, since it alone may not be a normal number.
        let n = t.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
        let half = n >> 1;
        let power = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
        p * power(half) * power(n - half)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn exp(self, _: Lanes) -> f64 {
        num_traits::Float::exp(self)
    }
}
