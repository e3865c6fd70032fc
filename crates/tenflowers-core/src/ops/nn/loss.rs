//! Losses.
use super::cross_entropy::{CrossEntropy, Together};
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::layout::Shape;
use crate::ops;
use crate::ops::{
    full_of, gather, index_by, log_softmax, mean, reshape_to, squeeze_dim, sum, to_dtype, unsqueeze, where_,
};
use crate::tensor::Tensor;

/// How the losses of the elements come together.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reduction {
    None,
    Mean,
    Sum,
}

impl Reduction {
    /// As named, or as the two older arguments say, which win where one is given.
    fn of(op: &'static str, name: &str, size_average: Option<bool>, reduce: Option<bool>) -> Result<Reduction> {
        if size_average.is_some() || reduce.is_some() {
            return Ok(match (reduce.unwrap_or(true), size_average.unwrap_or(true)) {
                (false, _) => Reduction::None,
                (true, true) => Reduction::Mean,
                (true, false) => Reduction::Sum,
            });
        }
        match name {
            "none" => Ok(Reduction::None),
            "mean" => Ok(Reduction::Mean),
            "sum" => Ok(Reduction::Sum),
            other => {
                Err(TensorError::argument(op, format!("reduction must be 'none', 'mean' or 'sum', not '{other}'")))
            }
        }
    }
    fn apply(self, losses: &Tensor) -> Result<Tensor> {
        match self {
            Reduction::None => Ok(losses.clone()),
            Reduction::Mean => mean(losses, None, false, None),
            Reduction::Sum => sum(losses, None, false, None),
        }
    }
    /// The mean by weights: their sum is what the sum is divided by.
    fn weighted(self, losses: &Tensor, weight: Option<&Tensor>) -> Result<Tensor> {
        match (self, weight) {
            (_, None) => self.apply(losses),
            (Reduction::Mean, Some(w)) => {
                let total = sum(&crate::ops::view::expand_to(w, losses.shape())?, None, false, None)?;
                sum(&losses.mul(w)?, None, false, None)?.div(&total)
            }
            (_, Some(w)) => self.apply(&losses.mul(w)?),
        }
    }
}

/// Where the classes are: dimension 1, or 0 of a single sample.
fn class_dim(input: &Tensor) -> usize {
    usize::from(input.rank() > 1)
}

/// Checks that the targets are class numbers, one a sample, and that weights are one a class.
fn check_classes(op: &'static str, input: &Tensor, target: &Tensor, weight: Option<&Tensor>) -> Result<()> {
    let dim = class_dim(input);
    let expected: Shape = input.shape().iter().enumerate().filter(|(d, _)| *d != dim).map(|(_, &n)| n).collect();
    if input.rank() == 0 || target.shape() != &expected[..] {
        let what = "the target must have the shape of the input without its classes";
        return Err(TensorError::shape(op, what, input.shape(), target.shape()));
    }
    if !matches!(target.dtype(), DType::I64 | DType::U8 | DType::I32) || target.dtype() == DType::I32 {
        return Err(TensorError::argument(op, format!("class numbers must be int64, not {}", target.dtype())));
    }
    let classes = input.shape()[dim];
    if let Some(w) = weight.filter(|w| w.shape() != [classes]) {
        let what = format!("weight must have one element for each of the {classes} classes");
        return Err(TensorError::shape(op, what, w.shape(), input.shape()));
    }
    Ok(())
}

/// As one operation.
#[allow(clippy::too_many_arguments, reason = "the arguments of the loss")]
fn fused(
    name: &'static str,
    logs: bool,
    input: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    ignore: i64,
    smoothing: f64,
    reduction: Reduction,
) -> Result<Tensor> {
    let together = match reduction {
        Reduction::None => Together::None,
        Reduction::Mean => Together::Mean,
        Reduction::Sum => Together::Sum,
    };
    let (dim, weighted) = (class_dim(input), weight.is_some());
    let op = CrossEntropy { name, dim, ignore, smoothing, logs, together, weighted };
    op.of(input, &to_dtype(target, DType::I64)?, weight)
}

/// The negative log-likelihood of class numbers; the weights of the samples beside it.
fn nll(
    op: &'static str,
    input: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    ignore: i64,
) -> Result<(Tensor, Tensor)> {
    let (dim, classes) = (class_dim(input), input.shape()[class_dim(input)]);
    let target = to_dtype(target, DType::I64)?;
    let ignored = target.eq(ignore)?;
    let safe = where_(&ignored, Scalar::ZERO.into(), (&target).into())?;
    if safe.numel() > 0 {
        for edge in [crate::ops::min(&safe)?, crate::ops::max(&safe)?] {
            let index = edge.item()?.as_int() as i64;
            if !(0..classes as i64).contains(&index) {
                return Err(TensorError::Index { op, index, dim, size: classes });
            }
        }
    }
    let picked = gather(input, dim as i64, &unsqueeze(&safe, dim as i64)?, false)?;
    let picked = squeeze_dim(&picked, &[dim as i64])?;
    let shares = match weight {
        Some(w) => index_by(&to_dtype(w, input.dtype())?, &[Some(safe)])?,
        None => full_of(target.shape(), Scalar::ONE, input.dtype())?,
    };
    let shares = where_(&ignored, Scalar::ZERO.into(), (&shares).into())?;
    // What is ignored counts as zero, also where it is infinite.
    let picked = where_(&ignored, Scalar::ZERO.into(), (&picked).into())?;
    Ok((picked.neg()?.mul(&shares)?, shares))
}

fn reduced_nll(losses: &Tensor, shares: &Tensor, reduction: Reduction) -> Result<Tensor> {
    match reduction {
        Reduction::Mean => sum(losses, None, false, None)?.div(&sum(shares, None, false, None)?),
        other => other.apply(losses),
    }
}

fn check_floats(op: &'static str, input: &Tensor) -> Result<()> {
    if input.dtype().is_float() { Ok(()) } else { Err(TensorError::dtype(op, input.dtype())) }
}

/// Cross-entropy against probabilities of classes.
fn soft_targets(
    input: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    reduction: Reduction,
    smoothing: f64,
) -> Result<Tensor> {
    let dim = class_dim(input) as i64;
    let classes = input.shape()[dim as usize];
    let target =
        if smoothing > 0.0 { target.mul(1.0 - smoothing)?.add(smoothing / classes as f64)? } else { target.clone() };
    let mut product = log_softmax(input, Some(dim), 3, None)?.mul(&target)?;
    if let Some(w) = weight {
        product = product.mul(&by_class(w, input)?)?;
    }
    let losses = sum(&product, Some(&[dim]), false, None)?.neg()?;
    match reduction {
        Reduction::Mean => {
            let samples = input.numel() / classes.max(1);
            sum(&losses, None, false, None)?.div(samples as f64)
        }
        other => other.apply(&losses),
    }
}

/// One number a class, in the shape that broadcasts over the rest.
fn by_class(w: &Tensor, input: &Tensor) -> Result<Tensor> {
    let dim = class_dim(input);
    let mut shape: Shape = smallvec::smallvec![1; input.rank()];
    shape[dim] = w.numel();
    reshape_to(w, &shape)
}

fn pointwise(op: &'static str, input: &Tensor, target: &Tensor) -> Result<()> {
    crate::layout::broadcast(op, input.shape(), target.shape()).map(drop)
}

ops! {
    [nn] {
        /// The cross-entropy of logits `[batch, classes, ..]` (or `[classes]`) against class numbers or probabilities of
        /// classes: `nll_loss(log_softmax(input))`.
        ///
        /// Targets equal to `ignore_index` do not count; `label_smoothing` mixes targets with equal probabilities
        /// (Szegedy et al., 2016). `reduction` is "mean", "sum" or "none".
        ///
        /// ```python
        /// >>> F.cross_entropy(tf.tensor([[2.0, 0.0], [0.0, 0.0]]), tf.tensor([0, 1]))
        /// tensor(0.4100)
        /// >>> F.cross_entropy(tf.tensor([[2.0, 0.0]]), tf.tensor([[0.9, 0.1]]), reduction="none")
        /// tensor([0.3269])
        /// ```
        pub fn cross_entropy(input: &Tensor, target: &Tensor, weight: Option<&Tensor> = None::<&Tensor>, size_average: Option<bool> = None::<bool>, ignore_index: i64 = -100, reduce: Option<bool> = None::<bool>, reduction: &str = "mean", label_smoothing: f64 = 0.0) -> Tensor {
            let reduction = Reduction::of("cross_entropy", reduction, size_average, reduce)?;
            check_floats("cross_entropy", input)?;
            if !(0.0..=1.0).contains(&label_smoothing) {
                let what = format!("label_smoothing must be between 0 and 1, not {label_smoothing}");
                return Err(TensorError::argument("cross_entropy", what));
            }
            if input.rank() == 0 {
                return Err(TensorError::shape("cross_entropy", "the input needs a dimension of classes", input.shape(), target.shape()));
            }
            if let Some(w) = weight.filter(|w| w.shape() != &input.shape()[class_dim(input)..=class_dim(input)]) {
                return Err(TensorError::shape("cross_entropy", "weight must have one element for each class", w.shape(), input.shape()));
            }
            if target.dtype().is_float() {
                if target.shape() != input.shape() {
                    let what = "probabilities must have the shape of the input";
                    return Err(TensorError::shape("cross_entropy", what, input.shape(), target.shape()));
                }
                if ignore_index >= 0 {
                    let what = "ignore_index is for targets that are class numbers";
                    return Err(TensorError::argument("cross_entropy", what));
                }
                return soft_targets(input, target, weight, reduction, label_smoothing);
            }
            check_classes("cross_entropy", input, target, weight)?;
            if !weight.is_some_and(Tensor::requires_grad) {
                return fused("cross_entropy", false, input, target, weight, ignore_index, label_smoothing, reduction);
            }
            let dim = class_dim(input) as i64;
            let logs = log_softmax(input, Some(dim), 3, None)?;
            let (losses, shares) = nll("cross_entropy", &logs, target, weight, ignore_index)?;
            let plain = reduced_nll(&losses, &shares, reduction)?;
            if label_smoothing == 0.0 {
                return Ok(plain);
            }
            // The part of the target that all classes share.
            let weighted = weight.map_or(Ok(logs.clone()), |w| logs.mul(&by_class(w, input)?))?;
            let ignored = target.eq(ignore_index)?;
            let smooth = sum(&weighted, Some(&[dim]), false, None)?.neg()?;
            let smooth = where_(&ignored, Scalar::ZERO.into(), (&smooth).into())?;
            let smooth = match (reduction, weight) {
                (Reduction::Mean, _) => sum(&smooth, None, false, None)?.div(&sum(&shares, None, false, None)?)?,
                (other, _) => other.apply(&smooth)?,
            };
            let classes = input.shape()[dim as usize] as f64;
            plain.mul(1.0 - label_smoothing)?.add(&smooth.mul(label_smoothing / classes)?)
        }
        /// The negative log-likelihood: of log-probabilities `[batch, classes, ..]` (or `[classes]`), those of the target
        /// classes with their sign changed.
        ///
        /// Targets equal to `ignore_index` do not count; the mean is weighted by `weight`. `reduction` is "mean", "sum"
        /// or "none". A class number out of range is an `AxisError`.
        ///
        /// ```python
        /// >>> F.nll_loss(tf.tensor([[-0.5, -1.0], [-2.0, -0.25]]), tf.tensor([0, 1]))
        /// tensor(0.3750)
        /// ```
        pub fn nll_loss(input: &Tensor, target: &Tensor, weight: Option<&Tensor> = None::<&Tensor>, size_average: Option<bool> = None::<bool>, ignore_index: i64 = -100, reduce: Option<bool> = None::<bool>, reduction: &str = "mean") -> Tensor {
            let reduction = Reduction::of("nll_loss", reduction, size_average, reduce)?;
            check_floats("nll_loss", input)?;
            check_classes("nll_loss", input, target, weight)?;
            if !weight.is_some_and(Tensor::requires_grad) {
                return fused("nll_loss", true, input, target, weight, ignore_index, 0.0, reduction);
            }
            let (losses, shares) = nll("nll_loss", input, target, weight, ignore_index)?;
            reduced_nll(&losses, &shares, reduction)
        }
        /// The square of the difference.
        ///
        /// `reduction` is "mean", "sum" or "none". With `weight`, which multiplies, the mean is divided by the sum of
        /// the weights.
        ///
        /// ```python
        /// >>> F.mse_loss(tf.tensor([1.0, 2.0]), tf.tensor([1.0, 4.0]))
        /// tensor(2.)
        /// >>> F.mse_loss(tf.tensor([1.0, 2.0]), tf.tensor([1.0, 4.0]), reduction="none")
        /// tensor([0., 4.])
        /// ```
        pub fn mse_loss(input: &Tensor, target: &Tensor, size_average: Option<bool> = None::<bool>, reduce: Option<bool> = None::<bool>, reduction: &str = "mean", weight: Option<&Tensor> = None::<&Tensor>) -> Tensor {
            pointwise("mse_loss", input, target)?;
            let difference = input.sub(target)?;
            let losses = difference.mul(&difference)?;
            Reduction::of("mse_loss", reduction, size_average, reduce)?.weighted(&losses, weight)
        }
        /// The size of the difference.
        ///
        /// `reduction` is "mean", "sum" or "none". With `weight`, which multiplies, the mean is divided by the sum of
        /// the weights.
        ///
        /// ```python
        /// >>> F.l1_loss(tf.tensor([1.0, 2.0]), tf.tensor([1.0, 4.0]))
        /// tensor(1.)
        /// ```
        pub fn l1_loss(input: &Tensor, target: &Tensor, size_average: Option<bool> = None::<bool>, reduce: Option<bool> = None::<bool>, reduction: &str = "mean", weight: Option<&Tensor> = None::<&Tensor>) -> Tensor {
            pointwise("l1_loss", input, target)?;
            let losses = input.sub(target)?.abs()?;
            Reduction::of("l1_loss", reduction, size_average, reduce)?.weighted(&losses, weight)
        }
        /// The cross-entropy of `sigmoid(input)` against probabilities of one shape, exact for large logits; `pos_weight`
        /// multiplies the loss of positives.
        ///
        /// `weight` multiplies the losses. `reduction` is "mean", "sum" or "none". A target of another shape is a
        /// `ShapeError`.
        ///
        /// ```python
        /// >>> F.binary_cross_entropy_with_logits(tf.tensor([0.0, 2.0]), tf.tensor([1.0, 1.0]))
        /// tensor(0.4100)
        /// ```
        pub fn binary_cross_entropy_with_logits(input: &Tensor, target: &Tensor, weight: Option<&Tensor> = None::<&Tensor>, size_average: Option<bool> = None::<bool>, reduce: Option<bool> = None::<bool>, reduction: &str = "mean", pos_weight: Option<&Tensor> = None::<&Tensor>) -> Tensor {
            if input.shape() != target.shape() {
                let what = "the target must have the shape of the input";
                return Err(TensorError::shape("binary_cross_entropy_with_logits", what, input.shape(), target.shape()));
            }
            // (1 - y) x - log(sigmoid(x)), the latter times 1 + (w - 1) y.
            let logs = crate::ops::logsigmoid(input)?;
            let rest = crate::ops::sub(Scalar::ONE.into(), target.into(), Scalar::ONE)?.mul(input)?;
            let losses = match pos_weight {
                Some(p) => rest.sub(&logs.mul(&p.sub(1.0)?.mul(target)?.add(1.0)?)?)?,
                None => rest.sub(&logs)?,
            };
            let losses = weight.map_or(Ok(losses.clone()), |w| losses.mul(w))?;
            Reduction::of("binary_cross_entropy_with_logits", reduction, size_average, reduce)?.apply(&losses)
        }
    }
}
