//! Dimensions made one.
use crate::layer::{Float, Layer, training_flag};
use tenflowers_core::{Result, Tensor, ops};

/// All dimensions but the first as one: `[batch, ..]` to `[batch, features]`.
///
/// ```
/// use tenflowers_core::Tensor;
/// use tenflowers_neural::{Flatten, Layer};
/// let y = Flatten::new().forward(&Tensor::<f32>::from_vec(vec![1.0; 24], &[2, 3, 4])?)?;
/// assert_eq!(y.shape(), [2, 12]);
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Flatten {
    start: i64,
    end: i64,
    training: bool,
}

impl Flatten {
    pub fn new() -> Self {
        Flatten::dims(1, -1)
    }
    /// The dimensions from `start` to `end`, both included, as one.
    pub fn dims(start: i64, end: i64) -> Self {
        Flatten { start, end, training: true }
    }
}

impl Default for Flatten {
    fn default() -> Self {
        Flatten::new()
    }
}

impl<K: Float> Layer<K> for Flatten {
    fn forward(&self, input: &Tensor<K>) -> Result<Tensor<K>> {
        K::typed(ops::flatten(input.erase(), self.start, self.end)?)
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
    fn elements_keep_their_order() {
        let x = Tensor::<f32>::from_vec((0..24u8).map(f32::from).collect(), &[2, 3, 4]).unwrap();
        let y = Flatten::dims(0, 1).forward(&x.transpose(0, 1).unwrap()).unwrap();
        assert_eq!(y.shape(), [6, 4]);
        assert_eq!(y.to_vec().unwrap()[4..8], [12.0, 13.0, 14.0, 15.0]);
        assert!(Flatten::dims(2, 1).forward(&x).is_err());
    }
}
