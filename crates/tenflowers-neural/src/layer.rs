//! What a layer is, and the kinds of tensors that layers work on.
use tenflowers_core::dtype::{bf16, f16};
use tenflowers_core::{DType, Dyn, Element, Kind, Result, Tensor, default_dtype};

/// A kind of tensor that layers compute with: a float type, or [`Dyn`], whose dtype is known at run time.
pub trait Float: Kind + Sized {
    /// The dtype of new parameters.
    fn dtype() -> DType;
    /// The tensor under this kind.
    ///
    /// # Errors
    /// If it holds another dtype.
    fn typed(tensor: Tensor) -> Result<Tensor<Self>>;
}

macro_rules! floats {
    ($($t:ty),*) => {$(
        impl Float for $t {
            fn dtype() -> DType {
                <$t as Element>::ELEMENT
            }
            fn typed(tensor: Tensor) -> Result<Tensor<Self>> {
                tensor.typed::<$t>()
            }
        }
    )*};
}
floats!(f16, bf16, f32, f64);

impl Float for Dyn {
    fn dtype() -> DType {
        default_dtype()
    }
    fn typed(tensor: Tensor) -> Result<Tensor> {
        Ok(tensor)
    }
}

/// A differentiable function of a tensor, with parameters of its own.
///
/// ```
/// use tenflowers_core::{Result, Tensor};
/// use tenflowers_neural::{Float, Layer};
///
/// /// Multiplies by a number that is learnt.
/// struct Scale<K: Float> {
///     factor: Tensor<K>,
///     training: bool,
/// }
///
/// impl<K: Float> Layer<K> for Scale<K> {
///     fn forward(&self, input: &Tensor<K>) -> Result<Tensor<K>> {
///         input.mul(self.factor.erase())
///     }
///     fn parameters(&self) -> Vec<&Tensor<K>> {
///         vec![&self.factor]
///     }
///     fn set_training(&mut self, training: bool) {
///         self.training = training;
///     }
///     fn training(&self) -> bool {
///         self.training
///     }
/// }
///
/// let scale = Scale { factor: Tensor::<f32>::from_scalar(3.0)?, training: true };
/// let y = scale.forward(&Tensor::<f32>::from_vec(vec![1.0, 2.0], &[2])?)?;
/// assert_eq!(y.to_vec()?, [3.0, 6.0]);
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
pub trait Layer<K: Float = Dyn>: Send + Sync {
    /// The layer's function of `input`.
    ///
    /// # Errors
    /// If the input does not fit the layer: its shape, its dtype.
    fn forward(&self, input: &Tensor<K>) -> Result<Tensor<K>>;
    /// What is learnt, always in the same order.
    fn parameters(&self) -> Vec<&Tensor<K>>;
    /// Chooses between training and use, which differ for some layers (dropout, batch norm). Layers begin in training.
    fn set_training(&mut self, training: bool);
    fn training(&self) -> bool;
}

/// The methods of a layer that say whether it is in training, kept in the field `training`.
macro_rules! training_flag {
    () => {
        fn set_training(&mut self, training: bool) {
            self.training = training;
        }
        fn training(&self) -> bool {
            self.training
        }
    };
}
pub(crate) use training_flag;
