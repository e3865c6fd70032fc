//! Dropout (Srivastava et al., 2014).
use crate::error::TensorError;
use crate::ops;
use crate::ops::random::dropped;
use crate::tensor::Tensor;

ops! {
    [nn] {
        /// Each element zero with probability `p`, the others times `1 / (1 - p)`; the input as it is unless `training`.
        ///
        /// `p` lies between 0 and 1 (Srivastava et al., 2014).
        ///
        /// ```python
        /// >>> F.dropout(tf.ones(3), p=0.5, training=False)
        /// tensor([1., 1., 1.])
        /// >>> bool((F.dropout(tf.ones(1000), p=0.5) % 2 == 0).all())
        /// True
        /// ```
        pub fn dropout(input: &Tensor, p: f64 = 0.5, training: bool = true, inplace: bool = false) -> Tensor {
            if !(0.0..=1.0).contains(&p) {
                return Err(TensorError::argument("dropout", format!("a probability is between 0 and 1, not {p}")));
            }
            if !training || p == 0.0 {
                return Ok(input.clone());
            }
            if !input.dtype().is_differentiable() {
                return Err(TensorError::dtype("dropout", input.dtype()));
            }
            dropped(input, p, inplace.then_some(input))
        }
    }
}
