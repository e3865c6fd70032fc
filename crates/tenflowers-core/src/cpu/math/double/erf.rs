use super::Lanes;
#[inline(always)]
pub fn erf(_: Lanes, x: f64) -> f64 {
    libm::erf(x)
}
#[inline(always)]
pub fn gelu(_: Lanes, x: f64) -> f64 {
    x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}
