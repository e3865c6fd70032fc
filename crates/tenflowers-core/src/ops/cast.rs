//! Copies, conversions, and every write that is not an operation of its own.
use super::full_like;
use crate::cpu::{View, ViewMut, cast::cast as cast_kernel, movement};
use crate::device::Device;
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::Back;
use crate::layout::{Layout, broadcast};
use crate::op::{Class, Grads, Keep, Meta, Op, apply, apply_to, recording};
use crate::ops;
use crate::tensor::Tensor;
use smallvec::smallvec;

/// A copy in one run of memory.
#[derive(Debug, Clone)]
struct Copy;

impl Op for Copy {
    fn name(&self) -> &'static str {
        "clone"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::copy(&inputs[0], &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        Ok(smallvec![Some(back.grad()?.clone())])
    }
}

/// The elements in another dtype. The gradient finds its way back to the input's: the engine fits it on arrival.
#[derive(Debug, Clone)]
struct Cast(DType);

impl Op for Cast {
    fn name(&self) -> &'static str {
        "to"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::one(inputs[0].layout().shape.clone(), self.0)
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        cast_kernel(&inputs[0], &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        Ok(smallvec![Some(back.grad()?.clone())])
    }
}

/// Input 1, broadcast and converted, in the place of input 0.
#[derive(Debug, Clone)]
struct Assign;

impl Op for Assign {
    fn name(&self) -> &'static str {
        "copy_"
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (to, from) = (inputs[0].shape(), inputs[1].shape());
        if broadcast("copy_", to, from).ok().as_deref() != Some(to) {
            return Err(TensorError::shape("copy_", "the source cannot be broadcast to the target", to, from));
        }
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        cast_kernel(&inputs[1], &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let g = back.grad()?;
        let rest = if back.needs(0) { Some(full_like(g, g.shape(), Scalar::ZERO)?) } else { None };
        Ok(smallvec![rest, Some(g.clone())])
    }
}

/// One number in the place of every element.
#[derive(Debug, Clone)]
struct Fill(Scalar);

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill_"
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[0])
    }
    fn cpu(&self, _: &[View], outs: &mut [ViewMut]) -> Result<()> {
        fill_kernel(self.0, &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let g = back.grad()?;
        Ok(smallvec![Some(full_like(g, g.shape(), Scalar::ZERO)?)])
    }
}

pub(super) fn fill_kernel(value: Scalar, out: &mut ViewMut) -> Result<()> {
    let (layout, mut place) = (Layout::contiguous(&[]), [0u128; 1]);
    let place = place.as_mut_ptr();
    crate::storage_type!(out.dtype, T => {
        // SAFETY: the place holds any element, aligned.
        unsafe { place.cast::<T>().write(<T as crate::Element>::of(value)) }
    });
    // SAFETY: one element, which lives to the end of the kernel.
    let value = unsafe { View::new(place.cast(), &layout, out.dtype) };
    movement::copy(&value, out)
}

/// A copy in one run of memory.
pub fn copy(input: &Tensor) -> Result<Tensor> {
    apply(&Copy, &[input])
}

/// The tensor in `dtype`: itself where it has it already.
pub fn to_dtype(input: &Tensor, dtype: DType) -> Result<Tensor> {
    if input.dtype() == dtype { Ok(input.clone()) } else { apply(&Cast(dtype), &[input]) }
}

/// `source`, broadcast and converted, written into `target`.
#[allow(non_camel_case_types)]
pub enum assign {}

impl assign {
    pub fn to(target: Option<&Tensor>, input: &Tensor, source: &Tensor) -> Result<Tensor> {
        apply_to(&Assign, &[input, source], target)
    }
}

/// One number written into every element.
pub fn fill(target: &Tensor, value: Scalar) -> Result<Tensor> {
    if !value.fits(target.dtype()) {
        let what = format!("{value:?} cannot be converted to {} without overflow", target.dtype());
        return Err(TensorError::argument("fill_", what));
    }
    apply_to(&Fill(value), &[target], Some(target))
}

/// A result written into the tensor of `out=`, for operations that cannot write there as they run.
pub fn write_out(op: &'static str, target: &Tensor, result: &Tensor) -> Result<Tensor> {
    if recording(&[result, target]) {
        return Err(TensorError::grad(op, "out= takes no part in gradients; use no_grad"));
    }
    super::promote::written(op, target, result)
}

ops! {
    [tf method] {
        /// A copy of the tensor in one run of memory. Gradients flow through it.
        ///
        /// ```python
        /// >>> x = tf.tensor([1.0, 2.0])
        /// >>> tf.clone(x).zero_()
        /// tensor([0., 0.])
        /// >>> x
        /// tensor([1., 2.])
        /// ```
        pub fn clone(input: &Tensor) -> Tensor {
            copy(input)
        }
    }
    [method] {
        /// The same elements in one run of memory: the tensor itself where they are already.
        ///
        /// ```python
        /// >>> x = tf.ones(2, 3).t()
        /// >>> x.is_contiguous(), x.contiguous().is_contiguous()
        /// (False, True)
        /// ```
        pub fn contiguous(input: &Tensor) -> Tensor {
            if input.layout().is_contiguous() { Ok(input.clone()) } else { copy(input) }
        }
        /// `src`, broadcast and converted, in the place of the elements.
        ///
        /// `src` must broadcast to the shape of the tensor, which keeps its dtype: fractions are cut off for integers.
        ///
        /// ```python
        /// >>> tf.zeros(2, 2).copy_(tf.tensor([1, 2]))
        /// tensor([[1., 2.],
        ///         [1., 2.]])
        /// ```
        pub fn copy_(input: &Tensor, src: &Tensor, non_blocking: bool = false) -> Tensor {
            // On the CPU a copy is done when the call returns, whatever is asked for.
            let _ = non_blocking;
            assign::to(Some(input), input, src)
        }
        /// One number, or the one element of a tensor, in the place of every element.
        ///
        /// ```python
        /// >>> tf.zeros(3).fill_(7)
        /// tensor([7., 7., 7.])
        /// ```
        pub fn fill_(input: &Tensor, value: crate::schema::Operand<'_>) -> Tensor {
            match value {
                crate::schema::Operand::Scalar(s) => fill(input, s),
                crate::schema::Operand::Tensor(t) if t.rank() == 0 => assign::to(Some(input), input, t),
                crate::schema::Operand::Tensor(t) => {
                    let what = format!("a tensor of no dimensions is needed, not one of {}", t.rank());
                    Err(TensorError::argument("fill_", what))
                }
            }
        }
        /// Zero in the place of every element.
        ///
        /// ```python
        /// >>> tf.ones(3).zero_()
        /// tensor([0., 0., 0.])
        /// ```
        pub fn zero_(input: &Tensor) -> Tensor {
            fill(input, Scalar::ZERO)
        }
        /// The tensor in another dtype: itself where it has it already, unless `copy`.
        ///
        /// ```python
        /// >>> tf.tensor([1.5, -1.5]).to(tf.int64)
        /// tensor([ 1, -1])
        /// ```
        pub fn to(input: &Tensor, dtype: DType, non_blocking: bool = false, copy: bool = false) -> Tensor {
            let _ = non_blocking;
            if copy && dtype == input.dtype() { super::copy(input) } else { to_dtype(input, dtype) }
        }
        /// The tensor on a device, and in a dtype if one is given: itself where it is there already, unless `copy`.
        ///
        /// A device that is not there is a `DeviceError`.
        ///
        /// ```python
        /// >>> tf.tensor([1, 2]).to("cpu", tf.float32)
        /// tensor([1., 2.])
        /// ```
        pub fn to_device as to(input: &Tensor, device: Option<Device> = None::<Device>, dtype: Option<DType> = None::<DType>, non_blocking: bool = false, copy: bool = false) -> Tensor {
            let _ = device;
            to(input, dtype.unwrap_or(input.dtype()), non_blocking, copy)
        }
        /// The tensor in the dtype, and on the device, of another one.
        ///
        /// ```python
        /// >>> tf.tensor([1, 2]).to(tf.tensor(0.5))
        /// tensor([1., 2.])
        /// ```
        pub fn to_like as to(input: &Tensor, other: &Tensor, non_blocking: bool = false, copy: bool = false) -> Tensor {
            to(input, other.dtype(), non_blocking, copy)
        }
    }
}
