//! tanh and the functions of the logistic curve, from one exponential of a number that is not positive.
use super::super::{GELU_CUBE, GELU_SCALE};
use super::exp::{LIFT, exp_moderate, lifted, minus_one};
use super::{Lanes, exact_product};

/// `(tanh(x) / x - 1) / x^2` in `x^2`, below `BORDER`.
const SMALL: [f32; 4] = [-0.333_333, 0.133_312_09, -0.053_561_43, 0.018_742_492];
const BORDER: f32 = 0.4;

#[inline(always)]
pub fn tanh(lanes: Lanes, x: f32) -> f32 {
    let size = x.abs();
    // From 10 on it is 1.
    let t = if size > 10.0 { 10.0 } else { size };
    let e = minus_one(lanes, 2.0 * t, 0.0);
    let large = e / (e + 2.0);
    let square = t * t;
    let small = lanes.fma(lanes.polynomial(square, SMALL) * square, t, t);
    (if t < BORDER { small } else { large }).copysign(x)
}

/// `x / (1 + exp(-v))` for `v = high + low`.
#[inline(always)]
fn gated(lanes: Lanes, x: f32, high: f32, low: f32) -> f32 {
    let inside = if high > 87.0 { 87.0 } else { high };
    let inside = if inside < -110.0 { -110.0 } else { inside };
    // Both sides of the quotient are kept small where the exponential is large.
    let (lift, unit) = if high < -1.0 { (-64.0, 1.0 / LIFT) } else { (0.0, 1.0) };
    let e = lifted(
        lanes,
        -inside,
        -low,
        lift,
        #[inline(always)]
        |r| r - low,
    );
    // Beyond it is 0, however large x is, and not a number where x is infinite.
    let e = if high < -110.0 { f32::INFINITY } else { e };
    x * unit / (unit + e)
}

#[inline(always)]
pub fn sigmoid(lanes: Lanes, x: f32) -> f32 {
    gated(lanes, 1.0, x, 0.0)
}

#[inline(always)]
pub fn silu(lanes: Lanes, x: f32) -> f32 {
    gated(lanes, x, x, 0.0)
}

#[inline(always)]
pub fn sigmoid_moderate(lanes: Lanes, x: f32) -> f32 {
    1.0 / (1.0 + exp_moderate(lanes, -x))
}

#[inline(always)]
pub fn silu_moderate(lanes: Lanes, x: f32) -> f32 {
    x / (1.0 + exp_moderate(lanes, -x))
}

/// The logarithm of what `x` is divided by, less 1, negative and in two parts: (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)), and the
/// error of 2u is a relative one of the result.
#[inline(always)]
fn double_argument(lanes: Lanes, x: f32) -> (f32, f32) {
    const A: f64 = 2.0 * GELU_SCALE;
    const B: f64 = A * GELU_CUBE;
    const HIGH: [f32; 2] = [A as f32, B as f32];
    const LOW: [f32; 2] = [(A - HIGH[0] as f64) as f32, (B - HIGH[1] as f64) as f32];
    let (square, square_low) = exact_product(lanes, x, x);
    let (cube, cube_low) = exact_product(lanes, HIGH[1], square);
    let factor = HIGH[0] + cube;
    let rest = lanes.fma(square, LOW[1], LOW[0]) + (cube - (factor - HIGH[0])) + cube_low;
    let rest = lanes.fma(HIGH[1], square_low, rest);
    let (u, u_low) = exact_product(lanes, x, factor);
    (u, lanes.fma(x, rest, u_low))
}

#[inline(always)]
pub fn gelu_tanh(lanes: Lanes, x: f32) -> f32 {
    let (high, low) = double_argument(lanes, if x.abs() > 20.0 { 20f32.copysign(x) } else { x });
    gated(lanes, x, high, low)
}

#[inline(always)]
pub fn gelu_tanh_moderate(lanes: Lanes, x: f32) -> f32 {
    let (high, low) = double_argument(lanes, x);
    let e = lifted(
        lanes,
        -high,
        -low,
        0.0,
        #[inline(always)]
        |r| r - low,
    );
    x / (1.0 + e)
}
