//! Rows of a table by number.
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::with_recording;
use crate::ops;
use crate::ops::{full_of, index_by, index_write, picked, reshape_to, scatter_add, to_dtype, unsqueeze, where_};
use crate::tensor::Tensor;

/// Rows that are longer than `max_norm` are shortened to it, in the table itself.
fn shorten(weight: &Tensor, index: &Tensor, max_norm: f64, norm_type: f64) -> Result<()> {
    with_recording(false, || {
        let flat = reshape_to(index, &[index.numel()])?;
        let rows = picked("embedding", weight, &[Some(flat.clone())], false, None)?;
        let norms = crate::ops::norm(&rows, Some(Scalar::Float(norm_type)), Some(&[1]), true, None)?;
        let factor = norms.add(1e-7)?.reciprocal()?.mul(max_norm)?;
        let factor = where_(&norms.gt(max_norm)?, (&factor).into(), Scalar::ONE.into())?;
        index_write(weight, &[Some(flat)], &rows.mul(&factor)?, false)
    })
}

ops! {
    [nn] {
        /// The rows of `weight` that int32 or int64 indices name. The row `padding_idx` gets no gradient; with `max_norm` rows
        /// used are first shortened to it; with `scale_grad_by_freq` gradients are divided by how often a row is used.
        /// Gradients are dense, also with `sparse`.
        ///
        /// The result has the shape of the indices and that of a row; an index out of range is an `AxisError`.
        ///
        /// ```python
        /// >>> F.embedding(tf.tensor([2, 0]), tf.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
        /// tensor([[5., 6.],
        ///         [1., 2.]])
        /// ```
        pub fn embedding(input: &Tensor, weight: &Tensor, padding_idx: Option<i64> = None::<i64>, max_norm: Option<f64> = None::<f64>, norm_type: f64 = 2.0, scale_grad_by_freq: bool = false, sparse: bool = false) -> Tensor {
            // A sparse gradient would be another layout of the same numbers; here it is dense.
            let _ = sparse;
            if !matches!(input.dtype(), DType::I32 | DType::I64) {
                let what = format!("the indices must be int32 or int64, not {}", input.dtype());
                return Err(TensorError::argument("embedding", what));
            }
            if weight.rank() != 2 {
                return Err(TensorError::one_shape("embedding", "the weight must have two dimensions", weight.shape()));
            }
            let rows = weight.shape()[0];
            let padding = match padding_idx {
                Some(i) if i < -(rows as i64) || i >= rows as i64 => {
                    return Err(TensorError::argument("embedding", format!("padding_idx {i} is not a row of {rows}")));
                }
                Some(i) => Some(if i < 0 { i + rows as i64 } else { i }),
                None => None,
            };
            let index = to_dtype(input, DType::I64)?;
            if let Some(most) = max_norm {
                shorten(weight, &index, most, norm_type)?;
            }
            let mut found = picked("embedding", weight, &[Some(index.clone())], false, padding)?;
            if weight.requires_grad() && scale_grad_by_freq {
                let still = found.detach();
                let flat = reshape_to(&index, &[index.numel()])?;
                let ones = full_of(flat.shape(), Scalar::ONE, weight.dtype())?;
                let counts = scatter_add(&full_of(&[rows], Scalar::ZERO, weight.dtype())?, 0, &flat, &ones)?;
                let share = unsqueeze(&index_by(&counts, &[Some(index)])?.reciprocal()?, -1)?;
                // The value stays exactly; only the gradient is scaled.
                found = still.add(&found.sub(&still)?.mul(&share)?)?;
            }
            Ok(found)
        }
    }
}
