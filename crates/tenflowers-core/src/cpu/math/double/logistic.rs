//! tanh and the functions of the logistic curve, from one exponential.
use super::super::{GELU_CUBE, GELU_SCALE};
use super::Lanes;
use super::exp::{LIFT, exp_moderate, lifted, minus_one};

#[inline(always)]
pub fn tanh(lanes: Lanes, x: f64) -> f64 {
    let size = x.abs();
    // From 20 on it is 1.
    let size = if size > 20.0 { 20.0 } else { size };
    let e = minus_one(lanes, 2.0 * size, 0.0);
    (e / (e + 2.0)).copysign(x)
}

/// `x / (1 + exp(-v))`.
#[inline(always)]
fn gated(lanes: Lanes, x: f64, v: f64) -> f64 {
    let inside = if v > 700.0 { 700.0 } else { v };
    let inside = if inside < -760.0 { -760.0 } else { inside };
    // Both sides of the quotient are kept small where the exponential is large.
    let (lift, unit) = if v < -1.0 { (-512.0, 1.0 / LIFT) } else { (0.0, 1.0) };
    let e = lifted(lanes, -inside, 0.0, lift);
    // Beyond it is 0, however large x is, and not a number where x is infinite.
    let e = if v < -760.0 { f64::INFINITY } else { e };
    x * unit / (unit + e)
}

#[inline(always)]
pub fn sigmoid(lanes: Lanes, x: f64) -> f64 {
    gated(lanes, 1.0, x)
}

#[inline(always)]
pub fn silu(lanes: Lanes, x: f64) -> f64 {
    gated(lanes, x, x)
}

#[inline(always)]
pub fn sigmoid_moderate(lanes: Lanes, x: f64) -> f64 {
    1.0 / (1.0 + exp_moderate(lanes, -x))
}

#[inline(always)]
pub fn silu_moderate(lanes: Lanes, x: f64) -> f64 {
    x / (1.0 + exp_moderate(lanes, -x))
}

/// 2u of (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)).
#[inline(always)]
fn double_argument(lanes: Lanes, x: f64) -> f64 {
    2.0 * GELU_SCALE * lanes.fma(GELU_CUBE * x * x, x, x)
}

#[inline(always)]
pub fn gelu_tanh(lanes: Lanes, x: f64) -> f64 {
    gated(lanes, x, double_argument(lanes, if x.abs() > 100.0 { 100f64.copysign(x) } else { x }))
}

#[inline(always)]
pub fn gelu_tanh_moderate(lanes: Lanes, x: f64) -> f64 {
    x / (1.0 + exp_moderate(lanes, -double_argument(lanes, x)))
}
