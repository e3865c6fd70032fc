//! Tensors put together, repeated and moved about.
use super::promote::{cast, result_type};
use super::view::{expand_to, reshape_to, slice_to};
use super::{copy, full_of, unsqueeze};
use crate::cpu::{View, ViewMut, movement};
use crate::dtype::Scalar;
use crate::error::{Result, TensorError};
use crate::grad::Back;
use crate::layout::{Shape, axes, axis, checked_numel, shape_of};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::schema::{Operand, Size};
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};

/// All inputs along one dimension, one after another; the sizes are for the way back.
#[derive(Debug, Clone)]
struct Cat {
    dim: usize,
    sizes: Shape,
}

impl Op for Cat {
    fn name(&self) -> &'static str {
        "cat"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let model = inputs.iter().max_by_key(|t| t.rank()).map_or(&[][..], |t| t.shape());
        let mut shape = Shape::from(model);
        shape[self.dim] = self.sizes.iter().sum();
        checked_numel(&shape)?;
        Meta::one(shape, inputs[0].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (out, mut start) = (&mut outs[0], 0);
        let base = out.start();
        for (x, &n) in inputs.iter().zip(&self.sizes).filter(|(_, n)| **n > 0) {
            let mut part = out.layout.narrow(self.dim, start, n, 1);
            start += n;
            let size = out.dtype.size();
            let from = base.wrapping_add((part.offset - out.layout.offset) * size);
            part.offset = 0;
            // SAFETY: a part of the output, written by nobody else.
            movement::copy(x, &mut unsafe { ViewMut::new(from, &part, out.dtype) })?;
        }
        Ok(())
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (g, mut start) = (back.grad()?, 0);
        let piece = |(i, &n): (usize, &usize)| {
            start += n;
            let part = || match back.shape(i) {
                // An empty tensor that was joined whatever its shape.
                [0] if n == 0 => full_of(&[0], Scalar::ZERO, g.dtype()),
                _ => slice_to(g, self.dim, start - n, n, 1),
            };
            back.needs(i).then(part).transpose()
        };
        self.sizes.iter().enumerate().map(piece).collect()
    }
}

fn joined(op: &'static str, tensors: &[Tensor], dim: i64) -> Result<Tensor> {
    let Some(first) = tensors.first() else {
        return Err(TensorError::argument(op, "at least one tensor is needed"));
    };
    if let Some(t) = tensors.iter().find(|t| t.rank() == 0) {
        return Err(TensorError::shape(
            op,
            "a tensor of no dimensions cannot be joined; use stack",
            t.shape(),
            first.shape(),
        ));
    }
    // Empty tensors of one dimension fit everything, as they always have.
    let empty = |t: &Tensor| t.shape() == [0];
    let model = tensors.iter().find(|t| !empty(t)).unwrap_or(first);
    let d = axis(op, dim, model.rank())?;
    let operands: SmallVec<[Operand; 4]> = tensors.iter().map(Operand::Tensor).collect();
    let dtype = result_type(&operands)?;
    let mut parts: Vec<Tensor> = vec![];
    for (i, t) in tensors.iter().enumerate() {
        if empty(t) && model.rank() != 1 {
            parts.push(cast(t, dtype)?.into_owned());
            continue;
        }
        let fits = t.rank() == model.rank() && (0..t.rank()).all(|k| k == d || t.shape()[k] == model.shape()[k]);
        if !fits {
            let what = format!("tensor {i} differs from the first beside dimension {d}");
            return Err(TensorError::shape(op, what, model.shape(), t.shape()));
        }
        parts.push(cast(t, dtype)?.into_owned());
    }
    let sizes = parts.iter().map(|t| if empty(t) { 0 } else { t.shape()[d] }).collect();
    apply(&Cat { dim: d, sizes }, &parts.iter().collect::<Vec<_>>())
}

ops! {
    [tf] {
        /// The tensors one after another along `dim`; in the other dimensions they agree.
        ///
        /// The dtype is the promoted one. Empty tensors of one dimension are left out; other shapes that differ are a
        /// `ShapeError`.
        ///
        /// ```python
        /// >>> tf.cat([tf.ones(2, 2), tf.zeros(1, 2)])
        /// tensor([[1., 1.],
        ///         [1., 1.],
        ///         [0., 0.]])
        /// ```
        pub fn cat(tensors: &[Tensor], dim: i64 = 0) -> Tensor {
            joined("cat", tensors, dim)
        }
        /// Tensors of one shape side by side along a new dimension `dim`.
        ///
        /// The dtype is the promoted one. Shapes that differ are a `ShapeError`.
        ///
        /// ```python
        /// >>> tf.stack([tf.tensor([1, 2]), tf.tensor([3, 4])])
        /// tensor([[1, 2],
        ///         [3, 4]])
        /// ```
        pub fn stack(tensors: &[Tensor], dim: i64 = 0) -> Tensor {
            let Some(first) = tensors.first() else {
                return Err(TensorError::argument("stack", "at least one tensor is needed"));
            };
            if let Some((i, t)) = tensors.iter().enumerate().find(|(_, t)| t.shape() != first.shape()) {
                let what = format!("all tensors must have one shape, but tensor {i} differs from the first");
                return Err(TensorError::shape("stack", what, first.shape(), t.shape()));
            }
            let d = axis("stack", dim, first.rank() + 1)?;
            let parts = tensors.iter().map(|t| unsqueeze(t, d as i64)).collect::<Result<Vec<_>>>()?;
            joined("stack", &parts, d as i64)
        }
    }
    [method] {
        /// The tensor put `repeats[i]` times along each dimension `i`; further repeats come first.
        ///
        /// ```python
        /// >>> tf.tensor([1, 2]).repeat(2, 2)
        /// tensor([[1, 2, 1, 2],
        ///         [1, 2, 1, 2]])
        /// ```
        pub fn repeat(input: &Tensor, repeats: Size<'_>) -> Tensor {
            let repeats = shape_of("repeat", repeats.0)?;
            let Some(lead) = repeats.len().checked_sub(input.rank()) else {
                let what = format!("{} repeats for a tensor of {} dimensions", repeats.len(), input.rank());
                return Err(TensorError::argument("repeat", what));
            };
            let (mut ones, mut wide, mut to) = (Shape::new(), Shape::new(), Shape::new());
            for (i, &r) in repeats.iter().enumerate() {
                let n = if i < lead { 1 } else { input.shape()[i - lead] };
                ones.extend([1, n]);
                wide.extend([r, n]);
                to.push(r.checked_mul(n).ok_or_else(|| TensorError::no_memory(usize::MAX))?);
            }
            checked_numel(&to)?;
            let all = expand_to(&reshape_to(input, &ones)?, &wide)?;
            reshape_to(&copy(&all)?, &to)
        }
    }
    [tf method] {
        /// The order of the elements turned round along each dimension of `dims`, in a copy.
        ///
        /// ```python
        /// >>> tf.flip(tf.tensor([[1, 2], [3, 4]]), [1])
        /// tensor([[2, 1],
        ///         [4, 3]])
        /// ```
        pub fn flip(input: &Tensor, dims: Size<'_>) -> Tensor {
            let found = axes("flip", dims.0, input.rank())?;
            let turned = found.iter().try_fold(input.clone(), |t, &d| {
                let n = t.shape()[d];
                slice_to(&t, d, n.saturating_sub(1), n, -1)
            })?;
            copy(&turned)
        }
        /// The elements moved on by `shifts` along `dims`, round the end; without dimensions, in the flat tensor.
        ///
        /// ```python
        /// >>> tf.roll(tf.tensor([1, 2, 3, 4]), 1)
        /// tensor([4, 1, 2, 3])
        /// >>> tf.roll(tf.tensor([[1, 2], [3, 4]]), 1, 0)
        /// tensor([[3, 4],
        ///         [1, 2]])
        /// ```
        pub fn roll(input: &Tensor, shifts: &[i64], dims: Option<&[i64]> = None::<&[i64]>) -> Tensor {
            let dims = dims.unwrap_or(&[]);
            if dims.is_empty() {
                let [shift] = shifts else {
                    let what = format!("without dims one shift is needed, not {}", shifts.len());
                    return Err(TensorError::argument("roll", what));
                };
                return reshape_to(&rolled(&reshape_to(input, &[input.numel()])?, *shift, 0)?, input.shape());
            }
            if shifts.len() != dims.len() {
                let what = format!("{} shifts for {} dimensions", shifts.len(), dims.len());
                return Err(TensorError::argument("roll", what));
            }
            let moved = shifts.iter().zip(dims).try_fold(input.clone(), |t, (&s, &d)| {
                if t.rank() == 0 {
                    return Err(TensorError::Axis { op: "roll", axis: d, rank: 0 });
                }
                rolled(&t, s, axis("roll", d, t.rank())?)
            })?;
            if moved.same(input) { copy(input) } else { Ok(moved) }
        }
        /// The lower triangle of the last two dimensions, up to `diagonal` above the main one; zeros elsewhere.
        ///
        /// At least two dimensions are needed.
        ///
        /// ```python
        /// >>> tf.tril(tf.ones(3, 3))
        /// tensor([[1., 0., 0.],
        ///         [1., 1., 0.],
        ///         [1., 1., 1.]])
        /// ```
        pub fn tril(input: &Tensor, diagonal: i64 = 0) into target -> Tensor {
            triangle("tril", input, diagonal, true, target)
        }
        /// The upper triangle of the last two dimensions, from `diagonal` above the main one on; zeros elsewhere.
        ///
        /// At least two dimensions are needed.
        ///
        /// ```python
        /// >>> tf.triu(tf.ones(3, 3), diagonal=1)
        /// tensor([[0., 1., 1.],
        ///         [0., 0., 1.],
        ///         [0., 0., 0.]])
        /// ```
        pub fn triu(input: &Tensor, diagonal: i64 = 0) into target -> Tensor {
            triangle("triu", input, diagonal, false, target)
        }
    }
}

fn rolled(x: &Tensor, shift: i64, dim: usize) -> Result<Tensor> {
    let n = x.shape()[dim];
    if n == 0 {
        return copy(x);
    }
    let shift = shift.rem_euclid(n as i64) as usize;
    if shift == 0 {
        return copy(x);
    }
    cat(&[slice_to(x, dim, n - shift, shift, 1)?, slice_to(x, dim, 0, n - shift, 1)?], dim as i64)
}

fn triangle(op: &'static str, input: &Tensor, diagonal: i64, lower: bool, target: Option<&Tensor>) -> Result<Tensor> {
    if input.rank() < 2 {
        let what = format!("at least 2 dimensions are needed, not {}", input.rank());
        return Err(TensorError::argument(op, what));
    }
    let op = Triangle { op, diagonal, lower };
    match target {
        Some(target) => super::promote::written(op.op, target, &apply(&op, &[input])?),
        None => apply(&op, &[input]),
    }
}

/// A triangle of the last two dimensions.
#[derive(Debug, Clone)]
struct Triangle {
    op: &'static str,
    diagonal: i64,
    lower: bool,
}

impl Op for Triangle {
    fn name(&self) -> &'static str {
        self.op
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::triangle(&inputs[0], self.diagonal, self.lower, &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        Ok(smallvec![Some(apply(self, &[back.grad()?])?)])
    }
}
