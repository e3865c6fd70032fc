//! The largest and smallest elements, and where they are.
use super::{How, computed, dims_of, reduce, squeezed, widened};
use crate::cpu::reduce::{Plan, best};
use crate::cpu::{View, ViewMut};
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::axis;
use crate::op::{Grads, Keep, Meta, Op, apply_all};
use crate::ops::view::reshape_to;
use crate::ops::{full_like, scatter_add};
use crate::tensor::Tensor;
use crate::{compute_type, ops, results};
use smallvec::smallvec;

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
                let (to, plan) = (to as usize, Plan::new(x, &[self.dim], true));
                best(x, &plan, self.largest, &|i, value, k| {
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
        Ok(smallvec![Some(scatter_add(&zeros, self.dim as i64, index, g)?)])
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

results! {
    #[doc = "Elements picked along a dimension, and where they are."]
    Found { values, indices }
}

ops! {
    [tf method] {
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
            crate::ops::maximum(input, other)
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
            crate::ops::minimum(input, other)
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
    }
}
