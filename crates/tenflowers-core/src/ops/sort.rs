//! Elements by their order along a dimension.
use super::reduce::{Found, squeezed};
use super::view::reshape_to;
use super::{full_like, scatter_add};
use crate::cpu::dense::read;
use crate::cpu::sort::{Key, Ranked, Which};
use crate::cpu::{View, ViewMut};
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::axis;
use crate::op::{Grads, Keep, Meta, Op, apply_all};
use crate::ops;
use crate::tensor::Tensor;
use half::{bf16, f16};
use smallvec::smallvec;

/// Elements that have certain numbers in the order along a dimension, and where they are.
#[derive(Debug, Clone)]
struct Rank {
    name: &'static str,
    dim: usize,
    descending: bool,
    which: Which,
}

impl Rank {
    fn ranked(&self, shape: &[usize]) -> Ranked {
        let (n, inner) = (shape[self.dim], shape[self.dim + 1..].iter().product());
        Ranked { n, inner, descending: self.descending, which: self.which }
    }
    fn run<T: Key + crate::Element>(&self, x: &View, outs: &mut [ViewMut]) -> Result<()> {
        let [values, places] = outs else { unreachable!("two outputs") };
        let ranked = self.ranked(&x.layout.shape);
        read::<T, _>(x, |x| ranked.run(x, values.fresh::<T>(), places.fresh::<i64>()))
    }
}

impl Op for Rank {
    fn name(&self) -> &'static str {
        self.name
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (mut shape, dtype) = inputs[0].meta();
        if dtype.is_complex() {
            return Err(TensorError::dtype(self.name, dtype));
        }
        shape[self.dim] = self.ranked(&shape).kept();
        Ok(Meta::New(smallvec![(shape.clone(), dtype), (shape, DType::I64)]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let x = &inputs[0];
        match x.dtype {
            DType::Bool => self.run::<bool>(x, outs),
            DType::U8 => self.run::<u8>(x, outs),
            DType::U16 => self.run::<u16>(x, outs),
            DType::U32 => self.run::<u32>(x, outs),
            DType::U64 => self.run::<u64>(x, outs),
            DType::I8 => self.run::<i8>(x, outs),
            DType::I16 => self.run::<i16>(x, outs),
            DType::I32 => self.run::<i32>(x, outs),
            DType::I64 => self.run::<i64>(x, outs),
            DType::F16 => self.run::<f16>(x, outs),
            DType::BF16 => self.run::<bf16>(x, outs),
            DType::F32 => self.run::<f32>(x, outs),
            DType::F64 => self.run::<f64>(x, outs),
            DType::C64 | DType::C128 => Err(TensorError::dtype(self.name, x.dtype)),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Output(1)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let Some(g) = back.grad_of(0) else { return Ok(smallvec![None]) };
        let zeros = full_like(g, back.shape(0), Scalar::ZERO)?;
        Ok(smallvec![Some(scatter_add(&zeros, self.dim as i64, back.output(1)?, g)?)])
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        inputs[0].numel() * 16
    }
}

/// Values and indices of a tensor's elements along `dim`; a tensor without dimensions has one element there.
fn ranked(name: &'static str, input: &Tensor, dim: i64, descending: bool, which: Which) -> Result<Found> {
    let dim = axis(name, dim, input.rank())?;
    let scalar = input.rank() == 0;
    let x = if scalar { reshape_to(input, &[1])? } else { input.clone() };
    let outs = apply_all(&Rank { name, dim, descending, which }, &[&x])?;
    // All of one element, or the first of them, has the shape of the tensor.
    if scalar && outs[0].numel() == 1 {
        return Ok(Found { values: reshape_to(&outs[0], &[])?, indices: reshape_to(&outs[1], &[])? });
    }
    Ok(Found { values: outs[0].clone(), indices: outs[1].clone() })
}

/// The elements along a dimension.
fn length(name: &'static str, input: &Tensor, dim: i64) -> Result<usize> {
    let dim = axis(name, dim, input.rank())?;
    Ok(if input.rank() == 0 { 1 } else { input.shape()[dim] })
}

/// The one element of each line that has a number in the order of the line.
fn numbered(name: &'static str, input: &Tensor, dim: i64, keepdim: bool, which: Which) -> Result<Found> {
    let found = ranked(name, input, dim, false, which)?;
    if input.rank() == 0 {
        return Ok(found);
    }
    let dims = [axis(name, dim, input.rank())?];
    Ok(Found { values: squeezed(&found.values, &dims, keepdim)?, indices: squeezed(&found.indices, &dims, keepdim)? })
}

fn median_of(name: &'static str, input: &Tensor, dim: i64, keepdim: bool, skip: bool) -> Result<Found> {
    if length(name, input, dim)? == 0 {
        let what = format!("a dimension of size 0 has no median; the shape is {:?}", input.shape());
        return Err(TensorError::Indexing { op: name, what });
    }
    numbered(name, input, dim, keepdim, Which::Middle { skip })
}

fn median_of_all(name: &'static str, input: &Tensor, skip: bool) -> Result<Tensor> {
    if input.numel() == 0 {
        if !input.dtype().is_float() {
            let what = format!("a tensor without elements has no median; the shape is {:?}", input.shape());
            return Err(TensorError::argument(name, what));
        }
        return full_like(input, &[], Scalar::Float(f64::NAN));
    }
    let flat = reshape_to(input, &[input.numel()])?;
    Ok(median_of(name, &flat, 0, false, skip)?.values)
}

ops! {
    [tf method] {
        /// The elements in order along `dim`, and where they were. Equal elements keep their order; what is not a number
        /// counts as larger than all numbers.
        ///
        /// `stable` asks for the order of equal elements to be kept, which it always is. The indices are int64. Complex
        /// numbers are an error.
        ///
        /// ```python
        /// >>> values, indices = tf.sort(tf.tensor([3.0, 1.0, 2.0]))
        /// >>> values, indices
        /// (tensor([1., 2., 3.]), tensor([1, 2, 0]))
        /// >>> tf.sort(tf.tensor([[3, 1], [2, 4]]), dim=0, descending=True).values
        /// tensor([[3, 4],
        ///         [2, 1]])
        /// ```
        pub fn sort(input: &Tensor, dim: i64 = -1, descending: bool = false; stable: bool = false) -> Found {
            // Every order is stable here.
            let _ = stable;
            ranked("sort", input, dim, descending, Which::All)
        }
        /// The indices that sort along `dim`, as `sort` gives them.
        ///
        /// The result is int64. Complex numbers are an error.
        ///
        /// ```python
        /// >>> tf.argsort(tf.tensor([3.0, 1.0, 2.0]))
        /// tensor([1, 2, 0])
        /// ```
        pub fn argsort(input: &Tensor, dim: i64 = -1, descending: bool = false; stable: bool = false) no_grad "the result is an index" -> Tensor {
            let _ = stable;
            Ok(ranked("argsort", &input.detach(), dim, descending, Which::All)?.indices)
        }
        /// The elements in ascending order along the first dimension.
        ///
        /// Complex numbers are an error.
        ///
        /// ```python
        /// >>> tf.msort(tf.tensor([[3, 1], [2, 4]]))
        /// tensor([[2, 1],
        ///         [3, 4]])
        /// ```
        pub fn msort(input: &Tensor) -> Tensor {
            Ok(ranked("msort", input, 0, false, Which::All)?.values)
        }
        /// The `k` largest elements along `dim`, by default the last, or the smallest unless `largest`; and where they are.
        ///
        /// In order if `sorted`; of equal elements those that stand first. What is not a number counts as larger than all
        /// numbers. More elements than there are is an `ArgumentError`.
        ///
        /// ```python
        /// >>> values, indices = tf.topk(tf.tensor([3.0, 1.0, 4.0, 1.0, 5.0]), 2)
        /// >>> values, indices
        /// (tensor([5., 4.]), tensor([4, 2]))
        /// >>> tf.topk(tf.tensor([3.0, 1.0, 4.0, 1.0, 5.0]), 2, largest=False).values
        /// tensor([1., 1.])
        /// ```
        pub fn topk(input: &Tensor, k: i64, dim: i64 = -1, largest: bool = true, sorted: bool = true) -> Found {
            let n = length("topk", input, dim)?;
            let first = usize::try_from(k).ok().filter(|&k| k <= n);
            let Some(first) = first else {
                return Err(TensorError::argument("topk", format!("k must be between 0 and {n}, not {k}")));
            };
            ranked("topk", input, dim, largest, Which::First(first, sorted))
        }
        /// The `k`-th smallest element along `dim`, counted from 1, and where it is.
        ///
        /// What is not a number counts as larger than all numbers. A number that is not there is an `ArgumentError`.
        ///
        /// ```python
        /// >>> tf.kthvalue(tf.tensor([3.0, 1.0, 4.0, 1.0, 5.0]), 3)
        /// kthvalue(values=tensor(3.), indices=tensor(0))
        /// ```
        pub fn kthvalue(input: &Tensor, k: i64, dim: i64 = -1, keepdim: bool = false) -> Found {
            let n = length("kthvalue", input, dim)?;
            let number = usize::try_from(k).ok().filter(|&k| (1..=n).contains(&k));
            let Some(number) = number else {
                return Err(TensorError::argument("kthvalue", format!("k must be between 1 and {n}, not {k}")));
            };
            numbered("kthvalue", input, dim, keepdim, Which::Number(number - 1))
        }
        /// The median of all elements: of two in the middle the lower.
        ///
        /// It is not a number where an element is none.
        ///
        /// ```python
        /// >>> tf.median(tf.tensor([3.0, 1.0, 4.0, 1.0]))
        /// tensor(1.)
        /// ```
        pub fn median(input: &Tensor) -> Tensor {
            median_of_all("median", input, false)
        }
        /// The medians along `dim`, of two in the middle the lower, and where they are.
        ///
        /// They are not numbers where an element is none.
        ///
        /// ```python
        /// >>> tf.median(tf.tensor([[3.0, 1.0, 4.0], [2.0, 7.0, 5.0]]), dim=1).values
        /// tensor([3., 5.])
        /// ```
        pub fn median_dim as median(input: &Tensor, dim: i64, keepdim: bool = false) -> Found {
            median_of("median", input, dim, keepdim, false)
        }
        /// The median of all elements that are numbers: of two in the middle the lower.
        ///
        /// ```python
        /// >>> tf.nanmedian(tf.tensor([3.0, float("nan"), 4.0]))
        /// tensor(3.)
        /// ```
        pub fn nanmedian(input: &Tensor) -> Tensor {
            median_of_all("nanmedian", input, true)
        }
        /// The medians along `dim` of the elements that are numbers, and where they are.
        ///
        /// ```python
        /// >>> tf.nanmedian(tf.tensor([[3.0, float("nan"), 4.0]]), dim=1).values
        /// tensor([3.])
        /// ```
        pub fn nanmedian_dim as nanmedian(input: &Tensor, dim: i64, keepdim: bool = false) -> Found {
            median_of("nanmedian", input, dim, keepdim, true)
        }
    }
}
