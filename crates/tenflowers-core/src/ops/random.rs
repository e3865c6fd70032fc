//! Random tensors. Element `i` depends on the seed, the place in the stream and `i` alone.
use super::cast::assign;
use super::create::{full_like, made};
use crate::cpu::random::{self, Draw};
use crate::cpu::{View, ViewMut};
use crate::device::Device;
use crate::dtype::{DType, Scalar, default_dtype};
use crate::error::{Result, TensorError};
use crate::grad::{self, Back};
use crate::layout::{Shape, shape_of};
use crate::op::{Class, Grads, Keep, Meta, Op, apply, apply_to};
use crate::ops;
use crate::rng::{Counters, Generator, default_generator};
use crate::schema::Size;
use crate::tensor::Tensor;
use smallvec::smallvec;

#[derive(Debug, Clone)]
struct Random {
    shape: Shape,
    dtype: DType,
    draw: Draw,
    counters: Counters,
}

/// Half a counter an element at most, in double precision.
fn counters_for(n: usize, generator: Option<&Generator>) -> Counters {
    generator.unwrap_or(default_generator()).take((n as u64).div_ceil(2))
}

impl Random {
    fn tensor(shape: &[usize], dtype: DType, draw: Draw, generator: Option<&Generator>) -> Result<Tensor> {
        let counters = counters_for(shape.iter().product(), generator);
        apply(&Random { shape: shape.into(), dtype, draw, counters }, &[])
    }
}

impl Op for Random {
    fn name(&self) -> &'static str {
        match self.draw {
            Draw::Uniform { .. } => "rand",
            Draw::Normal { .. } => "randn",
            Draw::Integer { .. } => "randint",
            Draw::Coin { .. } => "bernoulli",
            Draw::Permutation => "randperm",
        }
    }
    /// In place, a draw may be written where it likes, as nothing is read.
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, _: &[&Tensor]) -> Result<Meta> {
        Meta::one(self.shape.clone(), self.dtype)
    }
    fn cpu(&self, _: &[View], outs: &mut [ViewMut]) -> Result<()> {
        random::fill(self.draw, self.counters, &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        // Of what was there before a draw in place nothing is left.
        let g = back.grad()?;
        Ok(smallvec![Some(full_like(g, g.shape(), Scalar::ZERO)?)])
    }
}

/// 1 with the probability that each element of the input says.
#[derive(Debug, Clone)]
struct Bernoulli(Counters);

impl Op for Bernoulli {
    fn name(&self) -> &'static str {
        "bernoulli"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        random::bernoulli(self.0, &inputs[0], &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, _: &Back) -> Result<Grads> {
        grad::none("bernoulli", "the draw does not change smoothly")
    }
}

fn floats(op: &'static str, dtype: Option<DType>) -> Result<DType> {
    let dtype = dtype.unwrap_or_else(default_dtype);
    if dtype.is_float() { Ok(dtype) } else { Err(TensorError::dtype(op, dtype)) }
}

const UNIT: Draw = Draw::Uniform { low: 0.0, high: 1.0 };
const STANDARD: Draw = Draw::Normal { mean: 0.0, std: 1.0 };

/// Uniform numbers; complex ones have both parts so.
fn uniforms(op: &'static str, shape: &[usize], dtype: Option<DType>, generator: Option<&Generator>) -> Result<Tensor> {
    let dtype = dtype.unwrap_or_else(default_dtype);
    if !dtype.is_complex() {
        return Random::tensor(shape, floats(op, Some(dtype))?, UNIT, generator);
    }
    complex_of(dtype, || Random::tensor(shape, dtype.to_real(), UNIT, generator))
}

fn complex_of(dtype: DType, part: impl Fn() -> Result<Tensor>) -> Result<Tensor> {
    let imaginary = super::to_dtype(&part()?, dtype)?.mul(Scalar::Complex(crate::C64::new(0.0, 1.0)))?;
    super::to_dtype(&part()?, dtype)?.add(&imaginary)
}

/// Normal numbers; complex ones have parts of half the variance.
fn normals(op: &'static str, shape: &[usize], dtype: Option<DType>, generator: Option<&Generator>) -> Result<Tensor> {
    let dtype = dtype.unwrap_or_else(default_dtype);
    if !dtype.is_complex() {
        return Random::tensor(shape, floats(op, Some(dtype))?, STANDARD, generator);
    }
    let draw = Draw::Normal { mean: 0.0, std: 0.5f64.sqrt() };
    complex_of(dtype, || Random::tensor(shape, dtype.to_real(), draw, generator))
}

fn integers(
    op: &'static str,
    low: i64,
    high: i64,
    shape: &[usize],
    dtype: DType,
    generator: Option<&Generator>,
) -> Result<Tensor> {
    if low >= high {
        return Err(TensorError::argument(op, format!("low must be below high: {low} and {high}")));
    }
    if dtype.is_complex() {
        return Err(TensorError::dtype(op, dtype));
    }
    for edge in [low, high - 1] {
        if !Scalar::from(edge).fits(dtype) && dtype != DType::Bool {
            return Err(TensorError::argument(op, format!("{edge} does not fit {dtype}")));
        }
    }
    Random::tensor(shape, dtype, Draw::Integer { low, span: high.wrapping_sub(low) as u64 }, generator)
}

/// Fills a tensor with draws, and forgets what it came from.
fn drawn(op: &'static str, input: &Tensor, draw: Draw, generator: Option<&Generator>) -> Result<Tensor> {
    let dtype = match draw {
        Draw::Integer { .. } | Draw::Coin { .. } => input.dtype(),
        _ => floats(op, Some(input.dtype()))?,
    };
    let counters = counters_for(input.numel(), generator);
    let random = Random { shape: input.shape().into(), dtype, draw, counters };
    if input.layout().is_contiguous() {
        return apply_to(&random, &[input], Some(input));
    }
    assign::to(Some(input), input, &apply(&random, &[])?)
}

fn probability(op: &'static str, p: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&p) {
        Ok(p)
    } else {
        Err(TensorError::argument(op, format!("a probability is between 0 and 1, not {p}")))
    }
}

fn permuted(n: i64, generator: Option<&Generator>) -> Result<Tensor> {
    let n = shape_of("randperm", &[n])?[0];
    Random::tensor(&[n], DType::I64, Draw::Permutation, generator)
}

ops! {
    [tf] {
        /// Numbers drawn uniformly from [0, 1).
        ///
        /// Of a floating point or complex dtype, by default float32 unless `set_default_dtype` says otherwise.
        ///
        /// ```python
        /// >>> x = tf.rand(2, 3)
        /// >>> x.shape, bool((x >= 0).all()), bool((x < 1).all())
        /// (tenflowers.Size([2, 3]), True, True)
        /// ```
        pub fn rand(size: Size<'_>; generator: Option<&Generator> = None::<&Generator>, dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            made(uniforms("rand", &shape_of("rand", size.0)?, dtype, generator)?, device, requires_grad)
        }
        /// Numbers drawn from the standard normal distribution.
        ///
        /// Of a floating point or complex dtype, by default float32 unless `set_default_dtype` says otherwise.
        ///
        /// ```python
        /// >>> tf.randn(2, 3).shape
        /// tenflowers.Size([2, 3])
        /// ```
        pub fn randn(size: Size<'_>; generator: Option<&Generator> = None::<&Generator>, dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            made(normals("randn", &shape_of("randn", size.0)?, dtype, generator)?, device, requires_grad)
        }
        /// Integers drawn uniformly from 0 up to `high`, which is left out.
        ///
        /// The dtype is int64 unless another is given.
        ///
        /// ```python
        /// >>> x = tf.randint(10, (2, 3))
        /// >>> x.shape, bool((x >= 0).all()), bool((x < 10).all())
        /// (tenflowers.Size([2, 3]), True, True)
        /// ```
        pub fn randint_to as randint(high: i64, size: &[i64]; generator: Option<&Generator> = None::<&Generator>, dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            randint(0, high, size, generator, dtype, device, requires_grad)
        }
        /// Integers drawn uniformly from `low` up to `high`, which is left out.
        ///
        /// The dtype is int64 unless another is given.
        ///
        /// ```python
        /// >>> x = tf.randint(5, 10, (2, 3))
        /// >>> x.shape, bool((x >= 5).all()), bool((x < 10).all())
        /// (tenflowers.Size([2, 3]), True, True)
        /// ```
        pub fn randint(low: i64, high: i64, size: &[i64]; generator: Option<&Generator> = None::<&Generator>, dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            let shape = shape_of("randint", size)?;
            made(integers("randint", low, high, &shape, dtype.unwrap_or(DType::I64), generator)?, device, requires_grad)
        }
        /// The integers below `n` in a random order.
        ///
        /// The dtype is int64 unless another is given, which must hold them all.
        ///
        /// ```python
        /// >>> sorted(tf.randperm(5).tolist())
        /// [0, 1, 2, 3, 4]
        /// ```
        pub fn randperm(n: i64; generator: Option<&Generator> = None::<&Generator>, dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "it has no tensor to differentiate by" -> Tensor {
            let dtype = dtype.unwrap_or(DType::I64);
            if !Scalar::from((n - 1).max(0)).fits(dtype) || dtype == DType::Bool {
                return Err(TensorError::argument("randperm", format!("{n} numbers do not fit {dtype}")));
            }
            made(super::to_dtype(&permuted(n, generator)?, dtype)?, device, requires_grad)
        }
        /// Numbers drawn uniformly from [0, 1), in the shape and dtype of a tensor unless another dtype is given.
        ///
        /// ```python
        /// >>> x = tf.zeros(2, 3, dtype=tf.float64)
        /// >>> tf.rand_like(x).shape, tf.rand_like(x).dtype
        /// (tenflowers.Size([2, 3]), tenflowers.float64)
        /// ```
        pub fn rand_like(input: &Tensor; generator: Option<&Generator> = None::<&Generator>, dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "the result does not depend on its input" -> Tensor {
                        made(uniforms("rand_like", input.shape(), Some(dtype.unwrap_or(input.dtype())), generator)?, device, requires_grad)
        }
        /// Numbers drawn from the standard normal distribution, in the shape and dtype of a tensor unless another dtype is given.
        ///
        /// ```python
        /// >>> x = tf.zeros(2, 3, dtype=tf.float64)
        /// >>> tf.randn_like(x).shape, tf.randn_like(x).dtype
        /// (tenflowers.Size([2, 3]), tenflowers.float64)
        /// ```
        pub fn randn_like(input: &Tensor; generator: Option<&Generator> = None::<&Generator>, dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "the result does not depend on its input" -> Tensor {
            made(normals("randn_like", input.shape(), Some(dtype.unwrap_or(input.dtype())), generator)?, device, requires_grad)
        }
        /// Integers from 0 up to `high`, in the shape and dtype of a tensor unless another dtype is given.
        ///
        /// ```python
        /// >>> x = tf.randint_like(tf.zeros(2, 3), 10)
        /// >>> x.shape, x.dtype, bool((x < 10).all())
        /// (tenflowers.Size([2, 3]), tenflowers.float32, True)
        /// ```
        pub fn randint_like_to as randint_like(input: &Tensor, high: i64; generator: Option<&Generator> = None::<&Generator>, dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "the result does not depend on its input" -> Tensor {
            randint_like(input, 0, high, generator, dtype, device, requires_grad)
        }
        /// Integers from `low` up to `high`, in the shape and dtype of a tensor unless another dtype is given.
        ///
        /// ```python
        /// >>> x = tf.randint_like(tf.zeros(2, 3), 5, 10)
        /// >>> x.shape, x.dtype, bool((x >= 5).all())
        /// (tenflowers.Size([2, 3]), tenflowers.float32, True)
        /// ```
        pub fn randint_like(input: &Tensor, low: i64, high: i64; generator: Option<&Generator> = None::<&Generator>, dtype: Option<DType> = None::<DType>, device: Option<Device> = None::<Device>, requires_grad: bool = false)
            no_grad "the result does not depend on its input" -> Tensor {
            made(integers("randint_like", low, high, input.shape(), dtype.unwrap_or(input.dtype()), generator)?, device, requires_grad)
        }
    }
    [tf method] {
        /// 1 with the probability that each element says, else 0.
        ///
        /// The elements lie between 0 and 1, in a floating point dtype, which the result has.
        ///
        /// ```python
        /// >>> tf.bernoulli(tf.tensor([0.0, 1.0]))
        /// tensor([0., 1.])
        /// ```
        pub fn bernoulli(input: &Tensor; generator: Option<&Generator> = None::<&Generator>) no_grad "the draw does not change smoothly" -> Tensor {
            floats("bernoulli", Some(input.dtype()))?;
            let counters = counters_for(input.numel(), generator);
            apply(&Bernoulli(counters), &[&input.detach()])
        }
    }
    [method] {
        /// Numbers drawn uniformly from [`from_`, `to`) in the place of the elements.
        ///
        /// The tensor has a floating point dtype; `from` must not be above `to`.
        ///
        /// ```python
        /// >>> x = tf.empty(100).uniform_(-1, 1)
        /// >>> x.shape, bool((x >= -1).all()), bool((x < 1).all())
        /// (tenflowers.Size([100]), True, True)
        /// ```
        pub fn uniform_(input: &Tensor, from_: f64 = 0.0, to: f64 = 1.0; generator: Option<&Generator> = None::<&Generator>) no_grad "the draw does not depend on what was there" -> Tensor {
            if from_.is_nan() || to.is_nan() || from_ > to || !(to - from_).is_finite() {
                return Err(TensorError::argument("uniform_", format!("the range is empty or infinite: {from_} to {to}")));
            }
            drawn("uniform_", input, Draw::Uniform { low: from_, high: to }, generator)
        }
        /// Normal numbers in the place of the elements.
        ///
        /// Of a floating point dtype; `std` must not be negative.
        ///
        /// ```python
        /// >>> tf.empty(2).normal_(mean=3.0, std=0.0)
        /// tensor([3., 3.])
        /// ```
        pub fn normal_(input: &Tensor, mean: f64 = 0.0, std: f64 = 1.0; generator: Option<&Generator> = None::<&Generator>) no_grad "the draw does not depend on what was there" -> Tensor {
            if std.is_nan() || std < 0.0 {
                return Err(TensorError::argument("normal_", format!("the standard deviation must not be negative: {std}")));
            }
            drawn("normal_", input, Draw::Normal { mean, std }, generator)
        }
        /// 1 with probability `p`, else 0, in the place of the elements.
        ///
        /// The tensor may have any dtype; `p` lies between 0 and 1.
        ///
        /// ```python
        /// >>> tf.empty(3).bernoulli_(1.0)
        /// tensor([1., 1., 1.])
        /// ```
        pub fn bernoulli_(input: &Tensor, p: f64 = 0.5; generator: Option<&Generator> = None::<&Generator>) no_grad "the draw does not depend on what was there" -> Tensor {
            drawn("bernoulli_", input, Draw::Coin { p: probability("bernoulli_", p)? }, generator)
        }
        /// Integers from `from_` up to `to` in the place of the elements; without them, all that the dtype holds exactly.
        ///
        /// One number alone is the end, and the range starts at 0; an empty range is an error.
        ///
        /// ```python
        /// >>> x = tf.empty(100).random_(3, 6)
        /// >>> bool((x >= 3).all()), bool((x < 6).all())
        /// (True, True)
        /// ```
        pub fn random_(input: &Tensor, from_: i64, to: Option<i64> = None::<i64>; generator: Option<&Generator> = None::<&Generator>) no_grad "the draw does not depend on what was there" -> Tensor {
            let (low, high) = match to {
                Some(to) => (from_, to),
                None => (0, from_),
            };
            let draws = integers("random_", low, high, input.shape(), input.dtype(), generator)?;
            assign::to(Some(input), input, &draws)
        }
        /// As with a range, over all non-negative integers that the dtype holds exactly.
        ///
        /// ```python
        /// >>> bool((tf.empty(100, dtype=tf.int8).random_() >= 0).all())
        /// True
        /// ```
        pub fn random_all as random_(input: &Tensor; generator: Option<&Generator> = None::<&Generator>) no_grad "the draw does not depend on what was there" -> Tensor {
            let high = match input.dtype() {
                DType::Bool => 2,
                DType::U8 => 1 << 8,
                DType::I8 => 1 << 7,
                DType::U16 => 1 << 16,
                DType::I16 => 1 << 15,
                DType::F16 => (1 << 11) + 1,
                DType::BF16 => (1 << 8) + 1,
                DType::F32 => (1 << 24) + 1,
                DType::F64 => (1 << 53) + 1,
                DType::U32 => 1 << 32,
                DType::I32 => 1 << 31,
                DType::U64 | DType::I64 => i64::MAX,
                other => return Err(TensorError::dtype("random_", other)),
            };
            random_(input, 0, Some(high), generator)
        }
    }
}

/// Dropout of given random numbers, which are drawn again on the way back: nothing is kept.
#[derive(Debug, Clone)]
struct Dropout {
    p: f64,
    counters: Counters,
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        random::dropout(self.p, self.counters, &inputs[0], &mut outs[0])
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        Ok(smallvec![Some(apply(self, &[back.grad()?])?)])
    }
}

/// Each element times 0 with probability `p`, else times `1 / (1 - p)`, into `target` where there is one.
pub(super) fn dropped(input: &Tensor, p: f64, target: Option<&Tensor>) -> Result<Tensor> {
    let counters = counters_for(input.numel(), None);
    apply_to(&Dropout { p, counters }, &[input], target)
}
