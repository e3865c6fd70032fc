//! Running sums and products.
use super::reduce::{computed, widened};
use super::to_dtype;
use super::view::slice_to;
use crate::cpu::walk::Walk;
use crate::cpu::{View, ViewMut, pool};
use crate::dtype::{C64, DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::Back;
use crate::layout::{Layout, axis};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::tensor::Tensor;
use crate::{Element, ops};
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
        let (x, out) = (&inputs[0], &mut outs[0]);
        match x.dtype {
            d if d.is_integral() => self.run(x, out, 0i64, |a, x: i64| a.wrapping_add(x), |a| a),
            DType::F64 => self.run(x, out, 0f64, |a, x: f64| a + x, |a| a),
            DType::C64 | DType::C128 => self.run(x, out, C64::default(), |a, x: C64| a + x, |a| a),
            _ => self.run(x, out, 0f64, |a, x: f32| a + f64::from(x), |a| a as f32),
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

impl Cumsum {
    fn run<T: Element, A: Copy + Sync, U: Element>(
        &self,
        x: &View,
        out: &mut ViewMut,
        start: A,
        step: impl Fn(A, T) -> A + Sync,
        finish: impl Fn(A) -> U + Sync,
    ) -> Result<()> {
        widened::<T, _>(x, |x| {
            let layout = Layout::contiguous(&x.layout.shape);
            computed::<U>(out, |to| {
                let n = x.layout.shape[self.dim] as isize;
                let (from, into) = (x.layout.strides[self.dim], layout.strides[self.dim]);
                let mut rows = x.layout.narrow(self.dim, 0, 1, 1);
                if n == 0 {
                    return Ok(());
                }
                rows.offset = 0;
                let walk = Walk::new(&rows.shape, &[&x.layout.strides, &layout.strides]);
                let to = to as usize;
                pool::ranges(walk.numel(), ((1 << 15) / n as usize).max(1), &|range| {
                    walk.run(range, &mut |at, along, m| {
                        for i in 0..m as isize {
                            let p = x.ptr::<T>().wrapping_offset(at[0] + i * along[0]);
                            let q = (to as *mut U).wrapping_offset(at[1] + i * along[1]);
                            let mut sum = start;
                            for k in 0..n {
                                let k = if self.reversed { n - 1 - k } else { k };
                                // SAFETY: the walk and the dimension stay within both layouts.
                                unsafe {
                                    sum = step(sum, *p.offset(k * from));
                                    q.offset(k * into).write(finish(sum));
                                }
                            }
                        }
                    });
                })
            })
        })
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
