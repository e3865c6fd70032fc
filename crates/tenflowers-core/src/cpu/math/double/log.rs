//! The logarithm: `x = 2^e m` with m near 1, and a polynomial in `s = (m - 1) / (m + 1)` (after fdlibm).
use super::Lanes;

const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
const ONE: u64 = 0x3ff0_0000_0000_0000;
const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
/// `(ln((1 + s) / (1 - s)) / s - 2) / s^2` in `s^2`, for numbers from sqrt(1/2) to sqrt(2).
const TAIL: [f64; 8] = [
    0.666_666_666_666_666_6,
    0.400_000_000_000_008_8,
    0.285_714_285_708_036_14,
    0.222_222_223_917_139_17,
    0.181_817_956_401_329,
    0.153_862_397_028_148_88,
    0.132_687_731_386_516_77,
    0.130_866_261_478_873_12,
];

/// `ln(1 + f) + e ln 2`.
#[inline(always)]
fn of_parts(lanes: Lanes, f: f64, e: f64) -> f64 {
    let s = f / (2.0 + f);
    let z = s * s;
    let half = 0.5 * f * f;
    // ln(1 + f) = f - f^2 / 2 + s (f^2 / 2 + z p(z)), where little is added to f.
    let rest = lanes.fma(s, lanes.fma(z, lanes.polynomial(z, TAIL), half), e * LN_2[1]);
    lanes.fma(e, LN_2[0], f - (half - rest))
}

/// The exponent, and the bits of the number without it.
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    let bits = x.to_bits().wrapping_add(ONE - SQRT_HALF);
    // 2^52 and the exponent, so that no integer is converted.
    let e = f64::from_bits(bits >> 52 & 0xfff | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1023.0);
    (e, f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF)))
}

#[inline(always)]
pub fn ln(lanes: Lanes, x: f64) -> f64 {
    let small = x < f64::MIN_POSITIVE;
    let (e, m) = split(if small { x * 18_014_398_509_481_984.0 } else { x });
    let e = e - if small { 54.0 } else { 0.0 };
    let y = of_parts(lanes, m - 1.0, e);
    let y = if x < f64::INFINITY { y } else { x };
    if x > 0.0 {
        y
    } else if x == 0.0 {
        f64::NEG_INFINITY
    } else {
        f64::NAN
    }
}

#[inline(always)]
pub fn ln_1p(lanes: Lanes, x: f64) -> f64 {
    let (e, _) = split(1.0 + x);
    // 1 + f = (1 + x) / 2^e, without the rounding of 1 + x. The power alone may not be a normal number.
    let scale = f64::from_bits(((4_503_599_627_370_496.0 + 1025.0) - e).to_bits() << 52);
    let f = lanes.fma(0.25 * x, scale, 0.25 * scale - 1.0);
    let y = of_parts(lanes, f, e);
    let y = if x < f64::INFINITY { y } else { x };
    let y = if x.abs() < 1e-17 { x } else { y };
    if x > -1.0 {
        y
    } else if x == -1.0 {
        f64::NEG_INFINITY
    } else {
        f64::NAN
    }
}
