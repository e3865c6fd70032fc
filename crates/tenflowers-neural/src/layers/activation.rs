//! Functions of each element, between layers.
use crate::layer::{Float, Layer, training_flag};
use tenflowers_core::{Result, Tensor, ops};

/// A function that is applied to each element, or along one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationFunction {
    Relu,
    /// The exact form, by the error function.
    Gelu,
    Silu,
    Sigmoid,
    Tanh,
    Softmax {
        dim: i64,
    },
    LogSoftmax {
        dim: i64,
    },
}

impl ActivationFunction {
    /// The function of `input`, of the same shape.
    ///
    /// # Errors
    /// If the input has no such dimension.
    pub fn apply<K: Float>(self, input: &Tensor<K>) -> Result<Tensor<K>> {
        let x = input.erase();
        K::typed(match self {
            ActivationFunction::Relu => ops::relu(x),
            ActivationFunction::Gelu => ops::gelu(x, "none"),
            ActivationFunction::Silu => ops::silu(x, false),
            ActivationFunction::Sigmoid => ops::sigmoid(x),
            ActivationFunction::Tanh => ops::tanh(x),
            ActivationFunction::Softmax { dim } => ops::softmax(x, Some(dim), 3, None),
            ActivationFunction::LogSoftmax { dim } => ops::log_softmax(x, Some(dim), 3, None),
        }?)
    }
}

/// An [`ActivationFunction`] as a layer.
///
/// ```
/// use tenflowers_core::Tensor;
/// use tenflowers_neural::{Activation, ActivationFunction, Layer};
/// let relu = Activation::new(ActivationFunction::Relu);
/// let y = relu.forward(&Tensor::<f32>::from_vec(vec![-1.0, 2.0], &[2])?)?;
/// assert_eq!(y.to_vec()?, [0.0, 2.0]);
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Activation {
    function: ActivationFunction,
    training: bool,
}

impl Activation {
    pub fn new(function: ActivationFunction) -> Self {
        Activation { function, training: true }
    }
}

impl<K: Float> Layer<K> for Activation {
    fn forward(&self, input: &Tensor<K>) -> Result<Tensor<K>> {
        self.function.apply(input)
    }
    fn parameters(&self) -> Vec<&Tensor<K>> {
        vec![]
    }
    training_flag!();
}

#[cfg(test)]
mod tests {
    use super::ActivationFunction::*;
    use tenflowers_core::Tensor;

    #[test]
    fn values() {
        let x = Tensor::<f64>::from_vec(vec![-1.0, 0.0, 2.0], &[3]).unwrap();
        let e = std::f64::consts::E;
        let (s1, s2) = (1.0 / (1.0 + e), 1.0 / (1.0 + (-2.0f64).exp()));
        let total = (-1.0f64).exp() + 1.0 + 2.0f64.exp();
        let log_total = total.ln();
        for (f, expected) in [
            (Relu, [0.0, 0.0, 2.0]),
            // x times the normal distribution function.
            (Gelu, [-0.158_655_253_931_457_05, 0.0, 1.954_499_736_103_641_6]),
            (Silu, [-s1, 0.0, 2.0 * s2]),
            (Sigmoid, [s1, 0.5, s2]),
            (Tanh, [-0.761_594_155_955_764_9, 0.0, 0.964_027_580_075_816_9]),
            (Softmax { dim: 0 }, [(-1.0f64).exp() / total, 1.0 / total, 2.0f64.exp() / total]),
            (LogSoftmax { dim: -1 }, [-1.0 - log_total, -log_total, 2.0 - log_total]),
        ] {
            let got = f.apply(&x).unwrap().to_vec().unwrap();
            assert!(got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-12), "{f:?}: {got:?} is not {expected:?}");
        }
        assert!(Softmax { dim: 1 }.apply(&x).unwrap_err().to_string().contains("dimension 1 is out of range"));
    }
}
