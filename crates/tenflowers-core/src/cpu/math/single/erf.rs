//! The error function as `1 - exp(t p(t))`, where the logarithm of its complement is smooth (after Juffa).
use super::Lanes;
use super::exact_product;
use super::exp::{LIFT, lifted};

/// `erf(x) / x - 1` in `x^2`, below `BORDER`.
const SMALL: [f32; 7] =
    [0.128_379_17, -0.376_126_3, 0.112_836_26, -0.026_855_731, 0.005_192_405, -0.000_804_976_97, 7.996_65e-5];
/// `ln(erfc(t)) / t`, above it.
const LARGE: [f32; 7] =
    [-1.128_654_2, -0.635_128, -0.106_275_305, 0.023_795_081, -0.003_658_034_6, 0.000_326_626_5, -1.161_250_4e-5];
const BORDER: f32 = 0.93;
/// `(ln(2 P(X < -t)) + t^2 / 2) / t` in `t - CENTRE` for t from 0 to twice that, and X of the standard normal distribution.
const NORMAL: [f32; 11] = [
    -0.487_823_37,
    0.067_654_49,
    -0.010_227_922,
    0.001_497_628_2,
    -0.000_200_857_63,
    2.296_802_3e-5,
    -1.881_252_5e-6,
    -4.012_919_3e-9,
    5.777_143e-8,
    -1.715_754_8e-8,
    1.935_704_5e-9,
];
const CENTRE: f32 = 2.75;

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

#[inline(always)]
pub fn gelu(lanes: Lanes, x: f32) -> f32 {
    // P(X < -t) = exp(-t^2 / 2 + t p(t)) / 2, exact also where it is small: t^2 is kept in two parts.
    let size = x.abs();
    let t = if size > 15.0 { 15.0 } else { size };
    let (square, low) = exact_product(lanes, t, t);
    let near = if t > 2.0 * CENTRE { 2.0 * CENTRE } else { t };
    let slope = lanes.polynomial(near - CENTRE, NORMAL);
    let below = lifted(
        lanes,
        -0.5 * square,
        near * slope,
        64.0,
        #[inline(always)]
        |r| lanes.fma(near, slope, r) - 0.5 * low,
    ) * (0.5 / LIFT);
    x * if x < 0.0 { below } else { 1.0 - below }
}

#[inline(always)]
pub fn gelu_slope(lanes: Lanes, x: f32) -> f32 {
    let size = x.abs();
    let t = if size > 14.0 { 14.0 } else { size };
    let near = if t > 2.0 * CENTRE { 2.0 * CENTRE } else { t };
    let bend = near * lanes.polynomial(near - CENTRE, NORMAL);
    let bell = lifted(
        lanes,
        -0.5 * t * t,
        0.0,
        64.0,
        #[inline(always)]
        |r| r,
    ) * (0.5 / LIFT);
    let below = bell
        * lifted(
            lanes,
            bend,
            0.0,
            0.0,
            #[inline(always)]
            |r| r,
        );
    // 2 / sqrt(2 pi), since the bell is halved.
    let rise = bell * t * 0.797_884_6;
    if x < 0.0 { below - rise } else { 1.0 - below + rise }
}
