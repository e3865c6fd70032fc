//! The exponential: `x = n ln 2 + r`, a polynomial in r, and n added to the exponent (Cody and Waite, 1980).
use super::Lanes;

/// Adding 1.5 * 2^52 rounds to an integer, which is then in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts: an integer of 20 bits times the first is exact.
const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
/// `(exp(r) - 1 - r) / r^2` for `|r| <= ln(2) / 2`.
const TAIL: [f64; 11] = [
    0.5,
    0.166_666_666_666_666_7,
    0.041_666_666_666_666_67,
    0.008_333_333_333_326_084,
    0.001_388_888_888_888_371_1,
    0.000_198_412_698_750_022_8,
    2.480_158_732_567_746e-5,
    2.755_725_517_000_089e-6,
    2.755_727_347_871_858e-7,
    2.510_531_272_962_210_3e-8,
    2.091_475_532_589_32e-9,
];

/// 2^512, by which a result is kept too large until the end where it alone may not be a normal number.
pub const LIFT: f64 = f64::from_bits((1023 + 512) << 52);

/// `exp(x + low) * 2^lift`, which must be a normal number, for a `low` that is small beside x or 1; and less 1 before the
/// power.
#[inline(always)]
fn parts(lanes: Lanes, x: f64, low: f64, lift: f64) -> (f64, f64) {
    // The exponent's bias comes with the rounding, and a shift puts it into its place.
    let round = ROUND + 1023.0 + lift;
    let t = lanes.fma(x, std::f64::consts::LOG2_E, round);
    let n = t - round;
    let r = lanes.fma(n, -LN_2[1], lanes.fma(n, -LN_2[0], x)) + low;
    (lanes.fma(lanes.polynomial(r, TAIL), r * r, r), f64::from_bits(t.to_bits() << 52))
}

#[inline(always)]
pub fn lifted(lanes: Lanes, x: f64, low: f64, lift: f64) -> f64 {
    let (less_one, power) = parts(lanes, x, low, lift);
    (less_one + 1.0) * power
}

#[inline(always)]
pub fn exp(lanes: Lanes, x: f64) -> f64 {
    // Beyond these the result is infinite or 0 for sure; a NaN passes both comparisons.
    let x = if x > 710.0 { 710.0 } else { x };
    let none = x < -746.0;
    let x = if none { -746.0 } else { x };
    let (lift, back) = if x < 0.0 { (512.0, 1.0 / LIFT) } else { (-512.0, LIFT) };
    // A product that comes out too small is a hundred times slower than one with 0: -inf is what masks are made of.
    let back = if none { 0.0 } else { back };
    lifted(lanes, x, 0.0, lift) * back
}

#[inline(always)]
pub fn exp_moderate(lanes: Lanes, x: f64) -> f64 {
    lifted(lanes, x, 0.0, 0.0)
}

#[inline(always)]
pub fn exp_nonpositive(lanes: Lanes, x: f64) -> f64 {
    let least = -708.0;
    let y = lifted(lanes, if x < least { least } else { x }, 0.0, 0.0);
    if x < least { 0.0 } else { y }
}

/// `(exp(x) - 1) * 2^lift` for x in -60..=709 and a lift of 0 or -1.
#[inline(always)]
pub fn minus_one(lanes: Lanes, x: f64, lift: f64) -> f64 {
    let (p, power) = parts(lanes, x, 0.0, lift);
    let one = if lift == 0.0 { 1.0 } else { 0.5 };
    lanes.fma(p, power, power - one)
}

#[inline(always)]
pub fn exp_m1(lanes: Lanes, x: f64) -> f64 {
    let inside = if x > 710.0 { 710.0 } else { x };
    let inside = if inside < -60.0 { -60.0 } else { inside };
    // Half of it, since the power of two may be above the largest number.
    let y = 2.0 * minus_one(lanes, inside, -1.0);
    // Also the sign of 0, and what halving would cost numbers that are not normal.
    if x.abs() < 1e-17 { x } else { y }
}
