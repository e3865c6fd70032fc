//! Sums, products, extremes and what is made of them.
use super::promote::cast;
use super::view::{expand_to, reshape_to};
use super::{full_like, to_dtype};
use crate::cpu::cast::cast as cast_kernel;
use crate::cpu::number::Ordered;
use crate::cpu::reduce::{Fold, Plan, best};
use crate::cpu::{View, ViewMut, alloc::Block};
use crate::dtype::{C64, DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{self, Back, Slot};
use crate::layout::{Layout, Shape, axes, axis};
use crate::op::{Grads, Keep, Meta, Op, apply, apply_all};
use crate::tensor::Tensor;
use crate::{Element, compute_type, ops, results};
use smallvec::{SmallVec, smallvec};

type Dims = SmallVec<[usize; 6]>;

/// What comes together, over dimensions that stay as ones of size 1.
#[derive(Debug, Clone)]
struct Reduce {
    how: How,
    dims: Dims,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    /// The sum, times a factor.
    Sum(f64),
    Prod,
    Max,
    Min,
    Any,
    All,
}

/// A place for the results of a kernel in the type that it computes in, which go to the output converted.
pub(super) fn computed<U: Element>(out: &mut ViewMut, kernel: impl FnOnce(*mut U) -> Result<()>) -> Result<()> {
    if out.dtype == U::ELEMENT {
        return kernel(out.ptr::<U>());
    }
    let layout = Layout::contiguous(&out.layout.shape);
    let block = Block::new(layout.numel() * size_of::<U>(), false)?;
    kernel(block.as_ptr().cast())?;
    // SAFETY: the kernel filled the block.
    cast_kernel(&unsafe { View::new(block.as_ptr(), &layout, U::ELEMENT) }, out)
}

/// The input in the type that a kernel computes in: itself, or a converted copy.
pub(super) fn widened<T: Element, R>(x: &View, kernel: impl FnOnce(&View) -> Result<R>) -> Result<R> {
    if x.dtype == T::ELEMENT {
        return kernel(x);
    }
    let layout = Layout::contiguous(&x.layout.shape);
    let block = Block::new(layout.numel() * size_of::<T>(), false)?;
    // SAFETY: a block of this size, which nobody else has.
    cast_kernel(x, &mut unsafe { ViewMut::new(block.as_ptr(), &layout, T::ELEMENT) })?;
    // SAFETY: just filled.
    kernel(&unsafe { View::new(block.as_ptr(), &layout, T::ELEMENT) })
}

/// Folds `x` over `dims` into `out`.
fn fold<T: Element, A: Copy + Send + Sync, U: Element>(
    x: &View,
    dims: &[usize],
    out: &mut ViewMut,
    start: A,
    step: impl Fn(A, T) -> A + Sync,
    merge: impl Fn(A, A) -> A + Sync,
    finish: impl Fn(A) -> U + Sync,
) -> Result<()> {
    widened::<T, _>(x, |x| {
        computed::<U>(out, |to| {
            let to = to as usize;
            let plan = Plan::new(x, dims);
            Fold { start, step, merge }.run::<T>(x, &plan, &|i, a| {
                // SAFETY: outputs are numbered, and each is written once.
                unsafe { (to as *mut U).add(i).write(finish(a)) }
            })
        })
    })
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        match self.how {
            How::Sum(1.0) => "sum",
            How::Sum(_) => "mean",
            How::Prod => "prod",
            How::Max => "amax",
            How::Min => "amin",
            How::Any => "any",
            How::All => "all",
        }
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (mut shape, dtype) = inputs[0].meta();
        if matches!(self.how, How::Max | How::Min)
            && let Some(&d) = self.dims.iter().find(|&&d| shape[d] == 0)
        {
            let what = format!("dimension {d} of size 0 has no extreme; the shape is {:?}", &shape[..]);
            return Err(TensorError::Indexing { op: self.name(), what });
        }
        self.dims.iter().for_each(|&d| shape[d] = 1);
        Meta::one(shape, dtype)
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (x, out, dims, dtype) = (&inputs[0], &mut outs[0], &self.dims[..], inputs[0].dtype);
        let integer = if dtype.is_integral() { DType::I64 } else { dtype };
        let done = match self.how {
            // Single precision is summed in double, integers in 64 bits, which wrap as narrower ones do.
            How::Sum(scale) => match integer {
                DType::I64 => Some(fold(x, dims, out, 0i64, |a, x: i64| a.wrapping_add(x), i64::wrapping_add, |a| a)),
                DType::F64 => Some(fold(x, dims, out, 0f64, |a, x: f64| a + x, |a, b| a + b, |a| a * scale)),
                DType::C64 | DType::C128 => {
                    Some(fold(x, dims, out, C64::default(), |a, x: C64| a + x, |a, b| a + b, |a| a * scale))
                }
                _ => Some(fold(x, dims, out, 0f64, |a, x: f32| a + f64::from(x), |a, b| a + b, |a| (a * scale) as f32)),
            },
            How::Prod => match integer {
                DType::I64 => Some(fold(x, dims, out, 1i64, |a, x: i64| a.wrapping_mul(x), i64::wrapping_mul, |a| a)),
                DType::F64 => Some(fold(x, dims, out, 1f64, |a, x: f64| a * x, |a, b| a * b, |a| a)),
                DType::C64 | DType::C128 => {
                    Some(fold(x, dims, out, C64::new(1.0, 0.0), |a, x: C64| a * x, |a, b| a * b, |a| a))
                }
                _ => Some(fold(x, dims, out, 1f64, |a, x: f32| a * f64::from(x), |a, b| a * b, |a| a as f32)),
            },
            How::Max => compute_type!(dtype, [bool int float], T => fold(
                x, dims, out, T::LOWEST, |a: T, x: T| a.larger(x), |a: T, b: T| a.larger(b), |a| a
            )),
            How::Min => compute_type!(dtype, [bool int float], T => fold(
                x, dims, out, T::HIGHEST, |a: T, x: T| a.smaller(x), |a: T, b: T| a.smaller(b), |a| a
            )),
            How::Any => Some(fold(x, dims, out, false, |a, x: bool| a | x, |a, b| a | b, |a| a)),
            How::All => Some(fold(x, dims, out, true, |a, x: bool| a & x, |a, b| a & b, |a| a)),
        };
        done.unwrap_or_else(|| Err(TensorError::dtype(self.name(), dtype)))
    }
    fn keep(&self, _: &[bool]) -> Keep {
        match self.how {
            How::Prod => smallvec![Slot::Input(0)],
            How::Max | How::Min => smallvec![Slot::Input(0), Slot::Output(0)],
            _ => smallvec![],
        }
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (g, shape) = (back.grad()?, back.shape(0));
        Ok(smallvec![Some(match self.how {
            How::Sum(scale) => expand_to(&if scale == 1.0 { g.clone() } else { g.mul(scale)? }, shape)?,
            How::Prod => prod_vjp(g, back.input(0)?, &self.dims)?,
            // Equal extremes share the gradient.
            How::Max | How::Min => {
                let hit = to_dtype(&super::eq(back.input(0)?.into(), back.output(0)?.into())?, g.dtype())?;
                let count = apply(&Reduce { how: How::Sum(1.0), dims: self.dims.clone() }, &[&hit])?;
                hit.mul(&g.div(&count)?)?
            }
            How::Any | How::All => return grad::none(self.name(), "the result is boolean"),
        })])
    }
}

/// For each element the product of all others, by products from both ends, so that zeros do no harm.
fn prod_vjp(g: &Tensor, x: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let rank = x.rank();
    let kept: Vec<usize> = (0..rank).filter(|d| !dims.contains(d)).collect();
    let order: Vec<usize> = kept.iter().chain(dims).copied().collect();
    let moved = super::view::permute_to(x, &order)?;
    let (rows, n) = (kept.iter().map(|&d| x.shape()[d]).product(), dims.iter().map(|&d| x.shape()[d]).product());
    let flat = reshape_to(&moved, &[rows, n])?;
    let others = super::scan::products_of_others(&flat)?;
    let mut inverse = order.clone();
    order.iter().enumerate().for_each(|(i, &d)| inverse[d] = i);
    let others = super::view::permute_to(&reshape_to(&others, moved.shape())?, &inverse)?;
    g.mul(&super::conj(&others)?)
}

/// Sums a gradient back to the shape that was broadcast.
pub(super) fn sum_to(input: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let lead = input.rank() - shape.len();
    let dims = (0..input.rank()).filter(|&d| d < lead || shape[d - lead] != input.shape()[d]).collect();
    reshape_to(&apply(&Reduce { how: How::Sum(1.0), dims }, &[input])?, shape)
}

/// The dimensions to reduce: those named, or all.
pub(super) fn dims_of(op: &'static str, dim: Option<&[i64]>, rank: usize) -> Result<Dims> {
    match dim {
        Some(dims) if !dims.is_empty() => axes(op, dims, rank),
        _ => Ok((0..rank).collect()),
    }
}

/// Without the reduced dimensions, unless they are to stay.
pub(super) fn squeezed(kept: &Tensor, dims: &[usize], keepdim: bool) -> Result<Tensor> {
    if keepdim || dims.is_empty() {
        return Ok(kept.clone());
    }
    let left: Shape = (0..kept.rank()).filter(|d| !dims.contains(d)).map(|d| kept.shape()[d]).collect();
    reshape_to(kept, &left)
}

fn reduce(how: How, input: &Tensor, dims: Dims, keepdim: bool) -> Result<Tensor> {
    let kept = apply(&Reduce { how, dims: dims.clone() }, &[input])?;
    squeezed(&kept, &dims, keepdim)
}

/// The largest or smallest elements along a dimension, and where they are.
#[derive(Debug, Clone)]
struct Extreme {
    largest: bool,
    dim: usize,
    name: &'static str,
}

impl Op for Extreme {
    fn name(&self) -> &'static str {
        self.name
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (mut shape, dtype) = inputs[0].meta();
        if let Some(n) = shape.get_mut(self.dim) {
            if *n == 0 {
                let what =
                    format!("dimension {} of size 0 has no extreme; the shape is {:?}", self.dim, inputs[0].shape());
                return Err(TensorError::Indexing { op: self.name, what });
            }
            *n = 1;
        }
        Ok(Meta::New(smallvec![(shape.clone(), dtype), (shape, DType::I64)]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let [values, indices] = outs else { unreachable!("two outputs") };
        let indices = indices.fresh::<i64>().as_mut_ptr() as usize;
        let done = compute_type!(inputs[0].dtype, [bool int float], T => widened::<T, _>(&inputs[0], |x| {
            computed::<T>(values, |to| {
                let to = to as usize;
                let (plan, largest) = (Plan::new(x, &[self.dim]), self.largest);
                let better = |x: T, best: T| {
                    !best.is_nothing() && (x.is_nothing() || if largest { x.above(best) } else { best.above(x) })
                };
                best(x, &plan, better, &|i, value, k| {
                    // SAFETY: outputs are numbered, and each is written once.
                    unsafe {
                        (to as *mut T).add(i).write(value);
                        (indices as *mut i64).add(i).write(k as i64);
                    }
                })
            })
        }));
        done.unwrap_or_else(|| Err(TensorError::dtype(self.name, inputs[0].dtype)))
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Output(1)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let Some(g) = back.grad_of(0) else { return Ok(smallvec![None]) };
        let zeros = full_like(g, back.shape(0), Scalar::ZERO)?;
        let index = back.output(1)?;
        Ok(smallvec![Some(super::scatter_add(&zeros, self.dim as i64, index, g)?)])
    }
}

fn extreme(name: &'static str, largest: bool, input: &Tensor, dim: i64, keepdim: bool) -> Result<(Tensor, Tensor)> {
    let dim = axis(name, dim, input.rank())?;
    if input.rank() == 0 {
        let mut outs = apply_all(&Extreme { largest, dim: 0, name }, &[&reshape_to(input, &[1])?])?;
        let (indices, values) = (outs.pop(), outs.pop());
        let scalar = |t: Option<Tensor>| reshape_to(&t.ok_or_else(|| TensorError::argument(name, "no result"))?, &[]);
        return Ok((scalar(values)?, scalar(indices)?));
    }
    let outs = apply_all(&Extreme { largest, dim, name }, &[input])?;
    Ok((squeezed(&outs[0], &[dim], keepdim)?, squeezed(&outs[1], &[dim], keepdim)?))
}

fn arg_extreme(name: &'static str, largest: bool, input: &Tensor, dim: Option<i64>, keepdim: bool) -> Result<Tensor> {
    if input.dtype() == DType::Bool || input.dtype().is_complex() {
        return Err(TensorError::dtype(name, input.dtype()));
    }
    let input = input.detach();
    match dim {
        Some(dim) => Ok(extreme(name, largest, &input, dim, keepdim)?.1),
        None if input.numel() == 0 => {
            let what = format!("a tensor without elements has no extreme; the shape is {:?}", input.shape());
            Err(TensorError::Indexing { op: name, what })
        }
        None => {
            let found = extreme(name, largest, &reshape_to(&input, &[input.numel()])?, 0, false)?.1;
            if keepdim { reshape_to(&found, &vec![1; input.rank()]) } else { Ok(found) }
        }
    }
}

fn full_extreme(name: &'static str, how: How, input: &Tensor) -> Result<Tensor> {
    if input.dtype().is_complex() {
        return Err(TensorError::dtype(name, input.dtype()));
    }
    if input.numel() == 0 {
        return Err(TensorError::argument(
            name,
            format!("a tensor without elements has no extreme; the shape is {:?}", input.shape()),
        ));
    }
    reduce(how, input, (0..input.rank()).collect(), false)
}

fn truth(how: How, input: &Tensor, dims: Dims, keepdim: bool) -> Result<Tensor> {
    let mask = if input.dtype() == DType::Bool { input.clone() } else { super::ne(input.into(), Scalar::ZERO.into())? };
    let found = reduce(how, &mask.detach(), dims, keepdim)?;
    // Bytes answer in bytes.
    if input.dtype() == DType::U8 { to_dtype(&found, DType::U8) } else { Ok(found) }
}

fn mean_dtype(op: &'static str, input: &Tensor, dtype: Option<DType>) -> Result<DType> {
    let dtype = dtype.unwrap_or(input.dtype());
    if !dtype.is_differentiable() {
        let what = format!("a floating point or complex dtype is needed, not {dtype}; give dtype= or convert first");
        return Err(TensorError::argument(op, what));
    }
    Ok(dtype)
}

fn variance(op: &'static str, input: &Tensor, dims: Dims, correction: f64, keepdim: bool) -> Result<Tensor> {
    let dtype = mean_dtype(op, input, None)?;
    let n: usize = dims.iter().map(|&d| input.shape()[d]).product();
    // Halves are too coarse for squares.
    let x = if matches!(dtype, DType::F16 | DType::BF16) { to_dtype(input, DType::F32)? } else { input.clone() };
    let centered = x.sub(&reduce(How::Sum(1.0 / n as f64), &x, dims.clone(), true)?)?;
    let squares = if dtype.is_complex() {
        let size = centered.abs()?;
        size.mul(&size)?
    } else {
        centered.mul(&centered)?
    };
    let left = (n as f64 - correction).max(0.0);
    let result = reduce(How::Sum(1.0), &squares, dims, keepdim)?.div(left)?;
    to_dtype(&result, dtype.to_real())
}

fn correction_of(op: &'static str, unbiased: bool, correction: Option<Scalar>) -> Result<f64> {
    match correction {
        Some(Scalar::Complex(_)) => Err(TensorError::argument(op, "correction must be a real number")),
        Some(c) => Ok(c.as_f64()),
        None => Ok(if unbiased { 1.0 } else { 0.0 }),
    }
}

results! {
    #[doc = "The extreme elements along a dimension, and where they are."]
    Found { values, indices }
}

ops! {
    [tf method] {
        /// The sum of the elements, over all dimensions or over `dim`. Integers are summed in int64.
        ///
        /// ```python
        /// >>> tf.sum(tf.tensor([[1.0, 2.0], [3.0, 5.0]]))
        /// tensor(11.)
        /// >>> tf.sum(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=0)
        /// tensor([4., 7.])
        /// ```
        pub fn sum(input: &Tensor, dim: Option<&[i64]> = None::<&[i64]>, keepdim: bool = false; dtype: Option<DType> = None::<DType>) -> Tensor {
            let dims = dims_of("sum", dim, input.rank())?;
            let dtype = dtype.unwrap_or(if input.dtype().is_integral() { DType::I64 } else { input.dtype() });
            if dtype == DType::Bool {
                return reduce(How::Any, &*cast(input, dtype)?, dims, keepdim);
            }
            reduce(How::Sum(1.0), &*cast(input, dtype)?, dims, keepdim)
        }
        /// The mean of the elements, over all dimensions or over `dim`.
        ///
        /// Integers need a floating point `dtype`; the mean of nothing is not a number.
        ///
        /// ```python
        /// >>> tf.mean(tf.tensor([[1.0, 2.0], [3.0, 5.0]]))
        /// tensor(2.7500)
        /// >>> tf.mean(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=1, keepdim=True)
        /// tensor([[1.5000],
        ///         [4.0000]])
        /// ```
        pub fn mean(input: &Tensor, dim: Option<&[i64]> = None::<&[i64]>, keepdim: bool = false; dtype: Option<DType> = None::<DType>) -> Tensor {
            let dims = dims_of("mean", dim, input.rank())?;
            let dtype = mean_dtype("mean", input, dtype)?;
            let n: usize = dims.iter().map(|&d| input.shape()[d]).product();
            reduce(How::Sum(1.0 / n as f64), &*cast(input, dtype)?, dims, keepdim)
        }
        /// The product of all elements. Integers are multiplied in int64.
        ///
        /// ```python
        /// >>> tf.prod(tf.tensor([2, 3, 4]))
        /// tensor(24)
        /// ```
        pub fn prod(input: &Tensor; dtype: Option<DType> = None::<DType>) -> Tensor {
            let dtype = dtype.unwrap_or(if input.dtype().is_integral() { DType::I64 } else { input.dtype() });
            let how = if dtype == DType::Bool { How::All } else { How::Prod };
            reduce(how, &*cast(input, dtype)?, (0..input.rank()).collect(), false)
        }
        /// The products along `dim`. Integers are multiplied in int64.
        ///
        /// ```python
        /// >>> tf.prod(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=0)
        /// tensor([ 3., 10.])
        /// ```
        pub fn prod_dim as prod(input: &Tensor, dim: i64, keepdim: bool = false; dtype: Option<DType> = None::<DType>) -> Tensor {
            let dims = axes("prod", &[dim], input.rank())?;
            let dtype = dtype.unwrap_or(if input.dtype().is_integral() { DType::I64 } else { input.dtype() });
            let how = if dtype == DType::Bool { How::All } else { How::Prod };
            reduce(how, &*cast(input, dtype)?, dims, keepdim)
        }
        /// The variance over all dimensions or over `dim`: squares summed over `n - correction`, by default `n - 1`.
        ///
        /// Integers are an error; of one element it is not a number.
        ///
        /// ```python
        /// >>> tf.var(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=1)
        /// tensor([0.5000, 2.0000])
        /// >>> tf.var(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), correction=0)
        /// tensor(2.1875)
        /// ```
        pub fn var(input: &Tensor, dim: Option<&[i64]> = None::<&[i64]>, unbiased: bool = true, keepdim: bool = false; correction: Option<Scalar> = None::<Scalar>) -> Tensor {
            let dims = dims_of("var", dim, input.rank())?;
            variance("var", input, dims, correction_of("var", unbiased, correction)?, keepdim)
        }
        /// The variance over all dimensions.
        ///
        /// Divided by `n - 1` if `unbiased`, else by `n`.
        ///
        /// ```python
        /// >>> tf.var(tf.tensor([1.0, 3.0]), False)
        /// tensor(1.)
        /// ```
        pub fn var_all as var(input: &Tensor, unbiased: bool) -> Tensor {
            variance("var", input, (0..input.rank()).collect(), correction_of("var", unbiased, None)?, false)
        }
        /// The standard deviation over all dimensions or over `dim`: the square root of `var`.
        ///
        /// Integers are an error.
        ///
        /// ```python
        /// >>> tf.std(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=1)
        /// tensor([0.7071, 1.4142])
        /// >>> tf.std(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), correction=0)
        /// tensor(1.4790)
        /// ```
        pub fn std(input: &Tensor, dim: Option<&[i64]> = None::<&[i64]>, unbiased: bool = true, keepdim: bool = false; correction: Option<Scalar> = None::<Scalar>) -> Tensor {
            let dims = dims_of("std", dim, input.rank())?;
            deviation(input, dims, correction_of("std", unbiased, correction)?, keepdim)
        }
        /// The standard deviation over all dimensions.
        ///
        /// The square root of `var`, divided by `n - 1` if `unbiased`, else by `n`.
        ///
        /// ```python
        /// >>> tf.std(tf.tensor([1.0, 3.0]), False)
        /// tensor(1.)
        /// ```
        pub fn std_all as std(input: &Tensor, unbiased: bool) -> Tensor {
            deviation(input, (0..input.rank()).collect(), correction_of("std", unbiased, None)?, false)
        }
        /// The largest element. Equal ones share the gradient.
        ///
        /// A tensor without elements is an error.
        ///
        /// ```python
        /// >>> tf.max(tf.tensor([[1.0, 2.0], [3.0, 5.0]]))
        /// tensor(5.)
        /// ```
        pub fn max(input: &Tensor) -> Tensor {
            full_extreme("max", How::Max, input)
        }
        /// The larger of each pair of elements, broadcast.
        ///
        /// ```python
        /// >>> tf.max(tf.tensor([1, 5]), tf.tensor([3, 2]))
        /// tensor([3, 5])
        /// ```
        pub fn max_other as max(input: &Tensor, other: &Tensor) -> Tensor {
            super::maximum(input, other)
        }
        /// The largest elements along `dim`, and where they are.
        ///
        /// The indices are int64.
        ///
        /// ```python
        /// >>> values, indices = tf.max(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=1)
        /// >>> values, indices
        /// (tensor([2., 5.]), tensor([1, 1]))
        /// ```
        pub fn max_dim as max(input: &Tensor, dim: i64, keepdim: bool = false) -> Found {
            let (values, indices) = extreme("max", true, input, dim, keepdim)?;
            Ok(Found { values, indices })
        }
        /// The smallest element. Equal ones share the gradient.
        ///
        /// A tensor without elements is an error.
        ///
        /// ```python
        /// >>> tf.min(tf.tensor([[1.0, 2.0], [3.0, 5.0]]))
        /// tensor(1.)
        /// ```
        pub fn min(input: &Tensor) -> Tensor {
            full_extreme("min", How::Min, input)
        }
        /// The smaller of each pair of elements, broadcast.
        ///
        /// ```python
        /// >>> tf.min(tf.tensor([1, 5]), tf.tensor([3, 2]))
        /// tensor([1, 2])
        /// ```
        pub fn min_other as min(input: &Tensor, other: &Tensor) -> Tensor {
            super::minimum(input, other)
        }
        /// The smallest elements along `dim`, and where they are.
        ///
        /// The indices are int64.
        ///
        /// ```python
        /// >>> values, indices = tf.min(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=1)
        /// >>> values, indices
        /// (tensor([1., 3.]), tensor([0, 0]))
        /// ```
        pub fn min_dim as min(input: &Tensor, dim: i64, keepdim: bool = false) -> Found {
            let (values, indices) = extreme("min", false, input, dim, keepdim)?;
            Ok(Found { values, indices })
        }
        /// The largest elements over the dimensions `dim`, or over all. Equal ones share the gradient.
        ///
        /// A dimension of size 0 is an `AxisError`.
        ///
        /// ```python
        /// >>> tf.amax(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=0)
        /// tensor([3., 5.])
        /// >>> tf.amax(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=(0, 1))
        /// tensor(5.)
        /// ```
        pub fn amax(input: &Tensor, dim: &[i64] = &[] as &[i64], keepdim: bool = false) -> Tensor {
            reduce(How::Max, input, dims_of("amax", Some(dim), input.rank())?, keepdim)
        }
        /// The smallest elements over the dimensions `dim`, or over all. Equal ones share the gradient.
        ///
        /// A dimension of size 0 is an `AxisError`.
        ///
        /// ```python
        /// >>> tf.amin(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=0)
        /// tensor([1., 2.])
        /// >>> tf.amin(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=(0, 1))
        /// tensor(1.)
        /// ```
        pub fn amin(input: &Tensor, dim: &[i64] = &[] as &[i64], keepdim: bool = false) -> Tensor {
            reduce(How::Min, input, dims_of("amin", Some(dim), input.rank())?, keepdim)
        }
        /// Where the largest element is: in the flat tensor, or along `dim`. The first of equal ones.
        ///
        /// The result is int64.
        ///
        /// ```python
        /// >>> tf.argmax(tf.tensor([[1.0, 2.0], [3.0, 5.0]]))
        /// tensor(3)
        /// >>> tf.argmax(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=1)
        /// tensor([1, 1])
        /// ```
        pub fn argmax(input: &Tensor, dim: Option<i64> = None::<i64>, keepdim: bool = false) no_grad "the result is an index" -> Tensor {
            arg_extreme("argmax", true, input, dim, keepdim)
        }
        /// Where the smallest element is: in the flat tensor, or along `dim`. The first of equal ones.
        ///
        /// The result is int64.
        ///
        /// ```python
        /// >>> tf.argmin(tf.tensor([[1.0, 2.0], [3.0, 5.0]]))
        /// tensor(0)
        /// >>> tf.argmin(tf.tensor([[1.0, 2.0], [3.0, 5.0]]), dim=1)
        /// tensor([0, 0])
        /// ```
        pub fn argmin(input: &Tensor, dim: Option<i64> = None::<i64>, keepdim: bool = false) no_grad "the result is an index" -> Tensor {
            arg_extreme("argmin", false, input, dim, keepdim)
        }
        /// Whether any element is not zero, over all dimensions or over `dim`.
        ///
        /// The result is a bool tensor, for uint8 a uint8 one.
        ///
        /// ```python
        /// >>> tf.any(tf.tensor([0, 0, 2]))
        /// tensor(True)
        /// >>> tf.any(tf.tensor([[0, 0], [0, 2]]), dim=1)
        /// tensor([False,  True])
        /// ```
        pub fn any(input: &Tensor, dim: Option<&[i64]> = None::<&[i64]>, keepdim: bool = false) no_grad "the result is boolean" -> Tensor {
            truth(How::Any, input, listed("any", dim, input.rank())?, keepdim)
        }
        /// Whether all elements are not zero, over all dimensions or over `dim`.
        ///
        /// The result is a bool tensor, for uint8 a uint8 one.
        ///
        /// ```python
        /// >>> tf.all(tf.tensor([1, 1, 0]))
        /// tensor(False)
        /// >>> tf.all(tf.tensor([[1, 1], [0, 2]]), dim=1)
        /// tensor([ True, False])
        /// ```
        pub fn all(input: &Tensor, dim: Option<&[i64]> = None::<&[i64]>, keepdim: bool = false) no_grad "the result is boolean" -> Tensor {
            truth(How::All, input, listed("all", dim, input.rank())?, keepdim)
        }
        /// `log(sum(exp(input)))` over the dimensions `dim`, without overflow.
        ///
        /// Integers are converted to the default dtype.
        ///
        /// ```python
        /// >>> tf.logsumexp(tf.tensor([1000.0, 1000.0]), dim=0)
        /// tensor(1000.6932)
        /// ```
        pub fn logsumexp(input: &Tensor, dim: &[i64], keepdim: bool = false) -> Tensor {
            let dims = dims_of("logsumexp", Some(dim), input.rank())?;
            let x = to_dtype(input, input.dtype().or_default_float())?;
            if x.numel() == 0 {
                return reduce(How::Sum(1.0), &x.exp()?, dims, keepdim)?.log();
            }
            // The largest, or 0 where that is infinite, so that inf - inf does not come up.
            let sizes = if x.dtype().is_complex() { super::real(&x)? } else { x.clone() };
            let top = reduce(How::Max, &sizes.detach(), dims.clone(), true)?;
            let top = super::where_(&super::isinf(&top)?, Scalar::ZERO.into(), (&top).into())?;
            let sum = reduce(How::Sum(1.0), &x.sub(&top)?.exp()?, dims.clone(), true)?;
            squeezed(&sum.log()?.add(&top)?, &dims, keepdim)
        }
    }
}

/// As `dims_of`, but no dimension named is none reduced, which the truth of tensors has.
fn listed(op: &'static str, dim: Option<&[i64]>, rank: usize) -> Result<Dims> {
    match dim {
        Some(dims) => axes(op, dims, rank),
        None => Ok((0..rank).collect()),
    }
}

fn deviation(input: &Tensor, dims: Dims, correction: f64, keepdim: bool) -> Result<Tensor> {
    let variance = variance("std", input, dims, correction, keepdim)?;
    // A square root of exactly zero has no slope; elements that are all equal get the gradient 0 there, as in PyTorch.
    super::root_with_zero(&variance)
}
