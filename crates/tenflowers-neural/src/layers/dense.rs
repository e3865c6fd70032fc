//! The fully connected layer.
use super::ActivationFunction;
use crate::init;
use crate::layer::{Float, Layer, training_flag};
use tenflowers_core::{Dyn, Generator, Result, Tensor, TensorError, ops};

/// `activation(input @ weight.T + bias)` on the last dimension: `[.., in]` to `[.., out]`.
///
/// ```
/// use tenflowers_core::{Generator, Tensor};
/// use tenflowers_neural::{ActivationFunction, Dense, Layer};
/// let layer = Dense::<f32>::new(3, 2, &Generator::new(0))?.with_activation(ActivationFunction::Relu);
/// let y = layer.forward(&Tensor::<f32>::from_vec(vec![1.0; 12], &[4, 3])?)?;
/// assert_eq!(y.shape(), [4, 2]);
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dense<K: Float = Dyn> {
    weight: Tensor<K>,
    bias: Option<Tensor<K>>,
    activation: Option<ActivationFunction>,
    training: bool,
}

impl<K: Float> Dense<K> {
    /// A layer with weight and bias drawn uniformly within `1 / sqrt(inputs)`.
    ///
    /// # Errors
    /// If memory does not hold the weight.
    pub fn new(inputs: usize, outputs: usize, generator: &Generator) -> Result<Self> {
        let (weight, bias) = init::affine(&[outputs, inputs], true, generator)?;
        Ok(Dense { weight, bias, activation: None, training: true })
    }
    /// A layer without bias.
    ///
    /// # Errors
    /// As [`Dense::new`].
    pub fn without_bias(inputs: usize, outputs: usize, generator: &Generator) -> Result<Self> {
        let (weight, bias) = init::affine(&[outputs, inputs], false, generator)?;
        Ok(Dense { weight, bias, activation: None, training: true })
    }
    /// A layer of a weight `[out, in]` and a bias `[out]` that exist already. They are shared, not copied.
    ///
    /// # Errors
    /// If the shapes do not go together.
    pub fn of(weight: Tensor<K>, bias: Option<Tensor<K>>) -> Result<Self> {
        let &[outputs, _] = weight.shape() else {
            return Err(TensorError::one_shape("Dense", "a weight has two dimensions, out and in", weight.shape()));
        };
        if let Some(b) = bias.as_ref().filter(|b| b.shape() != [outputs]) {
            return Err(TensorError::shape("Dense", "a bias has one element for each output", b.shape(), &[outputs]));
        }
        Ok(Dense { weight, bias, activation: None, training: true })
    }
    pub fn with_activation(mut self, activation: ActivationFunction) -> Self {
        self.activation = Some(activation);
        self
    }
    pub fn weight(&self) -> &Tensor<K> {
        &self.weight
    }
    pub fn bias(&self) -> Option<&Tensor<K>> {
        self.bias.as_ref()
    }
}

impl<K: Float> Layer<K> for Dense<K> {
    fn forward(&self, input: &Tensor<K>) -> Result<Tensor<K>> {
        let bias = self.bias.as_ref().map(Tensor::erase);
        let output = K::typed(ops::linear(input.erase(), self.weight.erase(), bias)?)?;
        self.activation.map_or(Ok(output.clone()), |a| a.apply(&output))
    }
    fn parameters(&self) -> Vec<&Tensor<K>> {
        std::iter::once(&self.weight).chain(&self.bias).collect()
    }
    training_flag!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenflowers_autograd::{Tolerance, gradcheck, gradgradcheck};
    use tenflowers_core::Element;

    fn tensor<T: Element>(data: &[T], shape: &[usize]) -> Tensor<T> {
        Tensor::from_vec(data.to_vec(), shape).unwrap()
    }

    #[test]
    fn values() {
        let weight = tensor(&[1.0f32, 2.0, -1.0, 0.5, 0.0, 3.0], &[2, 3]);
        let layer = Dense::of(weight, Some(tensor(&[0.5, -20.0], &[2]))).unwrap();
        let x = tensor(&[1.0, 2.0, 3.0, -1.0, 0.0, 1.0], &[2, 3]);
        // 1 + 4 - 3 + .5, .5 + 9 - 20; -1 - 1 + .5, -.5 + 3 - 20
        assert_eq!(layer.forward(&x).unwrap().to_vec().unwrap(), [2.5, -10.5, -1.5, -17.5]);
        let layer = layer.with_activation(ActivationFunction::Relu);
        assert_eq!(layer.forward(&x).unwrap().to_vec().unwrap(), [2.5, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn derivatives() {
        let leaf = |data: &[f64], shape: &[usize]| {
            let t = tensor(data, shape).erase().clone();
            t.require_grad(true).unwrap();
            t
        };
        let at = [
            leaf(&[0.3, -0.2, 0.8, 0.1, -0.5, 0.4], &[3, 2]),
            leaf(&[0.7, -0.1, 0.2, 0.9], &[2, 2]),
            leaf(&[0.1, -0.3], &[2]),
        ];
        let mut f = |t: &[Tensor]| {
            let layer = Dense::<Dyn>::of(t[1].clone(), Some(t[2].clone()))?.with_activation(ActivationFunction::Tanh);
            Ok(vec![layer.forward(&t[0])?])
        };
        gradcheck(&mut f, &at, Tolerance::default()).unwrap();
        gradgradcheck(&mut f, &at, Tolerance::default()).unwrap();
    }

    #[test]
    fn parameters_and_mode() {
        let mut layer = Dense::<f64>::new(3, 2, &Generator::new(0)).unwrap();
        assert!(layer.parameters().iter().all(|p| p.erase().requires_grad() && p.erase().is_leaf()));
        let bound = 1.0 / 3f64.sqrt();
        assert!(layer.parameters().iter().all(|p| p.to_vec().unwrap().iter().all(|x| x.abs() <= bound && *x != 0.0)));
        assert!(layer.training());
        layer.set_training(false);
        assert!(!layer.training());
        assert_eq!(Dense::<f32>::without_bias(3, 2, &Generator::new(0)).unwrap().parameters().len(), 1);
        assert_eq!(Dense::<f32>::new(0, 2, &Generator::new(0)).unwrap().bias().unwrap().to_vec().unwrap(), [0.0; 2]);
    }

    #[test]
    fn errors() {
        let layer = Dense::<f32>::new(3, 2, &Generator::new(0)).unwrap();
        let e = layer.forward(&tensor(&[1.0; 4], &[2, 2])).unwrap_err().to_string();
        assert!(e.contains("[2, 2] x [2, 3]"), "{e}");
        let e = Dense::of(tensor(&[1.0f32; 4], &[2, 2]), Some(tensor(&[1.0], &[1]))).unwrap_err().to_string();
        assert_eq!(e, "Dense: a bias has one element for each output: [1] x [2]");
        let layer = Dense::<Dyn>::new(2, 2, &Generator::new(0)).unwrap();
        let e = layer.forward(tensor(&[1.0f64; 4], &[2, 2]).erase()).unwrap_err().to_string();
        assert!(e.contains("float64") && e.contains("float32"), "{e}");
    }
}
