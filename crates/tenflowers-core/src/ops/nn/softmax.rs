//! Softmax and its logarithm.
use crate::cpu::accumulate::Summed;
use crate::cpu::dense::{read, write};
use crate::cpu::math::Real;
use crate::cpu::softmax::Softmax as Kernel;
use crate::cpu::{View, ViewMut};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::axis;
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::ops::{reshape_to, sum, to_dtype};
use crate::tensor::Tensor;
use smallvec::smallvec;

#[derive(Debug, Clone)]
struct Softmax {
    dim: usize,
    log: bool,
}

impl Softmax {
    fn kernel(&self, shape: &[usize]) -> Kernel {
        Kernel { log: self.log, n: shape[self.dim], inner: shape[self.dim + 1..].iter().product() }
    }
    fn run<T: Summed + Real + crate::Element>(&self, x: &View, out: &mut ViewMut) -> Result<()> {
        let kernel = self.kernel(&x.layout.shape);
        read::<T, _>(x, |x| write::<T>(out, |out| kernel.forward(x, out)))
    }
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        if !inputs[0].dtype().is_float() {
            return Err(TensorError::dtype(self.name(), inputs[0].dtype()));
        }
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[0].dtype {
            DType::F64 => self.run::<f64>(&inputs[0], &mut outs[0]),
            _ => self.run::<f32>(&inputs[0], &mut outs[0]),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Output(0)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        Ok(smallvec![Some(apply(&SoftmaxBack(self.clone()), &[back.grad()?, back.output(0)?])?)])
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        inputs[0].numel() * 8
    }
}

/// From the gradient of the result and the result: `(g - sum(g y)) y`, or `g - exp(y) sum(g)` for the logarithm.
#[derive(Debug, Clone)]
struct SoftmaxBack(Softmax);

impl SoftmaxBack {
    fn run<T: Summed + Real + crate::Element>(&self, g: &View, y: &View, out: &mut ViewMut) -> Result<()> {
        let kernel = self.0.kernel(&y.layout.shape);
        read::<T, _>(g, |g| read::<T, _>(y, |y| write::<T>(out, |out| kernel.backward(g, y, out))))
    }
}

impl Op for SoftmaxBack {
    fn name(&self) -> &'static str {
        if self.0.log { "log_softmax_backward" } else { "softmax_backward" }
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[1])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[1].dtype {
            DType::F64 => self.run::<f64>(&inputs[0], &inputs[1], &mut outs[0]),
            _ => self.run::<f32>(&inputs[0], &inputs[1], &mut outs[0]),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Input(0), Slot::Input(1)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (h, g, y) = (back.grad()?, back.input(0)?, back.input(1)?);
        let total = |t: &Tensor| sum(t, Some(&[self.0.dim as i64]), true, None);
        if self.0.log {
            let part = y.exp()?.mul(h)?;
            let of_g = if back.needs(0) { Some(h.sub(&total(&part)?)?) } else { None };
            let of_y = if back.needs(1) { Some(part.mul(&total(g)?)?.neg()?) } else { None };
            return Ok(smallvec![of_g, of_y]);
        }
        // The way back is symmetric: what it does to one gradient it does to another.
        let of_g = if back.needs(0) { Some(apply(self, &[h, y])?) } else { None };
        let of_y = if back.needs(1) {
            let first = h.mul(&g.sub(&total(&g.mul(y)?)?)?)?;
            Some(first.sub(&g.mul(&total(&h.mul(y)?)?)?)?)
        } else {
            None
        };
        Ok(smallvec![of_g, of_y])
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        inputs[0].numel() * 4
    }
}

/// The dimension that is meant where none is given, as it has been since the first version of PyTorch.
fn implicit(rank: usize) -> i64 {
    if matches!(rank, 0 | 1 | 3) { 0 } else { 1 }
}

fn rows_of(op: &'static str, input: &Tensor, dim: Option<i64>, dtype: Option<DType>, log: bool) -> Result<Tensor> {
    let dim = axis(op, dim.unwrap_or_else(|| implicit(input.rank())), input.rank())?;
    let x = match dtype {
        Some(dtype) => to_dtype(input, dtype)?,
        None => input.clone(),
    };
    let op = Softmax { dim, log };
    if x.rank() == 0 {
        return reshape_to(&apply(&op, &[&reshape_to(&x, &[1])?])?, &[]);
    }
    apply(&op, &[&x])
}

ops! {
    [tf method nn] {
        /// `exp(input)` along `dim`, divided by its sum there.
        ///
        /// Integers need a floating point `dtype`, which the input is converted to first.
        ///
        /// ```python
        /// >>> tf.softmax(tf.tensor([[0.0, 1.0], [5.0, 5.0]]), dim=1)
        /// tensor([[0.2689, 0.7311],
        ///         [0.5000, 0.5000]])
        /// ```
        pub fn softmax(input: &Tensor, dim: Option<i64> = None::<i64>, _stacklevel: i64 = 3, dtype: Option<DType> = None::<DType>) -> Tensor {
            // Where in a call stack a warning would point that is not given here.
            let _ = _stacklevel;
            rows_of("softmax", input, dim, dtype, false)
        }
        /// The logarithm of `softmax`, exact where that is close to 0.
        ///
        /// Integers need a floating point `dtype`, which the input is converted to first.
        ///
        /// ```python
        /// >>> tf.log_softmax(tf.tensor([0.0, 1.0]), dim=0)
        /// tensor([-1.3133, -0.3133])
        /// ```
        pub fn log_softmax(input: &Tensor, dim: Option<i64> = None::<i64>, _stacklevel: i64 = 3, dtype: Option<DType> = None::<DType>) -> Tensor {
            let _ = _stacklevel;
            rows_of("log_softmax", input, dim, dtype, true)
        }
    }
}
