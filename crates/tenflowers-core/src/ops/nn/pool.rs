//! The largest element, or the mean, of windows of planes.
use super::pair;
use crate::cpu::dense::{read, write};
use crate::cpu::pooling::{Pool2d, spread};
use crate::cpu::{View, ViewMut};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::Shape;
use crate::op::{Grads, Keep, Meta, Op, apply, apply_all, recording};
use crate::ops::reduce::{computed, widened};
use crate::ops::{gather, reshape_to};
use crate::schema::Value;
use crate::tensor::Tensor;
use crate::{compute_type, ops};
use smallvec::smallvec;

/// `[planes, h, w]` to the largest of each window, and with `places` where in its plane it is, which the gradient needs.
#[derive(Debug, Clone)]
struct MaxPool {
    sizes: Pool2d,
    places: bool,
}

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let shape: Shape = smallvec![self.sizes.planes, self.sizes.output[0], self.sizes.output[1]];
        let mut metas = smallvec![(shape.clone(), inputs[0].dtype())];
        if self.places {
            metas.push((shape, DType::I64));
        }
        Ok(Meta::New(metas))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let [values, indices @ ..] = outs else { unreachable!("an output") };
        let (n, dtype) = (values.layout.numel(), inputs[0].dtype);
        let done = compute_type!(dtype, [int float], T => widened::<T, _>(&inputs[0], |x| {
            computed::<T>(values, |to| {
                // SAFETY: the output is new and in one run.
                let to = unsafe { std::slice::from_raw_parts_mut(to, n) };
                match indices {
                    [indices] => self.sizes.max(&x.to_slice::<T>()?, to, indices.fresh::<i64>()),
                    _ => self.sizes.largest(&x.to_slice::<T>()?, to),
                }
            })
        }));
        done.unwrap_or_else(|| Err(TensorError::dtype("max_pool2d", dtype)))
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Output(1)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (planes, [h, w]) = (self.sizes.planes, self.sizes.input);
        max_gradient(back, smallvec![planes, h, w])
    }
}

/// The gradient of the largest elements of planes, of which output 1 says where they are: of the shape `shape`.
pub(super) fn max_gradient(back: &Back, shape: Shape) -> Result<Grads> {
    let Some(g) = back.grad_of(0) else { return Ok(smallvec![None]) };
    Ok(smallvec![Some(apply(&Spread(shape), &[g, back.output(1)?])?)])
}

/// The gradient of elements of planes and where in their plane they are, to that of the planes.
#[derive(Debug, Clone)]
struct Spread(Shape);

impl Op for Spread {
    fn name(&self) -> &'static str {
        "max_pool_backward"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::one(self.0.clone(), inputs[0].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (planes, dtype) = (self.0[0], inputs[0].dtype);
        let done = compute_type!(dtype, [float], T => read::<T, _>(&inputs[0], |g| {
            read::<i64, _>(&inputs[1], |places| write::<T>(&mut outs[0], |dx| spread(planes, g, places, dx)))
        }));
        done.unwrap_or_else(|| Err(TensorError::dtype(self.name(), dtype)))
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Input(1)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let flat = |shape: &[usize]| [self.0[0], shape[1..].iter().product()];
        let (g, places) = (back.grad()?, back.input(1)?);
        let found = gather(&reshape_to(g, &flat(&self.0))?, 1, &reshape_to(places, &flat(places.shape()))?, false)?;
        Ok(smallvec![Some(reshape_to(&found, places.shape())?), None])
    }
}

/// `[planes, h, w]` to the mean of each window, or the way back, which is linear as well.
#[derive(Debug, Clone)]
struct AveragePool {
    sizes: Pool2d,
    count_include_pad: bool,
    divisor: Option<i64>,
    backward: bool,
}

impl Op for AveragePool {
    fn name(&self) -> &'static str {
        if self.backward { "avg_pool2d_backward" } else { "avg_pool2d" }
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let [h, w] = if self.backward { self.sizes.input } else { self.sizes.output };
        Meta::one(smallvec![self.sizes.planes, h, w], inputs[0].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (x, out) = (&inputs[0], &mut outs[0]);
        let n = out.layout.numel();
        macro_rules! run {
            ($t:ty) => {
                widened::<$t, _>(x, |x| {
                    computed::<$t>(out, |to| {
                        // SAFETY: the output is new and in one run.
                        let to = unsafe { std::slice::from_raw_parts_mut(to, n) };
                        let x = x.to_slice::<$t>()?;
                        if self.backward {
                            self.sizes.average_backward(&x, to, self.count_include_pad, self.divisor)
                        } else {
                            self.sizes.average(&x, to, self.count_include_pad, self.divisor)
                        }
                    })
                })
            };
        }
        match x.dtype {
            DType::F64 => run!(f64),
            d if d.is_float() => run!(f32),
            DType::I64 => run!(i64),
            d => Err(TensorError::dtype("avg_pool2d", d)),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let op = AveragePool { backward: !self.backward, ..self.clone() };
        Ok(smallvec![Some(apply(&op, &[back.grad()?])?)])
    }
}

struct Windows<'a> {
    kernel: &'a [i64],
    stride: Option<&'a [i64]>,
    padding: &'a [i64],
    dilation: &'a [i64],
    ceil: bool,
}

/// The sizes of a pooling, and the input as planes.
fn planes(op: &'static str, input: &Tensor, w: &Windows) -> Result<(Pool2d, Tensor)> {
    if !matches!(input.rank(), 3 | 4) {
        let what = "four dimensions are needed, batch, channels, height and width, or the last three";
        return Err(TensorError::one_shape(op, what, input.shape()));
    }
    let kernel = pair(op, "kernel_size", w.kernel, 1)?;
    let stride = match w.stride {
        Some(s) if !s.is_empty() => pair(op, "stride", s, 1)?,
        _ => kernel,
    };
    let (padding, dilation) = (pair(op, "padding", w.padding, 0)?, pair(op, "dilation", w.dilation, 1)?);
    let (rank, mut output) = (input.rank(), [0; 2]);
    let size = [input.shape()[rank - 2], input.shape()[rank - 1]];
    if input.shape()[rank - 3..].contains(&0) {
        return Err(TensorError::one_shape(op, "only the batch may be empty", input.shape()));
    }
    for d in 0..2 {
        if padding[d] > kernel[d] / 2 {
            let what = format!("padding must be at most half the kernel: {} and {}", padding[d], kernel[d]);
            return Err(TensorError::argument(op, what));
        }
        let span = dilation[d].saturating_mul(kernel[d] - 1).saturating_add(1);
        let padded = size[d] + 2 * padding[d];
        let Some(room) = padded.checked_sub(span) else {
            if w.ceil && span - padded < stride[d] {
                output[d] = 1;
                continue;
            }
            let what = format!("a window spans {span} of a padded size of {padded}");
            return Err(TensorError::shape(op, what, input.shape(), &kernel));
        };
        output[d] = if w.ceil { room.div_ceil(stride[d]) } else { room / stride[d] } + 1;
        // The last window has to begin inside the input or the padding before it.
        if w.ceil && (output[d] - 1) * stride[d] >= size[d] + padding[d] {
            output[d] -= 1;
        }
    }
    // Taps beyond the padded plane meet nothing in any window.
    let kernel = [0, 1].map(|d| kernel[d].min((size[d] + 2 * padding[d]).div_ceil(dilation[d])));
    let count = input.shape()[..rank - 2].iter().product();
    let sizes = Pool2d { planes: count, input: size, kernel, stride, padding, dilation, output };
    Ok((sizes, reshape_to(input, &[count, size[0], size[1]])?))
}

/// Planes in the shape of the input's batch and channels.
fn unfold(t: &Tensor, input: &Tensor) -> Result<Tensor> {
    let mut shape: Shape = input.shape()[..input.rank() - 2].into();
    shape.extend_from_slice(&t.shape()[1..]);
    reshape_to(t, &shape)
}

ops! {
    [nn] {
        /// The largest element of each window of planes `[batch, channels, height, width]`; with `return_indices` also where
        /// in its plane it is.
        ///
        /// The batch may be left out; the stride is the kernel's size unless given, the padding at most half of it.
        ///
        /// ```python
        /// >>> F.max_pool2d(tf.arange(16.0).view(1, 4, 4), 2)
        /// tensor([[[ 5.,  7.],
        ///          [13., 15.]]])
        /// >>> F.max_pool2d(tf.arange(16.0).view(1, 4, 4), 2, return_indices=True)[1]
        /// tensor([[[ 5,  7],
        ///          [13, 15]]])
        /// ```
        pub fn max_pool2d(input: &Tensor, kernel_size: &[i64], stride: Option<&[i64]> = None::<&[i64]>, padding: &[i64] = &[0i64] as &[i64], dilation: &[i64] = &[1i64] as &[i64], ceil_mode: bool = false, return_indices: bool = false) -> Value {
            let windows = Windows { kernel: kernel_size, stride, padding, dilation, ceil: ceil_mode };
            let (sizes, x) = planes("max_pool2d", input, &windows)?;
            let outs = apply_all(&MaxPool { sizes, places: return_indices || recording(&[&x]) }, &[&x])?;
            let values = unfold(&outs[0], input)?;
            Ok(if return_indices { Value::Tensors(vec![values, unfold(&outs[1], input)?]) } else { Value::Tensor(values) })
        }
        /// The mean of each window of planes `[batch, channels, height, width]`; the padding counts unless
        /// `count_include_pad` is false, and `divisor_override` is divided by instead.
        ///
        /// The batch may be left out; the stride is the kernel's size unless given, the padding at most half of it.
        ///
        /// ```python
        /// >>> F.avg_pool2d(tf.arange(16.0).view(1, 4, 4), 2)
        /// tensor([[[ 2.5000,  4.5000],
        ///          [10.5000, 12.5000]]])
        /// ```
        pub fn avg_pool2d(input: &Tensor, kernel_size: &[i64], stride: Option<&[i64]> = None::<&[i64]>, padding: &[i64] = &[0i64] as &[i64], ceil_mode: bool = false, count_include_pad: bool = true, divisor_override: Option<i64> = None::<i64>) -> Tensor {
            let windows = Windows { kernel: kernel_size, stride, padding, dilation: &[1], ceil: ceil_mode };
            let (sizes, x) = planes("avg_pool2d", input, &windows)?;
            if divisor_override == Some(0) {
                return Err(TensorError::argument("avg_pool2d", "divisor_override must not be zero"));
            }
            let op = AveragePool { sizes, count_include_pad, divisor: divisor_override, backward: false };
            unfold(&apply(&op, &[&x])?, input)
        }
    }
}
