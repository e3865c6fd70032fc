use super::Lanes;
#[inline(always)]
pub fn exp(_: Lanes, x: f64) -> f64 {
    x.exp()
}
#[inline(always)]
pub fn exp_m1(_: Lanes, x: f64) -> f64 {
    x.exp_m1()
}
