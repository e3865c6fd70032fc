//! Promotion comes before an operation, by `to` operations, so that history and graphs hold the casts.
use super::{assign, to_dtype};
use crate::dtype::{Category, DType, ResultType, Scalar};
use crate::error::{Result, TensorError};
use crate::op::{Op, apply_to};
use crate::schema::Operand;
use crate::tensor::Tensor;
use std::borrow::Cow;

/// The dtype of an operation on these operands, as `torch.result_type`.
pub(super) fn result_type(operands: &[Operand]) -> Result<DType> {
    if let [Operand::Tensor(a), Operand::Tensor(b)] = operands
        && a.dtype() == b.dtype()
    {
        return Ok(a.dtype());
    }
    let mut all = ResultType::default();
    for operand in operands {
        match operand {
            Operand::Tensor(t) => all.tensor(t.dtype(), t.rank())?,
            Operand::Scalar(s) => all.number(*s)?,
        }
    }
    all.finish()
}

/// The tensor in `dtype`.
pub(super) fn cast<'a>(t: &'a Tensor, dtype: DType) -> Result<Cow<'a, Tensor>> {
    Ok(if t.dtype() == dtype { Cow::Borrowed(t) } else { Cow::Owned(to_dtype(t, dtype)?) })
}

/// The operand as a tensor of `dtype`.
pub(super) fn tensor<'a>(operand: Operand<'a>, dtype: DType) -> Result<Cow<'a, Tensor>> {
    match operand {
        Operand::Tensor(t) => cast(t, dtype),
        Operand::Scalar(s) => Tensor::scalar(s, dtype).map(Cow::Owned),
    }
}

/// `apply_to`, where promotion may have put a cast of `input` in the place of the input that is written in place.
pub(super) fn apply_promoted(
    op: &dyn Op,
    input: &Tensor,
    inputs: &[&Tensor],
    target: Option<&Tensor>,
) -> Result<Tensor> {
    match target {
        Some(target) if target.same(input) && !inputs.iter().any(|t| t.same(target)) => {
            let result = crate::op::apply(op, inputs)?;
            written(op.name(), target, &result)
        }
        _ => apply_to(op, inputs, target),
    }
}

/// A result written into the tensor that an operation in place changes, or that `out=` names.
pub(super) fn written(op: &'static str, target: &Tensor, result: &Tensor) -> Result<Tensor> {
    let (left, right) = (result.dtype(), target.dtype());
    if !left.can_cast(right) {
        let what = "the result cannot be cast to the dtype of the target";
        return Err(TensorError::DType { op, what, left, right });
    }
    if result.shape() != target.shape() {
        let what = "the result does not fit the target";
        return Err(TensorError::shape(op, what, result.shape(), target.shape()));
    }
    assign::to(Some(target), target, result)
}

/// A number that a tensor of `dtype` takes beside it without becoming another dtype.
pub(super) fn keeps(dtype: DType, s: Scalar) -> bool {
    s.category() <= dtype.category() && !(dtype == DType::Bool && s.category() > Category::Bool)
}
