//! Running sums and products.
use super::to_dtype;
use super::view::slice_to;
use crate::cpu::dense::{read, write};
use crate::cpu::scan::Lines;
use crate::cpu::{View, ViewMut};
use crate::dtype::{C64, DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::Back;
use crate::layout::axis;
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::tensor::Tensor;
use smallvec::smallvec;

/// `out[i]` is the sum of `x[0..=i]` along a dimension, from its end on if reversed.
#[derive(Debug, Clone)]
struct Cumsum {
    dim: usize,
    reversed: bool,
}

impl Op for Cumsum {
    fn name(&self) -> &'static str {
        "cumsum"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (x, out, shape) = (&inputs[0], &mut outs[0], &inputs[0].layout.shape);
        let n = shape[self.dim];
        let lines = Lines { n, inner: shape[self.dim + 1..].iter().product(), reversed: self.reversed };
        macro_rules! sums {
            ($t:ty, $A:ty, $u:ty, $start:expr, |$x:ident| $widen:expr, |$a:ident, $b:ident| $join:expr, |$c:ident| $narrow:expr) => {
                read::<$t, _>(x, |x| {
                    write::<$u>(out, |out| {
                        lines.scan(
                            x,
                            out,
                            $start,
                            #[inline(always)]
                            |$x: $t| $widen,
                            #[inline(always)]
                            |$a: $A, $b: $A| $join,
                            #[inline(always)]
                            |$c: $A| $narrow,
                        )
                    })
                })
            };
        }
        match x.dtype {
            d if d.is_integral() => sums!(i64, i64, i64, 0, |x| x, |a, b| a.wrapping_add(b), |a| a),
            DType::F64 => read::<f64, _>(x, |x| write::<f64>(out, |out| lines.sums(x, out))),
            DType::C64 | DType::C128 => sums!(C64, C64, C64, C64::default(), |x| x, |a, b| a + b, |a| a),
            _ => read::<f32, _>(x, |x| write::<f32>(out, |out| lines.sums(x, out))),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let op = Cumsum { dim: self.dim, reversed: !self.reversed };
        Ok(smallvec![Some(apply(&op, &[back.grad()?])?)])
    }
}

/// For each element of a row the product of all others of the row, by running products from both ends.
pub(super) fn products_of_others(x: &Tensor) -> Result<Tensor> {
    let (rows, n) = (x.shape()[0], x.shape()[1]);
    let ones = super::full_like(x, &[rows, 1], Scalar::ONE)?;
    if n <= 1 {
        return super::full_like(x, x.shape(), Scalar::ONE);
    }
    // Doubling: after each step every element holds the product of twice as many before it.
    let exclusive = |reversed: bool| -> Result<Tensor> {
        let shifted = if reversed {
            super::cat(&[slice_to(x, 1, 1, n - 1, 1)?, ones.clone()], 1)?
        } else {
            super::cat(&[ones.clone(), slice_to(x, 1, 0, n - 1, 1)?], 1)?
        };
        let (mut product, mut reach) = (shifted, 1);
        while reach < n {
            let pad = super::full_like(x, &[rows, reach], Scalar::ONE)?;
            let moved = if reversed {
                super::cat(&[slice_to(&product, 1, reach, n - reach, 1)?, pad], 1)?
            } else {
                super::cat(&[pad, slice_to(&product, 1, 0, n - reach, 1)?], 1)?
            };
            product = product.mul(&moved)?;
            reach *= 2;
        }
        Ok(product)
    };
    exclusive(false)?.mul(&exclusive(true)?)
}

ops! {
    [tf method] {
        /// Running sums along `dim`. Integers are summed in int64.
        ///
        /// ```python
        /// >>> tf.cumsum(tf.tensor([1, 2, 3, 4]), dim=0)
        /// tensor([ 1,  3,  6, 10])
        /// ```
        pub fn cumsum(input: &Tensor, dim: i64; dtype: Option<DType> = None::<DType>) into target -> Tensor {
            let dim = axis("cumsum", dim, input.rank())?;
            let dtype = dtype.unwrap_or(if input.dtype().is_integral() { DType::I64 } else { input.dtype() });
            if dtype == DType::Bool {
                return Err(TensorError::dtype("cumsum", dtype));
            }
            let x = to_dtype(input, dtype)?;
            let sums = if x.rank() == 0 { super::copy(&x)? } else { apply(&Cumsum { dim, reversed: false }, &[&x])? };
            match target {
                Some(target) => super::promote::written("cumsum", target, &sums),
                None => Ok(sums),
            }
        }
    }
}
