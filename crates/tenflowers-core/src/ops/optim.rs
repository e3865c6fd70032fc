//! Steps of optimizers over all parameters in one call.
use crate::cpu::optim::{Adam, Sgd};
use crate::cpu::{View, ViewMut};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::{self, Back};
use crate::op::{Grads, Keep, Meta, Op, apply_into};
use crate::ops;
use crate::tensor::Tensor;
use smallvec::smallvec;

/// A rule that changes parameters; inputs are the gradients, outputs the parameters and then their states, list by list.
#[derive(Debug, Clone)]
enum Step {
    Sgd(Sgd),
    /// With the number of the step of each parameter.
    Adam(Adam, Vec<f64>),
}

impl Step {
    fn states(&self) -> usize {
        match self {
            Step::Sgd(s) => usize::from(s.momentum != 0.0),
            Step::Adam(s, _) => {
                if s.amsgrad {
                    3
                } else {
                    2
                }
            }
        }
    }
}

impl Op for Step {
    fn name(&self) -> &'static str {
        match self {
            Step::Sgd(_) => "_fused_sgd_",
            Step::Adam(s, _) => {
                if s.decoupled {
                    "_fused_adamw_"
                } else {
                    "_fused_adam_"
                }
            }
        }
    }
    fn infer(&self, _: &[&Tensor]) -> Result<Meta> {
        Ok(Meta::New(smallvec![]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let n = inputs.len();
        for (k, g) in inputs.iter().enumerate() {
            let mut mine: Vec<&mut ViewMut> =
                outs.iter_mut().enumerate().filter(|(i, _)| i % n == k).map(|(_, o)| o).collect();
            match self {
                Step::Sgd(rule) => rule.step(g, &mut mine)?,
                Step::Adam(rule, steps) => rule.step(steps[k], g, &mut mine)?,
            }
        }
        Ok(())
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, _: &Back) -> Result<Grads> {
        grad::none(self.name(), "steps are not recorded")
    }
}

/// Checks that the lists fit together, and runs the step. Halves are stepped in single precision and rounded once.
fn run(step: &Step, grads: &[Tensor], lists: &[&[Tensor]]) -> Result<()> {
    let op = step.name();
    debug_assert_eq!(lists.len(), 1 + step.states());
    for list in lists {
        if list.len() != grads.len() {
            let what = format!("lists of {} gradients and {} tensors do not go together", grads.len(), list.len());
            return Err(TensorError::argument(op, what));
        }
        for (g, t) in grads.iter().zip(*list) {
            if g.shape() != t.shape() {
                return Err(TensorError::shape(op, "a gradient and its tensors differ", g.shape(), t.shape()));
            }
            if g.dtype() != t.dtype() || !g.dtype().is_float() {
                let what = "a gradient and its tensors are floats of one dtype";
                return Err(TensorError::DType { op, what, left: g.dtype(), right: t.dtype() });
            }
        }
    }
    let all: Vec<&Tensor> = lists.iter().flat_map(|l| l.iter()).collect();
    let mut seen: Vec<usize> =
        all.iter().map(|t| t.storage().as_ptr() as usize + t.layout().offset * t.dtype().size()).collect();
    seen.sort_unstable();
    let empty = |t: &&Tensor| t.numel() == 0;
    if seen.windows(2).any(|w| w[0] == w[1]) && !all.iter().any(empty) {
        return Err(TensorError::argument(op, "one tensor appears twice among what is changed"));
    }
    let shared = |t: &&Tensor| grads.iter().any(|g| g.shares_storage(t));
    let plain = |t: &&Tensor| t.layout().is_contiguous() && matches!(t.dtype(), DType::F32 | DType::F64);
    if all.iter().all(plain) && !all.iter().any(shared) {
        return apply_into(step, &grads.iter().collect::<Vec<_>>(), &all);
    }
    // Others by way of copies.
    let wide = |t: &Tensor| match t.dtype() {
        DType::F64 => super::copy(&t.detach()),
        _ => super::copy(&super::to_dtype(&t.detach(), DType::F32)?),
    };
    grad::with_recording(false, || {
        let grads = grads.iter().map(wide).collect::<Result<Vec<_>>>()?;
        let copies = all.iter().map(|t| wide(t)).collect::<Result<Vec<_>>>()?;
        apply_into(step, &grads.iter().collect::<Vec<_>>(), &copies.iter().collect::<Vec<_>>())?;
        all.iter().zip(&copies).try_for_each(|(t, c)| super::assign::to(Some(t), t, c).map(drop))
    })
}

#[allow(clippy::too_many_arguments)]
fn adam(
    params: &[Tensor],
    grads: &[Tensor],
    exp_avgs: &[Tensor],
    exp_avg_sqs: &[Tensor],
    max_exp_avg_sqs: &[Tensor],
    state_steps: &[Tensor],
    rule: Adam,
) -> Result<()> {
    let steps = state_steps.iter().map(|t| Ok(t.item()?.as_f64())).collect::<Result<Vec<f64>>>()?;
    if steps.len() != params.len() {
        let what = format!("{} steps for {} parameters", steps.len(), params.len());
        return Err(TensorError::argument("_fused_adam_", what));
    }
    let mut lists = vec![params, exp_avgs, exp_avg_sqs];
    if rule.amsgrad {
        lists.push(max_exp_avg_sqs);
    }
    run(&Step::Adam(rule, steps), grads, &lists)
}

ops! {
    [private] {
        /// One step of stochastic gradient descent on all parameters, in place, as `torch.optim.SGD` defines it.
        pub fn fused_sgd as _fused_sgd_(params: &[Tensor], grads: &[Tensor], momentum_buffer_list: &[Tensor]; weight_decay: f64 = 0.0, momentum: f64 = 0.0, lr: f64 = 1e-3, dampening: f64 = 0.0, nesterov: bool = false, maximize: bool = false, is_first_step: bool = false)
            no_grad "steps are not recorded" -> () {
            let rule = Sgd { lr, weight_decay, momentum, dampening, nesterov, maximize, first: is_first_step };
            let lists = [params, momentum_buffer_list];
            run(&Step::Sgd(rule), grads, if momentum == 0.0 { &lists[..1] } else { &lists })
        }
        /// One step of Adam on all parameters, in place; `state_steps` hold the number of this step.
        pub fn fused_adam as _fused_adam_(params: &[Tensor], grads: &[Tensor], exp_avgs: &[Tensor], exp_avg_sqs: &[Tensor], max_exp_avg_sqs: &[Tensor], state_steps: &[Tensor]; lr: f64 = 1e-3, beta1: f64 = 0.9, beta2: f64 = 0.999, weight_decay: f64 = 0.0, eps: f64 = 1e-8, amsgrad: bool = false, maximize: bool = false)
            no_grad "steps are not recorded" -> () {
            let rule = Adam { lr, beta1, beta2, weight_decay, eps, amsgrad, maximize, decoupled: false };
            adam(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, state_steps, rule)
        }
        /// As Adam, with the weight decay apart from the gradient.
        pub fn fused_adamw as _fused_adamw_(params: &[Tensor], grads: &[Tensor], exp_avgs: &[Tensor], exp_avg_sqs: &[Tensor], max_exp_avg_sqs: &[Tensor], state_steps: &[Tensor]; lr: f64 = 1e-3, beta1: f64 = 0.9, beta2: f64 = 0.999, weight_decay: f64 = 0.01, eps: f64 = 1e-8, amsgrad: bool = false, maximize: bool = false)
            no_grad "steps are not recorded" -> () {
            let rule = Adam { lr, beta1, beta2, weight_decay, eps, amsgrad, maximize, decoupled: true };
            adam(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, state_steps, rule)
        }
    }
}
