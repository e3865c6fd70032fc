//! Rows that are normalised each by itself.
use super::second::{Second, Shapes};
use super::wide;
use crate::Element;
use crate::cpu::accumulate::Summed;
use crate::cpu::dense::{read, read_option, read_rows, write};
use crate::cpu::norm::{Gradients, Rows};
use crate::cpu::{View, ViewMut};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::Shape;
use crate::op::{Grads, Keep, Meta, Op, apply_all};
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};

/// Rows normalised, times a weight plus a bias where there are such inputs; further outputs are the mean and the factor of
/// each row, which only the way back reads.
#[derive(Debug, Clone)]
pub(super) struct RowNorm {
    pub name: &'static str,
    pub rows: Rows,
    pub weight: bool,
    pub bias: bool,
}

impl RowNorm {
    /// The result and the mean of each row.
    pub(super) fn of(&self, x: &Tensor, weight: Option<&Tensor>, bias: Option<&Tensor>) -> Result<[Tensor; 2]> {
        let inputs: SmallVec<[&Tensor; 3]> = std::iter::once(x).chain(weight).chain(bias).collect();
        let mut outs = apply_all(self, &inputs)?.into_iter();
        match (outs.next(), outs.next()) {
            (Some(out), Some(means)) => Ok([out, means]),
            _ => Err(TensorError::argument(self.name, "no result")),
        }
    }
    fn run<T: Element + Summed>(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let [out, means, scales] = outs else { unreachable!("three outputs") };
        let weight = self.weight.then(|| &inputs[1]);
        let bias = self.bias.then(|| &inputs[1 + usize::from(self.weight)]);
        read::<T, _>(&inputs[0], |x| {
            read_option::<T, _>(weight, |w| {
                read_option::<T, _>(bias, |b| {
                    write::<T>(out, |out| self.rows.forward(x, w, b, [out, means.fresh::<T>(), scales.fresh::<T>()]))
                })
            })
        })
    }
}

impl Op for RowNorm {
    fn name(&self) -> &'static str {
        self.name
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (shape, dtype) = inputs[0].meta();
        if let Some(t) = inputs.iter().find(|t| !t.dtype().is_float()) {
            return Err(TensorError::dtype(self.name, t.dtype()));
        }
        let rows: Shape = smallvec![inputs[0].numel().checked_div(self.rows.n).unwrap_or(0)];
        Ok(Meta::New(smallvec![(shape, dtype), (rows.clone(), wide(dtype)), (rows, wide(dtype))]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[0].dtype {
            DType::F64 => self.run::<f64>(inputs, outs),
            _ => self.run::<f32>(inputs, outs),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        let mut keep: Keep = smallvec![Slot::Input(0), Slot::Output(1), Slot::Output(2)];
        if self.weight {
            keep.push(Slot::Input(1));
        }
        keep
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let bias = 1 + usize::from(self.weight);
        let op = RowNormBack {
            norm: self.clone(),
            dw: self.weight && back.needs(1),
            db: self.bias && back.needs(bias),
            shape: if self.weight { back.input(1)?.shape().into() } else { back.shape(bias).into() },
        };
        let (means, scales) = (back.output(1)?.detach(), back.output(2)?.detach());
        let mut inputs: SmallVec<[&Tensor; 5]> = smallvec![back.grad()?, back.input(0)?, &means, &scales];
        if self.weight {
            inputs.push(back.input(1)?);
        }
        let mut outs = apply_all(&op, &inputs)?.into_iter();
        let mut grads: Grads = smallvec![outs.next()];
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

/// The way back through rows: from the gradient, the input, the means, the factors and the weight to the gradient of the
/// input, and where asked for those of weight and bias.
#[derive(Debug, Clone)]
struct RowNormBack {
    norm: RowNorm,
    dw: bool,
    db: bool,
    /// Of weight and bias.
    shape: Shape,
}

impl RowNormBack {
    fn run<T: Element + Summed>(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (dx, rest) = outs.split_first_mut().expect("an output");
        let mut rest = rest.iter_mut();
        let weight = if self.dw { rest.next().map(|o| o.fresh::<T>()) } else { None };
        let bias = if self.db { rest.next().map(|o| o.fresh::<T>()) } else { None };
        let (means, scales) = (inputs[2].to_slice::<T>()?, inputs[3].to_slice::<T>()?);
        let n = self.norm.rows.n;
        read_rows::<T, _>(&inputs[0], n, |g| {
            read::<T, _>(&inputs[1], |x| {
                read_option::<T, _>(inputs.get(4), |w| {
                    write::<T>(dx, |input| {
                        self.norm.rows.backward([g, x, &means, &scales], w, Gradients { input, weight, bias })
                    })
                })
            })
        })
    }
}

impl Op for RowNormBack {
    fn name(&self) -> &'static str {
        "norm_backward"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (shape, dtype) = inputs[1].meta();
        let parameters = usize::from(self.dw) + usize::from(self.db);
        let first = std::iter::once((shape, dtype));
        Ok(Meta::New(first.chain(std::iter::repeat_n((self.shape.clone(), wide(dtype)), parameters)).collect()))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[1].dtype {
            DType::F64 => self.run::<f64>(inputs, outs),
            _ => self.run::<f32>(inputs, outs),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        let mut keep: Keep = smallvec![Slot::Input(0), Slot::Input(1)];
        if self.norm.weight {
            keep.push(Slot::Input(4));
        }
        keep
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let rows = self.norm.rows;
        let params = rows.n / rows.inner.max(1);
        let x = back.input(1)?;
        let shapes = Shapes {
            view: smallvec![x.numel() / (rows.n * rows.groups).max(1), rows.groups, params, rows.inner],
            dims: smallvec![2, 3],
            params: smallvec![1, rows.groups, params, 1],
        };
        let second = Second { shapes, centered: rows.centered, eps: rows.eps, fixed: None };
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
