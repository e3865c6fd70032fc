//! The functions of f32. Errors, measured over the range, are within 2 units in the last place, of `sigmoid` and `silu` 3.
use super::Lanes;

pub mod erf;
pub mod exp;
pub mod log;
pub mod logistic;
pub mod pow;
pub mod trig;

#[inline(always)]
pub fn exact_product(lanes: Lanes, a: f32, b: f32) -> (f32, f32) {
    let product = a * b;
    (product, exact_fma(lanes, a, b, -product))
}

/// `a * b + c`, rounded once on every machine: a product of two f32 is an f64.
#[inline(always)]
pub fn exact_fma(lanes: Lanes, a: f32, b: f32, c: f32) -> f32 {
    if lanes.is_fused() { a.mul_add(b, c) } else { (f64::from(a) * f64::from(b) + f64::from(c)) as f32 }
}
