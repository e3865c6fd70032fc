//! Indices along one dimension: gather, scatter, index_select.
use crate::cpu::movement::{self, Scatter as How};
use crate::cpu::{View, ViewMut};
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{self, Back, Slot};
use crate::layout::{Shape, axis};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::ops::promote::written;
use crate::ops::{full_like, full_of, to_dtype};
use crate::schema::Operand;
use crate::tensor::Tensor;
use smallvec::smallvec;

#[derive(Debug, Clone)]
struct Gather(usize);

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::one(inputs[1].layout().shape.clone(), inputs[0].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::gather(&inputs[0], self.0, &inputs[1], &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Input(1)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let op = GatherSum { dim: self.0, shape: back.shape(0).into() };
        Ok(smallvec![Some(apply(&op, &[back.input(1)?, back.grad()?])?)])
    }
}

/// The way back from `Gather`: what it picked, added up in zeros. Inputs: the index, the gradient.
#[derive(Debug, Clone)]
struct GatherSum {
    dim: usize,
    shape: Shape,
}

impl Op for GatherSum {
    fn name(&self) -> &'static str {
        "gather_sum"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::one(self.shape.clone(), inputs[1].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::zero(&mut outs[0])?;
        movement::scatter(self.dim, &inputs[0], &inputs[1], &mut outs[0], How::Add)
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Input(0)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        Ok(smallvec![None, Some(apply(&Gather(self.dim), &[back.grad()?, back.input(0)?])?)])
    }
}

/// Inputs: the tensor, the index, the source.
#[derive(Debug, Clone)]
struct Scatter {
    dim: usize,
    how: How,
}

impl Op for Scatter {
    fn name(&self) -> &'static str {
        if self.how == How::Add { "scatter_add" } else { "scatter" }
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        movement::copy(&inputs[0], &mut outs[0])?;
        movement::scatter(self.dim, &inputs[1], &inputs[2], &mut outs[0], self.how)
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Input(1)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (g, index) = (back.grad()?, back.input(1)?);
        let input = match self.how {
            _ if !back.needs(0) => None,
            How::Add => Some(g.clone()),
            How::Set => {
                let zeros = full_of(index.shape(), Scalar::ZERO, g.dtype())?;
                Some(apply(&Scatter { dim: self.dim, how: How::Set }, &[g, index, &zeros])?)
            }
            How::Multiply => return grad::none("scatter", "with reduce='multiply' there is none"),
        };
        let source = if back.needs(2) {
            let picked = apply(&Gather(self.dim), &[g, index])?;
            // The source may be larger than the index: what was not read gets nothing.
            Some(if picked.shape() == back.shape(2) { picked } else { placed(&picked, back.shape(2))? })
        } else {
            None
        };
        Ok(smallvec![input, None, source])
    }
}

/// A tensor in the corner of zeros of a larger shape.
fn placed(t: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let all = full_like(t, shape, Scalar::ZERO)?;
    let corner = corner(&all, t.shape())?;
    crate::ops::assign::to(Some(&corner), &corner, t)?;
    Ok(all)
}

fn corner(t: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let part = |t: Tensor, (d, &n): (usize, &usize)| crate::ops::view::slice_to(&t, d, 0, n, 1);
    shape.iter().enumerate().filter(|(d, n)| t.shape()[*d] != **n).try_fold(t.clone(), part)
}

/// The index as int64, checked against the tensor.
fn checked_index(op: &'static str, input: &Tensor, index: &Tensor, dim: usize) -> Result<Tensor> {
    if index.dtype().category() != crate::Category::Integer {
        return Err(TensorError::argument(op, format!("the index must be an integer tensor, not {}", index.dtype())));
    }
    let index = to_dtype(index, DType::I64)?;
    if index.numel() == 0 {
        return Ok(index);
    }
    let rank = |t: &Tensor| t.rank().max(1);
    if rank(&index) != rank(input) {
        let what = "the index must have as many dimensions as the tensor";
        return Err(TensorError::shape(op, what, input.shape(), index.shape()));
    }
    if (0..index.rank()).any(|d| d != dim && input.shape().get(d).is_some_and(|&n| index.shape()[d] > n)) {
        let what = format!("the index is larger than the tensor beside dimension {dim}");
        return Err(TensorError::shape(op, what, input.shape(), index.shape()));
    }
    Ok(index)
}

/// Checks, and tensors of no dimensions given one.
fn scattered(
    op: &'static str,
    input: &Tensor,
    dim: i64,
    index: &Tensor,
    src: &Tensor,
    how: How,
    target: Option<&Tensor>,
) -> Result<Tensor> {
    let dim = axis(op, dim, input.rank())?;
    let index = &checked_index(op, input, index, dim)?;
    if src.dtype() != input.dtype() {
        let what = "expected a source of the tensor's dtype";
        return Err(TensorError::DType { op, what, left: input.dtype(), right: src.dtype() });
    }
    let lift = |t: &Tensor| if t.rank() == 0 { crate::ops::reshape_to(t, &[1]) } else { Ok(t.clone()) };
    let result = if index.numel() == 0 {
        crate::ops::copy(input)?
    } else {
        let (x, index, src) = (lift(input)?, lift(index)?, lift(src)?);
        if src.rank() != index.rank() || src.shape().iter().zip(index.shape()).any(|(s, i)| i > s) {
            return Err(TensorError::shape(op, "the index is larger than the source", index.shape(), src.shape()));
        }
        let out = apply(&Scatter { dim, how }, &[&x, &index, &src])?;
        if input.rank() == 0 { crate::ops::reshape_to(&out, &[])? } else { out }
    };
    match target {
        Some(target) => written(op, target, &result),
        None => Ok(result),
    }
}

fn how_of(reduce: Option<&str>) -> Result<How> {
    match reduce {
        None => Ok(How::Set),
        Some("add") => Ok(How::Add),
        Some("multiply") => Ok(How::Multiply),
        Some(other) => {
            Err(TensorError::argument("scatter", format!("reduce must be 'add' or 'multiply', not '{other}'")))
        }
    }
}

ops! {
    [tf method] {
        /// `out[i][j] = input[index[i][j]][j]` for `dim` 0, and so on: one element for each of an int64 index.
        ///
        /// The result has the shape of the index, whose sizes are at most those of `input` but along `dim`.
        ///
        /// ```python
        /// >>> tf.gather(tf.tensor([[1, 2], [3, 4]]), 1, tf.tensor([[0, 0], [1, 0]]))
        /// tensor([[1, 1],
        ///         [4, 3]])
        /// ```
        pub fn gather(input: &Tensor, dim: i64, index: &Tensor; sparse_grad: bool = false) -> Tensor {
            if sparse_grad {
                return Err(TensorError::unsupported("gather", "sparse_grad=True"));
            }
            let dim = axis("gather", dim, input.rank())?;
            let index = &checked_index("gather", input, index, dim)?;
            // No index picks nothing, whatever its number of dimensions.
            if index.numel() == 0 {
                let flat = |t: &Tensor| crate::ops::reshape_to(t, &[t.numel()]);
                return crate::ops::reshape_to(&super::index_by(&flat(input)?, &[Some(flat(index)?)])?, index.shape());
            }
            if input.rank() == 0 || index.rank() == 0 {
                let lift = |t: &Tensor| crate::ops::reshape_to(t, &[t.numel()]);
                let out = apply(&Gather(0), &[&lift(input)?, &lift(index)?])?;
                return crate::ops::reshape_to(&out, index.shape());
            }
            apply(&Gather(dim), &[input, index])
        }
        /// `out[index[i][j]][j] = src[i][j]` for `dim` 0, and so on, in a copy of `input`; `reduce` may be 'add' or 'multiply'.
        ///
        /// The index is int32 or int64 and no larger than `src`, which has the dtype of `input`. Where indices meet,
        /// the last one stays.
        ///
        /// ```python
        /// >>> tf.scatter(tf.zeros(4), 0, tf.tensor([3, 1]), tf.tensor([5.0, 6.0]))
        /// tensor([0., 6., 0., 5.])
        /// ```
        pub fn scatter(input: &Tensor, dim: i64, index: &Tensor, src: &Tensor; reduce: Option<&str> = None::<&str>) into target -> Tensor {
            scattered("scatter", input, dim, index, src, how_of(reduce)?, target)
        }
        /// As with a source, but of one value.
        ///
        /// ```python
        /// >>> tf.scatter(tf.ones(4), 0, tf.tensor([3, 1]), 5, reduce="add")
        /// tensor([1., 6., 1., 6.])
        /// ```
        pub fn scatter_value as scatter(input: &Tensor, dim: i64, index: &Tensor, value: Scalar; reduce: Option<&str> = None::<&str>) into target -> Tensor {
            let src = full_of(index.shape(), value, input.dtype())?;
            scattered("scatter", input, dim, index, &src, how_of(reduce)?, target)
        }
        /// `out[index[i][j]][j] += src[i][j]` for `dim` 0, and so on, in a copy of `input`.
        ///
        /// The index is int32 or int64 and no larger than `src`, which has the dtype of `input`.
        ///
        /// ```python
        /// >>> tf.scatter_add(tf.zeros(3), 0, tf.tensor([0, 2, 0]), tf.tensor([1.0, 2.0, 3.0]))
        /// tensor([4., 0., 2.])
        /// ```
        pub fn scatter_add(input: &Tensor, dim: i64, index: &Tensor, src: &Tensor) into target -> Tensor {
            scattered("scatter_add", input, dim, index, src, How::Add, target)
        }
        /// The slices of `dim` that an int32 or int64 index of one dimension names.
        ///
        /// Indices out of range, negative ones too, are an `AxisError`.
        ///
        /// ```python
        /// >>> tf.index_select(tf.tensor([[1, 2, 3], [4, 5, 6]]), 1, tf.tensor([2, 0]))
        /// tensor([[3, 1],
        ///         [6, 4]])
        /// ```
        pub fn index_select(input: &Tensor, dim: i64, index: &Tensor) -> Tensor {
            let d = axis("index_select", dim, input.rank())?;
            if index.rank() > 1 {
                let what = format!("the index must have at most one dimension, not {}", index.rank());
                return Err(TensorError::Indexing { op: "index_select", what });
            }
            if !matches!(index.dtype(), DType::I32 | DType::I64) {
                let what = format!("the index must be an int32 or int64 tensor, not {}", index.dtype());
                return Err(TensorError::argument("index_select", what));
            }
            let index = crate::ops::reshape_to(&to_dtype(index, DType::I64)?, &[index.numel()])?;
            if input.rank() == 0 {
                if index.numel() != 1 {
                    let what = "a tensor of no dimensions takes an index of one element";
                    return Err(TensorError::Indexing { op: "index_select", what: what.into() });
                }
                let one = super::picked("index_select", &crate::ops::reshape_to(input, &[1])?, &[Some(index)], false, None)?;
                return crate::ops::reshape_to(&one, &[]);
            }
            let mut indices = vec![None; d];
            indices.push(Some(index));
            super::picked("index_select", input, &indices, false, None)
        }
        /// `out[index[i]] = source[i]` along `dim`, in a copy of `input`.
        ///
        /// The index has at most one dimension; `source` has the dtype of `input`.
        ///
        /// ```python
        /// >>> tf.index_copy(tf.zeros(4), 0, tf.tensor([3, 1]), tf.tensor([5.0, 6.0]))
        /// tensor([0., 6., 0., 5.])
        /// ```
        pub fn index_copy(input: &Tensor, dim: i64, index: &Tensor, source: &Tensor) into target -> Tensor {
            along("index_copy", input, dim, index, source, false, target)
        }
        /// `out[index[i]] += alpha * source[i]` along `dim`, in a copy of `input`.
        ///
        /// The index has at most one dimension; `source` has the dtype of `input`.
        ///
        /// ```python
        /// >>> tf.index_add(tf.ones(3), 0, tf.tensor([0, 2, 0]), tf.tensor([1.0, 2.0, 3.0]))
        /// tensor([5., 1., 3.])
        /// ```
        pub fn index_add(input: &Tensor, dim: i64, index: &Tensor, source: &Tensor; alpha: Scalar = Scalar::ONE) into target -> Tensor {
            let scaled = if alpha == Scalar::ONE { source.clone() } else { crate::ops::mul(source.into(), Operand::Scalar(alpha))? };
            along("index_add", input, dim, index, &scaled, true, target)
        }
        /// `value` at the slices of `dim` that the index names, in a copy of `input`.
        ///
        /// The index has at most one dimension, and may count from the end; `value` is a number or a tensor of no dimensions.
        ///
        /// ```python
        /// >>> tf.index_fill(tf.zeros(4), 0, tf.tensor([3, 1]), 7)
        /// tensor([0., 7., 0., 7.])
        /// ```
        pub fn index_fill(input: &Tensor, dim: i64, index: &Tensor, value: Operand<'_>) into target -> Tensor {
            let d = axis("index_fill", dim, input.rank())?;
            let value = crate::ops::promote::tensor(value, input.dtype())?;
            if value.rank() > 0 {
                let what = format!("value must be a number or a tensor of no dimensions, not of {}", value.rank());
                return Err(TensorError::argument("index_fill", what));
            }
            // A choice, so that the value counts once where an index comes twice.
            let mut shape: Shape = smallvec![1; input.rank()];
            if let Some(n) = shape.get_mut(d) {
                *n = input.shape()[d];
            }
            let mask = crate::ops::reshape_to(&named("index_fill", index, d, input)?, &shape)?;
            let filled = crate::ops::where_(&mask, (&*value).into(), input.into())?;
            match target {
                Some(target) => written("index_fill", target, &filled),
                None => Ok(filled),
            }
        }
    }
}

/// An index of one dimension, as int64.
fn line(op: &'static str, index: &Tensor) -> Result<Tensor> {
    if index.rank() > 1 || !matches!(index.dtype(), DType::I32 | DType::I64) {
        let what = format!(
            "the index must be an int64 tensor of at most one dimension, not {:?} of {}",
            index.shape(),
            index.dtype()
        );
        return Err(TensorError::Indexing { op, what });
    }
    crate::ops::reshape_to(&to_dtype(index, DType::I64)?, &[index.numel()])
}

/// Which places of a dimension the index names, counting from the end too.
fn named(op: &'static str, index: &Tensor, dim: usize, input: &Tensor) -> Result<Tensor> {
    let size = input.shape().get(dim).copied().unwrap_or(1);
    let index = line(op, index)?;
    let not = full_of(&[size], false.into(), DType::Bool)?;
    let yes = crate::ops::view::expand_to(&full_of(&[], true.into(), DType::Bool)?, index.shape())?;
    super::put(op, &not, &[Some(index)], &yes, true, false).map_err(|e| match e {
        TensorError::Index { op, index, size, .. } => TensorError::Index { op, index, dim, size },
        other => other,
    })
}

fn along(
    op: &'static str,
    input: &Tensor,
    dim: i64,
    index: &Tensor,
    source: &Tensor,
    add: bool,
    target: Option<&Tensor>,
) -> Result<Tensor> {
    let d = axis(op, dim, input.rank())?;
    let index = line(op, index)?;
    if source.dtype() != input.dtype() {
        let what = "expected a source of the tensor's dtype";
        return Err(TensorError::DType { op, what, left: input.dtype(), right: source.dtype() });
    }
    let lift = |t: &Tensor| if t.rank() == 0 { crate::ops::reshape_to(t, &[1]) } else { Ok(t.clone()) };
    let (x, source) = (lift(input)?, lift(source)?);
    let mut expected = x.layout().shape.clone();
    expected[d] = index.numel();
    if expected[..] != *source.shape() {
        return Err(TensorError::shape(
            op,
            "the source does not fit the slices that the index names",
            source.shape(),
            &expected,
        ));
    }
    let mut indices = vec![None; d];
    indices.push(Some(index));
    let result = super::put(op, &x, &indices, &source, false, add)?;
    let result = if input.rank() == 0 { crate::ops::reshape_to(&result, &[])? } else { result };
    match target {
        Some(target) => written(op, target, &result),
        None => Ok(result),
    }
}
