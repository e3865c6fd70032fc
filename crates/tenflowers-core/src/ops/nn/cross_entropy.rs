//! The cross-entropy against class numbers as one operation.
use crate::Element;
use crate::cpu::accumulate::{Summed, sum_of};
use crate::cpu::cross_entropy::CrossEntropy as Kernel;
use crate::cpu::dense::{read, read_option, write};
use crate::cpu::math::Real;
use crate::cpu::{View, ViewMut};
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::Shape;
use crate::op::{Grads, Keep, Meta, Op, apply, apply_all};
use crate::ops::{gather, index_by, reshape_to, softmax, squeeze_dim, sum, to_dtype, unsqueeze, where_};
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};

/// How the losses of the samples come together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Together {
    None,
    Sum,
    /// Over the sum of the samples' weights.
    Mean,
}

/// Inputs are logits, class numbers (int64) and the weights of the classes where there are any; outputs the loss, and what
/// the way back reads: the logarithm of the sum of `exp(x)` of each sample, and the sum of the samples' weights.
#[derive(Debug, Clone)]
pub(super) struct CrossEntropy {
    pub name: &'static str,
    /// Where the classes are.
    pub dim: usize,
    pub ignore: i64,
    pub smoothing: f64,
    pub logs: bool,
    pub together: Together,
    /// Whether there are weights.
    pub weighted: bool,
}

fn wide(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F64 } else { DType::F32 }
}

impl CrossEntropy {
    pub(super) fn of(&self, x: &Tensor, target: &Tensor, weight: Option<&Tensor>) -> Result<Tensor> {
        let inputs: SmallVec<[&Tensor; 3]> = [x, target].into_iter().chain(weight).collect();
        Ok(apply_all(self, &inputs)?.swap_remove(0))
    }
    fn kernel(&self, shape: &[usize]) -> Kernel {
        Kernel {
            classes: shape[self.dim],
            inner: shape[self.dim + 1..].iter().product(),
            ignore: self.ignore,
            smoothing: self.smoothing,
            logs: self.logs,
        }
    }
    fn run<T: Element + Summed + Real>(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let kernel = self.kernel(&inputs[0].layout.shape);
        let [loss, logs, total] = outs else { unreachable!("three outputs") };
        let (logs, total) = (logs.fresh::<T>(), total.fresh::<T>());
        let target = inputs[1].to_slice::<i64>()?;
        if let Some(index) = kernel.stray(&target) {
            return Err(TensorError::Index { op: self.name, index, dim: self.dim, size: kernel.classes });
        }
        read::<T, _>(&inputs[0], |x| {
            read_option::<T, _>(inputs.get(2), |w| {
                write::<T>(loss, |loss| {
                    let weights = kernel.total(&target, w);
                    total[0] = T::rounded(weights);
                    if self.together == Together::None {
                        return kernel.forward(x, &target, w, loss, logs);
                    }
                    let mut losses = crate::cpu::vec_for::<T>(target.len())?;
                    losses.resize(target.len(), T::zero());
                    kernel.forward(x, &target, w, &mut losses, logs)?;
                    let sum = sum_of(&losses, |l| l);
                    loss[0] = T::rounded(if self.together == Together::Mean { sum / weights } else { sum });
                    Ok(())
                })
            })
        })
    }
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        self.name
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let dtype = inputs[0].dtype();
        let samples = (Shape::from_slice(inputs[1].shape()), wide(dtype));
        let loss = if self.together == Together::None { samples.0.clone() } else { Shape::new() };
        Ok(Meta::New(smallvec![(loss, dtype), samples, (Shape::new(), wide(dtype))]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[0].dtype {
            DType::F64 => self.run::<f64>(inputs, outs),
            _ => self.run::<f32>(inputs, outs),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        let mut keep: Keep = smallvec![Slot::Input(0), Slot::Input(1), Slot::Output(1), Slot::Output(2)];
        if self.weighted {
            keep.push(Slot::Input(2));
        }
        keep
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (logs, total) = (back.output(1)?.detach(), back.output(2)?.detach());
        let mut inputs: SmallVec<[&Tensor; 6]> = smallvec![back.grad()?, back.input(0)?, back.input(1)?, &logs, &total];
        if self.weighted {
            inputs.push(back.input(2)?);
        }
        Ok(smallvec![Some(apply(&CrossEntropyBack(self.clone()), &inputs)?)])
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        inputs[0].numel() * 8
    }
}

/// From the gradient of the loss, the logits, the class numbers, what the loss left for it and the weights to the gradient
/// of the logits.
#[derive(Debug, Clone)]
struct CrossEntropyBack(CrossEntropy);

impl CrossEntropyBack {
    fn run<T: Element + Summed + Real>(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let kernel = self.0.kernel(&inputs[1].layout.shape);
        let target = inputs[2].to_slice::<i64>()?;
        let total: f64 = inputs[4].to_slice::<T>()?[0].into();
        let factor = if self.0.together == Together::Mean { 1.0 / total } else { 1.0 };
        read::<T, _>(&inputs[0], |g| {
            read::<T, _>(&inputs[1], |x| {
                read::<T, _>(&inputs[3], |logs| {
                    read_option::<T, _>(inputs.get(5), |w| {
                        write::<T>(&mut outs[0], |dx| kernel.backward(g, factor, x, &target, w, logs, dx))
                    })
                })
            })
        })
    }
}

impl Op for CrossEntropyBack {
    fn name(&self) -> &'static str {
        "cross_entropy_backward"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::like(inputs[1])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[1].dtype {
            DType::F64 => self.run::<f64>(inputs, outs),
            _ => self.run::<f32>(inputs, outs),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        let mut keep: Keep = smallvec![Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Input(4)];
        if self.0.weighted {
            keep.push(Slot::Input(5));
        }
        keep
    }
    /// With `p` the softmax, `u` what all classes weigh in a sample and `q` what each target class weighs, the way back
    /// gives `g (p u - q)`.
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let op = &self.0;
        let (g, x, target) = (back.input(0)?, back.input(1)?, back.input(2)?);
        let dtype = wide(x.dtype());
        let (dim, classes) = (op.dim as i64, x.shape()[op.dim]);
        let h = to_dtype(back.grad()?, dtype)?;
        let along = |t: &Tensor| sum(t, Some(&[dim]), true, None);
        let zero = || Scalar::ZERO.into();

        let ignored = unsqueeze(&target.eq(op.ignore)?, dim)?;
        let safe = where_(&ignored, zero(), (&unsqueeze(target, dim)?).into())?;
        let weight = if op.weighted { Some(to_dtype(back.input(5)?, dtype)?) } else { None };
        let smooth = op.smoothing / classes as f64;
        let mut of_target = crate::ops::full_of(safe.shape(), Scalar::Float(1.0 - op.smoothing), dtype)?;
        if let Some(w) = &weight {
            of_target = of_target
                .mul(&reshape_to(&index_by(w, &[Some(reshape_to(&safe, &[safe.numel()])?)])?, safe.shape())?)?;
        }
        let total = match &weight {
            Some(w) => sum(w, None, false, None)?.mul(smooth)?,
            None => crate::ops::full_of(&[], Scalar::Float(op.smoothing), dtype)?,
        };
        let of_all = where_(&ignored, zero(), (&of_target.add(&total)?).into())?;
        let of_target = where_(&ignored, zero(), (&of_target).into())?;
        let g = to_dtype(g, dtype)?;
        let factor = back.input(4)?;
        let g_samples = match op.together {
            Together::None => unsqueeze(&g, dim)?,
            Together::Sum => g.clone(),
            Together::Mean => g.div(factor)?,
        };

        let p = if op.logs { None } else { Some(softmax(&to_dtype(x, dtype)?, Some(dim), 3, None)?) };
        let hp = p.as_ref().map(|p| along(&h.mul(p)?)).transpose()?;
        let mut grads: Grads = smallvec![None, None];
        if back.needs(0) {
            let mut less = gather(&h, dim, &safe, false)?.mul(&of_target)?;
            if smooth > 0.0 {
                let weighted = match &weight {
                    Some(w) => {
                        let mut shape: Shape = smallvec![1; x.rank()];
                        shape[op.dim] = classes;
                        h.mul(&reshape_to(w, &shape)?)?
                    }
                    None => h.clone(),
                };
                let spread = along(&weighted)?.mul(smooth)?;
                less = less.add(&where_(&ignored, zero(), (&spread).into())?)?;
            }
            let each = match &hp {
                Some(hp) => hp.mul(&of_all)?.sub(&less)?,
                None => less.neg()?,
            };
            grads[0] = Some(match op.together {
                Together::None => squeeze_dim(&each, &[dim])?,
                Together::Sum => sum(&each, None, false, None)?,
                Together::Mean => sum(&each, None, false, None)?.div(factor)?,
            });
        }
        if let (true, Some(p), Some(hp)) = (back.needs(1), &p, &hp) {
            grads[1] = Some(p.mul(&h.sub(hp)?)?.mul(&of_all.mul(&g_samples)?)?);
        }
        Ok(grads)
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        inputs[1].numel() * 4
    }
}
