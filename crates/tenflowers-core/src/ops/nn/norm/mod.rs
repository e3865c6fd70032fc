//! Normalisation: elements less their mean, over their standard deviation, times a weight plus a bias.
mod batch;
mod rows;
mod second;

use crate::cpu::norm::Rows;
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::with_recording;
use crate::layout::{Shape, shape_of};
use crate::op::{apply, apply_all};
use crate::ops;
use crate::ops::{mean, reshape_to, to_dtype, var};
use crate::tensor::Tensor;
use batch::BatchNorm;
use rows::RowNorm;
use smallvec::{SmallVec, smallvec};

/// The type that statistics and weights' gradients are in: halves have them in single precision.
fn wide(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F64 } else { DType::F32 }
}

fn check_float(op: &'static str, x: &Tensor) -> Result<()> {
    if x.dtype().is_float() { Ok(()) } else { Err(TensorError::dtype(op, x.dtype())) }
}

/// Moves running statistics, where there are any, towards what is there now, times a factor.
fn moved(running: Option<&Tensor>, now: &Tensor, momentum: f64, factor: f64) -> Result<()> {
    let Some(running) = running else { return Ok(()) };
    let now = to_dtype(&reshape_to(now, running.shape())?, running.dtype())?;
    running.mul_(1.0 - momentum)?.add_(&now.mul(momentum * factor)?).map(drop)
}

/// Checks that there is one number a channel, and gives the shape that broadcasts over the others.
fn channel(op: &'static str, name: &str, t: Option<&Tensor>, x: &Tensor) -> Result<SmallVec<[usize; 6]>> {
    let channels = x.shape()[1];
    if let Some(t) = t.filter(|t| t.numel() != channels) {
        let what = format!("{name} must have one element for each of the {channels} channels");
        return Err(TensorError::shape(op, what, t.shape(), x.shape()));
    }
    let mut shape: SmallVec<[usize; 6]> = smallvec![1; x.rank()];
    shape[1] = channels;
    Ok(shape)
}

/// By statistics that have a gradient as well, in operations.
fn by_statistics(
    x: &Tensor,
    [mean, var]: [&Tensor; 2],
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    let shape = channel("batch_norm", "running_mean", None, x)?;
    let seen = |t: &Tensor| reshape_to(&to_dtype(t, wide(x.dtype()))?, &shape);
    let scale = seen(var)?.add(eps)?.rsqrt()?;
    let mut out = to_dtype(x, wide(x.dtype()))?.sub(&seen(mean)?)?.mul(&scale)?;
    if let Some(w) = weight {
        out = out.mul(&seen(w)?)?;
    }
    if let Some(b) = bias {
        out = out.add(&seen(b)?)?;
    }
    to_dtype(&out, x.dtype())
}

/// Checks that the input ends in a shape, which weight and bias have.
fn ending(
    op: &'static str,
    input: &Tensor,
    normalized_shape: &[i64],
    parameters: [(&str, Option<&Tensor>); 2],
) -> Result<Shape> {
    let shape = shape_of(op, normalized_shape)?;
    if shape.is_empty() || !input.shape().ends_with(&shape) {
        let what = "the input must end in the normalized shape, of at least one dimension";
        return Err(TensorError::shape(op, what, input.shape(), &shape));
    }
    for (name, t) in parameters {
        if let Some(t) = t.filter(|t| t.shape() != &shape[..]) {
            return Err(TensorError::shape(op, format!("{name} must have the normalized shape"), t.shape(), &shape));
        }
    }
    Ok(shape)
}

fn last_dims(
    name: &'static str,
    input: &Tensor,
    shape: &[usize],
    centered: bool,
    eps: f64,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let rows = Rows { n: shape.iter().product(), groups: 1, inner: 1, centered, eps };
    let norm = RowNorm { name, rows, weight: weight.is_some(), bias: bias.is_some() };
    norm.of(input, weight, bias).map(|[out, _]| out)
}

/// Groups of channels of each sample; the means of the groups beside the result.
fn grouped(
    name: &'static str,
    input: &Tensor,
    groups: i64,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<[Tensor; 2]> {
    if input.rank() < 2 {
        return Err(TensorError::one_shape(name, "at least two dimensions are needed", input.shape()));
    }
    let channels = input.shape()[1];
    let groups = usize::try_from(groups).ok().filter(|&g| g > 0 && channels % g == 0);
    let Some(groups) = groups else {
        let what = "the channels (dimension 1) must fall into num_groups groups of one size";
        return Err(TensorError::one_shape(name, what, input.shape()));
    };
    for (name_of, t) in [("weight", weight), ("bias", bias)] {
        channel(name, name_of, t, input)?;
    }
    let inner = input.shape()[2..].iter().product();
    let rows = Rows { n: channels / groups * inner, groups, inner, centered: true, eps };
    RowNorm { name, rows, weight: weight.is_some(), bias: bias.is_some() }.of(input, weight, bias)
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
            let shape = ending("layer_norm", input, normalized_shape, [("weight", weight), ("bias", bias)])?;
            last_dims("layer_norm", input, &shape, true, eps, weight, bias)
        }
        /// Each slice over the last dimensions, of shape `normalized_shape`, divided by its root mean square, times `weight`
        /// (Zhang and Sennrich, 2019).
        ///
        /// `weight` has the shape `normalized_shape`; an input that does not end in it is a `ShapeError`. `eps` is by
        /// default that of the input's dtype.
        ///
        /// ```python
        /// >>> F.rms_norm(tf.tensor([[3.0, 4.0]]), (2,))
        /// tensor([[0.8485, 1.1314]])
        /// ```
        pub fn rms_norm(input: &Tensor, normalized_shape: &[i64], weight: Option<&Tensor> = None::<&Tensor>, eps: Option<f64> = None::<f64>) -> Tensor {
            check_float("rms_norm", input)?;
            let shape = ending("rms_norm", input, normalized_shape, [("weight", weight), ("", None)])?;
            let eps = eps.unwrap_or(match input.dtype() {
                DType::F64 => f64::EPSILON,
                DType::F16 => half::f16::EPSILON.to_f64(),
                DType::BF16 => half::bf16::EPSILON.to_f64(),
                _ => f64::from(f32::EPSILON),
            });
            last_dims("rms_norm", input, &shape, false, eps, weight, None)
        }
        /// The channels (dimension 1) of each sample in `num_groups` groups, each group with mean 0 and variance 1, times
        /// `weight` plus `bias` (Wu and He, 2018).
        ///
        /// `weight` and `bias` have the shape `[channels]`. Channels that do not fall into as many groups are a `ShapeError`.
        ///
        /// ```python
        /// >>> F.group_norm(tf.tensor([[1.0, 3.0, 10.0, 20.0]]), 2)
        /// tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
        /// ```
        pub fn group_norm(input: &Tensor, num_groups: i64, weight: Option<&Tensor> = None::<&Tensor>, bias: Option<&Tensor> = None::<&Tensor>, eps: f64 = 1e-5) -> Tensor {
            check_float("group_norm", input)?;
            grouped("group_norm", input, num_groups, weight, bias, eps).map(|[out, _]| out)
        }
        /// Each channel (dimension 1) of each sample with mean 0 and variance 1, or by the running statistics unless
        /// `use_input_stats`, times `weight` plus `bias` (Ulyanov et al., 2016). Running statistics that are given move by
        /// `momentum` towards the mean of the samples', in place.
        ///
        /// All four of the running statistics, `weight` and `bias` have the shape `[channels]`.
        ///
        /// ```python
        /// >>> F.instance_norm(tf.tensor([[[1.0, 3.0], [10.0, 20.0]]]))
        /// tensor([[[-1.0000,  1.0000],
        ///          [-1.0000,  1.0000]]])
        /// ```
        pub fn instance_norm(input: &Tensor, running_mean: Option<&Tensor> = None::<&Tensor>, running_var: Option<&Tensor> = None::<&Tensor>, weight: Option<&Tensor> = None::<&Tensor>, bias: Option<&Tensor> = None::<&Tensor>, use_input_stats: bool = true, momentum: f64 = 0.1, eps: f64 = 1e-5) -> Tensor {
            check_float("instance_norm", input)?;
            if !use_input_stats {
                return batch_norm(input, running_mean, running_var, weight, bias, false, momentum, eps);
            }
            if input.rank() < 3 {
                return Err(TensorError::one_shape("instance_norm", "at least three dimensions are needed", input.shape()));
            }
            let each: usize = input.shape()[2..].iter().product();
            if each == 1 {
                let what = "more than one value for each channel is needed";
                return Err(TensorError::one_shape("instance_norm", what, input.shape()));
            }
            for (name, t) in [("running_mean", running_mean), ("running_var", running_var)] {
                channel("instance_norm", name, t, input)?;
            }
            let [out, means] = grouped("instance_norm", input, input.shape()[1] as i64, weight, bias, eps)?;
            if running_mean.is_some() || running_var.is_some() {
                with_recording(false, || {
                    let (batch, channels) = (input.shape()[0], input.shape()[1]);
                    let means = mean(&reshape_to(&means.detach(), &[batch, channels])?, Some(&[0]), false, None)?;
                    moved(running_mean, &means, momentum, 1.0)?;
                    let dims: SmallVec<[i64; 6]> = (2..input.rank() as i64).collect();
                    let vars = var(&to_dtype(&input.detach(), wide(input.dtype()))?, Some(&dims), true, false, None)?;
                    moved(running_var, &mean(&vars, Some(&[0]), false, None)?, momentum, 1.0)
                })?;
            }
            Ok(out)
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
                return Err(TensorError::one_shape("batch_norm", "at least two dimensions are needed", input.shape()));
            }
            let channels = input.shape()[1];
            for (name, t) in [("weight", weight), ("bias", bias), ("running_mean", running_mean), ("running_var", running_var)] {
                channel("batch_norm", name, t, input)?;
            }
            let norm = |fixed| BatchNorm { eps, fixed, weight: weight.is_some(), bias: bias.is_some() };
            let parameters = weight.into_iter().chain(bias);
            if !training {
                let (Some(mean), Some(var)) = (running_mean, running_var) else {
                    return Err(TensorError::argument("batch_norm", "running_mean and running_var are needed unless training"));
                };
                if mean.requires_grad() || var.requires_grad() {
                    return by_statistics(input, [mean, var], weight, bias, eps);
                }
                let inputs: SmallVec<[&Tensor; 5]> = [input, mean, var].into_iter().chain(parameters).collect();
                return apply(&norm(true), &inputs);
            }
            let n = input.numel() / channels.max(1);
            if n <= 1 {
                let what = "more than one value for each channel is needed in training";
                return Err(TensorError::one_shape("batch_norm", what, input.shape()));
            }
            let inputs: SmallVec<[&Tensor; 3]> = std::iter::once(input).chain(parameters).collect();
            let outs = apply_all(&norm(false), &inputs)?;
            with_recording(false, || {
                moved(running_mean, &outs[1].detach(), momentum, 1.0)?;
                moved(running_var, &outs[2].detach(), momentum, n as f64 / (n as f64 - 1.0))
            })?;
            Ok(outs[0].clone())
        }
    }
}
