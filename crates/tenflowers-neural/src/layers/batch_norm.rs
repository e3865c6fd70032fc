//! Batch normalization.
use crate::init;
use crate::layer::{Float, Layer, training_flag};
use tenflowers_core::{Dyn, Result, Tensor, TensorError, ops};

/// Each channel (dimension 1) with mean 0 and variance 1, times a weight, plus a bias (Ioffe and Szegedy, 2015): by the batch
/// in training, otherwise by statistics that training keeps.
///
/// ```
/// use tenflowers_core::Tensor;
/// use tenflowers_neural::{BatchNorm, Layer};
/// let layer = BatchNorm::<f32>::new(1)?;
/// let y = layer.forward(&Tensor::<f32>::from_vec(vec![-3.0, 3.0], &[2, 1])?)?;
/// assert!((y.to_vec()?[1] - 1.0).abs() < 1e-5);
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
#[derive(Debug, Clone)]
pub struct BatchNorm<K: Float = Dyn> {
    weight: Tensor<K>,
    bias: Tensor<K>,
    running_mean: Tensor<K>,
    running_var: Tensor<K>,
    momentum: f64,
    eps: f64,
    training: bool,
}

impl<K: Float> BatchNorm<K> {
    /// # Errors
    /// If memory does not hold the parameters.
    pub fn new(channels: usize) -> Result<Self> {
        let statistics = |value: f64| K::typed(ops::full_of(&[channels], value.into(), K::dtype())?);
        Ok(BatchNorm {
            weight: init::constant(&[channels], 1.0)?,
            bias: init::constant(&[channels], 0.0)?,
            running_mean: statistics(0.0)?,
            running_var: statistics(1.0)?,
            momentum: 0.1,
            eps: 1e-5,
            training: true,
        })
    }
    /// How far the kept statistics move towards those of a batch; 0.1 at first.
    ///
    /// # Errors
    /// If it is not between 0 and 1.
    pub fn with_momentum(mut self, momentum: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&momentum) {
            return Err(TensorError::argument("BatchNorm", format!("momentum is between 0 and 1, not {momentum}")));
        }
        self.momentum = momentum;
        Ok(self)
    }
    /// What is added to a variance before its root is taken; 1e-5 at first.
    pub fn with_eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }
    /// The mean that training has kept, one for each channel.
    pub fn running_mean(&self) -> &Tensor<K> {
        &self.running_mean
    }
    /// The variance that training has kept, one for each channel.
    pub fn running_var(&self) -> &Tensor<K> {
        &self.running_var
    }
}

impl<K: Float> Layer<K> for BatchNorm<K> {
    fn forward(&self, input: &Tensor<K>) -> Result<Tensor<K>> {
        let (mean, var) = (Some(self.running_mean.erase()), Some(self.running_var.erase()));
        let (weight, bias) = (Some(self.weight.erase()), Some(self.bias.erase()));
        let x = input.erase();
        K::typed(ops::batch_norm(x, mean, var, weight, bias, self.training, self.momentum, self.eps)?)
    }
    fn parameters(&self) -> Vec<&Tensor<K>> {
        vec![&self.weight, &self.bias]
    }
    training_flag!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_the_batch_and_by_what_was_kept() {
        let mut layer = BatchNorm::<f64>::new(2).unwrap().with_momentum(0.5).unwrap().with_eps(0.0);
        // Channels 1, 3 and 10, 30: means 2 and 20, variances 1 and 100 (without bias 2 and 200).
        let x = Tensor::<f64>::from_vec(vec![1.0, 10.0, 3.0, 30.0], &[2, 2]).unwrap();
        assert_eq!(layer.forward(&x).unwrap().to_vec().unwrap(), [-1.0, -1.0, 1.0, 1.0]);
        assert_eq!(layer.running_mean().to_vec().unwrap(), [1.0, 10.0]);
        assert_eq!(layer.running_var().to_vec().unwrap(), [1.5, 100.5]);
        layer.set_training(false);
        let y = layer.forward(&x).unwrap().to_vec().unwrap();
        let expected = [0.0, 0.0, 2.0 / 1.5f64.sqrt(), 20.0 / 100.5f64.sqrt()];
        assert!(y.iter().zip(expected).all(|(y, e)| (y - e).abs() < 1e-12), "{y:?}");
        assert_eq!(layer.running_mean().to_vec().unwrap(), [1.0, 10.0]);
        assert_eq!(layer.parameters().len(), 2);
    }
}
