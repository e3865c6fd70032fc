//! Sums, products, truth, and what extremes and variances share with them.
pub(super) mod extremes;
pub(super) mod variance;

pub use extremes::*;
pub use variance::*;

pub(super) use crate::cpu::dense::{computed, widened};

use super::promote::cast;
use super::to_dtype;
use super::view::{expand_to, reshape_to};
use crate::cpu::number::Ordered;
use crate::cpu::reduce::{Fold, Plan};
use crate::cpu::{View, ViewMut};
use crate::dtype::{C64, DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{self, Back, Slot};
use crate::layout::{Shape, axes};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::tensor::Tensor;
use crate::{Element, compute_type, ops};
use smallvec::{SmallVec, smallvec};

type Dims = SmallVec<[usize; 6]>;

/// Elements that come together without a plan of how.
const SMALL: usize = 1 << 15;

/// What comes together over dimensions, which stay as ones of size 1 or go.
#[derive(Debug, Clone)]
struct Reduce {
    how: How,
    dims: Dims,
    keepdim: bool,
}

impl Reduce {
    /// A gradient, or another tensor of the result's shape, with the dimensions that went.
    fn kept(&self, t: &Tensor, shape: &[usize]) -> Result<Tensor> {
        if self.keepdim || self.dims.is_empty() {
            return Ok(t.clone());
        }
        let mut kept: Shape = shape.into();
        self.dims.iter().for_each(|&d| kept[d] = 1);
        reshape_to(t, &kept)
    }
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

/// Folds `x` over `dims` into `out`.
fn fold<T: Element, A: Copy + Send + Sync, U: Element>(
    x: &View,
    dims: &[usize],
    out: &mut ViewMut,
    start: A,
    step: impl Fn(A, T) -> A + Copy + Sync,
    merge: impl Fn(A, A) -> A + Copy + Sync,
    finish: impl Fn(A) -> U + Sync,
) -> Result<()> {
    let fold = Fold::new(start, step, merge);
    if dims.len() == x.layout.rank()
        && x.dtype == T::ELEMENT
        && out.dtype == U::ELEMENT
        && let Some(all) = x.slice::<T>().filter(|all| all.len() <= SMALL)
    {
        out.fresh::<U>()[0] = finish(fold.slice(all));
        return Ok(());
    }
    widened::<T, _>(x, |x| {
        computed::<U>(out, |to| {
            let to = to as usize;
            let plan = Plan::new(x, dims, false);
            fold.run::<T>(x, &plan, &|first, found| {
                for (i, &a) in found.iter().enumerate() {
                    // SAFETY: outputs are numbered, and each is written once.
                    unsafe { (to as *mut U).add(first + i).write(finish(a)) }
                }
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
        if self.keepdim {
            self.dims.iter().for_each(|&d| shape[d] = 1);
        } else if self.dims.len() == shape.len() {
            shape.clear();
        } else {
            shape = (0..shape.len()).filter(|d| !self.dims.contains(d)).map(|d| shape[d]).collect();
        }
        Meta::one(shape, dtype)
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (x, out, dims, dtype) = (&inputs[0], &mut outs[0], &self.dims[..], inputs[0].dtype);
        let integer = if dtype.is_integral() { DType::I64 } else { dtype };
        macro_rules! folded {
            ($A:ty, $start:expr, |$a:ident, $x:ident: $t:ty| $step:expr, |$b:ident, $c:ident| $merge:expr, $finish:expr) => {
                fold(
                    x,
                    dims,
                    out,
                    $start,
                    #[inline(always)]
                    |$a: $A, $x: $t| $step,
                    #[inline(always)]
                    |$b: $A, $c: $A| $merge,
                    $finish,
                )
            };
        }
        let done = match self.how {
            // Integers are summed in 64 bits, which wrap as narrower ones do; floats by many sums of few elements.
            How::Sum(scale) => Some(match integer {
                DType::I64 => folded!(i64, 0, |a, x: i64| a.wrapping_add(x), |a, b| a.wrapping_add(b), |a| a),
                DType::F64 => folded!(f64, 0.0, |a, x: f64| a + x, |a, b| a + b, |a| a * scale),
                DType::C64 | DType::C128 => {
                    folded!(C64, C64::default(), |a, x: C64| a + x, |a, b| a + b, |a| a * scale)
                }
                _ => folded!(f32, 0.0, |a, x: f32| a + x, |a, b| a + b, |a: f32| (f64::from(a) * scale) as f32),
            }),
            How::Prod => Some(match integer {
                DType::I64 => folded!(i64, 1, |a, x: i64| a.wrapping_mul(x), |a, b| a.wrapping_mul(b), |a| a),
                DType::F64 => folded!(f64, 1.0, |a, x: f64| a * x, |a, b| a * b, |a| a),
                DType::C64 | DType::C128 => {
                    folded!(C64, C64::new(1.0, 0.0), |a, x: C64| a * x, |a, b| a * b, |a| a)
                }
                // In double, whose range holds what passes through.
                _ => folded!(f64, 1.0, |a, x: f32| a * f64::from(x), |a, b| a * b, |a| a as f32),
            }),
            How::Max => compute_type!(dtype, [bool int float], T => folded!(
                T, T::LOWEST, |a, x: T| a.larger(x), |a, b| a.larger(b), |a| a
            )),
            How::Min => compute_type!(dtype, [bool int float], T => folded!(
                T, T::HIGHEST, |a, x: T| a.smaller(x), |a, b| a.smaller(b), |a| a
            )),
            How::Any => Some(folded!(bool, false, |a, x: bool| a | x, |a, b| a | b, |a| a)),
            How::All => Some(folded!(bool, true, |a, x: bool| a & x, |a, b| a & b, |a| a)),
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
        let shape = back.shape(0);
        let g = &self.kept(back.grad()?, shape)?;
        Ok(smallvec![Some(match self.how {
            How::Sum(scale) => expand_to(&if scale == 1.0 { g.clone() } else { g.mul(scale)? }, shape)?,
            How::Prod => prod_vjp(g, back.input(0)?, &self.dims)?,
            // Equal extremes share the gradient.
            How::Max | How::Min => {
                let best = self.kept(back.output(0)?, shape)?;
                let hit = to_dtype(&super::eq(back.input(0)?.into(), (&best).into())?, g.dtype())?;
                let count = reduce(How::Sum(1.0), &hit, self.dims.clone(), true)?;
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
    reshape_to(&reduce(How::Sum(1.0), input, dims, true)?, shape)
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
    apply(&Reduce { how, dims, keepdim }, &[input])
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
