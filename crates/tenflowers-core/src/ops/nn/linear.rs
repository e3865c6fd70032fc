//! A linear map of the last dimension.
use crate::error::TensorError;
use crate::ops;
use crate::ops::{matmul, t};
use crate::tensor::Tensor;

ops! {
    [nn] {
        /// `input @ weight.T + bias` for an input `[.., in]`, a weight `[out, in]` and a bias `[out]`.
        ///
        /// All have one dtype; sizes that do not fit are a `ShapeError`.
        ///
        /// ```python
        /// >>> F.linear(tf.tensor([[1.0, 2.0]]), tf.tensor([[1.0, 1.0], [0.0, 1.0]]), tf.tensor([0.5, 0.0]))
        /// tensor([[3.5000, 2.0000]])
        /// ```
        pub fn linear(input: &Tensor, weight: &Tensor, bias: Option<&Tensor> = None::<&Tensor>) -> Tensor {
            if !matches!(weight.rank(), 1 | 2) {
                return Err(TensorError::shape("linear", "the weight has two dimensions, out and in, or one", weight.shape(), &[]));
            }
            let size = weight.shape()[weight.rank() - 1];
            if input.rank() == 0 || input.shape()[input.rank() - 1] != size {
                let what = format!("the last dimension of the input must be the {size} of the weight");
                return Err(TensorError::shape("linear", what, input.shape(), weight.shape()));
            }
            if input.dtype() != weight.dtype() {
                let what = "expected an input and a weight of one dtype";
                return Err(TensorError::DType { op: "linear", what, left: input.dtype(), right: weight.dtype() });
            }
            let product = matmul(input, &t(weight)?)?;
            match bias {
                Some(bias) if bias.rank() > 1 || bias.rank() == 1 && bias.shape() != &weight.shape()[..1] => {
                    Err(TensorError::shape("linear", "the bias must have one element for each output", bias.shape(), weight.shape()))
                }
                Some(bias) => product.add(bias),
                None => Ok(product),
            }
        }
    }
}
