//! Elementwise operations of two operands, the second of which may be a number: a row each.
use super::bounds::Clamp;
use super::promote::{apply_promoted, cast, keeps, result_type, tensor, written};
use super::select::where_;
use super::unary::conj;
use super::{full_like, reduce::sum_to, to_dtype};
use crate::cpu::division::Divided;
use crate::cpu::number::{Number, Ordered, from_bf16, to_bf16};
use crate::cpu::{View, ViewMut};
use crate::dtype::{C64, DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::{Layout, broadcast};
use crate::op::{Class, Grads, Keep, Meta, Op, apply, apply_to};
use crate::schema::Operand;
use crate::tensor::Tensor;
use crate::{compute_type, ops, storage_type};
use smallvec::smallvec;

/// What a binary operation is, in one place.
#[derive(Debug)]
pub(super) struct BinaryRow {
    pub name: &'static str,
    /// Whether the result is boolean; otherwise it has the operands' dtype.
    pub bool_result: bool,
    /// Whether integers are divided, which zero forbids.
    pub divides: bool,
    /// `None` where the dtype has no kernel.
    pub cpu: fn(DType, [&View; 2], &mut ViewMut) -> Option<Result<()>>,
    pub keep: [&'static [&'static str]; 2],
    pub vjp: fn(&Back, Option<Scalar>) -> Result<Grads>,
}

#[derive(Debug, Clone)]
struct Binary {
    row: &'static BinaryRow,
    scalar: Option<Scalar>,
}

impl Op for Binary {
    fn name(&self) -> &'static str {
        self.row.name
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let a = inputs[0];
        let dtype = if self.row.bool_result { DType::Bool } else { a.dtype() };
        match inputs.get(1) {
            Some(b) if b.dtype() != a.dtype() => {
                let what = "expected operands of one dtype";
                Err(TensorError::DType { op: self.row.name, what, left: a.dtype(), right: b.dtype() })
            }
            Some(b) if a.shape() != b.shape() => Meta::one(broadcast(self.row.name, a.shape(), b.shape())?, dtype),
            _ => Ok(Meta::Like(dtype)),
        }
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let dtype = inputs[0].dtype;
        let (mut number, layout) = ([0u128; 1], Layout::contiguous(&[]));
        let b = match self.scalar {
            None => inputs[1],
            Some(s) => {
                let place = number.as_mut_ptr();
                storage_type!(dtype, T => {
                    // SAFETY: the place holds any element, aligned.
                    unsafe { place.cast::<T>().write(<T as crate::Element>::of(s)) }
                });
                // SAFETY: one element, which lives to the end of the kernel.
                unsafe { View::new(place.cast(), &layout, dtype) }
            }
        };
        if self.row.divides && dtype.is_integral() {
            // Without an early end it is one pass over vectors.
            let any = storage_type!(dtype, T => {
                b.to_slice::<T>()?.iter().fold(false, |any, &x| any | (x == T::default()))
            });
            if any && outs[0].layout.numel() > 0 {
                return Err(TensorError::argument(self.row.name, "ZeroDivisionError: integer division by zero"));
            }
        }
        let done = (self.row.cpu)(dtype, [&inputs[0], &b], &mut outs[0]);
        done.unwrap_or_else(|| Err(TensorError::dtype(self.row.name, dtype)))
    }
    fn keep(&self, needs: &[bool]) -> Keep {
        let mut keep = Keep::new();
        for (list, _) in self.row.keep.iter().zip(needs).filter(|(_, n)| **n) {
            for slot in list.iter().map(|name| slot(name)) {
                if !keep.contains(&slot) && (self.scalar.is_none() || slot != Slot::Input(1)) {
                    keep.push(slot);
                }
            }
        }
        keep
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        (self.row.vjp)(back, self.scalar)
    }
}

fn slot(name: &str) -> Slot {
    match name {
        "out" => Slot::Output(0),
        "x" => Slot::Input(0),
        _ => Slot::Input(1),
    }
}

/// A kept operand: a tensor or the number that stands in the operation.
pub(super) enum Kept {
    Tensor(Tensor),
    Scalar(Scalar),
}

impl Kept {
    pub fn read(back: &Back, name: &str, scalar: Option<Scalar>) -> Result<Kept> {
        match (scalar, slot(name)) {
            (Some(s), Slot::Input(1)) => Ok(Kept::Scalar(s)),
            (_, slot) => Ok(Kept::Tensor(back.saved(slot)?.clone())),
        }
    }
    pub fn conj(&self) -> Result<Kept> {
        Ok(match self {
            Kept::Tensor(t) => Kept::Tensor(conj(t)?),
            Kept::Scalar(Scalar::Complex(c)) => Kept::Scalar(Scalar::Complex(c.conj())),
            Kept::Scalar(s) => Kept::Scalar(*s),
        })
    }
}

impl<'a> From<&'a Kept> for Operand<'a> {
    fn from(kept: &'a Kept) -> Self {
        match kept {
            Kept::Tensor(t) => Operand::Tensor(t),
            Kept::Scalar(s) => Operand::Scalar(*s),
        }
    }
}

/// The static part of an operation: the dtype of its result; whether integers are divided; the kernel on two elements, by
/// sets of dtypes; and the gradient of each operand, after the names in brackets that it reads (`out` is the result), which
/// are what is kept where that gradient is wanted.
macro_rules! binary_row {
    ($name:ident $row:ident [$($why:literal)?] $bool:literal $divides:literal
        { $([$($set:ident)+] $(-> $u:ty)?: $($lanes:ident)? |$x:ident, $y:ident| $kernel:expr $(; $near:expr => $far:expr)?),+ }
        $(|$g:ident| [$($ka:ident)*] $ga:expr, [$($kb:ident)*] $gb:expr)?
    ) => {
        static $row: $crate::ops::binary::BinaryRow = $crate::ops::binary::BinaryRow {
            name: stringify!($name),
            bool_result: $bool,
            divides: $divides,
            cpu: |dtype, operands, out| {
                $(
                    let done = compute_type!(dtype, [$($set)+], T => binary_row!(
                        @map operands, out, T $($u)?, ($($lanes)?) $x, $y, $kernel $(; $near => $far)?
                    ));
                    if done.is_some() {
                        return done;
                    }
                )+
                None
            },
            keep: [&[$($(stringify!($ka)),*)?], &[$($(stringify!($kb)),*)?]],
            vjp: |_back, _scalar| {
                $(
                    let $g = _back.grad()?;
                    let a = if _back.needs(0) {
                        $(let $ka = &$crate::ops::binary::Kept::read(_back, stringify!($ka), _scalar)?;)*
                        Some($ga)
                    } else { None };
                    let b = if _back.needs(1) {
                        $(let $kb = &$crate::ops::binary::Kept::read(_back, stringify!($kb), _scalar)?;)*
                        Some($gb)
                    } else { None };
                    Ok(smallvec![a, b])
                )?
                $($crate::grad::none(stringify!($name), $why))?
            },
        };
    };
    (@map $operands:ident, $out:ident, $t:ident $($u:ty)?, ($($lanes:ident)?) $x:ident, $y:ident, $kernel:expr) => {
        $crate::cpu::map::map(
            $operands, $out,
            #[inline(always)] |_lanes: $crate::cpu::simd::Lanes, [$x, $y]: [$t; 2]| -> binary_row!(@type $t $($u)?) {
                $(let $lanes = _lanes;)?
                $kernel
            }
        )
    };
    // A kernel that is right near 0, and one for what is far from it.
    (@map $operands:ident, $out:ident, $t:ident, ($lanes:ident) $x:ident, $y:ident, $kernel:expr; $near:expr => $far:expr) => {
        $crate::cpu::map::map_near(
            $operands,
            $out,
            #[inline(always)] |[$x, $y]: [$t; 2]| $near,
            #[inline(always)] |$lanes: $crate::cpu::simd::Lanes, [$x, $y]: [$t; 2]| $kernel,
            |[$x, $y]: [$t; 2]| $far,
        )
    };
    (@type $t:ident) => { $t };
    (@type $t:ident $u:ty) => { $u };
}
pub(super) use binary_row;

/// Promotes the operands to `dtype`, or to their common one, and applies the row.
pub(super) fn binary_in(
    row: &'static BinaryRow,
    input: Operand,
    other: Operand,
    dtype: Option<DType>,
    target: Option<&Tensor>,
) -> Result<Tensor> {
    if let Operand::Tensor(a) = input {
        match other {
            Operand::Tensor(b) if a.dtype() == b.dtype() && dtype.is_none_or(|d| d == a.dtype()) => {
                return apply_to(&Binary { row, scalar: None }, &[a, b], target);
            }
            Operand::Scalar(s) if keeps(a.dtype(), s) && dtype.is_none_or(|d| d == a.dtype()) => {
                return apply_to(&Binary { row, scalar: Some(s) }, &[a], target);
            }
            _ => {}
        }
    }
    if let (Operand::Scalar(_), Operand::Scalar(_)) = (input, other) {
        return Err(TensorError::call(row.name, "one of the operands must be a tensor, not both numbers"));
    }
    let dtype = dtype.map_or_else(|| result_type(&[input, other]), Ok)?;
    let a = tensor(input, dtype)?;
    let original = if let Operand::Tensor(t) = input { t } else { &*a };
    match other {
        Operand::Tensor(b) => {
            apply_promoted(&Binary { row, scalar: None }, original, &[&*a, &*cast(b, dtype)?], target)
        }
        Operand::Scalar(s) => apply_promoted(&Binary { row, scalar: Some(s) }, original, &[&*a], target),
    }
}

pub(super) fn binary(
    row: &'static BinaryRow,
    input: Operand,
    other: Operand,
    target: Option<&Tensor>,
) -> Result<Tensor> {
    binary_in(row, input, other, None, target)
}

/// The gradient of a broadcast input, summed back to its shape. The engine calls this for every edge.
pub fn unbroadcast(grad: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if grad.shape() == shape { Ok(grad.clone()) } else { sum_to(grad, shape) }
}

/// Powers of integers; they wrap.
trait Power: Copy {
    fn power(self, by: Self) -> Self;
}
macro_rules! power {
    ($($t:ty)*) => {$(
        impl Power for $t {
            #[inline(always)]
            fn power(self, by: Self) -> Self {
                #[allow(unused_comparisons)]
                if by < 0 {
                    // Powers of 1 and -1 alone are integers then.
                    return if self == 1 { 1 } else if self.wrapping_add(1) == 0 { if by % 2 == 0 { 1 } else { self } } else { 0 };
                }
                let (mut base, mut left, mut result) = (self, by, 1 as $t);
                while left > 0 {
                    if left & 1 == 1 { result = result.wrapping_mul(base); }
                    base = base.wrapping_mul(base);
                    left >>= 1;
                }
                result
            }
        }
    )*};
}
power!(u8 u16 u32 u64 i8 i16 i32 i64);

fn complex_power(x: C64, y: C64) -> C64 {
    if y == C64::new(0.0, 0.0) {
        return C64::new(1.0, 0.0);
    }
    if y.im == 0.0 && y.re.fract() == 0.0 && y.re.abs() <= 64.0 {
        return x.powi(y.re as i32);
    }
    x.powc(y)
}

binary_row!(add ADD [] false false { [bf16 int float complex]: |x, y| x.plus(y), [bool]: |x, y| x | y }
    |g| [] g.clone(), [] g.clone());
binary_row!(sub SUB [] false false { [bf16 int float complex]: |x, y| x.minus(y) } |g| [] g.clone(), [] g.neg()?);
binary_row!(mul MUL [] false false { [bf16 int float complex]: |x, y| x.times(y), [bool]: |x, y| x & y }
    |g| [y] g.mul(&y.conj()?)?, [x] g.mul(&x.conj()?)?);
binary_row!(div DIV [] false false { [bf16]: |x, y| to_bf16(from_bf16(x) / from_bf16(y)), [float complex]: |x, y| x / y }
    |g| [y] g.div(&y.conj()?)?, [y out] g.mul(&out.conj()?)?.div(&y.conj()?)?.neg()?);
binary_row!(div DIV_TRUNC [] false true { [int float]: lanes |x, y| x.near_whole_quotient(y, lanes); x.is_near(y) => x.whole_quotient(y) } |g| [] zeros(g)?, [] zeros(g)?);
binary_row!(div DIV_FLOOR [] false true { [int float]: lanes |x, y| x.near_floored_quotient(y, lanes); x.is_near(y) => x.floored_quotient(y) } |g| [] zeros(g)?, [] zeros(g)?);
binary_row!(floor_divide FLOOR_DIVIDE ["it is constant but where it jumps"] false true { [int float]: lanes |x, y| x.near_floored_quotient(y, lanes); x.is_near(y) => x.floored_quotient(y) });
binary_row!(remainder REMAINDER [] false true { [int float]: lanes |x, y| x.near_floored_rest(y, lanes); x.is_near(y) => x.floored_rest(y) }
    |g| [] g.clone(), [x y] remainder_vjp(g, x, y)?);
macro_rules! powers {
    ($($row:ident { $($kernel:tt)+ })*) => {$(
        binary_row!(pow $row [] false false { $($kernel)+ }
            |g| [x y] pow_base(g, x, y)?, [x y out] pow_exponent(g, x, y, out)?);
    )*};
}
powers! {
    POW { [float]: lanes |x, y| lanes.pow(x, y), [int]: |x, y| x.power(y), [complex]: |x, y| complex_power(x, y) }
    // Those to the numbers that most are.
    ONE { [float]: |_x, _y| 1.0 }
    SAME { [float]: |x, _y| x }
    SQUARE { [float]: |x, _y| x * x }
    CUBE { [float]: |x, _y| x * x * x }
    ROOT { [float]: |x, _y| x.sqrt() }
    INVERSE { [float]: |x, _y| 1.0 / x }
    INVERSE_SQUARE { [float]: |x, _y| 1.0 / (x * x) }
    INVERSE_ROOT { [float]: |x, _y| 1.0 / x.sqrt() }
}

/// The row for a power of numbers of this dtype.
fn power_row(dtype: DType, exponent: Operand) -> &'static BinaryRow {
    match exponent {
        Operand::Scalar(Scalar::Int(e)) if dtype.is_float() => match e {
            0 => &ONE,
            1 => &SAME,
            2 => &SQUARE,
            3 => &CUBE,
            -1 => &INVERSE,
            -2 => &INVERSE_SQUARE,
            _ => &POW,
        },
        Operand::Scalar(Scalar::Float(e)) if dtype.is_float() => match e {
            0.0 => &ONE,
            1.0 => &SAME,
            2.0 => &SQUARE,
            3.0 => &CUBE,
            0.5 => &ROOT,
            -1.0 => &INVERSE,
            -2.0 => &INVERSE_SQUARE,
            -0.5 => &INVERSE_ROOT,
            _ => &POW,
        },
        _ => &POW,
    }
}

binary_row!(maximum MAXIMUM [] false false { [int float]: |x, y| x.larger(y), [bool]: |x, y| x | y }
    |g| [x y] chosen(g, x, y)?, [x y] chosen(g, y, x)?);
binary_row!(minimum MINIMUM [] false false { [int float]: |x, y| x.smaller(y), [bool]: |x, y| x & y }
    |g| [x y] chosen(g, y, x)?, [x y] chosen(g, x, y)?);

fn zeros(g: &Tensor) -> Result<Tensor> {
    full_like(g, g.shape(), Scalar::ZERO)
}

fn remainder_vjp(g: &Tensor, x: &Kept, y: &Kept) -> Result<Tensor> {
    g.mul(&div(x.into(), y.into(), Some("floor"))?)?.neg()
}

fn pow_base(g: &Tensor, x: &Kept, y: &Kept) -> Result<Tensor> {
    if let Kept::Scalar(s) = y {
        if s.is_zero() {
            return zeros(g);
        }
        if let (Operand::Tensor(x), C64 { re: 2.0, im: 0.0 }) = (x.into(), s.as_complex()) {
            return g.mul(&conj(&x.mul(*s)?)?);
        }
        let less = Scalar::Complex(s.as_complex() - 1.0);
        let less = if s.category() == crate::Category::Complex { less } else { Scalar::Float(s.as_f64() - 1.0) };
        return g.mul(&conj(&pow(x.into(), less.into())?.mul(*s)?)?);
    }
    // Where the exponent is 0 the power is constant, also at base 0, where the formula would give 0 * inf.
    let Operand::Tensor(y) = y.into() else { return zeros(g) };
    let slope = conj(&pow(x.into(), (&y.sub(1.0)?).into())?.mul(y)?)?;
    g.mul(&where_(&y.eq(0)?, Scalar::ZERO.into(), (&slope).into())?)
}

fn pow_exponent(g: &Tensor, x: &Kept, y: &Kept, out: &Kept) -> Result<Tensor> {
    let (Operand::Tensor(x), Operand::Tensor(out)) = (x.into(), out.into()) else { return zeros(g) };
    let slope = conj(&out.mul(&x.log()?)?)?;
    // 0 to a power that is not negative stays 0 or 1.
    let flat = match (Operand::from(y), x.dtype().is_complex()) {
        (Operand::Tensor(y), false) => x.eq(0)?.mul(&y.ge(0)?)?,
        _ => x.eq(0)?,
    };
    g.mul(&where_(&flat, Scalar::ZERO.into(), (&slope).into())?)
}

/// The gradient of the operand `x` where it is the larger one; half of it where both are equal.
fn chosen(g: &Tensor, x: &Kept, y: &Kept) -> Result<Tensor> {
    let (x, y): (Operand, Operand) = (x.into(), y.into());
    let share = |mask: Tensor, part: f64| to_dtype(&mask, g.dtype())?.mul(part);
    g.mul(&share(super::gt(x, y)?, 1.0)?.add(&share(super::eq(x, y)?, 0.5)?)?)
}

/// `alpha * other`, before it is added; checks that the result's dtype has room for `alpha`.
fn scaled<'a>(op: &'static str, other: Operand<'a>, alpha: Scalar, dtype: DType) -> Result<ScaledOperand<'a>> {
    if alpha == Scalar::Int(1) {
        return Ok(ScaledOperand::Same(other));
    }
    if !keeps(dtype, alpha) {
        return Err(TensorError::argument(
            op,
            format!("alpha must not be of a higher category than the result, {dtype}"),
        ));
    }
    Ok(match other {
        Operand::Tensor(t) => ScaledOperand::New(cast(t, dtype)?.mul(alpha)?),
        Operand::Scalar(s) => ScaledOperand::Same(Operand::Scalar(match (s, alpha) {
            (Scalar::Complex(_), _) | (_, Scalar::Complex(_)) => Scalar::Complex(s.as_complex() * alpha.as_complex()),
            (Scalar::Float(_), _) | (_, Scalar::Float(_)) => Scalar::Float(s.as_f64() * alpha.as_f64()),
            _ => Scalar::Int(s.as_int().wrapping_mul(alpha.as_int())),
        })),
    })
}

enum ScaledOperand<'a> {
    Same(Operand<'a>),
    New(Tensor),
}

impl ScaledOperand<'_> {
    fn operand(&self) -> Operand<'_> {
        match self {
            ScaledOperand::Same(o) => *o,
            ScaledOperand::New(t) => Operand::Tensor(t),
        }
    }
}

fn no_bools(op: &'static str, input: Operand, other: Operand, instead: &str) -> Result<()> {
    let bool = |o: Operand| match o {
        Operand::Tensor(t) => t.dtype() == DType::Bool,
        Operand::Scalar(s) => matches!(s, Scalar::Bool(_)),
    };
    if bool(input) || bool(other) {
        let both = bool(input) && bool(other);
        let what =
            format!("{} not supported; use {instead}", if both { "two bool tensors are" } else { "a bool operand is" });
        return Err(TensorError::argument(op, what));
    }
    Ok(())
}

ops! {
    [tf method] {
        /// `input + alpha * other`, broadcast.
        ///
        /// Tensors or numbers; the dtype is the promoted one. Shapes that do not broadcast are a `ShapeError`.
        ///
        /// ```python
        /// >>> tf.add(tf.tensor([1, 2]), tf.tensor([10, 20]), alpha=2)
        /// tensor([21, 42])
        /// ```
        pub fn add(input: Operand<'_>, other: Operand<'_>; alpha: Scalar = Scalar::ONE) into target -> Tensor {
            if alpha == Scalar::ONE {
                return binary(&ADD, input, other, target);
            }
            let dtype = result_type(&[input, other])?;
            let other = scaled("add", other, alpha, dtype)?;
            binary(&ADD, input, other.operand(), target)
        }
        /// `input - alpha * other`, broadcast.
        ///
        /// The dtype is the promoted one; two bool tensors are an error.
        ///
        /// ```python
        /// >>> tf.sub(tf.tensor([10, 20]), tf.tensor([1, 2]))
        /// tensor([ 9, 18])
        /// ```
        pub fn sub(input: Operand<'_>, other: Operand<'_>; alpha: Scalar = Scalar::ONE) into target -> Tensor {
            no_bools("sub", input, other, "logical_xor or bitwise_not")?;
            if alpha == Scalar::ONE {
                return binary(&SUB, input, other, target);
            }
            let dtype = result_type(&[input, other])?;
            let other = scaled("sub", other, alpha, dtype)?;
            binary(&SUB, input, other.operand(), target)
        }
        /// `input * other`, broadcast.
        ///
        /// The dtype is the promoted one.
        ///
        /// ```python
        /// >>> tf.mul(tf.tensor([[1.0], [2.0]]), tf.tensor([3.0, 4.0]))
        /// tensor([[3., 4.],
        ///         [6., 8.]])
        /// ```
        pub fn mul(input: Operand<'_>, other: Operand<'_>) into target -> Tensor {
            binary(&MUL, input, other, target)
        }
        /// `input / other`, broadcast: true division of integers, or rounded towards zero (`rounding_mode="trunc"`) or down
        /// (`"floor"`).
        ///
        /// Integers give the default dtype, but stay integers where rounded; an integer cannot be divided by 0 then.
        ///
        /// ```python
        /// >>> tf.div(tf.tensor([7, -7]), 2)
        /// tensor([ 3.5000, -3.5000])
        /// >>> tf.div(tf.tensor([7, -7]), 2, rounding_mode="trunc")
        /// tensor([ 3, -3])
        /// ```
        pub fn div(input: Operand<'_>, other: Operand<'_>; rounding_mode: Option<&str> = None::<&str>) into target -> Tensor {
            match rounding_mode {
                None => {
                    let dtype = match (input, other) {
                        (Operand::Tensor(a), Operand::Tensor(b)) if a.dtype() == b.dtype() => a.dtype(),
                        _ => result_type(&[input, other])?,
                    };
                    binary_in(&DIV, input, other, Some(dtype.or_default_float()), target)
                }
                Some("trunc") => rounded(&DIV_TRUNC, input, other, target),
                Some("floor") => rounded(&DIV_FLOOR, input, other, target),
                Some(mode) => {
                    let what = format!("rounding_mode must be None, 'trunc' or 'floor', not '{mode}'");
                    Err(TensorError::argument("div", what))
                }
            }
        }
        /// `input / other` rounded down, broadcast.
        ///
        /// Integers stay integers and cannot be divided by 0. Bool and complex tensors are an `UnsupportedError`.
        ///
        /// ```python
        /// >>> tf.floor_divide(tf.tensor([7, -7]), 2)
        /// tensor([ 3, -4])
        /// ```
        pub fn floor_divide(input: Operand<'_>, other: Operand<'_>) into target no_grad "it is constant but where it jumps" -> Tensor {
            rounded(&FLOOR_DIVIDE, input, other, target)
        }
        /// What is left of `input / other` rounded down, with the sign of `other`; broadcast.
        ///
        /// Integers cannot be divided by 0. Bool and complex tensors are an `UnsupportedError`.
        ///
        /// ```python
        /// >>> tf.remainder(tf.tensor([7, -7]), 3)
        /// tensor([1, 2])
        /// ```
        pub fn remainder(input: Operand<'_>, other: Operand<'_>) into target -> Tensor {
            rounded(&REMAINDER, input, other, target)
        }
        /// `input` to the power of `exponent`, broadcast. Integers to negative integer powers are refused.
        ///
        /// The dtype is the promoted one.
        ///
        /// ```python
        /// >>> tf.pow(tf.tensor([1.0, 2.0, 3.0]), 2)
        /// tensor([1., 4., 9.])
        /// >>> tf.pow(2, tf.tensor([1, 2, 3]))
        /// tensor([2, 4, 8])
        /// ```
        pub fn pow(input: Operand<'_>, exponent: Operand<'_>) into target -> Tensor {
            let mut dtype = None;
            if let (Operand::Tensor(t), Operand::Scalar(s)) = (input, exponent) {
                if t.dtype().is_integral() && s.category() == crate::Category::Integer && s.as_int() < 0 {
                    return Err(TensorError::argument("pow", "integers to negative integer powers are not allowed"));
                }
                if t.dtype() == DType::Bool && matches!(s, Scalar::Bool(_)) {
                    return Err(TensorError::dtype("pow", DType::Bool));
                }
            }
            if let (Operand::Scalar(s), Operand::Tensor(t)) = (input, exponent)
                && s == Scalar::ONE && t.dtype() == DType::Bool
            {
                dtype = Some(DType::I64);
            }
            let row = if let Operand::Tensor(t) = input { power_row(t.dtype(), exponent) } else { &POW };
            binary_in(row, input, exponent, dtype, target)
        }
        /// The larger of each pair of elements, broadcast; not-a-number wins.
        ///
        /// Complex tensors are an `UnsupportedError`.
        ///
        /// ```python
        /// >>> tf.maximum(tf.tensor([1.0, 5.0]), tf.tensor([3.0, 2.0]))
        /// tensor([3., 5.])
        /// ```
        pub fn maximum(input: &Tensor, other: &Tensor) -> Tensor {
            binary(&MAXIMUM, input.into(), other.into(), None)
        }
        /// The smaller of each pair of elements, broadcast; not-a-number wins.
        ///
        /// Complex tensors are an `UnsupportedError`.
        ///
        /// ```python
        /// >>> tf.minimum(tf.tensor([1.0, 5.0]), tf.tensor([3.0, 2.0]))
        /// tensor([1., 2.])
        /// ```
        pub fn minimum(input: &Tensor, other: &Tensor) -> Tensor {
            binary(&MINIMUM, input.into(), other.into(), None)
        }
        /// Each element held between `min` and `max`, numbers or tensors, either of which may be left out.
        ///
        /// Where `min` is above `max` the result is `max`. Bool and complex tensors are an `UnsupportedError`.
        ///
        /// ```python
        /// >>> tf.clamp(tf.tensor([-2.0, 0.5, 3.0]), min=0, max=1)
        /// tensor([0.0000, 0.5000, 1.0000])
        /// ```
        pub fn clamp(input: &Tensor, min: Option<Operand<'_>> = None::<Operand>, max: Option<Operand<'_>> = None::<Operand>) into target -> Tensor {
            let mut operands = vec![Operand::Tensor(input)];
            operands.extend([min, max].into_iter().flatten());
            if operands.len() == 1 {
                return Err(TensorError::argument("clamp", "at least one of 'min' and 'max' must be given"));
            }
            let dtype = result_type(&operands)?;
            if dtype.is_complex() || dtype == DType::Bool {
                return Err(TensorError::dtype("clamp", dtype));
            }
            let low = |x: &Tensor| match min {
                Some(min) => binary_in(&CLAMP_MIN, x.into(), min, Some(dtype), None),
                None => Ok(x.clone()),
            };
            // What the write destroys is kept as a copy.
            let x = if target.is_some_and(|t| t.same(input)) { super::copy(input)? } else { input.clone() };
            if let (Some(Operand::Scalar(low)), Some(Operand::Scalar(high))) = (min, max)
                && dtype == x.dtype() && !low.as_f64().is_nan() && !high.as_f64().is_nan()
            {
                let op = Clamp { low, high };
                return match target {
                    Some(target) if target.same(input) => written("clamp", target, &apply(&op, &[&x])?),
                    _ => apply_to(&op, &[&x], target),
                };
            }
            let result = match max {
                Some(max) => binary_in(&CLAMP_MAX, (&low(&x)?).into(), max, Some(dtype), None)?,
                None => low(&x)?,
            };
            match target {
                Some(target) => written("clamp", target, &result),
                None => Ok(result),
            }
        }
    }
}

// As maximum and minimum, but the bound never wins over an equal element, which keeps its whole gradient.
binary_row!(clamp CLAMP_MIN [] false false { [int float]: |x, y| x.larger(y) }
    |g| [x y] kept(g, super::ge(x.into(), y.into())?)?, [x y] kept(g, super::lt(x.into(), y.into())?)?);
binary_row!(clamp CLAMP_MAX [] false false { [int float]: |x, y| x.smaller(y) }
    |g| [x y] kept(g, super::le(x.into(), y.into())?)?, [x y] kept(g, super::gt(x.into(), y.into())?)?);

fn kept(g: &Tensor, mask: Tensor) -> Result<Tensor> {
    where_(&mask, g.into(), Scalar::ZERO.into())
}

fn rounded(row: &'static BinaryRow, input: Operand, other: Operand, target: Option<&Tensor>) -> Result<Tensor> {
    let dtype = result_type(&[input, other])?;
    if dtype.is_complex() || dtype == DType::Bool {
        return Err(TensorError::dtype(row.name, dtype));
    }
    binary_in(row, input, other, Some(dtype), target)
}
