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
    // A product of two f32 is an f64.
    let rest = if lanes.is_fused() {
        a.mul_add(b, -product)
    } else {
        (f64::from(a) * f64::from(b) - f64::from(product)) as f32
    };
    (product, rest)
}

/// `a * b + c`, rounded once on every machine.
#[inline(always)]
pub fn exact_fma(lanes: Lanes, a: f32, b: f32, c: f32) -> f32 {
    if lanes.is_fused() { a.mul_add(b, c) } else { (f64::from(a) * f64::from(b) + f64::from(c)) as f32 }
}
