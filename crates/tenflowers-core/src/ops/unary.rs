//! Elementwise operations of one tensor: a row each.
use super::promote::apply_promoted;
use super::{full_like, slopes, to_dtype};
use crate::cpu::map::{map, map_moderate, map_near, map_runs};
use crate::cpu::math::Real;
use crate::cpu::number::{Number, Ordered, from_bf16};
use crate::cpu::simd::Lanes;
use crate::cpu::{View, ViewMut};
use crate::dtype::{C64, DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{self, Back, Slot};
use crate::op::{Class, Grads, Keep, Meta, Op};
use crate::tensor::Tensor;
use crate::{compute_type, ops};
use smallvec::smallvec;
use std::borrow::Cow;

/// What a unary operation is, in one place.
#[derive(Debug)]
pub struct UnaryRow {
    name: &'static str,
    before: Before,
    result: Outcome,
    /// `None` where the dtype has no kernel.
    cpu: fn(DType, &View, &mut ViewMut) -> Option<Result<()>>,
    keep: &'static [&'static str],
    vjp: fn(&Back) -> Result<Grads>,
}

/// What integers become before the operation.
#[derive(Debug, PartialEq)]
enum Before {
    Same,
    Float,
}

/// The dtype of the result.
#[derive(Debug)]
enum Outcome {
    Same,
    Bool,
    Real,
}

#[derive(Debug, Clone)]
struct Unary(&'static UnaryRow);

impl Op for Unary {
    fn name(&self) -> &'static str {
        self.0.name
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let dtype = inputs[0].dtype();
        let dtype = match self.0.result {
            Outcome::Same => dtype,
            Outcome::Bool => DType::Bool,
            Outcome::Real => dtype.to_real(),
        };
        Ok(Meta::Like(dtype))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let dtype = inputs[0].dtype;
        match (self.0.cpu)(dtype, &inputs[0], &mut outs[0]) {
            Some(done) => done,
            None if dtype == DType::Bool => {
                let what = "bool tensors are not taken; use logical_not, or convert first";
                Err(TensorError::argument(self.0.name, what))
            }
            None => Err(TensorError::dtype(self.0.name, dtype)),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        self.0.keep.iter().map(|name| slot(name)).collect()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        (self.0.vjp)(back)
    }
}

fn slot(name: &str) -> Slot {
    if name == "out" { Slot::Output(0) } else { Slot::Input(0) }
}

fn unary(row: &'static UnaryRow, input: &Tensor, target: Option<&Tensor>) -> Result<Tensor> {
    let x = if row.before == Before::Float && input.dtype().is_integral() {
        Cow::Owned(to_dtype(input, input.dtype().or_default_float())?)
    } else {
        Cow::Borrowed(input)
    };
    apply_promoted(&Unary(row), input, &[&x], target)
}

/// The static part of an operation: what integers become, and the dtype of the result; the kernel on an element, by sets of
/// dtypes; and the derivative, after the names in brackets that it reads (`out` is the result), which are what is kept.
macro_rules! unary_row {
    ($name:ident $row:ident [$($why:literal)?] $before:ident $result:ident
        { $([$($set:ident)+] $(-> $u:ty)?: $($lanes:ident)? |$x:ident| $kernel:expr $(; near $near:expr => $far:expr)? $(; moderate $limit:ident => $fast:expr)? $(=> $of_run:ident)?),+ } $(|$g:ident| [$($k:ident)*] $vjp:expr)?
    ) => {
        static $row: UnaryRow = UnaryRow {
            name: stringify!($name),
            before: Before::$before,
            result: Outcome::$result,
            cpu: |dtype, x, out| {
                $(
                    let done = compute_type!(dtype, [$($set)+], T => unary_row!(
                        @map x, out, T $($u)?, ($($lanes)?) $x, $kernel $(; near $near => $far)? $(; moderate $limit => $fast)? $(=> $of_run)?
                    ));
                    if done.is_some() {
                        return done;
                    }
                )+
                None
            },
            keep: &[$($(stringify!($k)),*)?],
            vjp: |_back| {
                $(
                    let $g = _back.grad()?;
                    $(let $k = _back.saved(slot(stringify!($k)))?;)*
                    Ok(smallvec![Some($vjp)])
                )?
                $(grad::none(stringify!($name), $why))?
            },
        };
    };
    (@map $input:ident, $out:ident, $t:ident $($u:ty)?, ($($lanes:ident)?) $x:ident, $kernel:expr) => {
        map([$input], $out, #[inline(always)] |_lanes: Lanes, [$x]: [$t; 1]| -> unary_row!(@type $t $($u)?) {
            $(let $lanes = _lanes;)?
            $kernel
        })
    };
    // A kernel that is right near 0, and one for what is far from it.
    (@map $input:ident, $out:ident, $t:ident, ($lanes:ident) $x:ident, $kernel:expr; near $near:expr => $far:expr) => {
        map_near(
            [$input],
            $out,
            #[inline(always)] |[$x]: [$t; 1]| $near,
            #[inline(always)] |$lanes: Lanes, [$x]: [$t; 1]| $kernel,
            |[$x]: [$t; 1]| $far,
        )
    };
    // A kernel, and a faster one for moderate numbers.
    (@map $input:ident, $out:ident, $t:ident, ($lanes:ident) $x:ident, $kernel:expr; moderate $limit:ident => $fast:expr) => {
        map_moderate(
            $input,
            $out,
            #[inline(always)] |x: $t| x.abs() < <$t as Real>::$limit,
            #[inline(always)] |$lanes: Lanes, $x: $t| $fast,
            #[inline(always)] |$lanes: Lanes, $x: $t| $kernel,
        )
    };
    // A kernel on an element, and on some machines one on a run.
    (@map $input:ident, $out:ident, $t:ident, ($lanes:ident) $x:ident, $kernel:expr $(; moderate $limit:ident => $fast:expr)? => $of_run:ident) => {
        match <$t as Real>::$of_run() {
            // SAFETY: it is there where it is right.
            Some(f) => unsafe { map_runs::<$t>($input, $out, f) },
            None => unary_row!(@map $input, $out, $t, ($lanes) $x, $kernel $(; moderate $limit => $fast)?),
        }
    };
    (@type $t:ident) => { $t };
    (@type $t:ident $u:ty) => { $u };
}

/// Public operations of one tensor and nothing else: a name, the parts of its row, and why it has no derivative if so.
macro_rules! unary_rows {
    ($table:ident [$($place:ident)+] $(
        $(#[doc = $doc:literal])+
        $name:ident $row:ident ($($spec:tt)*) $(no_grad $why:literal)?;
    )*) => {
        $(unary_row!($name $row [$($why)?] $($spec)*);)*
        pub mod $table {
            use super::*;
            ops! {
                [$($place)+] {$(
                    $(#[doc = $doc])+
                    pub fn $name(input: &Tensor) into target $(no_grad $why)? -> Tensor {
                        unary(&$row, input, target)
                    }
                )*}
            }
        }
        pub use $table::*;
    };
}

/// The conjugate, which the derivative of a product asks for; free for real numbers.
pub fn conj(x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_complex() { unary(&CONJ, x, None) } else { Ok(x.clone()) }
}

fn zeros(g: &Tensor) -> Result<Tensor> {
    full_like(g, g.shape(), Scalar::ZERO)
}

/// `sgn`: the direction of a number, 0 at 0.
pub(super) fn direction(z: C64) -> C64 {
    let size = z.norm();
    if size == 0.0 { C64::new(0.0, 0.0) } else { z / size }
}

fn complex_expm1(z: C64) -> C64 {
    let half = (z.im / 2.0).sin();
    C64::new(z.re.exp_m1() * z.im.cos() - 2.0 * half * half, z.re.exp() * z.im.sin())
}

fn complex_log1p(z: C64) -> C64 {
    C64::new(0.5 * (2.0 * z.re + z.re * z.re + z.im * z.im).ln_1p(), z.im.atan2(1.0 + z.re))
}

unary_rows! { math [tf method]
    /// Each element with its sign changed.
    ///
    /// A bool tensor is an error.
    ///
    /// ```python
    /// >>> tf.neg(tf.tensor([1, -2]))
    /// tensor([-1,  2])
    /// ```
    neg NEG (Same Same { [bf16 int float complex]: |x| x.negated() } |g| [] g.neg()?);
    /// The absolute value of each element; of a complex number, its length.
    ///
    /// A bool tensor is an error.
    ///
    /// ```python
    /// >>> tf.abs(tf.tensor([1, -2]))
    /// tensor([1, 2])
    /// >>> tf.abs(tf.tensor([3 + 4j]))
    /// tensor([5.])
    /// ```
    abs ABS (Same Real { [bf16]: |x| T::from_bits(x.to_bits() & 0x7fff), [int float]: |x| x.absolute(), [complex] -> f64: |z| z.norm() } |g| [x] abs_vjp(g, x)?);
    /// 1, 0 or -1: the sign of each element.
    ///
    /// Complex tensors are an `UnsupportedError`; see `sgn`.
    ///
    /// ```python
    /// >>> tf.sign(tf.tensor([-2.0, 0.0, 3.0]))
    /// tensor([-1.,  0.,  1.])
    /// ```
    sign SIGN (Same Same { [int float]: |x| x.signum0(), [bool]: |x| x } |g| [] zeros(g)?);
    /// The direction of each element: its sign, or `x / |x|` of a complex number; 0 at 0.
    ///
    /// ```python
    /// >>> tf.sgn(tf.tensor([3 + 4j]))
    /// tensor([0.6000+0.8000j])
    /// ```
    sgn SGN (Same Same { [int float]: |x| x.signum0(), [bool]: |x| x, [complex]: |z| direction(z) } |g| [x out] sgn_vjp(g, x, out)?);
    /// `1 / input`.
    ///
    /// Integers are converted to the default dtype.
    ///
    /// ```python
    /// >>> tf.reciprocal(tf.tensor([2.0, 4.0]))
    /// tensor([0.5000, 0.2500])
    /// ```
    reciprocal RECIPROCAL (Float Same { [float]: |x| 1.0 / x, [complex]: |z| z.inv() }
        |g| [out] g.mul(&conj(&out.mul(out)?)?)?.neg()?);
    /// The square root of each element.
    ///
    /// Integers are converted to the default dtype. Of negative real numbers it is not a number.
    ///
    /// ```python
    /// >>> tf.sqrt(tf.tensor([4.0, -1.0]))
    /// tensor([2., nan])
    /// ```
    sqrt SQRT (Float Same { [float complex]: |x| x.sqrt() } |g| [out] g.div(&conj(&out.mul(2.0)?)?)?);
    /// `1 / sqrt(input)`.
    ///
    /// Integers are converted to the default dtype.
    ///
    /// ```python
    /// >>> tf.rsqrt(tf.tensor([4.0, 16.0]))
    /// tensor([0.5000, 0.2500])
    /// ```
    rsqrt RSQRT (Float Same { [float]: |x| 1.0 / x.sqrt(), [complex]: |z| z.sqrt().inv() }
        |g| [out] g.mul(-0.5)?.mul(&conj(&out.mul(out)?.mul(out)?)?)?);
    /// The exponential of each element.
    ///
    /// Integers are converted to the default dtype.
    ///
    /// ```python
    /// >>> tf.exp(tf.tensor([0.0, 1.0]))
    /// tensor([1.0000, 2.7183])
    /// ```
    exp EXP (Float Same { [float]: lanes |x| lanes.exp(x); moderate MODERATE => lanes.exp_moderate(x), [complex]: |z| z.exp() } |g| [out] g.mul(&conj(out)?)?);
    /// `exp(input) - 1`, exact near 0.
    ///
    /// Integers are converted to the default dtype.
    ///
    /// ```python
    /// >>> tf.expm1(tf.tensor([0.0, 1.0]))
    /// tensor([0.0000, 1.7183])
    /// ```
    expm1 EXPM1 (Float Same { [float]: lanes |x| lanes.exp_m1(x), [complex]: |z| complex_expm1(z) } |g| [out] g.mul(&conj(&out.add(1.0)?)?)?);
    /// The natural logarithm of each element.
    ///
    /// Integers are converted to the default dtype. Of negative real numbers it is not a number.
    ///
    /// ```python
    /// >>> tf.log(tf.tensor([1.0, 10.0, 0.0]))
    /// tensor([0.0000, 2.3026,   -inf])
    /// ```
    log LOG (Float Same { [float]: lanes |x| lanes.ln(x), [complex]: |z| z.ln() } |g| [x] g.div(&conj(x)?)?);
    /// `log(1 + input)`, exact near 0.
    ///
    /// Integers are converted to the default dtype.
    ///
    /// ```python
    /// >>> tf.log1p(tf.tensor([0.0, 1.0]))
    /// tensor([0.0000, 0.6931])
    /// ```
    log1p LOG1P (Float Same { [float]: lanes |x| lanes.ln_1p(x), [complex]: |z| complex_log1p(z) } |g| [x] g.div(&conj(&x.add(1.0)?)?)?);
    /// The sine of each element, in radians.
    ///
    /// Integers are converted to the default dtype.
    ///
    /// ```python
    /// >>> tf.sin(tf.tensor([0.0, 1.0]))
    /// tensor([0.0000, 0.8415])
    /// ```
    sin SIN (Float Same { [float]: lanes |x| lanes.sin(x); near x.abs() <= <T as Real>::SIN_LIMIT => x.sin(), [complex]: |z| z.sin() } |g| [x] g.mul(&conj(&x.cos()?)?)?);
    /// The cosine of each element, in radians.
    ///
    /// Integers are converted to the default dtype.
    ///
    /// ```python
    /// >>> tf.cos(tf.tensor([0.0, 1.0]))
    /// tensor([1.0000, 0.5403])
    /// ```
    cos COS (Float Same { [float]: lanes |x| lanes.cos(x); near x.abs() <= <T as Real>::SIN_LIMIT => x.cos(), [complex]: |z| z.cos() } |g| [x] g.mul(&conj(&x.sin()?)?)?.neg()?);
    /// The hyperbolic tangent of each element.
    ///
    /// Integers are converted to the default dtype.
    ///
    /// ```python
    /// >>> tf.tanh(tf.tensor([0.0, 1.0]))
    /// tensor([0.0000, 0.7616])
    /// ```
    tanh TANH (Float Same { [float]: lanes |x| lanes.tanh(x) => tanh_of_run, [complex]: |z| z.tanh() } |g| [out] slopes::of_tanh(g, out)?);
    /// `1 / (1 + exp(-input))`.
    ///
    /// Integers are converted to the default dtype.
    ///
    /// ```python
    /// >>> tf.sigmoid(tf.tensor([0.0, 2.0]))
    /// tensor([0.5000, 0.8808])
    /// ```
    sigmoid SIGMOID (Float Same { [float]: lanes |x| lanes.sigmoid(x); moderate MODERATE => lanes.sigmoid_moderate(x), [complex]: |z| ((-z).exp() + 1.0).inv() }
        |g| [out] slopes::of_sigmoid(g, out)?);
    /// The error function of each element.
    ///
    /// `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0. Integers are converted to the default dtype. Complex
    /// tensors are an `UnsupportedError`.
    ///
    /// ```python
    /// >>> tf.erf(tf.tensor([0.0, 1.0]))
    /// tensor([0.0000, 0.8427])
    /// ```
    erf ERF (Float Same { [float]: lanes |x| lanes.erf(x) }
        |g| [x] g.mul(&x.mul(x)?.neg()?.exp()?.mul(std::f64::consts::FRAC_2_SQRT_PI)?)?);
    /// `max(input, 0)`.
    ///
    /// Bool and complex tensors are an error.
    ///
    /// ```python
    /// >>> tf.relu(tf.tensor([-1.0, 2.0]))
    /// tensor([0., 2.])
    /// ```
    relu RELU (Same Same { [bf16]: |x| if from_bf16(x) < 0.0 { T::ZERO } else { x }, [int float]: |x| if x < T::default() { T::default() } else { x } } |g| [out] slopes::of_relu(g, out)?);
    /// The largest integer that is not above each element.
    ///
    /// Integers stay; bool and complex tensors are an error.
    ///
    /// ```python
    /// >>> tf.floor(tf.tensor([1.5, -1.5]))
    /// tensor([ 1., -2.])
    /// ```
    floor FLOOR (Same Same { [float]: |x| x.floor(), [int]: |x| x } |g| [] zeros(g)?);
    /// The smallest integer that is not below each element.
    ///
    /// Integers stay; bool and complex tensors are an error.
    ///
    /// ```python
    /// >>> tf.ceil(tf.tensor([1.5, -1.5]))
    /// tensor([ 2., -1.])
    /// ```
    ceil CEIL (Same Same { [float]: |x| x.ceil(), [int]: |x| x } |g| [] zeros(g)?);
    /// Each element without its fraction.
    ///
    /// Integers stay; bool and complex tensors are an error.
    ///
    /// ```python
    /// >>> tf.trunc(tf.tensor([1.5, -1.5]))
    /// tensor([ 1., -1.])
    /// ```
    trunc TRUNC (Same Same { [float]: |x| x.trunc(), [int]: |x| x } |g| [] zeros(g)?);
    /// Each element with its imaginary part's sign changed; real ones stay.
    ///
    /// ```python
    /// >>> tf.conj_physical(tf.tensor([1 + 2j]))
    /// tensor([1.-2.j])
    /// ```
    conj_physical CONJ (Same Same { [complex]: |z| z.conj(), [int float bool]: |x| x } |g| [] conj(g)?);
}

unary_row!(isnan ISNAN ["the result is boolean"] Same Bool { [float] -> bool: |x| x.is_nan(), [complex] -> bool: |z| z.is_nan(), [int bool] -> bool: |_x| false });
unary_row!(isinf ISINF ["the result is boolean"] Same Bool {
    [float] -> bool: |x| x.is_infinite(), [complex] -> bool: |z| z.re.is_infinite() || z.im.is_infinite(), [int bool] -> bool: |_x| false
});
unary_row!(isfinite ISFINITE ["the result is boolean"] Same Bool {
    [float] -> bool: |x| x.is_finite(), [complex] -> bool: |z| z.is_finite(), [int bool] -> bool: |_x| true
});

unary_rows! { predicates [tf method]
    /// Where an element is zero.
    ///
    /// The result is a bool tensor.
    ///
    /// ```python
    /// >>> tf.logical_not(tf.tensor([0, 1, 2]))
    /// tensor([ True, False, False])
    /// ```
    logical_not LOGICAL_NOT (Same Bool { [float int complex] -> bool: |x| x == T::default(), [bool]: |x| !x }) no_grad "the result is boolean";
    /// Each bit turned round.
    ///
    /// Of integers or bools.
    ///
    /// ```python
    /// >>> tf.bitwise_not(tf.tensor([0, 5]))
    /// tensor([-1, -6])
    /// >>> tf.bitwise_not(tf.tensor([True, False]))
    /// tensor([False,  True])
    /// ```
    bitwise_not BITWISE_NOT (Same Same { [int bool]: |x| !x }) no_grad "integers have no derivative";
}

unary_row!(silu SILU [] Same Same { [float]: lanes |x| lanes.silu(x); moderate MODERATE => lanes.silu_moderate(x), [complex]: |z| z * ((-z).exp() + 1.0).inv() }
    |g| [x] slopes::of_silu(g, x)?);
unary_row!(gelu GELU [] Same Same { [float]: lanes |x| lanes.gelu(x); moderate GELU_MODERATE => lanes.gelu_moderate(x) => gelu_of_run }
    |g| [x] slopes::of_gelu(g, x)?);
unary_row!(gelu GELU_TANH [] Same Same { [float]: lanes |x| lanes.gelu_tanh(x); moderate GELU_TANH_MODERATE => lanes.gelu_tanh_moderate(x) }
    |g| [x] slopes::of_gelu_tanh(g, x)?);

unary_row!(logsigmoid LOG_SIGMOID [] Same Same { [float]: lanes |x| {
        let below = if x > 0.0 { 0.0 } else { x };
        below - lanes.ln_1p(lanes.exp(-x.abs()))
    } }
    |g| [x] slopes::of_log_sigmoid(g, x)?);

fn abs_vjp(g: &Tensor, x: &Tensor) -> Result<Tensor> {
    g.mul(&sgn(x)?)
}

/// The direction turns with the number, and does not change along it: of a real number, nowhere.
fn sgn_vjp(g: &Tensor, x: &Tensor, out: &Tensor) -> Result<Tensor> {
    if !x.dtype().is_complex() {
        return zeros(g);
    }
    // g / |x| less its part along the direction: (g - s * Re(g * conj(s))) / |x|, and 0 at 0.
    let along = to_dtype(&to_dtype(&g.mul(&conj(out)?)?, x.dtype().to_real())?, x.dtype())?;
    let size = x.abs()?;
    let turned = g.sub(&out.mul(&along)?)?.div(&size)?;
    super::select::where_(&size.eq(0)?, Scalar::ZERO.into(), (&turned).into())
}

pub mod activations {
    use super::*;
    ops! {
        [nn] {
            /// `x * sigmoid(x)` for each element.
            ///
            /// Of a floating point or complex dtype (Elfwing et al., 2018; Ramachandran et al., 2017).
            ///
            /// ```python
            /// >>> F.silu(tf.tensor([-1.0, 0.0, 1.0]))
            /// tensor([-0.2689,  0.0000,  0.7311])
            /// ```
            pub fn silu(input: &Tensor, inplace: bool = false) -> Tensor {
                unary(&SILU, input, inplace.then_some(input))
            }
            /// `log(sigmoid(x))` for each element, exact where the sigmoid is 0 or 1.
            ///
            /// Of a floating point dtype.
            ///
            /// ```python
            /// >>> F.logsigmoid(tf.tensor([-200.0, 0.0, 200.0]))
            /// tensor([-200.0000,   -0.6931,    0.0000])
            /// ```
            pub fn logsigmoid(input: &Tensor) -> Tensor {
                unary(&LOG_SIGMOID, input, None)
            }
            /// `x * P(X <= x)` for a standard normal X, or with `approximate="tanh"` its approximation by tanh.
            ///
            /// Of a floating point dtype (Hendrycks and Gimpel, 2016).
            ///
            /// ```python
            /// >>> F.gelu(tf.tensor([-1.0, 0.0, 1.0]))
            /// tensor([-0.1587,  0.0000,  0.8413])
            /// ```
            pub fn gelu(input: &Tensor; approximate: &str = "none") -> Tensor {
                match approximate {
                    "none" => unary(&GELU, input, None),
                    "tanh" => unary(&GELU_TANH, input, None),
                    other => Err(TensorError::argument("gelu", format!("approximate must be 'none' or 'tanh', not '{other}'"))),
                }
            }
        }
        [tf method] {
            /// Where an element is not a number.
            ///
            /// The result is a bool tensor.
            ///
            /// ```python
            /// >>> tf.isnan(tf.tensor([1.0, float("nan")]))
            /// tensor([False,  True])
            /// ```
            pub fn isnan(input: &Tensor) no_grad "the result is boolean" -> Tensor {
                unary(&ISNAN, input, None)
            }
            /// Where an element is infinite, a complex one in one of its parts.
            ///
            /// The result is a bool tensor.
            ///
            /// ```python
            /// >>> tf.isinf(tf.tensor([1.0, float("-inf")]))
            /// tensor([False,  True])
            /// ```
            pub fn isinf(input: &Tensor) no_grad "the result is boolean" -> Tensor {
                unary(&ISINF, input, None)
            }
            /// Where an element is neither infinite nor not a number.
            ///
            /// The result is a bool tensor.
            ///
            /// ```python
            /// >>> tf.isfinite(tf.tensor([1.0, float("inf"), float("nan")]))
            /// tensor([ True, False, False])
            /// ```
            pub fn isfinite(input: &Tensor) no_grad "the result is boolean" -> Tensor {
                unary(&ISFINITE, input, None)
            }
            /// Each element to the power of two.
            ///
            /// ```python
            /// >>> tf.square(tf.tensor([2.0, -3.0]))
            /// tensor([4., 9.])
            /// ```
            pub fn square(input: &Tensor) into target -> Tensor {
                super::super::pow::to(target, input.into(), Scalar::Int(2).into())
            }
            /// Each element rounded to `decimals` places, halves to the even neighbour.
            ///
            /// With `decimals` only floating point tensors.
            ///
            /// ```python
            /// >>> tf.round(tf.tensor([0.5, 1.5, 2.5]))
            /// tensor([0., 2., 2.])
            /// >>> tf.round(tf.tensor([1.2345]), decimals=2)
            /// tensor([1.2300])
            /// ```
            pub fn round(input: &Tensor; decimals: i64 = 0) into target -> Tensor {
                if decimals == 0 {
                    return unary(&ROUND, input, target);
                }
                if !input.dtype().is_float() {
                    return Err(TensorError::unsupported("round", format!("decimals and dtype {}", input.dtype())));
                }
                let scale = 10f64.powi(i32::try_from(decimals.abs()).unwrap_or(i32::MAX));
                let scaled = if decimals > 0 { input.mul(scale)? } else { input.div(scale)? };
                let rounded = round(&scaled, 0)?;
                let result = if decimals > 0 { rounded.div(scale)? } else { rounded.mul(scale)? };
                match target {
                    Some(target) => super::super::promote::written("round", target, &result),
                    None => Ok(result),
                }
            }
        }
    }
}
pub use activations::*;
unary_row!(round ROUND [] Same Same { [float]: |x| x.round_ties_even(), [int]: |x| x } |g| [] zeros(g)?);
