//! The power `2^(y log2 x)`, with the logarithm and the product in f64, so that their errors do not grow in the result.
use super::Lanes;
use super::exp::LIFT;

/// `log2((1 + s) / (1 - s)) / s` in `s^2`, for numbers from sqrt(1/2) to sqrt(2).
const LOG: [f64; 6] = [
    2.885_390_081_777_851,
    0.961_796_694_112_264_9,
    0.577_077_942_660_304_4,
    0.412_209_224_061_104_3,
    0.319_906_803_807_013_36,
    0.282_885_023_407_482_34,
];
/// `(2^r - 1) / r` for `|r| <= 1/2`.
const POWER: [f32; 6] =
    [std::f32::consts::LN_2, 0.240_226_48, 0.055_503_596, 0.009_618_499, 0.001_339_096_9, 0.000_153_292_64];
/// Adding them rounds to an integer.
const ROUND: f32 = 12_582_912.0;
const ROUND_WIDE: f64 = 6_755_399_441_055_744.0;

/// The base 2 logarithm of a positive number that is not denormal.
#[inline(always)]
fn log2(lanes: Lanes, x: f64) -> f64 {
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = x.to_bits().wrapping_add(ONE - SQRT_HALF);
    // 2^52 and the exponent, so that no integer is converted.
    let e = f64::from_bits(bits >> 52 | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1023.0);
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF));
    let s = (m - 1.0) / (m + 1.0);
    lanes.fma(lanes.polynomial(s * s, LOG), s, e)
}

#[inline(always)]
pub fn pow(lanes: Lanes, x: f32, y: f32) -> f32 {
    let size = f64::from(x.abs());
    let log = log2(lanes, size);
    let log = if size < f64::INFINITY { log } else { size };
    let log = if size == 0.0 { f64::NEG_INFINITY } else { log };
    let t = f64::from(y) * log;
    let t = if t > 130.0 { 130.0 } else { t };
    let t = if t < -152.0 { -152.0 } else { t };
    let n = (t + ROUND_WIDE) - ROUND_WIDE;
    let (r, n) = ((t - n) as f32, n as f32);
    // 2^n alone may not be a normal number.
    let (lift, back) = if n < 0.0 { (64.0, 1.0 / LIFT) } else { (-64.0, LIFT) };
    let power = f32::from_bits((n + (ROUND + 127.0 + lift)).to_bits() << 23);
    let result = lanes.fma(lanes.polynomial(r, POWER), r, 1.0) * power * back;
    // 1 to any power, also an infinite one.
    let result = if size == 1.0 && !y.is_nan() { 1.0 } else { result };

    // Below 0 there are powers to integers only, and to odd ones they are below 0.
    let whole = y.abs();
    let shifted = whole + 8_388_608.0;
    let large = whole >= 8_388_608.0;
    let is_whole = large | (shifted - 8_388_608.0 == whole);
    let is_odd = (if large { whole } else { shifted }.to_bits() & 1 == 1) & (whole < 16_777_216.0) & is_whole;
    let negative = x.is_sign_negative() & is_odd;
    let result = if negative { -result } else { result };
    let result = if (x < 0.0) & (x > f32::NEG_INFINITY) & !is_whole { f32::NAN } else { result };
    if (y == 0.0) | (x == 1.0) { 1.0 } else { result }
}
