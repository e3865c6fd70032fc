//! Elements held between two numbers, in one pass.
use super::select::where_;
use crate::compute_type;
use crate::cpu::map::map;
use crate::cpu::{View, ViewMut};
use crate::dtype::Scalar;
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::op::{Class, Grads, Keep, Meta, Op};
use crate::tensor::Tensor;
use smallvec::smallvec;

/// `min(max(x, low), high)` for bounds that are numbers; not-a-number stays.
#[derive(Debug, Clone)]
pub struct Clamp {
    pub low: Scalar,
    pub high: Scalar,
}

impl Op for Clamp {
    fn name(&self) -> &'static str {
        "clamp"
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let dtype = inputs[0].dtype;
        let done = compute_type!(dtype, [int float], T => {
            let (low, high) = (<T as crate::Element>::of(self.low), <T as crate::Element>::of(self.high));
            map([&inputs[0]], &mut outs[0], #[inline(always)] move |_, [x]: [T; 1]| {
                let x = if x < low { low } else { x };
                if x > high { high } else { x }
            })
        });
        done.unwrap_or_else(|| Err(TensorError::dtype("clamp", dtype)))
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Input(0)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (g, x) = (back.grad()?, back.input(0)?);
        let inside = x.ge(self.low)?.mul(&x.le(self.high)?)?;
        Ok(smallvec![Some(where_(&inside, g.into(), Scalar::ZERO.into())?)])
    }
}
