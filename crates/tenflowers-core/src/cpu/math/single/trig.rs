//! Sine and cosine: `x = n pi / 2 + r` (Cody and Waite, 1980), and polynomials in r^2.
use super::Lanes;

/// Beyond it they are not exact any more: the rest of so many turns needs more digits of pi.
pub const LIMIT: f32 = 1e5;

/// `(sin(r) / r - 1) / r^2` and `(cos(r) - 1 + r^2 / 2) / r^4` in `r^2`, for `|r| <= pi / 4`.
const SIN: [f32; 4] = [-0.166_666_67, 0.008_333_379, -0.000_198_530_53, 2.832_273_8e-6];
const COS: [f32; 4] = [0.041_666_668, -0.001_388_897_9, 2.482_151_6e-5, -2.882_819_4e-7];
/// pi / 2 in parts of f32.
const HALF_PI: [f32; 3] = [1.570_796_4, -4.371_139e-8, -1.715_124_5e-15];
const ROUND: f32 = 12_582_912.0;

/// The sine of `x` plus so many quarters of a turn.
#[inline(always)]
fn quarters(lanes: Lanes, x: f32, ahead: u32) -> f32 {
    let t = lanes.fma(x, std::f32::consts::FRAC_2_PI, ROUND);
    let n = t - ROUND;
    let r = if lanes.is_fused() {
        // The first step is exact where x is near n pi / 2.
        let r = lanes.fma(n, -HALF_PI[0], x);
        let r = lanes.fma(n, -HALF_PI[1], r);
        lanes.fma(n, -HALF_PI[2], r)
    } else {
        const PARTS: [f64; 2] = [1.570_796_326_734_125_6, 6.077_100_506_506_192e-11];
        (f64::from(x) - f64::from(n) * PARTS[0] - f64::from(n) * PARTS[1]) as f32
    };
    let quarter = t.to_bits().wrapping_add(ahead);
    let square = r * r;
    let sine = lanes.fma(lanes.polynomial(square, SIN) * square, r, r);
    let cosine = lanes.fma(square * square, lanes.polynomial(square, COS), lanes.fma(square, -0.5, 1.0));
    let y = if quarter & 1 == 0 { sine } else { cosine };
    f32::from_bits(y.to_bits() ^ (quarter & 2) << 30)
}

/// Below `LIMIT`.
#[inline(always)]
pub fn sin(lanes: Lanes, x: f32) -> f32 {
    let y = quarters(lanes, x, 0);
    // The sign of 0, which the rounding above loses.
    if x == 0.0 { x } else { y }
}

/// Below `LIMIT`.
#[inline(always)]
pub fn cos(lanes: Lanes, x: f32) -> f32 {
    quarters(lanes, x, 1)
}
