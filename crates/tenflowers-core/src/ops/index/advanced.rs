//! Index tensors over several dimensions: `x[a, :, b]` and `x[mask] = v`.
use crate::cpu::movement::{self, Lookup};
use crate::cpu::{View, ViewMut, vec_for};
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{self, Back, Slot};
use crate::layout::{Shape, broadcast};
use crate::op::{Grads, Keep, Meta, Op, Outputs, apply, apply_into, recording};
use crate::ops::promote::written;
use crate::ops::view::{expand_to, permute_to};
use crate::ops::{assign, full_of, to_dtype};
use crate::schema::{Indices, Value};
use crate::tensor::Tensor;
use crate::{ops, storage_type};
use smallvec::{SmallVec, smallvec};

/// How index tensors of one shape pick from the dimensions from `lead` on.
#[derive(Debug, Clone, Copy)]
struct Pick {
    op: &'static str,
    indices: u8,
    lead: u8,
    /// The dimension that messages name for the first of them.
    dim: u8,
    /// Whether indices may count from the end.
    negative: bool,
}

impl Pick {
    fn lookup<'a>(&self, indices: &'a [View<'a>]) -> Lookup<'a> {
        Lookup { op: self.op, negative: self.negative, lead: self.lead.into(), dim: self.dim.into(), indices }
    }
    fn slots(&self, first: u8) -> Keep {
        (first..self.indices + first).map(Slot::Input).collect()
    }
    fn kept<'a>(&self, back: &'a Back, first: u8) -> Result<SmallVec<[&'a Tensor; 4]>> {
        (first..self.indices + first).map(|i| back.input(i)).collect()
    }
}

/// Inputs: the tensor, then the indices, whose dimensions stand in the place of those that they index.
#[derive(Debug, Clone)]
struct Index {
    pick: Pick,
    /// An index whose elements get no gradient, where there is one index tensor.
    skip: Option<i64>,
}

impl Op for Index {
    fn name(&self) -> &'static str {
        self.pick.op
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (x, lead) = (inputs[0].shape(), self.pick.lead as usize);
        let mut shape: Shape = x[..lead].into();
        shape.extend_from_slice(inputs[1].shape());
        shape.extend_from_slice(&x[lead + self.pick.indices as usize..]);
        crate::layout::checked_numel(&shape)?;
        Meta::one(shape, inputs[0].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::index(&self.pick.lookup(&inputs[1..]), &inputs[0], &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        self.pick.slots(1)
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let indices = self.pick.kept(back, 1)?;
        let inputs: SmallVec<[&Tensor; 4]> = std::iter::once(back.grad()?).chain(indices).collect();
        let op = IndexSum { pick: self.pick, shape: back.shape(0).into(), skip: self.skip };
        Ok(smallvec![Some(apply(&op, &inputs)?)])
    }
}

/// The way back from `Index`: what it picked, added up in zeros. Inputs: the gradient, then the indices.
#[derive(Debug, Clone)]
struct IndexSum {
    pick: Pick,
    shape: Shape,
    skip: Option<i64>,
}

impl Op for IndexSum {
    fn name(&self) -> &'static str {
        "index_sum"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::one(self.shape.clone(), inputs[0].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::index_sum(&self.pick.lookup(&inputs[1..]), &inputs[0], &mut outs[0], self.skip)
    }
    fn keep(&self, _: &[bool]) -> Keep {
        self.pick.slots(1)
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (g, indices) = (back.grad()?, self.pick.kept(back, 1)?);
        let inputs: SmallVec<[&Tensor; 4]> = std::iter::once(g).chain(indices.iter().copied()).collect();
        let picked = apply(&Index { pick: self.pick, skip: self.skip }, &inputs)?;
        let Some(skip) = self.skip else { return Ok(smallvec![Some(picked)]) };
        let mut mask = indices[0].eq(skip)?;
        for _ in self.pick.lead as usize + 1..self.shape.len() {
            mask = crate::ops::unsqueeze(&mask, -1)?;
        }
        Ok(smallvec![Some(crate::ops::where_(&mask, Scalar::ZERO.into(), (&picked).into())?)])
    }
}

/// Inputs: the tensor, the values in the shape of what they replace, then the indices, of the first dimensions.
#[derive(Debug, Clone)]
struct IndexPut {
    pick: Pick,
    add: bool,
}

impl Op for IndexPut {
    fn name(&self) -> &'static str {
        self.pick.op
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::copy(&inputs[0], &mut outs[0])?;
        movement::index_put(&self.pick.lookup(&inputs[2..]), &mut outs[0], &inputs[1], self.add)
    }
    fn keep(&self, _: &[bool]) -> Keep {
        self.pick.slots(2)
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let g = back.grad()?;
        let indices = self.pick.kept(back, 2)?;
        let rest = if !back.needs(0) {
            None
        } else if self.add {
            Some(g.clone())
        } else {
            let mut shape: Shape = indices[0].shape().into();
            shape.extend_from_slice(&g.shape()[self.pick.indices as usize..]);
            let zero = expand_to(&full_of(&[], Scalar::ZERO, g.dtype())?, &shape)?;
            let inputs: SmallVec<[&Tensor; 4]> = [g, &zero].into_iter().chain(indices.iter().copied()).collect();
            Some(apply(self, &inputs)?)
        };
        let values = if back.needs(1) {
            let inputs: SmallVec<[&Tensor; 4]> = std::iter::once(g).chain(indices).collect();
            Some(apply(&Index { pick: self.pick, skip: None }, &inputs)?)
        } else {
            None
        };
        Ok(smallvec![rest, values])
    }
}

/// As `IndexPut`, into the tensor itself and without history. Inputs: the values, then the indices.
#[derive(Debug, Clone)]
struct IndexWrite {
    pick: Pick,
    add: bool,
}

impl Op for IndexWrite {
    fn name(&self) -> &'static str {
        self.pick.op
    }
    fn infer(&self, _: &[&Tensor]) -> Result<Meta> {
        Ok(Meta::New(smallvec![]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::index_put(&self.pick.lookup(&inputs[1..]), &mut outs[0], &inputs[0], self.add)
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, _: &Back) -> Result<Grads> {
        grad::none(self.pick.op, "it is not recorded")
    }
}

/// A tensor whose indexed dimensions follow each other, and index tensors of one shape for them.
struct Prepared {
    x: Tensor,
    indices: Outputs,
    pick: Pick,
    /// The dimension of the result before which those of the indices stand.
    at: usize,
}

fn is_mask(t: &Tensor) -> bool {
    matches!(t.dtype(), DType::Bool | DType::U8)
}

/// Masks become the indices of what they name; all indices int64 and of one shape. To be read, dimensions are moved only where
/// those that are indexed do not follow each other; to be written (`first`), those come first.
fn prepare(
    op: &'static str,
    x: &Tensor,
    given: &[Option<Tensor>],
    negative: bool,
    first: bool,
) -> Result<Option<Prepared>> {
    let error = |what: String| Err(TensorError::Indexing { op, what });
    let mut x = std::borrow::Cow::Borrowed(x);
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
            let mut merged: Shape = x.shape()[..d].into();
            merged.push(index.numel());
            merged.extend_from_slice(&x.shape()[d + index.rank()..]);
            // Dimensions that lie as one are indexed as one.
            if !first && index.rank() > 0 && x.layout().reshaped(&merged).is_some() {
                x = std::borrow::Cow::Owned(crate::ops::reshape_to(&x, &merged)?);
                dims.push(d);
                indices.push(flat_nonzero(index)?);
                d += 1;
                continue;
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
    let lead = if first { 0 } else { at as u8 };
    let pick = Pick { op, indices: indices.len() as u8, lead, dim: dims[0] as u8, negative };
    if (first || !adjacent) && dims.iter().enumerate().any(|(i, &d)| i != d) {
        let rest = (0..x.rank()).filter(|d| !dims.contains(d)).collect::<Shape>();
        let order: Shape = dims.iter().copied().chain(rest).collect();
        return Ok(Some(Prepared { x: permute_to(&x, &order)?, indices, pick, at }));
    }
    Ok(Some(Prepared { x: x.into_owned(), indices, pick, at }))
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
    picked("index", x, indices, true, None)
}

/// As [`index_by`], for the operation `op`; elements of the index `skip` get no gradient.
pub(in crate::ops) fn picked(
    op: &'static str,
    x: &Tensor,
    indices: &[Option<Tensor>],
    negative: bool,
    skip: Option<i64>,
) -> Result<Tensor> {
    let Some(p) = prepare(op, x, indices, negative, false)? else { return expand_to(x, x.shape()) };
    apply(&Index { pick: p.pick, skip }, &p.inputs(&[&p.x]))
}

/// A copy of `x` with `values` written or added at `indices`.
pub(super) fn put(
    op: &'static str,
    x: &Tensor,
    indices: &[Option<Tensor>],
    values: &Tensor,
    negative: bool,
    add: bool,
) -> Result<Tensor> {
    let Some(p) = prepare(op, x, indices, negative, true)? else {
        return if add {
            x.add(&to_dtype(values, x.dtype())?)
        } else {
            crate::ops::copy(&expand_to(values, x.shape())?)
        };
    };
    let values = p.values(op, values)?;
    let put = apply(&IndexPut { pick: p.pick, add }, &p.inputs(&[&p.x, &values]))?;
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
    if let ([Some(mask)], [], false) = (indices, values.shape(), add)
        && (mask.dtype(), mask.shape()) == (DType::Bool, x.shape())
        && x.rank() > 0
        && !recording(&[x, values])
    {
        return assign::to(Some(x), x, &crate::ops::where_(mask, values.into(), x.into())?).map(drop);
    }
    let Some(p) = prepare("index_put_", x, indices, true, true)? else {
        return if add { x.add_(values).map(drop) } else { assign::to(Some(x), x, values).map(drop) };
    };
    let values = to_dtype(&p.values("index_put_", values)?, x.dtype())?;
    if recording(&[x, &values]) {
        let put = apply(&IndexPut { pick: p.pick, add }, &p.inputs(&[&p.x, &values]))?;
        return assign::to(Some(&p.x), &p.x, &put).map(drop);
    }
    let shares = |t: &Tensor| t.shares_storage(x);
    let values = if shares(&values) { crate::ops::copy(&values)? } else { values };
    let indices = p.indices.iter().map(|t| if shares(t) { crate::ops::copy(t) } else { Ok(t.clone()) });
    let indices = indices.collect::<Result<Outputs>>()?;
    // Checked before the first element is written, so that a bad index leaves the tensor as it was.
    let inputs: SmallVec<[&Tensor; 4]> = std::iter::once(&values).chain(&indices).collect();
    apply_into(&IndexWrite { pick: p.pick, add }, &inputs, &[&p.x])
}

fn indices(values: Vec<i64>, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::<i64>::from_vec(values, shape)?.erase().clone())
}

/// The flat indices of the elements that are not zero.
fn nonzero_positions(x: &Tensor) -> Result<Vec<i64>> {
    let _lock = x.storage().read();
    // SAFETY: the lock is held while the view lives.
    let view = unsafe { View::new(x.storage().as_ptr(), x.layout(), x.dtype()) };
    storage_type!(x.dtype(), T => movement::positions::<T>(&view))
}

fn flat_nonzero(x: &Tensor) -> Result<Tensor> {
    let found = nonzero_positions(x)?;
    let n = found.len();
    indices(found, &[n])
}

/// The indices along each dimension of the elements that are not zero.
pub fn nonzero_tuple(x: &Tensor) -> Result<Vec<Tensor>> {
    if x.rank() < 2 {
        return Ok(vec![flat_nonzero(x)?]);
    }
    let found = nonzero_positions(x)?;
    let column = |_| {
        let mut column = vec_for(found.len())?;
        column.resize(found.len(), 0);
        Ok(column)
    };
    let mut columns: Vec<Vec<i64>> = (0..x.rank()).map(column).collect::<Result<_>>()?;
    movement::by_rows(&found, x.shape(), |range, row, start| {
        let (last, outer) = columns.split_last_mut().expect("two dimensions at least");
        outer.iter_mut().zip(row).for_each(|(c, &i)| c[range.clone()].fill(i));
        last[range.clone()].iter_mut().zip(&found[range]).for_each(|(to, &i)| *to = i - start);
    });
    columns.into_iter().map(|c| indices(c, &[found.len()])).collect()
}

fn nonzero_rows(x: &Tensor) -> Result<Tensor> {
    let (found, rank) = (nonzero_positions(x)?, x.rank());
    let shape = [found.len(), rank];
    if rank == 1 {
        return indices(found, &shape);
    }
    let mut rows = vec_for(crate::layout::checked_numel(&shape)?)?;
    movement::by_rows(&found, x.shape(), |range, row, start| match row {
        [row] => rows.extend(found[range].iter().flat_map(|i| [*row, i - start])),
        _ => found[range].iter().for_each(|i| {
            rows.extend_from_slice(row);
            rows.push(i - start);
        }),
    });
    indices(rows, &shape)
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
                Some(target) => written("index_put", target, &put("index_put", input, indices, values, true, accumulate)?),
                None => put("index_put", input, indices, values, true, accumulate),
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
