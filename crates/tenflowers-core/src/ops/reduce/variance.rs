//! Variance and standard deviation.
use super::{How, computed, dims_of, mean_dtype, reduce, widened};
use crate::cpu::accumulate::Summed;
use crate::cpu::reduce::{Plan, moments};
use crate::cpu::{View, ViewMut};
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::Shape;
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops::view::reshape_to;
use crate::tensor::Tensor;
use crate::{Element, ops};
use smallvec::{SmallVec, smallvec};

type Dims = SmallVec<[usize; 6]>;

/// Squares of distances from the mean over dimensions, summed, over `left`.
#[derive(Debug, Clone)]
struct Variance {
    dims: Dims,
    left: f64,
    keepdim: bool,
}

impl Variance {
    fn run<T: Element + Summed>(&self, x: &View, out: &mut ViewMut) -> Result<()> {
        widened::<T, _>(x, |x| {
            computed::<T>(out, |to| {
                let to = to as usize;
                moments::<T>(x, &Plan::new(x, &self.dims, false), &|i, m| {
                    // SAFETY: outputs are numbered, and each is written once.
                    unsafe { (to as *mut T).add(i).write(T::rounded(m.squares / self.left)) }
                })
            })
        })
    }
}

impl Op for Variance {
    fn name(&self) -> &'static str {
        "var"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (shape, dtype) = inputs[0].meta();
        let size = |d: usize| if self.dims.contains(&d) { self.keepdim.then_some(1) } else { Some(shape[d]) };
        Meta::one((0..shape.len()).filter_map(size).collect(), dtype)
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[0].dtype {
            DType::F64 => self.run::<f64>(&inputs[0], &mut outs[0]),
            _ => self.run::<f32>(&inputs[0], &mut outs[0]),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Input(0)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (g, x) = (back.grad()?, back.input(0)?);
        let n: usize = self.dims.iter().map(|&d| x.shape()[d]).product();
        let mut kept: Shape = x.shape().into();
        self.dims.iter().for_each(|&d| kept[d] = 1);
        let g = reshape_to(g, &kept)?.mul(2.0 / self.left)?;
        let mean = reduce(How::Sum(1.0 / n as f64), x, self.dims.clone(), true)?;
        Ok(smallvec![Some(x.sub(&mean)?.mul(&g)?)])
    }
}

fn variance(op: &'static str, input: &Tensor, dims: Dims, correction: f64, keepdim: bool) -> Result<Tensor> {
    let dtype = mean_dtype(op, input, None)?;
    if dtype.is_complex() {
        let part = |part: &Tensor| variance(op, part, dims.clone(), correction, keepdim);
        return part(&crate::ops::real(input)?)?.add(&part(&crate::ops::imag(input)?)?);
    }
    let n: usize = dims.iter().map(|&d| input.shape()[d]).product();
    apply(&Variance { dims, left: (n as f64 - correction).max(0.0), keepdim }, &[input])
}

fn correction_of(op: &'static str, unbiased: bool, correction: Option<Scalar>) -> Result<f64> {
    match correction {
        Some(Scalar::Complex(_)) => Err(TensorError::argument(op, "correction must be a real number")),
        Some(c) => Ok(c.as_f64()),
        None => Ok(if unbiased { 1.0 } else { 0.0 }),
    }
}

ops! {
    [tf method] {
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
    }
}

fn deviation(input: &Tensor, dims: Dims, correction: f64, keepdim: bool) -> Result<Tensor> {
    let variance = variance("std", input, dims, correction, keepdim)?;
    // A square root of exactly zero has no slope; elements that are all equal get the gradient 0 there, as in PyTorch.
    crate::ops::root_with_zero(&variance)
}
