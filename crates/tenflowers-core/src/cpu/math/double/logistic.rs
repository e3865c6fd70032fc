use super::super::{GELU_CUBE, GELU_SCALE};
use super::Lanes;
#[inline(always)]
pub fn tanh(_: Lanes, x: f64) -> f64 {
    x.tanh()
}
#[inline(always)]
pub fn sigmoid(_: Lanes, x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
#[inline(always)]
pub fn silu(_: Lanes, x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}
#[inline(always)]
pub fn gelu_tanh(_: Lanes, x: f64) -> f64 {
    0.5 * x * (1.0 + (GELU_SCALE * (x + GELU_CUBE * x * x * x)).tanh())
}
