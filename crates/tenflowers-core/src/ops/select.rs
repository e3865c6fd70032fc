//! Choices by condition.
use super::promote::{cast, result_type, tensor};
use super::{full_like, to_dtype};
use crate::cpu::{View, ViewMut, map};
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::Back;
use crate::layout::broadcast;
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::schema::Operand;
use crate::tensor::Tensor;
use smallvec::smallvec;

#[derive(Debug, Clone)]
struct Where;

impl Op for Where {
    fn name(&self) -> &'static str {
        "where"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let shape = broadcast("where", inputs[1].shape(), inputs[2].shape())?;
        Meta::one(broadcast("where", inputs[0].shape(), &shape)?, inputs[1].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        map::select(&inputs[0], &inputs[1], &inputs[2], &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![crate::grad::Slot::Input(0)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (g, condition) = (back.grad()?, back.input(0)?);
        let zero = full_like(g, &[], Scalar::ZERO)?;
        let part =
            |i: usize, a: &Tensor, b: &Tensor| back.needs(i).then(|| apply(&Where, &[condition, a, b])).transpose();
        Ok(smallvec![None, part(1, g, &zero)?, part(2, &zero, g)?])
    }
}

/// `condition ? input : other`, for a condition that is boolean.
pub fn where_(condition: &Tensor, input: Operand, other: Operand) -> Result<Tensor> {
    let dtype = result_type(&[input, other])?;
    apply(&Where, &[condition, &*tensor(input, dtype)?, &*tensor(other, dtype)?])
}

fn check_mask(op: &'static str, mask: &Tensor) -> Result<()> {
    if mask.dtype() == DType::Bool {
        return Ok(());
    }
    Err(TensorError::argument(op, format!("the mask must be a bool tensor, not {}", mask.dtype())))
}

ops! {
    [tf method] {
        /// `input` where `condition` holds, `other` elsewhere; all broadcast.
        ///
        /// The condition is a bool tensor; the dtype is the promoted one of the other two.
        ///
        /// ```python
        /// >>> x = tf.tensor([-1.0, 2.0, -3.0])
        /// >>> tf.where(x > 0, x, 0.0)
        /// tensor([0., 2., 0.])
        /// ```
        pub fn where_public as where(condition: &Tensor, input: Operand<'_>, other: Operand<'_>) -> Tensor {
            let condition = match condition.dtype() {
                DType::Bool => cast(condition, DType::Bool)?,
                DType::U8 => std::borrow::Cow::Owned(to_dtype(condition, DType::Bool)?),
                other => return Err(TensorError::argument("where", format!("the condition must be a bool tensor, not {other}"))),
            };
            where_(&condition, input, other)
        }
        /// `value` where `mask`, which is broadcast, holds; `input` elsewhere.
        ///
        /// The mask is a bool tensor, `value` a number or a tensor of no dimensions.
        ///
        /// ```python
        /// >>> tf.masked_fill(tf.zeros(3), tf.tensor([True, False, True]), float("-inf"))
        /// tensor([-inf, 0., -inf])
        /// ```
        pub fn masked_fill(input: &Tensor, mask: &Tensor, value: Operand<'_>) into target -> Tensor {
            check_mask("masked_fill", mask)?;
            if let Operand::Tensor(t) = value
                && t.rank() > 0
            {
                let what = format!("value must be a number or a tensor of no dimensions, not of {}", t.rank());
                return Err(TensorError::argument("masked_fill", what));
            }
            let (from, to) = match value {
                Operand::Tensor(t) => (t.dtype(), input.dtype()),
                Operand::Scalar(s) => (s.dtype(), input.dtype()),
            };
            let number = matches!(value, Operand::Scalar(_)) && !from.is_complex();
            if !(number || from.can_cast(to)) {
                let what = "the value cannot be cast to the dtype of the tensor";
                return Err(TensorError::DType { op: "masked_fill", what, left: from, right: to });
            }
            let shape = broadcast("masked_fill", input.shape(), mask.shape())?;
            let filled = apply(&Where, &[mask, &*tensor(value, to)?, &super::view::expand_to(input, &shape)?])?;
            match target {
                Some(target) => super::promote::written("masked_fill", target, &filled),
                None => Ok(filled),
            }
        }
        /// The elements where `mask` holds, both broadcast, as a tensor of one dimension.
        ///
        /// The mask is a bool tensor.
        ///
        /// ```python
        /// >>> x = tf.tensor([[1, 2], [3, 4]])
        /// >>> tf.masked_select(x, x > 1)
        /// tensor([2, 3, 4])
        /// ```
        pub fn masked_select(input: &Tensor, mask: &Tensor) -> Tensor {
            check_mask("masked_select", mask)?;
            let shape = broadcast("masked_select", input.shape(), mask.shape())?;
            let flat = |t: &Tensor| {
                let wide = super::view::expand_to(t, &shape)?;
                super::reshape_to(&wide, &[wide.numel()])
            };
            super::index_by(&flat(input)?, &[Some(flat(mask)?)])
        }
        /// Where `condition` holds: the indices along each dimension.
        ///
        /// As `nonzero(condition, as_tuple=True)`.
        ///
        /// ```python
        /// >>> tf.where(tf.tensor([[0, 1], [2, 0]]))
        /// (tensor([0, 1]), tensor([1, 0]))
        /// ```
        pub fn where_indices as where(condition: &Tensor) no_grad "the result is an index" -> Vec<Tensor> {
            super::nonzero_tuple(condition)
        }
    }
}
