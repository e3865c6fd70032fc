//! What front ends pass, and what they get.
use super::Returns;
use crate::device::Device;
use crate::dtype::{DType, Scalar};
use crate::rng::Generator;
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// An argument or a result, as front ends pass them.
#[derive(Clone)]
pub enum Value {
    Tensor(Tensor),
    Tensors(Vec<Tensor>),
    TensorOptions(Vec<Option<Tensor>>),
    Scalar(Scalar),
    Int(i64),
    Ints(SmallVec<[i64; 4]>),
    /// Boxed: rare, and larger than all others.
    IntOptions(Box<super::IntOptions>),
    Float(f64),
    Bool(bool),
    DType(DType),
    Device(Device),
    Str(String),
    Generator(Generator),
    None,
}

/// A Rust value as a front end sees it: a default, or a result.
macro_rules! values {
    ($($t:ty: |$v:ident| $e:expr;)*) => {$(
        impl From<$t> for Value {
            fn from($v: $t) -> Self { $e }
        }
    )*};
}
values! {
    Tensor: |v| Value::Tensor(v);
    Vec<Tensor>: |v| Value::Tensors(v);
    i64: |v| Value::Int(v);
    f64: |v| Value::Float(v);
    bool: |v| Value::Bool(v);
    &[i64]: |v| Value::Ints(v.into());
    super::Size<'_>: |v| Value::Ints(v.0.into());
    &str: |v| Value::Str(v.into());
    DType: |v| Value::DType(v);
    Device: |v| Value::Device(v);
    &Generator: |v| Value::Generator(v.clone());
    &Tensor: |v| Value::Tensor(v.clone());
    Scalar: |v| Value::Scalar(v);
    super::Operand<'_>: |v| match v { super::Operand::Tensor(t) => Value::Tensor(t.clone()), super::Operand::Scalar(s) => Value::Scalar(s) };
    (): |_v| Value::None;
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Value::None, Into::into)
    }
}

/// What a Rust result type is to a front end.
pub trait Ret: Into<Value> {
    const RETURNS: Returns;
}
impl Ret for Tensor {
    const RETURNS: Returns = Returns::Tensor;
}
impl Ret for Vec<Tensor> {
    const RETURNS: Returns = Returns::Tensors;
}
impl Ret for bool {
    const RETURNS: Returns = Returns::Bool;
}
impl Ret for i64 {
    const RETURNS: Returns = Returns::Int;
}
impl Ret for Value {
    const RETURNS: Returns = Returns::Any;
}
impl Ret for () {
    const RETURNS: Returns = Returns::None;
}
