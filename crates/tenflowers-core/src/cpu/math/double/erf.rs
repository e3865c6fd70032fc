use super::Lanes;
#[inline(always)]
pub fn erf(_: Lanes, x: f64) -> f64 {
    libm::erf(x)
}
#[inline(always)]
pub fn gelu(_: Lanes, x: f64) -> f64 {
    x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

#[inline(always)]
pub fn gelu_slope(_: Lanes, x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2) + x * 0.398_942_280_401_432_7 * (-0.5 * x * x).exp()
}
