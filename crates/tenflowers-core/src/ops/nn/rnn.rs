//! Recurrent layers: several, in one direction or both, over padded or packed sequences.
mod composed;

use super::dropout;
use crate::cpu::rnn::{Cell, Gradients, Kept, Layer, Outputs, States, Unit, Weights};
use crate::cpu::{View, ViewMut};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::{self, Back, Slot};
use crate::op::{Grads, Keep, Meta, Metas, Op, apply_all};
use crate::ops;
use crate::ops::{cat, reshape_to, select, stack, to_dtype, transpose, unsqueeze};
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::sync::Arc;

/// One direction of one layer. Inputs: the rows of all steps, both weights, the first hidden state, for LSTM the first cell
/// state, and both biases if there are any; outputs: the rows given out, the last states, and what the way back reads.
#[derive(Debug, Clone)]
struct Recurrent {
    cell: Cell,
    /// Sequences that are at least so long, for each step.
    batches: Arc<[usize]>,
    reverse: bool,
    biases: bool,
}

/// The inputs by their parts: places that an operation lacks are empty.
struct Parted<T> {
    x: T,
    ih: T,
    hh: T,
    h: T,
    c: Option<T>,
    biases: Option<[T; 2]>,
}

impl Recurrent {
    fn layer(&self, input: usize, hidden: usize) -> Layer<'_> {
        Layer { cell: self.cell, input, hidden, batches: &self.batches, reverse: self.reverse }
    }
    fn inputs(&self) -> usize {
        4 + usize::from(self.cell == Cell::Lstm) + 2 * usize::from(self.biases)
    }
    fn part<'a, T>(&self, inputs: &'a [T]) -> Parted<&'a T> {
        let c = (self.cell == Cell::Lstm).then(|| &inputs[4]);
        let biases = self.biases.then(|| [&inputs[self.inputs() - 2], &inputs[self.inputs() - 1]]);
        Parted { x: &inputs[0], ih: &inputs[1], hh: &inputs[2], h: &inputs[3], c, biases }
    }
}

/// Elements of all inputs, or none where there is no such input.
struct Slices<'a, T: Clone>(Parted<Cow<'a, [T]>>);

impl<'a, T: Unit> Slices<'a, T> {
    fn new(p: Parted<&View<'a>>) -> Result<Self> {
        let of = |v: &View<'a>| v.to_slice::<T>();
        let biases = match p.biases {
            Some([a, b]) => Some([of(a)?, of(b)?]),
            None => None,
        };
        let c = p.c.map(of).transpose()?;
        Ok(Slices(Parted { x: of(p.x)?, ih: of(p.ih)?, hh: of(p.hh)?, h: of(p.h)?, c, biases }))
    }
    fn weights(&self) -> Weights<'_, T> {
        let bias = |i: usize| self.0.biases.as_ref().map_or(&[] as &[T], |b| &b[i]);
        Weights { ih: &self.0.ih, hh: &self.0.hh, bias_ih: bias(0), bias_hh: bias(1) }
    }
    fn states(&self) -> States<'_, T> {
        States { h: &self.0.h, c: self.0.c.as_deref().unwrap_or(&[]) }
    }
}

/// What the layers are called in messages.
const NAME: &str = "rnn";

impl Op for Recurrent {
    fn name(&self) -> &'static str {
        match self.cell {
            Cell::Tanh => "rnn_tanh",
            Cell::Relu => "rnn_relu",
            Cell::Lstm => "lstm",
            Cell::Gru => "gru",
        }
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let p = self.part(inputs);
        let (rows, h, batch, dtype) = (p.x.shape()[0], p.h.shape()[1], p.h.shape()[0], p.x.dtype());
        let kept = if p.c.is_some() { (batch, rows) } else { (0, 0) };
        let pitch = self.layer(p.x.shape()[1], h).pitch();
        let shapes = [[rows, h], [batch, h], [kept.0, h], [rows, pitch], [kept.1, h]];
        Ok(Meta::New(shapes.iter().map(|s| (s[..].into(), dtype)).collect()))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[0].dtype {
            DType::F64 => self.run::<f64>(inputs, outs),
            DType::F32 => self.run::<f32>(inputs, outs),
            d => Err(TensorError::dtype(self.name(), d)),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        let inputs = (0..self.inputs() as u8).map(Slot::Input);
        inputs.chain([Slot::Output(0), Slot::Output(3), Slot::Output(4)]).collect()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let inputs = (0..self.inputs() as u8).map(|i| back.input(i)).collect::<Result<SmallVec<[&Tensor; 7]>>>()?;
        let grads = [0, 1, 2].map(|i| back.grad_of(i));
        let needs: SmallVec<[bool; 7]> = (0..inputs.len()).map(|i| back.needs(i)).collect();
        if grads.iter().all(Option::is_none) {
            return Ok(smallvec![None; inputs.len()]);
        }
        let tracked = inputs.iter().copied().chain(grads.iter().copied().flatten()).any(Tensor::requires_grad);
        if grad::is_enabled() && tracked {
            let all = composed::gradients(self, &self.part(&inputs), grads)?;
            return Ok(all.into_iter().zip(needs).map(|(g, needed)| needed.then_some(g)).collect());
        }
        let given = grads.map(|g| g.is_some());
        let op = RecurrentBackward { of: self.clone(), needs: needs.clone(), given };
        let mut all = inputs;
        for i in [0, 3, 4] {
            all.push(back.output(i)?);
        }
        all.extend(grads.into_iter().flatten());
        let outs = apply_all(&op, &all)?;
        Ok(outs.into_iter().zip(needs).map(|(g, needed)| needed.then_some(g)).collect())
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        inputs[0].shape()[0] * (inputs[1].numel() + inputs[2].numel()) / 16
    }
}

impl Recurrent {
    fn run<T: Unit>(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let given = Slices::<T>::new(self.part(inputs))?;
        let [out, h, c, gates, cells] = outs else { unreachable!("five outputs") };
        let shape = |v: &View, d: usize| v.layout.shape[d];
        let to = Outputs { out: out.fresh(), h: h.fresh(), c: c.fresh(), gates: gates.fresh(), cells: cells.fresh() };
        let layer = self.layer(shape(&inputs[0], 1), shape(&inputs[3], 1));
        layer.forward(&given.0.x, &given.weights(), given.states(), to)
    }
}

/// The way back of [`Recurrent`]: its inputs, what it kept, and the gradients that came.
#[derive(Debug, Clone)]
struct RecurrentBackward {
    of: Recurrent,
    needs: SmallVec<[bool; 7]>,
    given: [bool; 3],
}

impl Op for RecurrentBackward {
    fn name(&self) -> &'static str {
        self.of.name()
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let meta = |i: usize| {
            let (shape, dtype) = inputs[i].meta();
            // The states' gradients run along in any case.
            let state = i == 3 || i == 4 && self.of.cell == Cell::Lstm;
            if self.needs[i] || state { (shape, dtype) } else { (smallvec![0], dtype) }
        };
        Ok(Meta::New((0..self.of.inputs()).map(meta).collect::<Metas>()))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[0].dtype {
            DType::F64 => self.run::<f64>(inputs, outs),
            DType::F32 => self.run::<f32>(inputs, outs),
            d => Err(TensorError::dtype(self.name(), d)),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, _: &Back) -> Result<Grads> {
        grad::none(self.name(), "its way back is composed of operations where it is recorded")
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        2 * self.of.cost(inputs)
    }
}

impl RecurrentBackward {
    fn run<T: Unit>(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (own, rest) = inputs.split_at(self.of.inputs());
        let given = Slices::<T>::new(self.of.part(own))?;
        let rest = rest.iter().map(View::to_slice::<T>).collect::<Result<Vec<_>>>()?;
        let [out, gates, cells, grads @ ..] = &rest[..] else { unreachable!("what was kept") };
        let mut grads = grads.iter();
        let [grad_out, h, c] = self.given.map(|g| if g { grads.next().map_or(&[] as &[T], |g| &g[..]) } else { &[] });
        let kept = Kept { out, gates, cells, grad_out, grad_last: States { h, c } };
        let mut to = outs.iter_mut().map(ViewMut::fresh::<T>);
        let mut next = |there: bool| if there { to.next().unwrap_or_default() } else { Default::default() };
        let [x, ih, hh, h] = [next(true), next(true), next(true), next(true)];
        let c = next(self.of.cell == Cell::Lstm);
        let (bias_ih, bias_hh) = (next(self.of.biases), next(self.of.biases));
        let shape = |v: &View, d: usize| v.layout.shape[d];
        let layer = self.of.layer(shape(&own[0], 1), shape(&own[3], 1));
        let gradients = Gradients { x, ih, hh, bias_ih, bias_hh, h, c };
        layer.backward(&given.0.x, &given.weights(), given.states(), kept, gradients)
    }
}

/// How the layers are put together.
struct Stack<'a> {
    cell: Cell,
    layers: usize,
    directions: usize,
    biases: bool,
    /// Whether the hidden state is a projection of what the cell gives.
    projected: bool,
    params: &'a [Tensor],
}

impl<'a> Stack<'a> {
    fn new(cell: Cell, layers: i64, bidirectional: bool, biases: bool, params: &'a [Tensor]) -> Result<Self> {
        let directions = 1 + usize::from(bidirectional);
        let Some(layers) = usize::try_from(layers).ok().filter(|&n| n > 0) else {
            return Err(TensorError::argument(NAME, format!("num_layers must be at least 1, not {layers}")));
        };
        let each = 2 + 2 * usize::from(biases);
        let (count, parts) = (params.len(), layers.saturating_mul(directions));
        let projected = cell == Cell::Lstm && count == parts.saturating_mul(each + 1);
        if !projected && count != parts.saturating_mul(each) {
            let what = format!("{parts} layers and directions have {each} weights and biases each, not {count} in all");
            return Err(TensorError::argument(NAME, what));
        }
        Ok(Stack { cell, layers, directions, biases, projected, params })
    }

    /// The weights of one layer and direction: both weights, biases, projection.
    fn part(&self, index: usize) -> &'a [Tensor] {
        let each = self.params.len() / (self.layers * self.directions);
        &self.params[index * each..][..each]
    }

    /// Whether the shapes of inputs, states and weights go together.
    fn check(&self, input: &Tensor, hx: &[Tensor], batch: usize) -> Result<()> {
        let parts = self.layers * self.directions;
        let states = 1 + usize::from(self.cell == Cell::Lstm);
        if hx.len() != states {
            return Err(TensorError::argument(NAME, format!("{states} first states are needed, not {}", hx.len())));
        }
        let fit = |name: &str, t: &Tensor, expected: &[usize]| {
            if t.dtype() != input.dtype() {
                let what = "the input, the states and the weights must have one dtype";
                return Err(TensorError::DType { op: NAME, what, left: input.dtype(), right: t.dtype() });
            }
            if t.shape() == expected {
                return Ok(());
            }
            Err(TensorError::shape(
                NAME,
                format!("{name} does not fit: expected {expected:?}"),
                t.shape(),
                input.shape(),
            ))
        };
        if !input.dtype().is_float() {
            return Err(TensorError::dtype(NAME, input.dtype()));
        }
        let first = self.part(0);
        let rows = first[1].shape().first().copied().unwrap_or(0);
        let hidden = rows / self.cell.gates();
        let given = if self.projected { first[first.len() - 1].shape().first().copied().unwrap_or(0) } else { hidden };
        for index in 0..parts {
            let part = self.part(index);
            let inputs = match index / self.directions {
                0 => input.shape()[input.rank() - 1],
                _ => given * self.directions,
            };
            let rows = hidden * self.cell.gates();
            fit("weight_ih", &part[0], &[rows, inputs])?;
            fit("weight_hh", &part[1], &[rows, given])?;
            if self.biases {
                fit("bias_ih", &part[2], &[rows])?;
                fit("bias_hh", &part[3], &[rows])?;
            }
            if self.projected {
                fit("weight_hr", &part[part.len() - 1], &[given, hidden])?;
            }
        }
        fit("the first hidden state", &hx[0], &[parts, batch, given])?;
        hx.get(1).map_or(Ok(()), |c| fit("the first cell state", c, &[parts, batch, hidden]))
    }

    /// One layer in one direction: the rows given out, and the last states.
    fn run(&self, index: usize, rows: &Tensor, batches: &Arc<[usize]>, hx: &[Tensor]) -> Result<[Tensor; 3]> {
        let part = self.part(index);
        let op = Recurrent {
            cell: self.cell,
            batches: batches.clone(),
            reverse: index % self.directions == 1,
            biases: self.biases,
        };
        let states = hx.iter().map(|s| select(s, 0, index as i64)).collect::<Result<SmallVec<[Tensor; 2]>>>()?;
        let mut inputs: SmallVec<[&Tensor; 7]> = smallvec![rows, &part[0], &part[1]];
        inputs.extend(&states);
        if self.biases {
            inputs.extend([&part[2], &part[3]]);
        }
        if self.projected {
            return composed::forward(&op, &op.part(&inputs), part.last());
        }
        let mut outs = apply_all(&op, &inputs)?.into_iter();
        let mut next = || outs.next().ok_or_else(|| TensorError::argument(NAME, "five outputs"));
        Ok([next()?, next()?, next()?])
    }
}

/// The number of sequences at each step of a packed batch.
fn batch_sizes(sizes: &[i64], rows: usize) -> Result<Arc<[usize]>> {
    let good = sizes.iter().all(|&n| n > 0) && sizes.is_sorted_by(|a, b| a >= b);
    let sum = sizes.iter().try_fold(0i64, |sum, &n| sum.checked_add(n));
    if !good || sum != i64::try_from(rows).ok() || sizes.is_empty() {
        let what = format!("batch_sizes must be positive, never grow and add up to the {rows} rows, not {sizes:?}");
        return Err(TensorError::argument(NAME, what));
    }
    Ok(sizes.iter().map(|&n| n as usize).collect())
}

ops! {
    [private] {
        /// Recurrent layers over padded sequences `[steps, batch, features]`, or `[batch, steps, features]` if
        /// `batch_first`, or, with `batch_sizes`, over the rows of packed ones; gives the output and the last states.
        ///
        /// `mode` is RNN_TANH, RNN_RELU, LSTM or GRU; `params` are the weights, the biases and the projection of each layer and
        /// direction.
        pub fn rnn as _rnn(mode: &str, input: &Tensor, batch_sizes: Option<&[i64]>, hx: &[Tensor], params: &[Tensor], has_biases: bool, num_layers: i64, dropout: f64, train: bool, bidirectional: bool, batch_first: bool) -> Vec<Tensor> {
            let cell = match mode {
                "RNN_TANH" => Cell::Tanh,
                "RNN_RELU" => Cell::Relu,
                "LSTM" => Cell::Lstm,
                "GRU" => Cell::Gru,
                _ => return Err(TensorError::argument(NAME, format!("mode must be RNN_TANH, RNN_RELU, LSTM or GRU, not {mode}"))),
            };
            let rank = if batch_sizes.is_some() { 2 } else { 3 };
            if input.rank() != rank {
                return Err(TensorError::one_shape(NAME, format!("input must have {rank} dimensions"), input.shape()));
            }
            let stack_ = Stack::new(cell, num_layers, bidirectional, has_biases, params)?;
            let dtype = input.dtype();
            if matches!(dtype, DType::F16 | DType::BF16) {
                // Halves are computed in single precision, and rounded once.
                let wide = |all: &[Tensor]| {
                    let one = |t: &Tensor| if t.dtype() == dtype { to_dtype(t, DType::F32) } else { Ok(t.clone()) };
                    all.iter().map(one).collect::<Result<Vec<_>>>()
                };
                let (input, hx, params) = (to_dtype(input, DType::F32)?, wide(hx)?, wide(params)?);
                let outs = rnn(mode, &input, batch_sizes, &hx, &params, has_biases, num_layers, dropout, train, bidirectional, batch_first)?;
                return outs.iter().map(|t| to_dtype(t, dtype)).collect();
            }
            let (batches, mut rows, padded) = match batch_sizes {
                Some(sizes) => (self::batch_sizes(sizes, input.shape()[0])?, input.clone(), None),
                None => {
                    let by_steps = if batch_first { transpose(input, 0, 1)? } else { input.clone() };
                    let [steps, batch, features] = [0, 1, 2].map(|d| by_steps.shape()[d]);
                    if steps == 0 {
                        return Err(TensorError::one_shape(NAME, "at least one step is needed", input.shape()));
                    }
                    let rows = reshape_to(&by_steps, &[steps * batch, features])?;
                    (vec![batch; steps].into(), rows, Some([steps, batch]))
                }
            };
            stack_.check(input, hx, batches[0])?;
            let mut last: [Vec<Tensor>; 2] = [vec![], vec![]];
            for layer in 0..stack_.layers {
                if layer > 0 && train && dropout > 0.0 {
                    rows = self::dropout(&rows, dropout, true, false)?;
                }
                let mut given: SmallVec<[Tensor; 2]> = smallvec![];
                for index in layer * stack_.directions..(layer + 1) * stack_.directions {
                    let [out, h, c] = stack_.run(index, &rows, &batches, hx)?;
                    given.push(out);
                    last[0].push(h);
                    last[1].push(c);
                }
                rows = if let [one] = &given[..] { one.clone() } else { cat(&given, 1)? };
            }
            if let Some([steps, batch]) = padded {
                rows = reshape_to(&rows, &[steps, batch, rows.shape()[1]])?;
                if batch_first {
                    rows = transpose(&rows, 0, 1)?;
                }
            }
            let states = last.iter().take(hx.len()).map(|s| if let [one] = &s[..] { unsqueeze(one, 0) } else { stack(s, 0) });
            std::iter::once(Ok(rows)).chain(states).collect()
        }
    }
}
