//! A linear map of the last dimension.
use crate::Element;
use crate::cpu::gemm::{Mat, Product, gemm_onto};
use crate::cpu::{View, ViewMut};
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::{Layout, Shape, checked_numel};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::ops::matmul::product_type;
use crate::ops::{conj, matmul, reshape_to, sum_to, t};
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};

/// `x @ w.T + bias` for `[.., k] x [n, k]`: one product, which begins with the bias where there is one.
#[derive(Debug, Clone)]
struct Linear;

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let mut shape: Shape = SmallVec::from_slice(inputs[0].shape());
        if let Some(last) = shape.last_mut() {
            *last = inputs[1].shape()[0];
        }
        checked_numel(&shape)?;
        Meta::one(shape, inputs[0].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        product_type!("linear", inputs[0].dtype, T => linear_kernel::<T>(inputs, &mut outs[0]))
    }
    fn keep(&self, needs: &[bool]) -> Keep {
        let other = |i: usize| needs[i].then_some(Slot::Input(1 - i as u8));
        [other(0), other(1)].into_iter().flatten().collect()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let g = back.grad()?;
        let rows = |t: &Tensor| {
            let last = t.shape()[t.rank() - 1];
            let rows = t.shape()[..t.rank() - 1].iter().product();
            reshape_to(t, &[rows, last])
        };
        let flat = rows(g)?;
        let x = if back.needs(0) {
            Some(reshape_to(&matmul(&flat, &conj(back.input(1)?)?)?, back.shape(0))?)
        } else {
            None
        };
        let w = if back.needs(1) { Some(matmul(&t(&flat)?, &conj(&rows(back.input(0)?)?)?)?) } else { None };
        let mut grads: Grads = smallvec![x, w];
        if back.arity() > 2 {
            grads.push(if back.needs(2) { Some(sum_to(&flat, back.shape(2))?) } else { None });
        }
        Ok(grads)
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        inputs[0].numel().saturating_mul(inputs[1].shape()[0]) / 16
    }
}

fn linear_kernel<T: Product + Element>(inputs: &[View], out: &mut ViewMut) -> Result<()> {
    let (n, k) = (inputs[1].layout.shape[0], inputs[1].layout.shape[1]);
    let m = inputs[0].layout.shape[..inputs[0].layout.rank() - 1].iter().product();
    let (x, w) = (&inputs[0], &inputs[1]);
    let copy;
    let (ptr, row, col) = match x.layout.reshaped(&[m, k]) {
        Some(Layout { strides, .. }) => (x.ptr::<T>(), strides[0], strides[1]),
        None => {
            copy = x.to_slice::<T>()?;
            (copy.as_ptr(), k as isize, 1)
        }
    };
    let a = Mat { ptr, row, col };
    let b = Mat { ptr: w.ptr::<T>(), row: w.layout.strides[1], col: w.layout.strides[0] };
    let bias = inputs.get(2).map(|bias| bias.to_slice::<T>()).transpose()?;
    let onto = bias.as_ref().map(|b| (b.as_ptr(), 0));
    // SAFETY: the operands are read within their layouts; the output is new and lies in one run.
    unsafe { gemm_onto([m, n, k], a, b, onto, out.ptr::<T>(), n) }
}

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
                return Err(TensorError::one_shape("linear", "the weight has two dimensions, out and in, or one", weight.shape()));
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
            if let Some(bias) = bias.filter(|b| b.rank() > 1 || b.rank() == 1 && b.shape() != &weight.shape()[..1]) {
                let what = "the bias must have one element for each output";
                return Err(TensorError::shape("linear", what, bias.shape(), weight.shape()));
            }
            match bias {
                None if weight.rank() == 2 => apply(&Linear, &[input, weight]),
                Some(b) if weight.rank() == 2 && b.rank() == 1 && b.dtype() == input.dtype() => apply(&Linear, &[input, weight, b]),
                _ => {
                    let product = matmul(input, &t(weight)?)?;
                    bias.map_or(Ok(product.clone()), |b| product.add(b))
                }
            }
        }
    }
}
