//! Functions of real numbers that vectorise: no branches, no tables, no calls, so that LLVM turns a loop over them into
//! vector code for whatever instruction set the loop is compiled for.
//!
//! They are methods of [`Lanes`], which a kernel gets from `vectorize`: `lanes.exp(x)`. In `single` are those of f32, in
//! `double` those of f64.
use super::simd::Lanes;
#[cfg(target_arch = "x86_64")]
use super::simd::{Isa, isa};

mod double;
mod lookup;
mod single;
#[cfg(test)]
mod tests;

/// A function of a run of elements, by where it is, where the results go (there as well, or apart from it), and how many.
pub type OfRun<T> = unsafe fn(*const T, *mut T, usize);

/// States the functions: in the trait, for both types, and as methods of `Lanes`.
macro_rules! functions {
    ($($(#[doc = $doc:literal])+ $file:ident $name:ident ($($y:ident)?);)*) => {
        /// A type that the functions are written for.
        pub trait Real: num_traits::Float {
            /// Up to where `sin` and `cos` are exact.
            const SIN_LIMIT: Self;
            /// Numbers below it in size are moderate: their exponentials, and those of their negatives, are normal numbers.
            const MODERATE: Self;
            /// The same for `gelu` and `gelu_tanh`, of which the exponentials are those of larger numbers.
            const GELU_MODERATE: Self;
            const GELU_TANH_MODERATE: Self;
            /// The product `a * b` as a rounded number and what the rounding left.
            fn exact_product(self, other: Self, lanes: Lanes) -> (Self, Self);
            /// `gelu` of a run where that is faster on this machine than element by element.
            fn gelu_of_run() -> Option<OfRun<Self>> {
                None
            }
            /// `tanh` of a run where that is faster on this machine than element by element.
            fn tanh_of_run() -> Option<OfRun<Self>> {
                None
            }
            $(fn $name(self, $($y: Self,)? lanes: Lanes) -> Self;)*
        }
        impl Real for f32 {
            const SIN_LIMIT: f32 = single::trig::LIMIT;
            const MODERATE: f32 = 87.0;
            const GELU_MODERATE: f32 = single::erf::END;
            const GELU_TANH_MODERATE: f32 = 9.0;
            #[cfg(target_arch = "x86_64")]
            fn gelu_of_run() -> Option<OfRun<f32>> {
                (isa() == Isa::Avx512).then_some(lookup::gelu)
            }
            #[cfg(target_arch = "x86_64")]
            fn tanh_of_run() -> Option<OfRun<f32>> {
                (isa() == Isa::Avx512).then_some(lookup::tanh)
            }
            #[inline(always)]
            fn exact_product(self, other: f32, lanes: Lanes) -> (f32, f32) {
                single::exact_product(lanes, self, other)
            }
            $(
                #[inline(always)]
                fn $name(self, $($y: f32,)? lanes: Lanes) -> f32 {
                    single::$file::$name(lanes, self $(, $y)?)
                }
            )*
        }
        impl Real for f64 {
            const SIN_LIMIT: f64 = double::trig::LIMIT;
            const MODERATE: f64 = 708.0;
            const GELU_MODERATE: f64 = 36.0;
            const GELU_TANH_MODERATE: f64 = 20.0;
            #[inline(always)]
            fn exact_product(self, other: f64, lanes: Lanes) -> (f64, f64) {
                double::exact_product(lanes, self, other)
            }
            $(
                #[inline(always)]
                fn $name(self, $($y: f64,)? lanes: Lanes) -> f64 {
                    double::$file::$name(lanes, self $(, $y)?)
                }
            )*
        }
        impl Lanes {$(
            $(#[doc = $doc])+
            #[inline(always)]
            pub fn $name<T: Real>(self, x: T $(, $y: T)?) -> T {
                Real::$name(x, $($y,)? self)
            }
        )*}
    };
}
functions! {
    /// e to the power of `x`.
    exp exp();
    /// `exp` of a moderate number, the same and faster.
    exp exp_moderate();
    /// e to the power of an `x` that is not above 0; 0 where that is less than a normal number.
    exp exp_nonpositive();
    /// `exp(x) - 1`, exact near 0.
    exp exp_m1();
    /// The natural logarithm.
    log ln();
    /// `ln(1 + x)`, exact near 0.
    log ln_1p();
    /// `x` to the power of `y`.
    pow pow(y);
    /// The sine of up to `Real::SIN_LIMIT` in size.
    trig sin();
    /// The cosine of up to `Real::SIN_LIMIT` in size.
    trig cos();
    /// The hyperbolic tangent.
    logistic tanh();
    /// `1 / (1 + exp(-x))`.
    logistic sigmoid();
    /// `x / (1 + exp(-x))`.
    logistic silu();
    /// `sigmoid` of a moderate number, the same and faster.
    logistic sigmoid_moderate();
    /// `silu` of a moderate number, the same and faster.
    logistic silu_moderate();
    /// The error function.
    erf erf();
    /// `x` times the probability that a standard normal variable is below it.
    erf gelu();
    /// `gelu` of a number below `Real::GELU_MODERATE` in size, the same and faster.
    erf gelu_moderate();
    /// The derivative of `gelu`.
    erf gelu_slope();
    /// The approximation of `gelu` by tanh (Hendrycks and Gimpel, 2016).
    logistic gelu_tanh();
    /// `gelu_tanh` of a number below `Real::GELU_TANH_MODERATE` in size, the same and faster.
    logistic gelu_tanh_moderate();
}

/// `sqrt(2 / pi)`, and the factor of the cube: the argument of tanh in `gelu_tanh` is `SCALE * (x + CUBE * x^3)`.
pub const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
pub const GELU_CUBE: f64 = 0.044_715;

impl Lanes {
    /// `c[0] + c[1] x + c[2] x^2 ...`, by Horner's rule.
    #[inline(always)]
    pub fn polynomial<T: num_traits::Float, const N: usize>(self, x: T, c: [T; N]) -> T {
        let mut sum = c[N - 1];
        for k in (0..N - 1).rev() {
            sum = self.fma(sum, x, c[k]);
        }
        sum
    }

    /// The same, of at least two coefficients, by even and odd powers apart: a chain of operations half as long, where that is
    /// what a function waits for, and one rounding more.
    #[inline(always)]
    pub fn polynomial_in_two<T: num_traits::Float, const N: usize>(self, x: T, c: [T; N]) -> T {
        let square = x * x;
        let mut sums = [c[N - 2], c[N - 1]];
        for k in (0..N - 2).rev() {
            let sum = &mut sums[(N - k) % 2];
            *sum = self.fma(*sum, square, c[k]);
        }
        let [first, second] = if N.is_multiple_of(2) { sums } else { [sums[1], sums[0]] };
        self.fma(second, x, first)
    }
}
