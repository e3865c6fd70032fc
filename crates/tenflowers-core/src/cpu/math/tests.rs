//! Every function over its whole range against a better one.
use super::*;
use crate::cpu::simd::tests::each_isa;
use crate::cpu::simd::vectorize;

/// The distance from the true value in units in the last place of the result.
fn ulps(found: f32, true_value: f64) -> f64 {
    if f64::from(found) == true_value || found.is_nan() && true_value.is_nan() {
        return 0.0;
    }
    let rounded = true_value as f32;
    if rounded.is_infinite() || found.is_infinite() || rounded.is_nan() || found.is_nan() {
        return if rounded == found { 0.0 } else { f64::INFINITY };
    }
    let step = f64::from(rounded.abs().next_up()) - f64::from(rounded.abs());
    (f64::from(found) - true_value).abs() / step
}

/// A sample of all f32, and those where something special is asked of a function.
fn sweep() -> Vec<f32> {
    let special =
        [0.0, 1.0, 0.5, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, f32::NAN, f32::from_bits(1), f32::EPSILON];
    let signed = special.into_iter().flat_map(|x| [x, -x]);
    // A NaN may hold any bits.
    let nans = [f32::from_bits(0x7fc0_01ff), f32::from_bits(0xffff_ffff), f32::from_bits(0x7f80_0123)];
    (0..=u32::MAX / STEP).map(|i| f32::from_bits(i * STEP)).chain(signed).chain(nans).collect()
}
/// Of the bit patterns every so many'th is tested.
const STEP: u32 = if cfg!(debug_assertions) { 4999 } else { 97 };

fn check(name: &str, f: impl Fn(Lanes, f32) -> f32, reference: impl Fn(f64) -> f64, off: impl Fn(f32, f64) -> bool) {
    each_isa(|isa| {
        let all = sweep();
        let mut out = vec![0.0; all.len()];
        vectorize(
            #[inline(always)]
            |lanes| out.iter_mut().zip(&all).for_each(|(y, &x)| *y = f(lanes, x)),
        );
        let (mut worst, mut at, mut wrong) = (0.0, 0.0, 0);
        for (&x, &y) in all.iter().zip(&out) {
            let true_value = reference(f64::from(x));
            let u = ulps(y, true_value);
            if off(y, true_value) {
                wrong += 1;
                if wrong < 4 {
                    println!("{name} {isa:?}: f({x:e}) = {y:e}, not {true_value:e}: {u} ulps");
                }
            }
            if u > worst && true_value.abs() > 1e-6 {
                (worst, at) = (u, x);
            }
        }
        println!("{name} {isa:?}: {worst:.3} ulps at {at:e}");
        assert_eq!(wrong, 0, "{name} {isa:?}: {worst} ulps at {at:e}");
    });
}

macro_rules! within {
    ($($test:ident: $most:literal ulps, $f:ident is $reference:expr;)*) => {$(
        #[test]
        fn $test() {
            check(stringify!($f), #[inline(always)] |lanes, x| lanes.$f(x), $reference, |y, r| {
                ulps(y, r) > $most || r == 0.0 && y.is_sign_negative() != r.is_sign_negative()
            });
        }
    )*};
}
within! {
    exp_is_within_two_ulps: 2.0 ulps, exp is f64::exp;
    exp_m1_is_within_two_ulps: 2.0 ulps, exp_m1 is f64::exp_m1;
    ln_is_within_two_ulps: 2.0 ulps, ln is f64::ln;
    ln_1p_is_within_two_ulps: 2.0 ulps, ln_1p is f64::ln_1p;
    tanh_is_within_two_ulps: 2.0 ulps, tanh is f64::tanh;
    erf_is_within_two_ulps: 2.0 ulps, erf is libm::erf;
    sigmoid_is_within_three_ulps: 3.0 ulps, sigmoid is |x: f64| 1.0 / (1.0 + (-x).exp());
    silu_is_within_three_ulps: 3.0 ulps, silu is |x: f64| x / (1.0 + (-x).exp());
}

/// 4 units in the last place, or 3e-8 where the value is below 1e-6.
fn off_gelu(y: f32, r: f64) -> bool {
    ulps(y, r) > 4.0 && !(r.abs() <= 1e-6 && (f64::from(y) - r).abs() <= 3e-8)
}

#[test]
fn gelu_is_within_four_ulps() {
    let normal = |x: f64| x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
    check(
        "gelu",
        #[inline(always)]
        |lanes, x| lanes.gelu(x),
        normal,
        off_gelu,
    );
}

#[test]
fn gelu_by_tanh_is_within_four_ulps() {
    let curve = |x: f64| x / (1.0 + (-2.0 * GELU_SCALE * (x + GELU_CUBE * x * x * x)).exp());
    check(
        "gelu_tanh",
        #[inline(always)]
        |lanes, x| lanes.gelu_tanh(x),
        curve,
        off_gelu,
    );
}
