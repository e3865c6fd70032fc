//! A recurrent layer step by step in operations: where the way back is itself differentiated, and for projections.
use super::{Parted, Recurrent};
use crate::cpu::rnn::Cell;
use crate::dtype::Scalar;
use crate::error::Result;
use crate::ops::{cat, full_like, matmul, narrow, sum, t};
use crate::tensor::Tensor;

/// One step, with what its way back reads. The gates stand in the order of the weights; for a GRU the hidden part of the
/// new state comes after them.
struct Step {
    gates: Vec<Tensor>,
    h_before: Tensor,
    c_before: Option<Tensor>,
    h: Tensor,
    c: Option<Tensor>,
}

fn rows(x: &Tensor, from: usize, to: usize) -> Result<Tensor> {
    narrow(x, 0, from as i64, (to - from) as i64)
}

fn columns(x: &Tensor, block: usize, size: usize) -> Result<Tensor> {
    narrow(x, 1, (block * size) as i64, size as i64)
}

/// A state whose rows are not all those of the next step: the first rows of one tensor, then the rest of another.
struct Rest {
    rows: Option<Tensor>,
    left: Vec<Tensor>,
}

impl Rest {
    /// The state of `b` sequences: those that ended are put aside, those that begin take their rows of `start`.
    fn resize(&mut self, b: usize, start: &Tensor) -> Result<Tensor> {
        let now = match self.rows.take() {
            None => rows(start, 0, b)?,
            Some(state) => {
                let n = state.shape()[0];
                if n > b {
                    self.left.push(rows(&state, b, n)?);
                    rows(&state, 0, b)?
                } else if n < b {
                    cat(&[state, rows(start, n, b)?], 0)?
                } else {
                    state
                }
            }
        };
        Ok(now)
    }
    /// The rows of all sequences, in order.
    fn all(mut self) -> Result<Tensor> {
        self.left.extend(self.rows);
        self.left.reverse();
        if let [one] = &self.left[..] { Ok(one.clone()) } else { cat(&self.left, 0) }
    }
}

fn sigmoid_slope(y: &Tensor) -> Result<Tensor> {
    y.sub(&y.mul(y)?)
}

fn tanh_slope(y: &Tensor) -> Result<Tensor> {
    y.mul(y)?.neg()?.add(1.0)
}

/// Each step's first row and its sequences, in the order in which they run.
fn order(op: &Recurrent) -> Vec<(usize, usize)> {
    let mut all = Vec::with_capacity(op.batches.len());
    let mut row = 0;
    for &b in op.batches.iter() {
        all.push((row, b));
        row += b;
    }
    if op.reverse {
        all.reverse();
    }
    all
}

/// All steps in the order in which they run, and the last states.
fn steps(op: &Recurrent, p: &Parted<&&Tensor>, projection: Option<&Tensor>) -> Result<(Vec<Step>, Tensor, Tensor)> {
    let size = p.hh.shape()[0] / op.cell.gates();
    let add = |x: Tensor, bias: usize| p.biases.map_or(Ok(x.clone()), |b| x.add(*b[bias]));
    let given = add(matmul(p.x, &t(p.ih)?)?, 0)?;
    let weight = t(p.hh)?;
    let nothing = || Rest { rows: None, left: vec![] };
    let (mut h, mut c) = (nothing(), nothing());
    let mut steps = Vec::with_capacity(op.batches.len());
    for (row, b) in order(op) {
        let h_before = h.resize(b, p.h)?;
        let c_before = p.c.map(|start| c.resize(b, start)).transpose()?;
        let (from_x, from_h) = (rows(&given, row, row + b)?, add(matmul(&h_before, &weight)?, 1)?);
        let gate = |block: usize| columns(&from_x, block, size)?.add(&columns(&from_h, block, size)?);
        let (gates, next, cell) = match op.cell {
            Cell::Tanh => (vec![], gate(0)?.tanh()?, None),
            Cell::Relu => (vec![], gate(0)?.relu()?, None),
            Cell::Lstm => {
                let [i, f, g, o] = [gate(0)?.sigmoid()?, gate(1)?.sigmoid()?, gate(2)?.tanh()?, gate(3)?.sigmoid()?];
                let kept = c_before.as_ref().map_or_else(|| i.mul(&g), |c| f.mul(c)?.add(&i.mul(&g)?))?;
                let inner = o.mul(&kept.tanh()?)?;
                let next = projection.map_or(Ok(inner.clone()), |w| matmul(&inner, &t(w)?))?;
                (vec![i, f, g, o], next, Some(kept))
            }
            Cell::Gru => {
                let (r, z) = (gate(0)?.sigmoid()?, gate(1)?.sigmoid()?);
                let hidden = columns(&from_h, 2, size)?;
                let n = columns(&from_x, 2, size)?.add(&r.mul(&hidden)?)?.tanh()?;
                let next = n.add(&z.mul(&h_before.sub(&n)?)?)?;
                (vec![r, z, n, hidden], next, None)
            }
        };
        (h.rows, c.rows) = (Some(next.clone()), cell.clone());
        steps.push(Step { gates, h_before, c_before, h: next, c: cell });
    }
    let last_h = h.all()?;
    let last_c = if p.c.is_some() { c.all()? } else { last_h.clone() };
    Ok((steps, last_h, last_c))
}

/// Joins what each step gave in the order of the rows.
fn join(op: &Recurrent, mut parts: Vec<Tensor>) -> Result<Tensor> {
    if op.reverse {
        parts.reverse();
    }
    cat(&parts, 0)
}

/// The rows given out, and the last states.
pub(super) fn forward(op: &Recurrent, p: &Parted<&&Tensor>, projection: Option<&Tensor>) -> Result<[Tensor; 3]> {
    let (steps, h, c) = steps(op, p, projection)?;
    Ok([join(op, steps.into_iter().map(|s| s.h).collect())?, h, c])
}

/// The gradients of all inputs, in their order, as functions of the inputs and of the gradients that came.
pub(super) fn gradients(op: &Recurrent, p: &Parted<&&Tensor>, grads: [Option<&Tensor>; 3]) -> Result<Vec<Tensor>> {
    let (steps, ..) = steps(op, p, None)?;
    let zeros = |like: &Tensor| full_like(like, like.shape(), Scalar::ZERO);
    let [grad_out, grad_h, grad_c] = grads;
    let grad_h = grad_h.map_or_else(|| zeros(p.h), |g| Ok(g.clone()))?;
    let grad_c = match (grad_c, p.c) {
        (Some(g), _) => g.clone(),
        (None, c) => zeros(c.map_or(*p.h, |c| *c))?,
    };
    let (mut dh, mut dc) = (Rest { rows: None, left: vec![] }, Rest { rows: None, left: vec![] });
    let (mut from_x, mut from_h) = (vec![], vec![]);
    for (step, (row, b)) in steps.iter().zip(order(op)).rev() {
        let mut g = dh.resize(b, &grad_h)?;
        if let Some(out) = grad_out {
            g = g.add(&rows(out, row, row + b)?)?;
        }
        let (mut x_side, mut straight) = (None, None);
        let h_side = match (op.cell, &step.gates[..], &step.c, &step.c_before) {
            (Cell::Lstm, [i, f, gate, o], Some(c), Some(before)) => {
                let tanh = c.tanh()?;
                let d = dc.resize(b, &grad_c)?.add(&g.mul(o)?.mul(&tanh_slope(&tanh)?)?)?;
                dc.rows = Some(d.mul(f)?);
                let d_i = d.mul(gate)?.mul(&sigmoid_slope(i)?)?;
                let d_f = d.mul(before)?.mul(&sigmoid_slope(f)?)?;
                let d_g = d.mul(i)?.mul(&tanh_slope(gate)?)?;
                let d_o = g.mul(&tanh)?.mul(&sigmoid_slope(o)?)?;
                cat(&[d_i, d_f, d_g, d_o], 1)?
            }
            (Cell::Gru, [r, z, n, hidden], ..) => {
                let inner = g.sub(&g.mul(z)?)?.mul(&tanh_slope(n)?)?;
                let d_r = inner.mul(hidden)?.mul(&sigmoid_slope(r)?)?;
                let d_z = g.mul(&step.h_before.sub(n)?)?.mul(&sigmoid_slope(z)?)?;
                straight = Some(g.mul(z)?);
                x_side = Some(cat(&[d_r.clone(), d_z.clone(), inner.clone()], 1)?);
                cat(&[d_r, d_z, inner.mul(r)?], 1)?
            }
            (Cell::Relu, ..) => g.mul(&crate::ops::to_dtype(&step.h.gt(0.0)?, g.dtype())?)?,
            _ => g.mul(&tanh_slope(&step.h)?)?,
        };
        let through = matmul(&h_side, p.hh)?;
        dh.rows = Some(straight.map_or(Ok(through.clone()), |s| s.add(&through))?);
        from_x.push(x_side.unwrap_or_else(|| h_side.clone()));
        from_h.push(h_side);
    }
    // They came last step first.
    from_x.reverse();
    from_h.reverse();
    let before = join(op, steps.into_iter().map(|s| s.h_before).collect())?;
    let (from_x, from_h) = (join(op, from_x)?, join(op, from_h)?);
    let mut all = vec![matmul(&from_x, p.ih)?, matmul(&t(&from_x)?, p.x)?, matmul(&t(&from_h)?, &before)?, dh.all()?];
    if p.c.is_some() {
        all.push(dc.all()?);
    }
    if p.biases.is_some() {
        all.push(sum(&from_x, Some(&[0]), false, None)?);
        all.push(sum(&from_h, Some(&[0]), false, None)?);
    }
    Ok(all)
}
