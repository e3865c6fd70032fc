//! Index tensors over several dimensions: `x[a, :, b]` and `x[mask] = v`.
use crate::cpu::{View, ViewMut, movement};
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{self, Back, Slot};
use crate::layout::{Shape, broadcast};
use crate::op::{Grads, Keep, Meta, Op, Outputs, apply, apply_into};
use crate::ops::promote::written;
use crate::ops::view::{expand_to, permute_to};
use crate::ops::{assign, full_like, full_of, to_dtype};
use crate::schema::{Indices, Value};
use crate::storage::lock;
use crate::tensor::Tensor;
use crate::{ops, storage_type};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Index tensors of one shape over the first dimensions. Inputs: the tensor, then the indices.
#[derive(Debug, Clone)]
struct Index {
    indices: u8,
}

impl Op for Index {
    fn name(&self) -> &'static str {
        "index"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let mut shape: Shape = inputs[1].shape().into();
        shape.extend_from_slice(&inputs[0].shape()[self.indices as usize..]);
        crate::layout::checked_numel(&shape)?;
        Meta::one(shape, inputs[0].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::index("index", &inputs[0], &inputs[1..], &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        (1..=self.indices).map(Slot::Input).collect()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let g = back.grad()?;
        let zeros = full_like(g, back.shape(0), Scalar::ZERO)?;
        let mut inputs: SmallVec<[&Tensor; 4]> = smallvec![&zeros, g];
        for i in 1..=self.indices {
            inputs.push(back.input(i)?);
        }
        Ok(smallvec![Some(apply(&IndexPut { indices: self.indices, add: true }, &inputs)?)])
    }
}

/// Inputs: the tensor, the values in the shape of what they replace, then the indices.
#[derive(Debug, Clone)]
struct IndexPut {
    indices: u8,
    add: bool,
}

impl Op for IndexPut {
    fn name(&self) -> &'static str {
        "index_put"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::copy(&inputs[0], &mut outs[0])?;
        movement::index_put("index_put", &mut outs[0], &inputs[2..], &inputs[1], self.add)
    }
    fn keep(&self, _: &[bool]) -> Keep {
        (2..self.indices + 2).map(Slot::Input).collect()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let g = back.grad()?;
        let mut indices: SmallVec<[&Tensor; 4]> = smallvec![];
        for i in 2..self.indices + 2 {
            indices.push(back.input(i)?);
        }
        let rest = if !back.needs(0) {
            None
        } else if self.add {
            Some(g.clone())
        } else {
            let mut shape: Shape = indices[0].shape().into();
            shape.extend_from_slice(&g.shape()[self.indices as usize..]);
            let zeros = full_of(&shape, Scalar::ZERO, g.dtype())?;
            let inputs: SmallVec<[&Tensor; 4]> = [g, &zeros].into_iter().chain(indices.iter().copied()).collect();
            Some(apply(self, &inputs)?)
        };
        let values = if back.needs(1) {
            let inputs: SmallVec<[&Tensor; 4]> = std::iter::once(g).chain(indices).collect();
            Some(apply(&Index { indices: self.indices }, &inputs)?)
        } else {
            None
        };
        Ok(smallvec![rest, values])
    }
}

/// As `IndexPut`, into the tensor itself and without history. Inputs: the values, then the indices.
#[derive(Debug, Clone)]
struct IndexWrite {
    add: bool,
}

impl Op for IndexWrite {
    fn name(&self) -> &'static str {
        "index_put_"
    }
    fn infer(&self, _: &[&Tensor]) -> Result<Meta> {
        Ok(Meta::New(smallvec![]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::index_put("index_put_", &mut outs[0], &inputs[1..], &inputs[0], self.add)
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, _: &Back) -> Result<Grads> {
        grad::none("index_put_", "it is not recorded")
    }
}

/// A tensor with the dimensions that are indexed first, and index tensors of one shape for them.
struct Prepared {
    x: Tensor,
    indices: Outputs,
    /// The dimension of the result before which those of the indices stand.
    at: usize,
}

fn is_mask(t: &Tensor) -> bool {
    matches!(t.dtype(), DType::Bool | DType::U8)
}

/// Masks become the indices of what they name; all indices int64 and of one shape.
fn prepare(op: &'static str, x: &Tensor, given: &[Option<Tensor>]) -> Result<Option<Prepared>> {
    let error = |what: String| Err(TensorError::Indexing { op, what });
    let (mut dims, mut indices, mut d) = (Shape::new(), vec![], 0);
    for index in given {
        let Some(index) = index else {
            d += 1;
            continue;
        };
        if is_mask(index) {
            let covered = x.shape().get(d..d + index.rank());
            if covered != Some(index.shape()) {
                let what = format!(
                    "a mask of shape {:?} does not fit the dimensions from {d} on of a tensor of shape {:?}",
                    index.shape(),
                    x.shape()
                );
                return error(what);
            }
            for part in nonzero_tuple(index)? {
                dims.push(d);
                indices.push(part);
                d += 1;
            }
        } else if index.dtype().is_integral() && !matches!(index.dtype(), DType::U16 | DType::U32 | DType::U64) {
            dims.push(d);
            indices.push(to_dtype(index, DType::I64)?);
            d += 1;
        } else {
            return error(format!("tensors used as indices must be integer or bool tensors, not {}", index.dtype()));
        }
    }
    if d > x.rank() {
        return error(format!("too many indices ({d}) for a tensor of {} dimensions", x.rank()));
    }
    if dims.is_empty() {
        return Ok(None);
    }
    let Ok(shape) = indices.iter().try_fold(Shape::new(), |s, t| broadcast(op, &s, t.shape())) else {
        let shapes: Vec<_> = indices.iter().map(|t| t.shape()).collect();
        return error(format!("the shapes of the indices cannot be broadcast together: {shapes:?}"));
    };
    let indices = indices.iter().map(|t| expand_to(t, &shape)).collect::<Result<Outputs>>()?;
    let adjacent = dims.windows(2).all(|w| w[1] == w[0] + 1);
    let at = if adjacent { dims[0] } else { 0 };
    if dims.iter().enumerate().any(|(i, &d)| i != d) {
        let rest = (0..x.rank()).filter(|d| !dims.contains(d)).collect::<Shape>();
        let order: Shape = dims.iter().copied().chain(rest).collect();
        return Ok(Some(Prepared { x: permute_to(x, &order)?, indices, at }));
    }
    Ok(Some(Prepared { x: x.clone(), indices, at }))
}

impl Prepared {
    fn index_rank(&self) -> usize {
        self.indices[0].rank()
    }
    /// The dimensions of a picked tensor, which begin with the index's, in the order that users see.
    fn order(&self, rank: usize) -> Shape {
        let b = self.index_rank();
        (b..b + self.at).chain(0..b).chain(b + self.at..rank).collect()
    }
    fn picked_shape(&self) -> Shape {
        let mut shape: Shape = self.indices[0].shape().into();
        shape.extend_from_slice(&self.x.shape()[self.indices.len()..]);
        shape
    }
    /// Values, broadcast to what users see, in the order of the kernel.
    fn values(&self, op: &'static str, values: &Tensor) -> Result<Tensor> {
        let shape = self.picked_shape();
        let order = self.order(shape.len());
        let seen: Shape = order.iter().map(|&d| shape[d]).collect();
        // Leading dimensions of size 1 do no harm.
        let extra = values.rank().saturating_sub(seen.len());
        let values = if extra > 0 && values.shape()[..extra].iter().all(|&n| n == 1) {
            crate::ops::reshape_to(values, &values.shape()[extra..])?
        } else {
            values.clone()
        };
        if broadcast(op, values.shape(), &seen).ok().as_deref() != Some(&seen[..]) {
            return Err(TensorError::shape(
                op,
                "the values cannot be broadcast to what the index names",
                values.shape(),
                &seen,
            ));
        }
        let values = expand_to(&values, &seen)?;
        if self.at == 0 {
            return Ok(values);
        }
        let mut inverse = order.clone();
        order.iter().enumerate().for_each(|(i, &d)| inverse[d] = i);
        permute_to(&values, &inverse)
    }
    fn inputs<'a>(&'a self, first: &[&'a Tensor]) -> SmallVec<[&'a Tensor; 4]> {
        first.iter().copied().chain(&self.indices).collect()
    }
}

/// `x[indices]`, where `None` stands for a whole dimension.
pub fn index_by(x: &Tensor, indices: &[Option<Tensor>]) -> Result<Tensor> {
    let Some(p) = prepare("index", x, indices)? else { return crate::ops::view::expand_to(x, x.shape()) };
    let picked = apply(&Index { indices: p.indices.len() as u8 }, &p.inputs(&[&p.x]))?;
    if p.at == 0 { Ok(picked) } else { permute_to(&picked, &p.order(picked.rank())) }
}

/// A copy of `x` with `values` written or added at `indices`.
pub(super) fn put(
    op: &'static str,
    x: &Tensor,
    indices: &[Option<Tensor>],
    values: &Tensor,
    add: bool,
) -> Result<Tensor> {
    let Some(p) = prepare(op, x, indices)? else {
        return if add {
            x.add(&to_dtype(values, x.dtype())?)
        } else {
            crate::ops::copy(&expand_to(values, x.shape())?)
        };
    };
    let values = p.values(op, values)?;
    let put = apply(&IndexPut { indices: p.indices.len() as u8, add }, &p.inputs(&[&p.x, &values]))?;
    // Back to the order of x.
    let order = match p.x.view_of() {
        Some(_) if !p.x.same(x) => permutation(x, indices),
        _ => return Ok(put),
    };
    let mut inverse = order.clone();
    order.iter().enumerate().for_each(|(i, &d)| inverse[d] = i);
    permute_to(&put, &inverse)
}

/// The order of dimensions that `prepare` makes.
fn permutation(x: &Tensor, indices: &[Option<Tensor>]) -> Shape {
    let (mut dims, mut d) = (Shape::new(), 0);
    for index in indices {
        let covered = match index {
            Some(t) if is_mask(t) => t.rank(),
            Some(_) => 1,
            None => {
                d += 1;
                continue;
            }
        };
        dims.extend(d..d + covered);
        d += covered;
    }
    let rest = (0..x.rank()).filter(|d| !dims.contains(d)).collect::<Shape>();
    dims.into_iter().chain(rest).collect()
}

/// `x[indices] = values`, or `+=` with `add`, in `x` itself.
pub fn index_write(x: &Tensor, indices: &[Option<Tensor>], values: &Tensor, add: bool) -> Result<()> {
    let Some(p) = prepare("index_put_", x, indices)? else {
        return if add { x.add_(values).map(drop) } else { assign::to(Some(x), x, values).map(drop) };
    };
    let values = to_dtype(&p.values("index_put_", values)?, x.dtype())?;
    if grad::is_enabled() && (x.requires_grad() || values.requires_grad()) {
        let put = apply(&IndexPut { indices: p.indices.len() as u8, add }, &p.inputs(&[&p.x, &values]))?;
        return assign::to(Some(&p.x), &p.x, &put).map(drop);
    }
    let shares = |t: &Tensor| Arc::ptr_eq(t.storage(), x.storage());
    let values = if shares(&values) { crate::ops::copy(&values)? } else { values };
    let indices = p.indices.iter().map(|t| if shares(t) { crate::ops::copy(t) } else { Ok(t.clone()) });
    let indices = indices.collect::<Result<Outputs>>()?;
    // Checked before the first element is written, so that a bad index leaves the tensor as it was.
    let inputs: SmallVec<[&Tensor; 4]> = std::iter::once(&values).chain(&indices).collect();
    apply_into(&IndexWrite { add }, &inputs, &[&p.x])
}

/// The indices along each dimension of the elements that are not zero.
pub fn nonzero_tuple(x: &Tensor) -> Result<Vec<Tensor>> {
    if x.rank() == 0 {
        return nonzero_tuple(&crate::ops::reshape_to(x, &[1])?);
    }
    let all = nonzero_rows(x)?;
    (0..x.rank()).map(|d| crate::ops::copy(&crate::ops::view::select_to(&all, 1, d)?)).collect()
}

fn nonzero_rows(x: &Tensor) -> Result<Tensor> {
    let found = {
        let _lock = lock(&[x.storage()], &[]);
        // SAFETY: the lock is held while the view lives.
        let view = unsafe { View::new(x.storage().as_ptr(), x.layout(), x.dtype()) };
        storage_type!(x.dtype(), T => {
            if x.rank() == 0 {
                return full_of(&[usize::from(view.to_slice::<T>()?[0] != T::default()), 0], Scalar::ZERO, DType::I64);
            }
            movement::nonzero::<T>(&view)?
        })
    };
    let rows = found.len() / x.rank();
    Ok(Tensor::<i64>::from_vec(found, &[rows, x.rank()])?.erase().clone())
}

ops! {
    [tf method] {
        /// `input` with `values`, broadcast, at the places that index tensors or masks name, in a copy; added there if `accumulate`.
        ///
        /// The indices are tensors of integers, which broadcast to one shape, or a mask; `values` has the dtype of
        /// `input`.
        ///
        /// ```python
        /// >>> index = (tf.tensor([0, 1]), tf.tensor([2, 0]))
        /// >>> tf.index_put(tf.zeros(2, 3), index, tf.tensor([5.0, 6.0]))
        /// tensor([[0., 0., 5.],
        ///         [6., 0., 0.]])
        /// ```
        pub fn index_put(input: &Tensor, indices: Indices<'_>, values: &Tensor, accumulate: bool = false) into target -> Tensor {
            if values.dtype() != input.dtype() {
                let what = "expected values of the tensor's dtype";
                return Err(TensorError::DType { op: "index_put", what, left: input.dtype(), right: values.dtype() });
            }
            match target {
                Some(target) if target.same(input) => {
                    index_write(input, indices, values, accumulate)?;
                    Ok(input.clone())
                }
                Some(target) => written("index_put", target, &put("index_put", input, indices, values, accumulate)?),
                None => put("index_put", input, indices, values, accumulate),
            }
        }
        /// The indices of the elements that are not zero, a row each; with `as_tuple` a tensor for each dimension.
        ///
        /// The indices are int64; of `input` with `n` dimensions and `k` such elements the rows make a tensor `[k, n]`.
        ///
        /// ```python
        /// >>> tf.nonzero(tf.tensor([[0, 1], [2, 0]]))
        /// tensor([[0, 1],
        ///         [1, 0]])
        /// >>> tf.nonzero(tf.tensor([[0, 1], [2, 0]]), as_tuple=True)
        /// (tensor([0, 1]), tensor([1, 0]))
        /// ```
        pub fn nonzero(input: &Tensor; as_tuple: bool = false) no_grad "the result is an index" -> Value {
            if as_tuple { nonzero_tuple(input).map(Value::Tensors) } else { nonzero_rows(input).map(Value::Tensor) }
        }
    }
}
