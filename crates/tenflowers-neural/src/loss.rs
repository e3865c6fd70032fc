//! What training makes small.
use crate::layer::Float;
use tenflowers_core::{Kind, Result, Tensor, ops};

/// What becomes of the losses of the elements or samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// They are given one by one.
    None,
    #[default]
    Mean,
    Sum,
}

impl Reduction {
    fn name(self) -> &'static str {
        match self {
            Reduction::None => "none",
            Reduction::Mean => "mean",
            Reduction::Sum => "sum",
        }
    }
}

/// A loss against targets of the kind of the output, reduced to its mean: what a model may have as its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// See [`mse`].
    MeanSquaredError,
    /// See [`l1`].
    MeanAbsoluteError,
    /// See [`soft_cross_entropy`].
    CrossEntropy,
    /// See [`binary_cross_entropy_with_logits`].
    BinaryCrossEntropy,
}

impl Loss {
    /// The loss of `output` against `target`: one number.
    ///
    /// # Errors
    /// If the shapes do not go together.
    pub fn of<K: Float>(self, output: &Tensor<K>, target: &Tensor<K>) -> Result<Tensor<K>> {
        match self {
            Loss::MeanSquaredError => mse(output, target, Reduction::Mean),
            Loss::MeanAbsoluteError => l1(output, target, Reduction::Mean),
            Loss::CrossEntropy => soft_cross_entropy(output, target, Reduction::Mean),
            Loss::BinaryCrossEntropy => binary_cross_entropy_with_logits(output, target, Reduction::Mean),
        }
    }
}

/// The square of the difference.
///
/// ```
/// use tenflowers_core::Tensor;
/// use tenflowers_neural::{Reduction, loss::mse};
/// let (y, target) = (Tensor::<f32>::from_vec(vec![1.0, 5.0], &[2])?, Tensor::<f32>::from_vec(vec![0.0, 2.0], &[2])?);
/// assert_eq!(mse(&y, &target, Reduction::Mean)?.to_vec()?, [5.0]);
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
///
/// # Errors
/// If the shapes do not broadcast.
pub fn mse<K: Float>(input: &Tensor<K>, target: &Tensor<K>, reduction: Reduction) -> Result<Tensor<K>> {
    K::typed(ops::mse_loss(input.erase(), target.erase(), None, None, reduction.name(), None)?)
}

/// The size of the difference.
///
/// # Errors
/// If the shapes do not broadcast.
pub fn l1<K: Float>(input: &Tensor<K>, target: &Tensor<K>, reduction: Reduction) -> Result<Tensor<K>> {
    K::typed(ops::l1_loss(input.erase(), target.erase(), None, None, reduction.name(), None)?)
}

/// The cross-entropy of logits `[batch, classes, ..]` against class numbers `[batch, ..]`.
///
/// # Errors
/// If the shapes do not go together, or a class number is out of range.
pub fn cross_entropy<K: Float>(
    input: &Tensor<K>,
    target: &Tensor<<K as Kind>::Index>,
    reduction: Reduction,
) -> Result<Tensor<K>> {
    K::typed(ops::cross_entropy(input.erase(), target.erase(), None, None, -100, None, reduction.name(), 0.0)?)
}

/// The cross-entropy of logits `[batch, classes, ..]` against probabilities of the classes, of the same shape.
///
/// # Errors
/// If the shapes differ.
pub fn soft_cross_entropy<K: Float>(input: &Tensor<K>, target: &Tensor<K>, reduction: Reduction) -> Result<Tensor<K>> {
    K::typed(ops::cross_entropy(input.erase(), target.erase(), None, None, -100, None, reduction.name(), 0.0)?)
}

/// The negative of the log-probabilities `[batch, classes, ..]` of the target classes `[batch, ..]`.
///
/// # Errors
/// As [`cross_entropy`].
pub fn nll<K: Float>(
    input: &Tensor<K>,
    target: &Tensor<<K as Kind>::Index>,
    reduction: Reduction,
) -> Result<Tensor<K>> {
    K::typed(ops::nll_loss(input.erase(), target.erase(), None, None, -100, None, reduction.name())?)
}

/// The cross-entropy of `sigmoid(input)` against probabilities of the same shape, exact for large logits.
///
/// # Errors
/// If the shapes differ.
pub fn binary_cross_entropy_with_logits<K: Float>(
    input: &Tensor<K>,
    target: &Tensor<K>,
    reduction: Reduction,
) -> Result<Tensor<K>> {
    let (x, y) = (input.erase(), target.erase());
    K::typed(ops::binary_cross_entropy_with_logits(x, y, None, None, None, reduction.name(), None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(data: &[f64], shape: &[usize]) -> Tensor<f64> {
        Tensor::from_vec(data.to_vec(), shape).unwrap()
    }
    fn close(t: Result<Tensor<f64>>, expected: &[f64]) {
        let got = t.unwrap().to_vec().unwrap();
        assert_eq!(got.len(), expected.len());
        assert!(got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-12), "{got:?} is not {expected:?}");
    }

    #[test]
    fn of_differences() {
        let (x, y) = (tensor(&[1.0, -2.0, 4.0], &[3]), tensor(&[0.0, 1.0, 2.0], &[3]));
        close(mse(&x, &y, Reduction::None), &[1.0, 9.0, 4.0]);
        close(mse(&x, &y, Reduction::Sum), &[14.0]);
        close(Loss::MeanSquaredError.of(&x, &y), &[14.0 / 3.0]);
        close(l1(&x, &y, Reduction::None), &[1.0, 3.0, 2.0]);
        close(Loss::MeanAbsoluteError.of(&x, &y), &[2.0]);
    }

    #[test]
    fn of_classes() {
        // Two samples, three classes; log of the sums of exponentials 3 and 1 + 1 + 2.
        let x = tensor(&[0.0, 0.0, 0.0, 0.0, 0.0, 2f64.ln()], &[2, 3]);
        let classes = Tensor::<i64>::from_vec(vec![1, 2], &[2]).unwrap();
        let each = [3f64.ln(), 2f64.ln()];
        close(cross_entropy(&x, &classes, Reduction::None), &each);
        close(cross_entropy(&x, &classes, Reduction::Mean), &[(each[0] + each[1]) / 2.0]);
        let logs = crate::ActivationFunction::LogSoftmax { dim: 1 }.apply(&x).unwrap();
        close(nll(&logs, &classes, Reduction::Sum), &[each[0] + each[1]]);
        let soft = tensor(&[0.0, 1.0, 0.0, 0.5, 0.5, 0.0], &[2, 3]);
        close(soft_cross_entropy(&x, &soft, Reduction::None), &[3f64.ln(), 4f64.ln()]);
        close(Loss::CrossEntropy.of(&x, &soft), &[(3f64.ln() + 4f64.ln()) / 2.0]);
        let wrong = Tensor::<i64>::from_vec(vec![1, 3], &[2]).unwrap();
        assert!(cross_entropy(&x, &wrong, Reduction::Mean).is_err());
    }

    #[test]
    fn of_probabilities() {
        let (x, y) = (tensor(&[0.0, 3f64.ln(), 800.0, -800.0], &[4]), tensor(&[1.0, 0.0, 1.0, 1.0], &[4]));
        let bce = |r| binary_cross_entropy_with_logits(&x, &y, r);
        close(bce(Reduction::None), &[2f64.ln(), 4f64.ln(), 0.0, 800.0]);
        close(Loss::BinaryCrossEntropy.of(&x, &y), &[(8f64.ln() + 800.0) / 4.0]);
        assert!(binary_cross_entropy_with_logits(&x, &tensor(&[1.0], &[1]), Reduction::Mean).is_err());
    }
}
