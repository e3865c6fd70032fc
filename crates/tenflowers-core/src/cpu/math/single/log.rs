//! The logarithm: `x = 2^e (1 + f)` with 1 + f near 1, and a polynomial in f.
use super::Lanes;

const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
const SQRT_HALF: u32 = 0x3f35_04f3;
/// `(ln(1 + f) - f + f^2 / 2) / f^3` for 1 + f from sqrt(1/2) to sqrt(2).
const TAIL: [f32; 9] = [
    0.333_333_13,
    -0.250_000_1,
    0.200_020_72,
    -0.166_679_9,
    0.142_203_63,
    -0.124_062_08,
    0.118_834_71,
    -0.116_701_83,
    0.067_495_39,
];

/// `ln(1 + f) + e ln 2`.
#[inline(always)]
fn of_parts(lanes: Lanes, f: f32, e: f32) -> f32 {
    let square = f * f;
    let y = lanes.polynomial(f, TAIL) * f * square;
    let y = lanes.fma(e, LN_2[1], y);
    let y = lanes.fma(square, -0.5, y);
    lanes.fma(e, LN_2[0], f + y)
}

/// The exponent, and the bits of the number without it.
#[inline(always)]
fn split(x: f32) -> (i32, u32) {
    let bits = x.to_bits().wrapping_sub(SQRT_HALF);
    ((bits as i32) >> 23, (bits & 0x007f_ffff).wrapping_add(SQRT_HALF))
}

#[inline(always)]
pub fn ln(lanes: Lanes, x: f32) -> f32 {
    let small = x < f32::MIN_POSITIVE;
    let (e, m) = split(if small { x * 8_388_608.0 } else { x });
    let e = e as f32 - if small { 23.0 } else { 0.0 };
    let y = of_parts(lanes, f32::from_bits(m) - 1.0, e);
    let y = if x < f32::INFINITY { y } else { x };
    if x > 0.0 {
        y
    } else if x == 0.0 {
        f32::NEG_INFINITY
    } else {
        f32::NAN
    }
}

#[inline(always)]
pub fn ln_1p(lanes: Lanes, x: f32) -> f32 {
    let (e, _) = split(1.0 + x);
    // 1 + f = (1 + x) / 2^e, without the rounding of 1 + x. The power alone may not be a normal number.
    let scale = f32::from_bits(((129 - e) << 23) as u32);
    let f = lanes.fma(0.25 * x, scale, 0.25 * scale - 1.0);
    let y = of_parts(lanes, f, e as f32);
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x.abs() < 1e-8 { x } else { y };
    if x > -1.0 {
        y
    } else if x == -1.0 {
        f32::NEG_INFINITY
    } else {
        f32::NAN
    }
}
