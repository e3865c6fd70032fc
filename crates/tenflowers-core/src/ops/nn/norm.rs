//! Normalisation: elements less their mean, over their standard deviation.
use crate::cpu::cast::cast;
use crate::cpu::map::map;
use crate::cpu::reduce::{Fold, Plan};
use crate::cpu::{View, ViewMut};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot, with_recording};
use crate::layout::Layout;
use crate::op::{Grads, Keep, Meta, Op, apply_all};
use crate::ops;
use crate::ops::reduce::{computed, widened};
use crate::ops::{mean, reshape_to, to_dtype};
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};

/// `(x - mean) / sqrt(variance + eps)` over dimensions; further outputs are the mean and the variance there (over n), for
/// whoever keeps statistics: without a derivative of their own, so they are given out detached.
#[derive(Debug, Clone)]
struct Normalize {
    dims: SmallVec<[i64; 6]>,
    eps: f64,
}

impl Normalize {
    fn axes(&self) -> SmallVec<[usize; 6]> {
        self.dims.iter().map(|&d| d as usize).collect()
    }
    fn run<T>(&self, x: &View, outs: &mut [ViewMut], narrow: impl Fn(f64) -> T + Sync) -> Result<()>
    where
        T: crate::Element + Into<f64> + std::ops::Sub<Output = T> + std::ops::Mul<Output = T>,
    {
        let [out, means, variances] = outs else { unreachable!("three outputs") };
        let (dims, small) = (self.axes(), Layout::contiguous(&means.layout.shape));
        widened::<T, _>(x, |x| {
            let shape = Layout::contiguous(&x.layout.shape);
            let mean = statistics(x, &dims, small.numel(), |x: T| x.into())?;
            let shift: Vec<T> = mean.iter().map(|&m| narrow(m)).collect();
            computed::<T>(out, |to| {
                // SAFETY: the output is new and in one run; what was written to it is read again as an input in place.
                let (centered, mut out) = unsafe {
                    let read = View::new(to.cast_const().cast(), &shape, T::ELEMENT);
                    (read, ViewMut::new(to.cast(), &shape, T::ELEMENT))
                };
                map([x, &View::of_slice(&shift, &small)], &mut out, |_, [x, m]: [T; 2]| x - m)?;
                let square = |x: T| {
                    let x: f64 = x.into();
                    x * x
                };
                let variance = statistics(&centered, &dims, small.numel(), square)?;
                let scale: Vec<T> = variance.iter().map(|&v| narrow(1.0 / (v + self.eps).sqrt())).collect();
                map([&centered, &View::of_slice(&scale, &small)], &mut out, |_, [x, s]: [T; 2]| x * s)?;
                cast(&View::of_slice(&mean, &small), means)?;
                cast(&View::of_slice(&variance, &small), variances)
            })
        })
    }
}

/// The mean over dimensions of what `of` makes of each element, in double precision.
fn statistics<T: crate::Element>(x: &View, dims: &[usize], n: usize, of: impl Fn(T) -> f64 + Sync) -> Result<Vec<f64>> {
    let plan = Plan::new(x, dims);
    let mut found = vec![0.0f64; n];
    let (count, to) = (plan.elements() as f64, found.as_mut_ptr() as usize);
    let fold = Fold { start: 0f64, step: |a: f64, x: T| a + of(x), merge: |a, b| a + b };
    // SAFETY: outputs are numbered, and each is written once.
    fold.run(x, &plan, &|i, a| unsafe { (to as *mut f64).add(i).write(a / count) })?;
    Ok(found)
}

impl Op for Normalize {
    fn name(&self) -> &'static str {
        "normalize"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (shape, dtype) = inputs[0].meta();
        let mut small = shape.clone();
        self.axes().iter().for_each(|&d| small[d] = 1);
        // Halves keep their statistics in single precision.
        let wide = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
        Ok(Meta::New(smallvec![(shape, dtype), (small.clone(), wide), (small, wide)]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[0].dtype {
            DType::F64 => self.run::<f64>(&inputs[0], outs, |x| x),
            d if d.is_float() => self.run::<f32>(&inputs[0], outs, |x| x as f32),
            d => Err(TensorError::dtype("normalize", d)),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Input(0), Slot::Output(0)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (g, x, out) = (back.grad()?, back.input(0)?, back.output(0)?);
        let average = |t: &Tensor| mean(t, Some(&self.dims), true, None);
        let variance = crate::ops::var(x, Some(&self.dims), false, true, None)?;
        let scale = variance.add(self.eps)?.rsqrt()?;
        let along = out.mul(&average(&g.mul(out)?)?)?;
        Ok(smallvec![Some(g.sub(&average(g)?)?.sub(&along)?.mul(&scale)?)])
    }
}

fn affine(x: Tensor, weight: Option<&Tensor>, bias: Option<&Tensor>) -> Result<Tensor> {
    let x = weight.map_or(Ok(x.clone()), |w| x.mul(&to_dtype(w, x.dtype())?))?;
    bias.map_or(Ok(x.clone()), |b| x.add(&to_dtype(b, x.dtype())?))
}

fn check_float(op: &'static str, x: &Tensor) -> Result<()> {
    if x.dtype().is_float() { Ok(()) } else { Err(TensorError::dtype(op, x.dtype())) }
}

/// One number a channel, in the shape that broadcasts over the others.
fn channel(op: &'static str, name: &str, t: Option<&Tensor>, x: &Tensor) -> Result<Option<Tensor>> {
    let Some(t) = t else { return Ok(None) };
    let channels = x.shape()[1];
    if t.numel() != channels {
        let what = format!("{name} must have one element for each of the {channels} channels");
        return Err(TensorError::shape(op, what, t.shape(), x.shape()));
    }
    let mut shape: SmallVec<[usize; 6]> = smallvec![1; x.rank()];
    shape[1] = channels;
    Ok(Some(reshape_to(t, &shape)?))
}

ops! {
    [nn] {
        /// Each slice over the last dimensions, of shape `normalized_shape`, with mean 0 and variance 1, times `weight` plus
        /// `bias` (Ba et al., 2016).
        ///
        /// `weight` and `bias` have the shape `normalized_shape`; an input that does not end in it is a `ShapeError`.
        ///
        /// ```python
        /// >>> F.layer_norm(tf.tensor([[1.0, 3.0], [10.0, 20.0]]), (2,))
        /// tensor([[-1.0000,  1.0000],
        ///         [-1.0000,  1.0000]])
        /// ```
        pub fn layer_norm(input: &Tensor, normalized_shape: &[i64], weight: Option<&Tensor> = None::<&Tensor>, bias: Option<&Tensor> = None::<&Tensor>, eps: f64 = 1e-5) -> Tensor {
            check_float("layer_norm", input)?;
            let shape = crate::layout::shape_of("layer_norm", normalized_shape)?;
            let first = input.rank().checked_sub(shape.len());
            let fits = first.is_some_and(|f| input.shape()[f..] == shape[..]);
            let (true, Some(first), false) = (fits, first, shape.is_empty()) else {
                let what = "the input must end in the normalized shape, of at least one dimension";
                return Err(TensorError::shape("layer_norm", what, input.shape(), &shape));
            };
            for (name, t) in [("weight", weight), ("bias", bias)] {
                if let Some(t) = t.filter(|t| t.shape() != &shape[..]) {
                    let what = format!("{name} must have the normalized shape");
                    return Err(TensorError::shape("layer_norm", what, t.shape(), &shape));
                }
            }
            let dims = (first as i64..input.rank() as i64).collect();
            let out = apply_all(&Normalize { dims, eps }, &[input])?.swap_remove(0);
            affine(out, weight, bias)
        }
        /// Each channel (dimension 1) with mean 0 and variance 1 over the batch and the other dimensions, or by the running
        /// statistics unless `training`, times `weight` plus `bias` (Ioffe and Szegedy, 2015). In training the running
        /// statistics, where given, move by `momentum` towards the batch's, in place.
        ///
        /// All four of the running statistics, `weight` and `bias` have the shape `[channels]`.
        ///
        /// ```python
        /// >>> F.batch_norm(tf.tensor([[1.0, 10.0], [3.0, 20.0]]), None, None, training=True)
        /// tensor([[-1.0000, -1.0000],
        ///         [ 1.0000,  1.0000]])
        /// >>> F.batch_norm(tf.tensor([[1.0, 10.0]]), tf.zeros(2), tf.ones(2))
        /// tensor([[ 1.0000, 10.0000]])
        /// ```
        pub fn batch_norm(input: &Tensor, running_mean: Option<&Tensor>, running_var: Option<&Tensor>, weight: Option<&Tensor> = None::<&Tensor>, bias: Option<&Tensor> = None::<&Tensor>, training: bool = false, momentum: f64 = 0.1, eps: f64 = 1e-5) -> Tensor {
            check_float("batch_norm", input)?;
            if input.numel() == 0 {
                return crate::ops::copy(input);
            }
            if input.rank() < 2 {
                return Err(TensorError::shape("batch_norm", "at least two dimensions are needed", input.shape(), &[]));
            }
            let channels = input.shape()[1];
            let broad = |name, t| channel("batch_norm", name, t, input);
            let (w, b) = (broad("weight", weight)?, broad("bias", bias)?);
            let (means, vars) = (broad("running_mean", running_mean)?, broad("running_var", running_var)?);
            if !training {
                let (Some(mean), Some(var)) = (means, vars) else {
                    return Err(TensorError::argument("batch_norm", "running_mean and running_var are needed unless training"));
                };
                let wide = |t: &Tensor| to_dtype(t, if input.dtype() == DType::F64 { DType::F64 } else { DType::F32 });
                let scale = wide(&var)?.add(eps)?.rsqrt()?;
                let out = wide(input)?.sub(&wide(&mean)?)?.mul(&scale)?;
                return to_dtype(&affine(out, w.as_ref(), b.as_ref())?, input.dtype());
            }
            let n = input.numel() / channels.max(1);
            if n <= 1 {
                let what = "more than one value for each channel is needed in training";
                return Err(TensorError::shape("batch_norm", what, input.shape(), &[]));
            }
            let dims = (0..input.rank() as i64).filter(|&d| d != 1).collect();
            let outs = apply_all(&Normalize { dims, eps }, &[input])?;
            with_recording(false, || {
                let moved = |running: Option<&Tensor>, now: &Tensor, factor: f64| -> Result<()> {
                    let Some(running) = running else { return Ok(()) };
                    let now = to_dtype(&reshape_to(&now.detach(), running.shape())?, running.dtype())?;
                    running.mul_(1.0 - momentum)?.add_(&now.mul(momentum * factor)?).map(drop)
                };
                moved(running_mean, &outs[1], 1.0)?;
                moved(running_var, &outs[2], n as f64 / (n as f64 - 1.0))
            })?;
            affine(outs[0].clone(), w.as_ref(), b.as_ref())
        }
    }
}
