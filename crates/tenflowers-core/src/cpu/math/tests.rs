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
fn sweep(step: u32) -> Vec<f32> {
    let special =
        [0.0, 1.0, 0.5, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, f32::NAN, f32::from_bits(1), f32::EPSILON];
    let signed = special.into_iter().flat_map(|x| [x, -x]);
    // A NaN may hold any bits.
    let nans = [f32::from_bits(0x7fc0_01ff), f32::from_bits(0xffff_ffff), f32::from_bits(0x7f80_0123)];
    (0..=u32::MAX / step).map(|i| f32::from_bits(i * step)).chain(signed).chain(nans).collect()
}
/// Of the bit patterns every so many'th is tested.
const STEP: u32 = if cfg!(debug_assertions) { 4999 } else { 97 };

fn check(
    name: &str,
    step: u32,
    f: impl Fn(Lanes, f32) -> f32,
    reference: impl Fn(f64) -> f64,
    off: impl Fn(f32, f64) -> bool,
) {
    each_isa(|isa| {
        let all = sweep(step);
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
            check(stringify!($f), STEP, #[inline(always)] |lanes, x| lanes.$f(x), $reference, |y, r| {
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

#[test]
fn sin_and_cos_are_within_two_ulps() {
    let far = |x: f32| x.abs() > <f32 as Real>::SIN_LIMIT;
    let off = |y: f32, r: f64| ulps(y, r) > 2.0;
    check(
        "sin",
        STEP,
        #[inline(always)]
        |lanes, x| if far(x) { x.sin() } else { lanes.sin(x) },
        f64::sin,
        off,
    );
    check(
        "cos",
        STEP,
        #[inline(always)]
        |lanes, x| if far(x) { x.cos() } else { lanes.cos(x) },
        f64::cos,
        off,
    );
}

#[test]
fn pow_is_within_four_ulps() {
    let exponents =
        [0.0, 1.0, 2.0, 3.0, 0.5, 1.7, -0.3, 16.5, 1e-3, 8_388_609.0, 1e30, f32::INFINITY, f32::NAN, f32::from_bits(1)];
    for y in exponents.into_iter().flat_map(|y| [y, -y]) {
        check(
            "pow",
            23 * STEP,
            #[inline(always)]
            |lanes, x| lanes.pow(x, y),
            |x| x.powf(y.into()),
            |p, r| ulps(p, r) > 4.0 || r == 0.0 && p.is_sign_negative() != r.is_sign_negative(),
        );
    }
}

#[test]
fn exp_nonpositive_is_off_by_little_more_than_its_argument() {
    each_isa(|isa| {
        let x: Vec<f32> = (0..870_000).map(|i| i as f32 * -1e-4).collect();
        let mut y = x.clone();
        vectorize(
            #[inline(always)]
            |lanes| y.iter_mut().for_each(|y| *y = lanes.exp_nonpositive(*y)),
        );
        // Where products and sums are rounded apart, the error grows with the argument.
        let error =
            |(&x, &y): (&f32, &f32)| (f64::from(y) / f64::from(x).exp() - 1.0).abs() / (4.0 + f64::from(x.abs()));
        let worst = x.iter().zip(&y).map(error).fold(0.0, f64::max);
        assert!(worst < 8e-8, "{isa:?}: {worst}");
        let least = [f64::NEG_INFINITY, -1e300, -708.5, -0.0, 0.0];
        let far = least.map(|x| exp_nonpositive(x as f32));
        assert_eq!(far, [0.0, 0.0, 0.0, 1.0, 1.0], "{isa:?}");
        assert_eq!(least.map(exp_nonpositive), [0.0, 0.0, 0.0, 1.0, 1.0], "{isa:?}");
        // Whatever a NaN holds beside.
        for bits in [0x7fc0_0000, 0x7fff_ffff, 0xff81_2345, 0x7fc0_0001] {
            assert!(exp_nonpositive(f32::from_bits(bits)).is_nan(), "{isa:?}: {bits:x}");
            assert!(
                exp_nonpositive(f64::from_bits((0x7ff8_0000 | u64::from(bits)) << 32 | 1)).is_nan(),
                "{isa:?}: {bits:x}"
            );
        }
    });
}

fn exp_nonpositive<T: Real>(x: T) -> T {
    vectorize(
        #[inline(always)]
        |lanes| lanes.exp_nonpositive(x),
    )
}

#[test]
fn functions_of_moderate_numbers_are_the_same_functions() {
    fn check<T: Real + std::fmt::Debug>(limit: T, all: &[T], names: &str, f: impl Fn(Lanes, T) -> [T; 2]) {
        let all: Vec<T> = all.iter().copied().filter(|x| x.abs() < limit).collect();
        assert!(all.len() > 1000);
        each_isa(|isa| {
            let mut found = vec![[T::zero(); 2]; all.len()];
            vectorize(
                #[inline(always)]
                |lanes| found.iter_mut().zip(&all).for_each(|(y, &x)| *y = f(lanes, x)),
            );
            for (x, y) in all.iter().zip(&found) {
                assert!(y[0] == y[1], "{names} {isa:?}: {x:?}: {y:?}");
            }
        });
    }
    fn check_all<T: Real + std::fmt::Debug>(all: &[T]) {
        macro_rules! pairs {
            ($($limit:ident $full:ident $moderate:ident;)*) => {$(
                check(T::$limit, all, stringify!($full), #[inline(always)] |lanes, x| [lanes.$full(x), lanes.$moderate(x)]);
            )*};
        }
        pairs! {
            MODERATE exp exp_moderate;
            MODERATE sigmoid sigmoid_moderate;
            MODERATE silu silu_moderate;
            GELU_MODERATE gelu gelu_moderate;
            GELU_TANH_MODERATE gelu_tanh gelu_tanh_moderate;
        }
    }
    let even = (0..100_000).map(|i| f64::from(i - 50_000) * 2e-5);
    let double: Vec<f64> =
        [9.0, 36.0, 87.0, 708.0].into_iter().flat_map(|most| even.clone().map(move |x| x * most)).collect();
    let single: Vec<f32> = double.iter().map(|&x| x as f32).chain(sweep(STEP)).collect();
    check_all(&single);
    check_all(&double);
}

/// Of f64 against the library, in units in the last place.
fn check_double(
    name: &str,
    most: f64,
    f: impl Fn(Lanes, f64) -> f64,
    reference: impl Fn(f64) -> f64,
    range: std::ops::Range<f64>,
) {
    each_isa(|isa| {
        let special = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            f64::MIN_POSITIVE,
            1e-310,
            1e-30,
            -1e-30,
            1e300,
            -1e300,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        let even = (0..200_000).map(|i| range.start + (range.end - range.start) * f64::from(i) / 2e5);
        let small = (-900..300).map(|i| 1.37f64.powi(i));
        let all: Vec<f64> = even.chain(small.clone()).chain(small.map(|x| -x)).chain(special).collect();
        let mut out = vec![0.0; all.len()];
        vectorize(
            #[inline(always)]
            |lanes| out.iter_mut().zip(&all).for_each(|(y, &x)| *y = f(lanes, x)),
        );
        let (mut worst, mut at) = (0.0, 0.0);
        for (&x, &y) in all.iter().zip(&out) {
            let r = reference(x);
            if y == r || y.is_nan() && r.is_nan() {
                continue;
            }
            // The references lose digits where numbers are not normal.
            let step = (r.abs().next_up() - r.abs()).max(1e-320);
            let u = if y.is_finite() && r.is_finite() { (y - r).abs() / step } else { f64::INFINITY };
            if u > worst {
                (worst, at) = (u, x);
            }
        }
        println!("{name} {isa:?}: {worst:.3} at {at:e}");
        assert!(worst <= most, "{name} {isa:?}: {worst} at {at:e}: {} not {}", f(Lanes::baseline(), at), reference(at));
    });
}

macro_rules! double {
    ($($f:ident $most:literal ($range:expr) $reference:expr;)*) => {
        #[test]
        fn double_precision_is_within_a_few_ulps() {
            $(check_double(stringify!($f), $most, #[inline(always)] |lanes, x| lanes.$f(x), $reference, $range);)*
        }
    };
}
double! {
    exp 2.0 (-750.0..710.0) f64::exp;
    exp_m1 3.0 (-3.0..3.0) f64::exp_m1;
    ln 2.0 (0.0..3.0) f64::ln;
    ln_1p 2.0 (-1.0..3.0) f64::ln_1p;
    tanh 4.0 (-4.0..4.0) f64::tanh;
    sigmoid 4.0 (-40.0..40.0) |x: f64| if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) };
    silu 5.0 (-40.0..40.0) |x: f64| if x < 0.0 { x * (x.exp() / (1.0 + x.exp())) } else { x / (1.0 + (-x).exp()) };
    erf 3.0 (-4.0..4.0) libm::erf;
}

#[test]
fn double_precision_exp_nonpositive_is_within_two_ulps() {
    let within = |x: f64| (-708.0..=0.0).contains(&x);
    let f = |lanes: Lanes, x: f64| if within(x) { lanes.exp_nonpositive(x) } else { 0.0 };
    check_double("exp_nonpositive", 2.0, f, |x| if within(x) { x.exp() } else { 0.0 }, -708.0..0.0);
}

#[test]
fn double_precision_gelu_is_near() {
    // Further out the argument of the reference is not exact enough.
    let near = |x: f64| x > -4.0;
    let normal = |x: f64| x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
    let f = |lanes: Lanes, x: f64| if near(x) { lanes.gelu(x) } else { 0.0 };
    check_double("gelu", 32.0, f, |x| if near(x) { normal(x) } else { 0.0 }, -6.0..6.0);
}

#[test]
fn double_precision_sin_and_cos_are_within_two_ulps() {
    let far = |x: f64| x.is_nan() || x.abs() > <f64 as Real>::SIN_LIMIT;
    let range = -100.0..100.0;
    check_double(
        "sin",
        2.0,
        #[inline(always)]
        |lanes, x| if far(x) { x.sin() } else { lanes.sin(x) },
        f64::sin,
        range.clone(),
    );
    check_double(
        "cos",
        2.0,
        #[inline(always)]
        |lanes, x| if far(x) { x.cos() } else { lanes.cos(x) },
        f64::cos,
        range,
    );
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
        STEP,
        #[inline(always)]
        |lanes, x| lanes.gelu(x),
        normal,
        off_gelu,
    );
}

#[test]
fn gelu_slope_is_off_by_little() {
    let slope = |x: f64| {
        let rise = if x.abs() > 40.0 { 0.0 } else { x * (-0.5 * x * x).exp() * 0.398_942_280_401_432_7 };
        0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2) + rise
    };
    check(
        "gelu_slope",
        STEP,
        #[inline(always)]
        |lanes, x| lanes.gelu_slope(x),
        slope,
        |y, r| y.is_nan() != r.is_nan() || (f64::from(y) - r).abs() > 1.5e-7,
    );
}

/// A function of runs, over runs of every length up to 39 and a long one.
fn check_runs(name: &str, f: Option<OfRun<f32>>, reference: impl Fn(f64) -> f64, off: impl Fn(f32, f64) -> bool) {
    let Some(f) = f else { return };
    let all = sweep(STEP);
    let mut found = vec![0.0; all.len()];
    let ends: Vec<usize> = (0..40).map(|n| n * (n + 1) / 2).chain([all.len()]).collect();
    for ends in ends.windows(2) {
        let to = &mut found[ends[0]..ends[1]];
        // SAFETY: as many elements are on both sides, and the function is one for this machine.
        unsafe { f(all[ends[0]..ends[1]].as_ptr(), to.as_mut_ptr(), to.len()) };
    }
    for (&x, y) in all.iter().zip(found) {
        let true_value = reference(f64::from(x));
        assert!(!off(y, true_value), "{name}({x:e}) = {y:e}, not {true_value:e}");
    }
}

#[test]
fn gelu_by_lookup_is_within_four_ulps() {
    let normal = |x: f64| 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
    check_runs("gelu", <f32 as Real>::gelu_of_run(), normal, off_gelu);
}

#[test]
fn tanh_by_lookup_is_within_two_ulps_and_never_falls() {
    let f = <f32 as Real>::tanh_of_run();
    let off =
        |y: f32, r: f64| ulps(y, r) > 2.0 || y.abs() > 1.0 || r == 0.0 && y.is_sign_negative() != r.is_sign_negative();
    check_runs("tanh", f, f64::tanh, off);
    let Some(f) = f else { return };
    let rising: Vec<f32> = (0..200_001).map(|i| i as f32 * 5e-5).collect();
    let mut found = vec![0.0; rising.len()];
    // SAFETY: as above.
    unsafe { f(rising.as_ptr(), found.as_mut_ptr(), rising.len()) };
    assert!(found.is_sorted());
    assert_eq!(found[found.len() - 1], 1.0);
}

#[test]
fn gelu_by_tanh_is_within_four_ulps() {
    let curve = |x: f64| x / (1.0 + (-2.0 * GELU_SCALE * (x + GELU_CUBE * x * x * x)).exp());
    check(
        "gelu_tanh",
        STEP,
        #[inline(always)]
        |lanes, x| lanes.gelu_tanh(x),
        curve,
        off_gelu,
    );
}
