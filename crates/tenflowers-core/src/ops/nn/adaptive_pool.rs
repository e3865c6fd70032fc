//! The largest element, or the mean, of windows that cut planes into a given number of parts.
use super::pool::max_gradient;
use crate::cpu::adaptive_pooling::AdaptivePool;
use crate::cpu::number::Ordered;
use crate::cpu::{View, ViewMut};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::Shape;
use crate::op::{Grads, Keep, Meta, Op, apply, apply_all};
use crate::ops::reduce::{computed, widened};
use crate::ops::{mean, reshape_to};
use crate::schema::{IntOptions, Value};
use crate::tensor::Tensor;
use crate::{compute_type, ops};
use smallvec::{SmallVec, smallvec};

/// `[planes, depth, height, width]` to the mean of each window, or the way back, which is linear as well.
#[derive(Debug, Clone)]
struct Average {
    sizes: AdaptivePool,
    backward: bool,
}

fn planes(count: usize, size: [usize; 3]) -> Shape {
    let mut shape: Shape = smallvec![count];
    shape.extend_from_slice(&size);
    shape
}

impl Op for Average {
    fn name(&self) -> &'static str {
        if self.backward { "adaptive_avg_pool_backward" } else { "adaptive_avg_pool" }
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let size = if self.backward { self.sizes.input } else { self.sizes.output };
        Meta::one(planes(self.sizes.planes, size), inputs[0].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (x, out) = (&inputs[0], &mut outs[0]);
        let n = out.layout.numel();
        let done = compute_type!(x.dtype, [float], T => widened::<T, _>(x, |x| {
            computed::<T>(out, |to| {
                // SAFETY: the output is new and in one run.
                let to = unsafe { std::slice::from_raw_parts_mut(to, n) };
                let x = x.to_slice::<T>()?;
                if self.backward { self.sizes.average_backward(&x, to) } else { self.sizes.average(&x, to) }
            })
        }));
        done.unwrap_or_else(|| Err(TensorError::dtype(self.name(), x.dtype)))
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let op = Average { backward: !self.backward, ..self.clone() };
        Ok(smallvec![Some(apply(&op, &[back.grad()?])?)])
    }
}

/// `[planes, depth, height, width]` to the largest of each window, and where in its plane it is.
#[derive(Debug, Clone)]
struct Max(AdaptivePool);

impl Op for Max {
    fn name(&self) -> &'static str {
        "adaptive_max_pool"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let shape = planes(self.0.planes, self.0.output);
        Ok(Meta::New(smallvec![(shape.clone(), inputs[0].dtype()), (shape, DType::I64)]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let [values, indices] = outs else { unreachable!("two outputs") };
        let (n, dtype) = (values.layout.numel(), inputs[0].dtype);
        fn run<T: Ordered + crate::Element>(
            p: &AdaptivePool,
            x: &View,
            values: &mut [T],
            indices: &mut [i64],
        ) -> Result<()> {
            p.max(&x.to_slice::<T>()?, values, indices)
        }
        let done = compute_type!(dtype, [float], T => widened::<T, _>(&inputs[0], |x| {
            computed::<T>(values, |to| {
                // SAFETY: the output is new and in one run.
                run::<T>(&self.0, x, unsafe { std::slice::from_raw_parts_mut(to, n) }, indices.fresh::<i64>())
            })
        }));
        done.unwrap_or_else(|| Err(TensorError::dtype(self.name(), dtype)))
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Output(1)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        max_gradient(back, planes(self.0.planes, self.0.input))
    }
}

/// The sizes of a pooling over the last `dims` dimensions, and the input as planes of depth, height and width.
fn cut(op: &'static str, input: &Tensor, output: &[Option<i64>], dims: usize) -> Result<(AdaptivePool, Tensor)> {
    let (rank, shape) = (input.rank(), input.shape());
    if rank != dims + 1 && rank != dims + 2 {
        let what =
            format!("{} dimensions are needed, batch, channels and {dims} more, or the last {}", dims + 2, dims + 1);
        return Err(TensorError::one_shape(op, what, shape));
    }
    if !input.dtype().is_float() {
        return Err(TensorError::dtype(op, input.dtype()));
    }
    let given: SmallVec<[Option<i64>; 4]> = match output {
        [one] => smallvec![*one; dims],
        all if all.len() == dims => all.into(),
        all => {
            let what = format!("output_size must be one int or {dims}, not {}", all.len());
            return Err(TensorError::argument(op, what));
        }
    };
    let first = rank - dims;
    if shape[first..].contains(&0) {
        return Err(TensorError::one_shape(op, "only the batch and the channels may be empty", shape));
    }
    let (mut sizes, count) = ([[1; 3]; 2], shape[..first].iter().product());
    for (d, out) in given.into_iter().enumerate() {
        let (at, size) = (3 - dims + d, shape[first + d]);
        sizes[0][at] = size;
        sizes[1][at] = match out {
            None => size,
            // Beyond this no memory could hold what it asks for.
            Some(n @ 0..0x100_0000_0000) => n as usize,
            Some(n) => {
                let what = format!("output_size must be at least 0 (and sensible), not {n}");
                return Err(TensorError::argument(op, what));
            }
        };
    }
    let pool = AdaptivePool { planes: count, input: sizes[0], output: sizes[1] };
    Ok((pool, reshape_to(input, &planes(count, sizes[0]))?))
}

/// Planes in the shape of the input's batch and channels.
fn restore(t: &Tensor, input: &Tensor, dims: usize) -> Result<Tensor> {
    let mut shape: Shape = input.shape()[..input.rank() - dims].into();
    shape.extend_from_slice(&t.shape()[4 - dims..]);
    reshape_to(t, &shape)
}

fn average(op: &'static str, input: &Tensor, output: &[Option<i64>], dims: usize) -> Result<Tensor> {
    let (sizes, x) = cut(op, input, output, dims)?;
    if sizes.output == [1; 3] {
        let dims: SmallVec<[i64; 3]> = (1..=dims as i64).map(|d| -d).collect();
        return mean(input, Some(&dims), true, None);
    }
    restore(&apply(&Average { sizes, backward: false }, &[&x])?, input, dims)
}

fn max(op: &'static str, input: &Tensor, output: &[Option<i64>], indices: bool, dims: usize) -> Result<Value> {
    let (sizes, x) = cut(op, input, output, dims)?;
    let outs = apply_all(&Max(sizes), &[&x])?;
    let values = restore(&outs[0], input, dims)?;
    Ok(if indices { Value::Tensors(vec![values, restore(&outs[1], input, dims)?]) } else { Value::Tensor(values) })
}

ops! {
    [nn] {
        /// The means of `output_size` windows of equal size, but for one element, that cover the last dimension.
        ///
        /// Floats `[batch, channels, width]`, the batch may be left out; an output size of `None` is the input's. Window `i` of
        /// `n` goes from `floor(i * width / n)` to `ceil((i + 1) * width / n)`.
        ///
        /// ```python
        /// >>> F.adaptive_avg_pool1d(tf.tensor([[1.0, 2.0, 3.0, 4.0]]), 2)
        /// tensor([[1.5000, 3.5000]])
        /// ```
        pub fn adaptive_avg_pool1d(input: &Tensor, output_size: IntOptions) -> Tensor {
            average("adaptive_avg_pool1d", input, &output_size, 1)
        }
        /// The means of the windows that cut planes `[batch, channels, height, width]` into `output_size` parts.
        ///
        /// The sizes are one for both dimensions or a pair, `None` for the input's; the windows are those of
        /// `adaptive_avg_pool1d`, in each dimension.
        ///
        /// ```python
        /// >>> F.adaptive_avg_pool2d(tf.arange(16.0).view(1, 4, 4), (1, 2))
        /// tensor([[[6.5000, 8.5000]]])
        /// ```
        pub fn adaptive_avg_pool2d(input: &Tensor, output_size: IntOptions) -> Tensor {
            average("adaptive_avg_pool2d", input, &output_size, 2)
        }
        /// The means of the windows that cut volumes `[batch, channels, depth, height, width]` into `output_size` parts.
        ///
        /// The sizes are one for all dimensions or three, `None` for the input's; the windows are those of
        /// `adaptive_avg_pool1d`, in each dimension.
        ///
        /// ```python
        /// >>> F.adaptive_avg_pool3d(tf.arange(8.0).view(1, 2, 2, 2), (2, 1, 1))
        /// tensor([[[[1.5000]],
        /// <BLANKLINE>
        ///          [[5.5000]]]])
        /// ```
        pub fn adaptive_avg_pool3d(input: &Tensor, output_size: IntOptions) -> Tensor {
            average("adaptive_avg_pool3d", input, &output_size, 3)
        }
        /// The largest elements of the windows of `adaptive_avg_pool1d`; with `return_indices` also where they are.
        ///
        /// ```python
        /// >>> F.adaptive_max_pool1d(tf.tensor([[1.0, 5.0, 3.0, 4.0]]), 2, return_indices=True)
        /// (tensor([[5., 4.]]), tensor([[1, 3]]))
        /// ```
        pub fn adaptive_max_pool1d(input: &Tensor, output_size: IntOptions, return_indices: bool = false) -> Value {
            max("adaptive_max_pool1d", input, &output_size, return_indices, 1)
        }
        /// The largest elements of the windows of `adaptive_avg_pool2d`; with `return_indices` also where in its plane it is.
        ///
        /// ```python
        /// >>> F.adaptive_max_pool2d(tf.arange(16.0).view(1, 4, 4), (1, 2))
        /// tensor([[[13., 15.]]])
        /// ```
        pub fn adaptive_max_pool2d(input: &Tensor, output_size: IntOptions, return_indices: bool = false) -> Value {
            max("adaptive_max_pool2d", input, &output_size, return_indices, 2)
        }
        /// The largest elements of the windows of `adaptive_avg_pool3d`; with `return_indices` also where in its volume it is.
        ///
        /// ```python
        /// >>> F.adaptive_max_pool3d(tf.arange(8.0).view(1, 2, 2, 2), 1)
        /// tensor([[[[7.]]]])
        /// ```
        pub fn adaptive_max_pool3d(input: &Tensor, output_size: IntOptions, return_indices: bool = false) -> Value {
            max("adaptive_max_pool3d", input, &output_size, return_indices, 3)
        }
    }
}
