//! Channels that are normalised over the batch, or by statistics that are given.
use super::second::{Second, Shapes};
use super::wide;
use crate::Element;
use crate::cpu::accumulate::Summed;
use crate::cpu::dense::{read, read_option, write};
use crate::cpu::norm::{Channels, Gradients};
use crate::cpu::{View, ViewMut};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::Shape;
use crate::op::{Grads, Keep, Meta, Op, apply_all};
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};

/// Channels (dimension 1) normalised: inputs are the tensor, mean and variance if they are `fixed`, weight and bias where
/// there are such. Unless `fixed`, further outputs are mean and variance (over n), given out detached.
#[derive(Debug, Clone)]
pub(super) struct BatchNorm {
    pub eps: f64,
    pub fixed: bool,
    pub weight: bool,
    pub bias: bool,
}

fn channels(shape: &[usize]) -> Channels {
    Channels { batch: shape[0], channels: shape[1], inner: shape[2..].iter().product() }
}

fn scales<T: Summed>(variances: &[T], eps: f64) -> Vec<T> {
    variances.iter().map(|&v| T::rounded(1.0 / (v.into() + eps).sqrt())).collect()
}

impl BatchNorm {
    fn weight_at(&self) -> usize {
        if self.fixed { 3 } else { 1 }
    }
    fn bias_at(&self) -> usize {
        self.weight_at() + usize::from(self.weight)
    }
    fn run<T: Element + Summed>(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let kernel = channels(&inputs[0].layout.shape);
        let weight = self.weight.then(|| &inputs[self.weight_at()]);
        let bias = self.bias.then(|| &inputs[self.bias_at()]);
        read::<T, _>(&inputs[0], |x| {
            read_option::<T, _>(weight, |w| {
                read_option::<T, _>(bias, |b| {
                    let (out, rest) = outs.split_first_mut().expect("an output");
                    let apply = |means: &[T], variances: &[T], out: &mut ViewMut| {
                        let mut scales = scales(variances, self.eps);
                        if let Some(w) = w {
                            scales.iter_mut().zip(w).for_each(|(s, &w)| *s = *s * w);
                        }
                        write::<T>(out, |out| kernel.apply(x, means, &scales, b, out))
                    };
                    if self.fixed {
                        return read::<T, _>(&inputs[1], |m| read::<T, _>(&inputs[2], |v| apply(m, v, out)));
                    }
                    let [means, variances] = rest else { unreachable!("three outputs") };
                    let (means, variances) = (means.fresh::<T>(), variances.fresh::<T>());
                    kernel.statistics(x, means, variances)?;
                    apply(means, variances, out)
                })
            })
        })
    }
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (shape, dtype) = inputs[0].meta();
        if let Some(t) = inputs.iter().find(|t| !t.dtype().is_float()) {
            return Err(TensorError::dtype("batch_norm", t.dtype()));
        }
        let each: Shape = smallvec![shape[1]];
        if self.fixed {
            return Meta::one(shape, dtype);
        }
        Ok(Meta::New(smallvec![(shape, dtype), (each.clone(), wide(dtype)), (each, wide(dtype))]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[0].dtype {
            DType::F64 => self.run::<f64>(inputs, outs),
            _ => self.run::<f32>(inputs, outs),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        let statistics = if self.fixed { [Slot::Input(1), Slot::Input(2)] } else { [Slot::Output(1), Slot::Output(2)] };
        let mut keep: Keep = smallvec![Slot::Input(0), statistics[0], statistics[1]];
        if self.weight {
            keep.push(Slot::Input(self.weight_at() as u8));
        }
        keep
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (weight, bias) = (self.weight_at(), self.bias_at());
        let op = BatchNormBack {
            norm: self.clone(),
            dw: self.weight && back.needs(weight),
            db: self.bias && back.needs(bias),
        };
        let [means, variances] = if self.fixed {
            [back.input(1)?.clone(), back.input(2)?.clone()]
        } else {
            [back.output(1)?.detach(), back.output(2)?.detach()]
        };
        let mut inputs: SmallVec<[&Tensor; 5]> = smallvec![back.grad()?, back.input(0)?, &means, &variances];
        if self.weight {
            inputs.push(back.input(weight as u8)?);
        }
        let mut outs = apply_all(&op, &inputs)?.into_iter();
        let mut grads: Grads = smallvec![outs.next()];
        grads.resize(weight, None);
        if self.weight {
            grads.push(if op.dw { outs.next() } else { None });
        }
        if self.bias {
            grads.push(if op.db { outs.next() } else { None });
        }
        Ok(grads)
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        inputs[0].numel() * 2
    }
}

/// The way back: from the gradient, the input, means, variances and the weight to the gradient of the input, and where
/// asked for those of weight and bias.
#[derive(Debug, Clone)]
struct BatchNormBack {
    norm: BatchNorm,
    dw: bool,
    db: bool,
}

impl BatchNormBack {
    fn run<T: Element + Summed>(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (dx, rest) = outs.split_first_mut().expect("an output");
        let mut rest = rest.iter_mut();
        let weight = if self.dw { rest.next().map(|o| o.fresh::<T>()) } else { None };
        let bias = if self.db { rest.next().map(|o| o.fresh::<T>()) } else { None };
        let kernel = channels(&inputs[1].layout.shape);
        read::<T, _>(&inputs[0], |g| {
            read::<T, _>(&inputs[1], |x| {
                read::<T, _>(&inputs[2], |means| {
                    read::<T, _>(&inputs[3], |variances| {
                        let scales = scales(variances, self.norm.eps);
                        read_option::<T, _>(inputs.get(4), |w| {
                            write::<T>(dx, |input| {
                                let gradients = Gradients { input, weight, bias };
                                kernel.backward([g, x, means, &scales], w, self.norm.fixed, gradients)
                            })
                        })
                    })
                })
            })
        })
    }
}

impl Op for BatchNormBack {
    fn name(&self) -> &'static str {
        "batch_norm_backward"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (shape, dtype) = inputs[1].meta();
        let each: Shape = smallvec![shape[1]];
        let parameters = usize::from(self.dw) + usize::from(self.db);
        let first = std::iter::once((shape, dtype));
        Ok(Meta::New(first.chain(std::iter::repeat_n((each, wide(dtype)), parameters)).collect()))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[1].dtype {
            DType::F64 => self.run::<f64>(inputs, outs),
            _ => self.run::<f32>(inputs, outs),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        let mut keep: Keep = smallvec![Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Input(3)];
        if self.norm.weight {
            keep.push(Slot::Input(4));
        }
        keep
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let x = back.input(1)?;
        let Channels { batch, channels, inner } = channels(x.shape());
        let shapes = Shapes {
            view: smallvec![batch, channels, inner],
            dims: smallvec![0, 2],
            params: smallvec![1, channels, 1],
        };
        let fixed = if self.norm.fixed { Some([back.input(2)?.clone(), back.input(3)?.clone()]) } else { None };
        let second = Second { shapes, centered: true, eps: self.norm.eps, fixed };
        let weight = if self.norm.weight { Some(back.input(4)?) } else { None };
        let dw = if self.dw { back.grad_of(1) } else { None };
        let db = if self.db { back.grad_of(1 + usize::from(self.dw)) } else { None };
        let [g, x, w] = second.run(back.input(0)?, x, weight, [back.grad_of(0), dw, db])?;
        let mut grads: Grads = smallvec![g, x, None, None];
        if self.norm.weight {
            grads.push(w);
        }
        Ok(grads)
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        inputs[1].numel() * 4
    }
}
