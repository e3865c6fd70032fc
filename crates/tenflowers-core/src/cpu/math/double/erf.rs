//! The error function from its complement, scaled to `(1 + 2t) exp(t^2) erfc(t)`, which a polynomial in `(t - 3) / (t + 3)`
//! covers from 0 to where it ends (Shepherd and Laframboise, 1981).
use super::exp::{LIFT, lifted};
use super::{Lanes, exact_product};
use std::f64::consts::FRAC_1_SQRT_2;

/// `erf(x) / x - 1` in `x^2`, below 1.
const SMALL: [f64; 13] = [
    0.128_379_167_095_512_6,
    -0.376_126_389_031_837_5,
    0.112_837_916_709_548_79,
    -0.026_866_170_645_076_792,
    0.005_223_977_624_818_014_5,
    -0.000_854_832_698_083_379,
    0.000_120_553_311_116_427_1,
    -1.492_559_526_683_118_2e-5,
    1.646_100_048_412_136_1e-6,
    -1.635_031_270_105_461_8e-7,
    1.465_977_527_404_695_5e-8,
    -1.137_284_885_678_992_4e-9,
    5.957_176_147_746_114e-11,
];
const SCALED: [f64; 23] = [
    1.253_008_058_269_729_6,
    -0.135_621_106_124_580_7,
    -0.047_562_294_353_446_374,
    0.129_645_158_702_705_52,
    -0.119_273_663_415_528_53,
    0.068_308_027_345_804_59,
    -0.023_770_514_914_233_67,
    0.002_529_391_788_270_445,
    0.001_888_690_312_003_782,
    -0.000_779_832_037_961_111_5,
    -0.000_105_159_490_337_759_75,
    0.000_125_098_151_748_643_22,
    4.948_147_875_576_539e-6,
    -2.009_663_087_595_395e-5,
    -7.275_875_746_667_183e-7,
    3.463_997_532_352_904e-6,
    3.489_919_788_974_429_3e-7,
    -6.050_048_623_933_503e-7,
    -1.311_166_137_536_459e-7,
    9.186_243_026_143_847e-8,
    3.291_634_396_766_32e-8,
    -8.500_119_502_115_306e-9,
    -4.210_104_975_119_195e-9,
];

/// `exp(t^2) erfc(t)` for t from 0 to 28.
#[inline(always)]
fn scaled_complement(lanes: Lanes, t: f64) -> f64 {
    lanes.polynomial((t - 3.0) / (t + 3.0), SCALED) / lanes.fma(t, 2.0, 1.0)
}

#[inline(always)]
pub fn erf(lanes: Lanes, x: f64) -> f64 {
    let size = x.abs();
    // From 6 on it is 1.
    let t = if size > 6.0 { 6.0 } else { size };
    let large = 1.0 - lifted(lanes, -t * t, 0.0, 0.0) * scaled_complement(lanes, t);
    let small = lanes.fma(lanes.polynomial(t * t, SMALL), t, t);
    (if t < 1.0 { small } else { large }).copysign(x)
}

/// The probability that a standard normal variable is above `t`, and `exp(-t^2 / 2)`, for t from 0.
#[inline(always)]
fn above(lanes: Lanes, t: f64) -> (f64, f64) {
    let t = if t > 39.0 { 39.0 } else { t };
    let (square, low) = exact_product(lanes, t, t);
    let bell = lifted(lanes, -0.5 * square, -0.5 * low, 512.0);
    (bell * scaled_complement(lanes, t * FRAC_1_SQRT_2) * (0.5 / LIFT), bell * (1.0 / LIFT))
}

#[inline(always)]
pub fn gelu(lanes: Lanes, x: f64) -> f64 {
    let (rest, _) = above(lanes, x.abs());
    x * if x < 0.0 { rest } else { 1.0 - rest }
}

#[inline(always)]
pub fn gelu_moderate(lanes: Lanes, x: f64) -> f64 {
    let t = x.abs();
    let (square, low) = exact_product(lanes, t, t);
    let bell = lifted(lanes, -0.5 * square, -0.5 * low, 0.0);
    let rest = bell * scaled_complement(lanes, t * FRAC_1_SQRT_2) * 0.5;
    x * if x < 0.0 { rest } else { 1.0 - rest }
}

#[inline(always)]
pub fn gelu_slope(lanes: Lanes, x: f64) -> f64 {
    let (rest, bell) = above(lanes, x.abs());
    // 1 / sqrt(2 pi)
    let rise = if x.abs() > 39.0 { 0.0 } else { x } * bell * 0.398_942_280_401_432_7;
    (if x < 0.0 { rest } else { 1.0 - rest }) + rise
}
