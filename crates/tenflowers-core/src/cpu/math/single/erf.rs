//! The error function as `1 - exp(t p(t))`, where the logarithm of its complement is smooth (after Juffa).
use super::Lanes;
use super::exact_fma;
use super::exp::{LIFT, LN_2, lifted, of_rest, power_of_two, quick};

/// `erf(x) / x - 1` in `x^2`, below `BORDER`.
const SMALL: [f32; 7] =
    [0.128_379_17, -0.376_126_3, 0.112_836_26, -0.026_855_731, 0.005_192_405, -0.000_804_976_97, 7.996_65e-5];
/// `ln(erfc(t)) / t`, above it.
const LARGE: [f32; 7] =
    [-1.128_654_2, -0.635_128, -0.106_275_305, 0.023_795_081, -0.003_658_034_6, 0.000_326_626_5, -1.161_250_4e-5];
const BORDER: f32 = 0.93;
/// `(ln(2 P(X < -t)) + t^2 / 2) / t` in `t - CENTRE` for t from 0 to `END`, and X of the standard normal distribution: weighted
/// least squares, the later coefficients after the rounding of those before.
const NORMAL: [f32; 11] = [
    -0.458_212_6,
    0.058_975_53,
    -0.008_364_413,
    0.001_167_724_1,
    -1.530_456_2e-4,
    1.786_033_3e-5,
    -1.688_673_8e-6,
    1.101_229_9e-7,
    8.662_961e-9,
    -8.854_037_5e-9,
    1.633_551_5e-9,
];
const CENTRE: f32 = 3.218_75;
/// From here on `t P(X < -t)` is below 2e-8.
pub const END: f32 = 5.86;
/// `(P(X < -t) - t exp(-t^2 / 2) / sqrt(2 pi)) exp(t^2 / 2)` in `t - 1` for t from 0 to `SLOPE_END`, where it is multiplied by
/// 3e-18: fitted as above, to an error of 3e-8 of the product.
const SLOPE: [f32; 12] = [
    -0.137_363_97,
    -0.536_306_26,
    0.062_106_274,
    -0.025_086_164,
    0.009_260_043_5,
    -0.003_164_049_7,
    0.001_006_234_3,
    -3.080_285_4e-4,
    9.539_389_4e-5,
    -2.635_033_7e-5,
    4.781_455e-6,
    -3.799_351_6e-7,
];
const SLOPE_END: f32 = 9.0;

#[inline(always)]
pub fn erf(lanes: Lanes, x: f32) -> f32 {
    let size = x.abs();
    // From 4 on it is 1.
    let t = if size > 4.0 { 4.0 } else { size };
    let large = 1.0
        - lifted(
            lanes,
            t * lanes.polynomial(t, LARGE),
            0.0,
            64.0,
            #[inline(always)]
            |r| r,
        ) * (1.0 / LIFT);
    let small = lanes.fma(lanes.polynomial(t * t, SMALL), t, t);
    (if t < BORDER { small } else { large }).copysign(x)
}

/// P(X < -t) for t from 0 to `END`.
#[inline(always)]
fn probability_below(lanes: Lanes, t: f32) -> f32 {
    // exp(-t^2 / 2 + t p(t)) / 2, exact also where it is small: what is left of the exponent after the power of two is summed
    // largest terms first, and none of them is rounded before.
    let [first, others @ ..] = NORMAL;
    let slope = exact_fma(lanes, t - CENTRE, lanes.polynomial_in_two(t - CENTRE, others), first);
    let half = -0.5 * t;
    let (n, power) = power_of_two(lanes, lanes.fma(t, slope, half * t), -1.0);
    let rest = exact_fma(lanes, half, t, n * -LN_2[0]);
    let rest = lanes.fma(n, -LN_2[1], exact_fma(lanes, t, slope, rest));
    of_rest(lanes, rest) * power
}

#[inline(always)]
pub fn gelu(lanes: Lanes, x: f32) -> f32 {
    let size = x.abs();
    let t = if size > END { END } else { size };
    let below = probability_below(lanes, t);
    let below = if size > END { 0.0 } else { below };
    // x - x P(X < -x) above 0, x P(X < x) below; infinity less nothing, and infinity times nothing.
    let above = if x > 0.0 { x } else { 0.0 };
    lanes.fma(if x < -t { x } else { -t }, below, above)
}

#[inline(always)]
pub fn gelu_moderate(lanes: Lanes, x: f32) -> f32 {
    let t = x.abs();
    lanes.fma(-t, probability_below(lanes, t), if x > 0.0 { x } else { 0.0 })
}

#[inline(always)]
pub fn gelu_slope(lanes: Lanes, x: f32) -> f32 {
    let size = x.abs();
    let t = if size > SLOPE_END { SLOPE_END } else { size };
    let below = quick(lanes, -0.5 * t * t) * lanes.polynomial(t - 1.0, SLOPE);
    if x < 0.0 { below } else { 1.0 - below }
}
