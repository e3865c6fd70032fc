//! A write into a view, as the history of its base shows it.
use super::node::{Back, Slot};
use crate::cpu::{View, ViewMut};
use crate::error::{Result, TensorError};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::sync::Arc;

/// What `op` says for the slice, and the rest as it was.
#[derive(Debug, Clone)]
pub struct CopySlices {
    op: Arc<dyn Op>,
    /// How the view is made of its base, first step first.
    steps: Vec<Arc<dyn Op>>,
}

impl CopySlices {
    pub fn new(op: &dyn Op, target: &Tensor) -> Self {
        let chain = std::iter::successors(target.view_of(), |v| v.parent.view_of());
        let mut steps: Vec<_> = chain.map(|v| v.op.share()).collect();
        steps.reverse();
        CopySlices { op: op.share(), steps }
    }
    fn view(&self, base: &Tensor) -> Result<Tensor> {
        self.steps.iter().try_fold(base.clone(), |t, op| apply(&**op, &[&t]))
    }
}

impl Op for CopySlices {
    fn name(&self) -> &'static str {
        self.op.name()
    }
    fn infer(&self, _: &[&Tensor]) -> Result<Meta> {
        Err(TensorError::unsupported(self.name(), "a second run: it is history only"))
    }
    fn cpu(&self, _: &[View], _: &mut [ViewMut]) -> Result<()> {
        Err(TensorError::unsupported(self.name(), "a second run: it is history only"))
    }
    fn keep(&self, needs: &[bool]) -> Keep {
        self.op.keep(needs)
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let grad = ops::contiguous(back.grad()?)?;
        let slice = [Some(self.view(&grad)?)];
        let saved = back.saved.iter().map(|(slot, t)| match slot {
            Slot::Output(_) => Ok((*slot, self.view(t)?)),
            Slot::Input(_) => Ok((*slot, t.clone())),
        });
        let saved = saved.collect::<Result<SmallVec<[_; 2]>>>()?;
        let mut grads = self.op.vjp(&Back { grads: &slice, saved: &saved, ..*back })?;
        if back.needs(0) {
            let rest = ops::copy(&grad)?;
            let slice = self.view(&rest)?;
            match &grads[0] {
                Some(g) => ops::assign::to(Some(&slice), &slice, g)?,
                None => ops::fill(&slice, crate::Scalar::ZERO)?,
            };
            grads[0] = Some(rest);
        }
        Ok(grads)
    }
}
