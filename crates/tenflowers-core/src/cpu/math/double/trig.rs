//! Sine and cosine: `x = n pi / 2 + r` (Cody and Waite, 1980), and polynomials in r^2.
use super::Lanes;

/// Beyond it they are not exact any more: the rest of so many turns needs more digits of pi.
pub const LIMIT: f64 = 1e5;

/// `(sin(r) / r - 1) / r^2` and `(cos(r) - 1 + r^2 / 2) / r^4` in `r^2`, for `|r| <= pi / 4`.
const SIN: [f64; 7] = [
    -0.166_666_666_666_666_66,
    0.008_333_333_333_333_331,
    -0.000_198_412_698_412_649_2,
    2.755_731_921_922_664e-6,
    -2.505_210_619_347_668_7e-8,
    1.605_852_546_048_364e-10,
    -7.586_335_173_253_045e-13,
];
const COS: [f64; 7] = [
    0.041_666_666_666_666_664,
    -0.001_388_888_888_888_888_7,
    2.480_158_730_158_456_7e-5,
    -2.755_731_922_134_026e-7,
    2.087_675_576_941_346_4e-9,
    -1.147_045_746_360_070_5e-11,
    4.745_670_667_041_712e-14,
];
/// pi / 2 in parts of 33 bits, whose products with n are exact, and the rest (fdlibm).
const HALF_PI: [f64; 4] =
    [1.570_796_326_734_125_6, 6.077_100_506_303_966e-11, 2.022_266_248_711_166_5e-21, 8.478_427_660_368_9e-32];
const ROUND: f64 = 6_755_399_441_055_744.0;

/// The sine of `x` plus so many quarters of a turn.
#[inline(always)]
fn quarters(lanes: Lanes, x: f64, ahead: u64) -> f64 {
    let t = lanes.fma(x, std::f64::consts::FRAC_2_PI, ROUND);
    let n = t - ROUND;
    let mut r = x;
    for part in HALF_PI {
        r = lanes.fma(n, -part, r);
    }
    let quarter = t.to_bits().wrapping_add(ahead);
    let square = r * r;
    let sine = lanes.fma(lanes.polynomial(square, SIN) * square, r, r);
    let cosine = lanes.fma(square * square, lanes.polynomial(square, COS), lanes.fma(square, -0.5, 1.0));
    let y = if quarter & 1 == 0 { sine } else { cosine };
    f64::from_bits(y.to_bits() ^ (quarter & 2) << 62)
}

/// Below `LIMIT`.
#[inline(always)]
pub fn sin(lanes: Lanes, x: f64) -> f64 {
    let y = quarters(lanes, x, 0);
    // The sign of 0, which the rounding above loses.
    if x == 0.0 { x } else { y }
}

/// Below `LIMIT`.
#[inline(always)]
pub fn cos(lanes: Lanes, x: f64) -> f64 {
    quarters(lanes, x, 1)
}
