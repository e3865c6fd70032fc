//! The functions of f64, within a few units in the last place.
use super::Lanes;

pub mod erf;
pub mod exp;
pub mod log;
pub mod logistic;
pub mod pow;
pub mod trig;

#[inline(always)]
pub fn exact_product(lanes: Lanes, a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    if lanes.is_fused() {
        return (product, a.mul_add(b, -product));
    }
    // Halves of 26 bits, whose products are exact (Dekker, 1971).
    let high = |x: f64| f64::from_bits(x.to_bits() & !0x07ff_ffff);
    let (ah, bh) = (high(a), high(b));
    let (al, bl) = (a - ah, b - bh);
    (product, ((ah * bh - product) + ah * bl + al * bh) + al * bl)
}
