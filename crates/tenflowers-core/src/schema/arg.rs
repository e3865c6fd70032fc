//! How the Rust type of a parameter reads an argument.
use super::{ParamKind, Value};
use crate::device::Device;
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::rng::Generator;
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};

/// An operand of arithmetic.
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a> {
    Tensor(&'a Tensor),
    Scalar(Scalar),
}

impl<'a> From<&'a Tensor> for Operand<'a> {
    fn from(t: &'a Tensor) -> Self {
        Operand::Tensor(t)
    }
}
macro_rules! numbers {
    ($($t:ty),*) => {$(
        impl From<$t> for Operand<'_> {
            fn from(x: $t) -> Self {
                Operand::Scalar(x.into())
            }
        }
    )*};
}
numbers!(f64, f32, i64, i32, bool);
impl From<Scalar> for Operand<'_> {
    fn from(s: Scalar) -> Self {
        Operand::Scalar(s)
    }
}

/// Integers that may stand one by one.
#[derive(Debug, Clone, Copy)]
pub struct Size<'a>(pub &'a [i64]);

/// Integers, some left out.
pub type IntOptions = SmallVec<[Option<i64>; 4]>;

/// Tensors that index one dimension each, some left out.
pub type Indices<'a> = &'a [Option<Tensor>];

/// How a Rust parameter type reads an argument.
pub trait Arg<'a>: Sized {
    const KIND: ParamKind;
    const OPTIONAL: bool = false;
    fn read(value: &'a Value) -> Option<Self>;
}

macro_rules! args {
    ($($t:ty, $kind:ident, $($pat:pat => $e:expr),+;)*) => {$(
        impl<'a> Arg<'a> for $t {
            const KIND: ParamKind = ParamKind::$kind;
            fn read(value: &'a Value) -> Option<Self> {
                match value { $($pat => Some($e),)+ _ => None }
            }
        }
    )*};
}
args! {
    &'a Tensor, Tensor, Value::Tensor(t) => t;
    &'a [Tensor], Tensors, Value::Tensors(t) => t, Value::Tensor(t) => std::slice::from_ref(t);
    Indices<'a>, TensorOptions, Value::TensorOptions(t) => t;
    &'a [i64], Ints, Value::Ints(v) => v, Value::Int(v) => std::slice::from_ref(v);
    IntOptions, IntOptions, Value::IntOptions(v) => (**v).clone(), Value::Ints(v) => v.iter().copied().map(Some).collect(),
        Value::Int(v) => smallvec![Some(*v)], Value::None => smallvec![None];
    Size<'a>, Size, Value::Ints(v) => Size(v), Value::Int(v) => Size(std::slice::from_ref(v));
    i64, Int, Value::Int(v) => *v;
    f64, Float, Value::Float(v) => *v, Value::Int(v) => *v as f64, Value::Scalar(s) => s.as_f64();
    bool, Bool, Value::Bool(v) => *v;
    DType, DType, Value::DType(v) => *v;
    Device, Device, Value::Device(v) => *v;
    &'a str, Str, Value::Str(v) => v;
    &'a Generator, Generator, Value::Generator(v) => v;
    Scalar, Scalar, Value::Scalar(s) => *s, Value::Int(v) => Scalar::from(*v), Value::Float(v) => Scalar::Float(*v),
        Value::Bool(v) => Scalar::Bool(*v);
}

impl<'a> Arg<'a> for Operand<'a> {
    const KIND: ParamKind = ParamKind::Operand;
    fn read(value: &'a Value) -> Option<Self> {
        if let Value::Tensor(t) = value { Some(Operand::Tensor(t)) } else { Scalar::read(value).map(Operand::Scalar) }
    }
}

impl<'a, T: Arg<'a>> Arg<'a> for Option<T> {
    const KIND: ParamKind = T::KIND;
    const OPTIONAL: bool = true;
    fn read(value: &'a Value) -> Option<Self> {
        if matches!(value, Value::None) { Some(None) } else { T::read(value).map(Some) }
    }
}

pub fn missing(op: &'static str, param: &str) -> TensorError {
    TensorError::call(op, format!("missing the argument '{param}'"))
}

/// Not inlined: a row is a list of calls of this, or six hundred rows would be megabytes.
#[inline(never)]
pub fn read<'a, T: Arg<'a>>(value: Option<&'a Option<Value>>, op: &'static str, param: &'static str) -> Result<T> {
    let Some(Some(value)) = value else { return Err(missing(op, param)) };
    let wrong = || TensorError::call(op, format!("argument '{param}' must be {}", T::KIND.describe()));
    T::read(value).ok_or_else(wrong)
}
