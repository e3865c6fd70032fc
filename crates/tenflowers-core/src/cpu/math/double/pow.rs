//! The power, by the library.
use super::Lanes;

#[inline(always)]
pub fn pow(_: Lanes, x: f64, y: f64) -> f64 {
    x.powf(y)
}
