use super::Lanes;
#[inline(always)]
pub fn ln(_: Lanes, x: f64) -> f64 {
    x.ln()
}
#[inline(always)]
pub fn ln_1p(_: Lanes, x: f64) -> f64 {
    x.ln_1p()
}
