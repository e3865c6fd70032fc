//! New tensors.
use super::cast::{fill, fill_kernel};
use crate::cpu::sequence::{self, Sequence};
use crate::cpu::{View, ViewMut};
use crate::device::Device;
use crate::dtype::{Category, DType, Scalar, default_dtype};
use crate::error::{Result, TensorError};
use crate::grad::Back;
use crate::layout::{Shape, shape_of};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::schema::{Operand, Size};
use crate::tensor::Tensor;
use smallvec::smallvec;

/// One value everywhere.
#[derive(Debug, Clone)]
struct Full(Shape, DType, Scalar);

impl Op for Full {
    fn name(&self) -> &'static str {
        "full"
    }
    fn infer(&self, _: &[&Tensor]) -> Result<Meta> {
        Meta::one(self.0.clone(), self.1)
    }
    fn cpu(&self, _: &[View], outs: &mut [ViewMut]) -> Result<()> {
        fill_kernel(self.2, &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, _: &Back) -> Result<Grads> {
        Ok(smallvec![])
    }
}

/// `start + i * step`.
#[derive(Debug, Clone)]
struct Range {
    start: Scalar,
    step: Scalar,
    /// The last element, where it is to be exact.
    end: Option<Scalar>,
    n: usize,
    dtype: DType,
}

impl Op for Range {
    fn name(&self) -> &'static str {
        "arange"
    }
    fn infer(&self, _: &[&Tensor]) -> Result<Meta> {
        Meta::one(smallvec![self.n], self.dtype)
    }
    fn cpu(&self, _: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let all = [Some(self.start), Some(self.step), self.end];
        let is = |category| all.iter().flatten().any(|s| s.category() == category);
        let sequence = if is(Category::Complex) {
            let (start, step) = (self.start.as_complex(), self.step.as_complex());
            Sequence::Complex { start, step, end: self.end.map(Scalar::as_complex) }
        } else if is(Category::Float) || self.end.is_some() || self.dtype.is_float() {
            Sequence::Floats { start: self.start.as_f64(), step: self.step.as_f64(), end: self.end.map(Scalar::as_f64) }
        } else {
            Sequence::Integers { start: self.start.as_int() as i64, step: self.step.as_int() as i64 }
        };
        sequence::fill(sequence, &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, _: &Back) -> Result<Grads> {
        Ok(smallvec![])
    }
}

/// One value in a new tensor of the dtype of `like`.
pub fn full_like(like: &Tensor, shape: &[usize], value: Scalar) -> Result<Tensor> {
    full_of(shape, value, like.dtype())
}

/// One value in a new tensor.
pub fn full_of(shape: &[usize], value: Scalar, dtype: DType) -> Result<Tensor> {
    if value == Scalar::ZERO { Tensor::zeroed(shape, dtype) } else { apply(&Full(shape.into(), dtype, value), &[]) }
}

/// A new tensor as the last arguments of a factory ask for it.
pub(super) fn made(t: Tensor, device: Option<Device>, requires_grad: bool) -> Result<Tensor> {
    // There is one device, and it is where tensors are made.
    let _ = device;
    if requires_grad {
        t.require_grad(true)?;
    }
    Ok(t)
}

fn filled(op: &'static str, size: &[i64], value: Scalar, dtype: DType) -> Result<Tensor> {
    if !value.fits(dtype) {
        return Err(TensorError::argument(op, format!("{value:?} cannot be converted to {dtype} without overflow")));
    }
    full_of(&shape_of(op, size)?, value, dtype)
}

fn like_shape(t: &Tensor) -> Vec<i64> {
    t.shape().iter().map(|&n| n as i64).collect()
}

fn span(op: &'static str, start: Scalar, end: Scalar, step: Scalar, dtype: Option<DType>) -> Result<Tensor> {
    let all = [start, end, step];
    if all.iter().any(|s| matches!(s, Scalar::Complex(_))) || dtype.is_some_and(DType::is_complex) {
        return Err(TensorError::unsupported(op, "complex numbers"));
    }
    let integers = all.iter().all(|s| s.category() <= Category::Integer);
    let dtype = dtype.unwrap_or_else(|| if integers { DType::I64 } else { default_dtype() });
    if dtype == DType::Bool {
        return Err(TensorError::dtype(op, dtype));
    }
    let (a, b, s) = (start.as_f64(), end.as_f64(), step.as_f64());
    if s == 0.0 {
        return Err(TensorError::argument(op, "step must not be zero"));
    }
    if !(a.is_finite() && b.is_finite() && s.is_finite()) {
        return Err(TensorError::argument(op, format!("start, end and step must be finite: {a} to {b} by {s}")));
    }
    if (b - a) * s.signum() < 0.0 {
        return Err(TensorError::argument(op, format!("the step {s} leads away from the end: {a} to {b}")));
    }
    let whole = |x: Scalar| if dtype.is_integral() { Scalar::Int(x.as_int()) } else { x };
    let n = if integers || dtype == DType::I64 {
        let (start, end, step) = (whole(start), whole(end), whole(step));
        if step.is_zero() {
            return Err(TensorError::argument(op, "step must not be zero"));
        }
        let (distance, step) = (end.as_int() - start.as_int(), step.as_int());
        ((distance.abs() + step.abs() - 1) / step.abs()) as f64
    } else {
        ((b - a) / s).ceil()
    };
    if n >= isize::MAX as f64 {
        return Err(TensorError::no_memory(usize::MAX));
    }
    // An integer dtype steps by integers.
    apply(&Range { start: whole(start), step: whole(step), end: None, n: n as usize, dtype }, &[])
}

ops! {
    [tf] {
        /// A tensor of zeros.
        ///
        /// The dtype is float32, or what `set_default_dtype` says, unless another is given.
        ///
        /// ```python
        /// >>> tf.zeros(2, 3)
        /// tensor([[0., 0., 0.],
        ///         [0., 0., 0.]])
        /// ```
        pub fn zeros(size: Size<'_>; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            made(filled("zeros", size.0, Scalar::ZERO, dtype.unwrap_or_else(default_dtype))?, device, requires_grad)
        }
        /// A tensor of ones.
        ///
        /// The dtype is float32, or what `set_default_dtype` says, unless another is given.
        ///
        /// ```python
        /// >>> tf.ones(3, dtype=tf.int64)
        /// tensor([1, 1, 1])
        /// ```
        pub fn ones(size: Size<'_>; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            made(filled("ones", size.0, Scalar::ONE, dtype.unwrap_or_else(default_dtype))?, device, requires_grad)
        }
        /// A tensor of elements that may have any value.
        ///
        /// The dtype is float32, or what `set_default_dtype` says, unless another is given.
        ///
        /// ```python
        /// >>> tf.empty(2, 3).shape
        /// tenflowers.Size([2, 3])
        /// ```
        pub fn empty(size: Size<'_>; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            // Zeros are as good as any values, and cannot be what another tensor held.
            made(Tensor::zeroed(&shape_of("empty", size.0)?, dtype.unwrap_or_else(default_dtype))?, device, requires_grad)
        }
        /// A tensor of one value, whose dtype it has unless another is given.
        ///
        /// ```python
        /// >>> tf.full((2, 2), 7)
        /// tensor([[7, 7],
        ///         [7, 7]])
        /// >>> tf.full((2,), 0.5)
        /// tensor([0.5000, 0.5000])
        /// ```
        pub fn full(size: &[i64], fill_value: Scalar; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            made(filled("full", size, fill_value, dtype.unwrap_or(fill_value.dtype()))?, device, requires_grad)
        }
        /// Ones on the diagonal of an `n` by `m` matrix, zeros elsewhere; `m` is `n` unless given.
        ///
        /// ```python
        /// >>> tf.eye(2, 3)
        /// tensor([[1., 0., 0.],
        ///         [0., 1., 0.]])
        /// ```
        pub fn eye(n: i64, m: Option<i64> = None::<i64>; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            let t = filled("eye", &[n, m.unwrap_or(n)], Scalar::ZERO, dtype.unwrap_or_else(default_dtype))?;
            fill(&super::diagonal(&t, 0, 0, 1)?, Scalar::ONE)?;
            made(t, device, requires_grad)
        }
        /// The numbers from 0 up to `end`, which is left out.
        ///
        /// The dtype is int64 for an integer, else the default one; a negative `end` is an error.
        ///
        /// ```python
        /// >>> tf.arange(5)
        /// tensor([0, 1, 2, 3, 4])
        /// ```
        pub fn arange_to as arange(end: Scalar; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            made(span("arange", Scalar::ZERO, end, Scalar::ONE, dtype)?, device, requires_grad)
        }
        /// The numbers from `start` by `step` up to `end`, which is left out.
        ///
        /// The dtype is int64 for integers, else the default one. A step of 0, or away from `end`, is an error.
        ///
        /// ```python
        /// >>> tf.arange(1, 2, 0.25)
        /// tensor([1.0000, 1.2500, 1.5000, 1.7500])
        /// ```
        pub fn arange(start: Scalar, end: Scalar, step: Scalar = Scalar::ONE; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            made(span("arange", start, end, step, dtype)?, device, requires_grad)
        }
        /// `steps` numbers from `start` to `end`, evenly spaced, both ends included.
        ///
        /// ```python
        /// >>> tf.linspace(0, 1, steps=5)
        /// tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
        /// ```
        pub fn linspace(start: Operand<'_>, end: Operand<'_>, steps: i64; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            let number = |o: Operand| match o {
                Operand::Scalar(s) => Ok(s),
                Operand::Tensor(t) if t.rank() == 0 => t.item(),
                Operand::Tensor(_) => Err(TensorError::argument("linspace", "start and end must be numbers or tensors of no dimensions")),
            };
            let (start, end) = (number(start)?, number(end)?);
            let n = shape_of("linspace", &[steps])?[0];
            let complex = matches!((start, end), (Scalar::Complex(_), _) | (_, Scalar::Complex(_)));
            let dtype = dtype.unwrap_or_else(|| if complex { default_dtype().to_complex() } else { default_dtype() });
            let whole = |s: Scalar| if dtype.is_integral() { Scalar::Int(s.as_f64() as i128) } else { s };
            let (start, end) = (whole(start), whole(end));
            let parts = n.saturating_sub(1).max(1) as f64;
            let step = if complex {
                Scalar::Complex((end.as_complex() - start.as_complex()) / parts)
            } else {
                Scalar::Float((end.as_f64() - start.as_f64()) / parts)
            };
            let end = if n > 1 { Some(end) } else { Some(start) };
            made(apply(&Range { start, step, end, n, dtype }, &[])?, device, requires_grad)
        }
        /// Zeros in the shape and dtype of a tensor, unless another dtype is given.
        ///
        /// ```python
        /// >>> tf.zeros_like(tf.tensor([1, 2, 3]))
        /// tensor([0, 0, 0])
        /// ```
        pub fn zeros_like(input: &Tensor; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "the result does not depend on its input" -> Tensor {
            made(filled("zeros_like", &like_shape(input), Scalar::ZERO, dtype.unwrap_or(input.dtype()))?, device, requires_grad)
        }
        /// Ones in the shape and dtype of a tensor, unless another dtype is given.
        ///
        /// ```python
        /// >>> tf.ones_like(tf.tensor([1, 2, 3]), dtype=tf.float32)
        /// tensor([1., 1., 1.])
        /// ```
        pub fn ones_like(input: &Tensor; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "the result does not depend on its input" -> Tensor {
            made(filled("ones_like", &like_shape(input), Scalar::ONE, dtype.unwrap_or(input.dtype()))?, device, requires_grad)
        }
        /// Any values in the shape and dtype of a tensor, unless another dtype is given.
        ///
        /// ```python
        /// >>> tf.empty_like(tf.tensor([[1, 2, 3]])).shape
        /// tenflowers.Size([1, 3])
        /// ```
        pub fn empty_like(input: &Tensor; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "the result does not depend on its input" -> Tensor {
            zeros_like(input, dtype, device, requires_grad)
        }
        /// One value in the shape and dtype of a tensor, unless another dtype is given.
        ///
        /// ```python
        /// >>> tf.full_like(tf.tensor([1.0, 2.0]), 7)
        /// tensor([7., 7.])
        /// ```
        pub fn full_like_ as full_like(input: &Tensor, fill_value: Scalar; dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "the result does not depend on its input" -> Tensor {
            made(filled("full_like", &like_shape(input), fill_value, dtype.unwrap_or(input.dtype()))?, device, requires_grad)
        }
    }
}
