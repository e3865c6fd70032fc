//! Dropout.
use crate::layer::{Float, Layer, training_flag};
use tenflowers_core::{Result, Tensor, TensorError, ops};

/// In training, each element zero with probability `p`, the others times `1 / (1 - p)` (Srivastava et al., 2014); otherwise
/// the input. Draws from the default generator.
///
/// ```
/// use tenflowers_core::{Tensor, rng::default_generator};
/// use tenflowers_neural::{Dropout, Layer};
/// default_generator().manual_seed(0);
/// let mut layer = Dropout::new(0.5)?;
/// let x = Tensor::<f32>::from_vec(vec![1.0; 100], &[100])?;
/// assert!(layer.forward(&x)?.to_vec()?.iter().all(|&y| y == 0.0 || y == 2.0));
/// Layer::<f32>::set_training(&mut layer, false);
/// assert_eq!(layer.forward(&x)?.to_vec()?, [1.0; 100]);
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dropout {
    p: f64,
    training: bool,
}

impl Dropout {
    /// # Errors
    /// If `p` is no probability.
    pub fn new(p: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&p) {
            return Err(TensorError::argument("Dropout", format!("a probability is between 0 and 1, not {p}")));
        }
        Ok(Dropout { p, training: true })
    }
}

impl<K: Float> Layer<K> for Dropout {
    fn forward(&self, input: &Tensor<K>) -> Result<Tensor<K>> {
        K::typed(ops::dropout(input.erase(), self.p, self.training, false)?)
    }
    fn parameters(&self) -> Vec<&Tensor<K>> {
        vec![]
    }
    training_flag!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_stays_and_its_gradient() {
        let x = Tensor::<f64>::from_vec(vec![3.0; 4000], &[4000]).unwrap();
        x.erase().require_grad(true).unwrap();
        let y = Dropout::new(0.25).unwrap().forward(&x).unwrap();
        let values = y.to_vec().unwrap();
        let kept = values.iter().filter(|&&v| v != 0.0).count();
        assert!(values.iter().all(|&v| v == 0.0 || (v - 4.0).abs() < 1e-12) && (2850..3150).contains(&kept), "{kept}");
        let total = y.sum(None).unwrap();
        tenflowers_autograd::backward(&[total.erase().clone()], &[None], Default::default(), None).unwrap();
        let g = x.erase().grad().unwrap().typed::<f64>().unwrap().to_vec().unwrap();
        assert!(g.iter().zip(&values).all(|(g, v)| (g * 3.0 - v).abs() < 1e-12));
        assert!(Dropout::new(1.5).is_err() && Dropout::new(f64::NAN).is_err());
    }
}
