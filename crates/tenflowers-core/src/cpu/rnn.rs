//! Recurrent layers: one direction of one layer over a whole sequence, and the way back through time.
//!
//! Each step multiplies its inputs and the last hidden state by weights that were packed once, and runs the cell on the
//! units just computed, both cut by units among the threads. The way back has one product a step, and then one for each
//! weight over all steps.

mod backward;
mod cells;
mod panels;

use crate::cpu::gemm::{Mat, Scratch, gemm};
use crate::cpu::pool::{Parts, num_threads, ranges};
use crate::cpu::simd::vectorize;
use crate::error::Result;
pub(crate) use backward::{Gradients, Kept};
pub(crate) use cells::Unit;
use panels::Panels;
use std::ops::Range;

/// Floating point operations of one chunk of a step.
const GRAIN: usize = 1 << 20;

/// Below so many sequences the inputs of all steps are multiplied at once.
const AT_ONCE: usize = 8;

/// What happens to the hidden state at each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// `tanh` of the sum of both products (Elman, 1990).
    Tanh,
    /// The same with `relu`.
    Relu,
    /// Input, forget, cell and output gates (Hochreiter and Schmidhuber, 1997; Gers et al., 2000).
    Lstm,
    /// Reset and update gates and the new state (Cho et al., 2014).
    Gru,
}

impl Cell {
    /// Blocks of `hidden` rows in the weights.
    pub(crate) fn gates(self) -> usize {
        match self {
            Cell::Tanh | Cell::Relu => 1,
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }
    /// Blocks of `hidden` columns that are kept of each step. A GRU keeps the new state, reset, update, and the hidden part of
    /// the new state apart: so the last three are those of the hidden weights, in order.
    fn blocks(self) -> usize {
        if self == Cell::Gru { 4 } else { self.gates() }
    }
    /// The block of the first hidden gate.
    fn first(self) -> usize {
        usize::from(self == Cell::Gru)
    }
    /// Which blocks of the input weights belong to which blocks kept.
    fn segments(self) -> &'static [(Range<usize>, usize)] {
        match self {
            Cell::Gru => &[(0..2, 1), (2..3, 0)],
            Cell::Lstm => &[(0..4, 0)],
            Cell::Tanh | Cell::Relu => &[(0..1, 0)],
        }
    }
}

/// One direction of a layer. All matrices have contiguous rows; those with a row for each step and sequence have them in
/// the order of the steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'a> {
    pub cell: Cell,
    /// Elements of an input row.
    pub input: usize,
    /// Units.
    pub hidden: usize,
    /// Sequences that are at least so long, for each step: they never grow.
    pub batches: &'a [usize],
    /// Whether it begins with the last step.
    pub reverse: bool,
}

/// Weights `[gates * hidden, input]` and `[gates * hidden, hidden]`, biases `[gates * hidden]` or nothing.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a, T> {
    pub ih: &'a [T],
    pub hh: &'a [T],
    pub bias_ih: &'a [T],
    pub bias_hh: &'a [T],
}

/// States `[batch, hidden]`; the second is for LSTM alone.
#[derive(Clone, Copy)]
pub(crate) struct States<'a, T> {
    pub h: &'a [T],
    pub c: &'a [T],
}

/// What a layer writes.
pub(crate) struct Outputs<'a, T> {
    /// `[rows, hidden]`.
    pub out: &'a mut [T],
    /// The last states `[batch, hidden]`.
    pub h: &'a mut [T],
    pub c: &'a mut [T],
    /// `[rows, pitch]`: what the way back reads.
    pub gates: &'a mut [T],
    /// `[rows, hidden]`, the cell states of LSTM.
    pub cells: &'a mut [T],
}

impl Layer<'_> {
    /// Rows of the input.
    pub(crate) fn rows(&self) -> usize {
        self.batches.iter().sum()
    }

    /// From one row of the gates to the next: rows whole pages apart would fall on the same cache sets.
    pub(crate) fn pitch(&self) -> usize {
        let n = self.cell.blocks() * self.hidden;
        if n.is_multiple_of(256) { n + 16 } else { n }
    }

    /// Each step and its first row, in the order in which they run.
    fn steps(&self) -> Result<Vec<(usize, usize)>> {
        let mut steps = crate::cpu::vec_for(self.batches.len())?;
        let mut row = 0;
        for (t, b) in self.batches.iter().enumerate() {
            steps.push((t, row));
            row += b;
        }
        if self.reverse {
            steps.reverse();
        }
        Ok(steps)
    }

    /// The sum of the biases of each block kept; the hidden part of a GRU's new state has its own.
    fn bias<T: Unit>(&self, w: &Weights<T>) -> Result<Scratch<T>> {
        let h = self.hidden;
        let mut bias = Scratch::filled(self.cell.blocks() * h, T::zero())?;
        // SAFETY: `filled` wrote all of it.
        let to = unsafe { bias.slice_mut() };
        if w.bias_ih.is_empty() {
            return Ok(bias);
        }
        for (from, block) in self.cell.segments() {
            to[block * h..][..from.len() * h].copy_from_slice(&w.bias_ih[from.start * h..from.end * h]);
        }
        let hidden = &mut to[self.cell.first() * h..];
        hidden.iter_mut().zip(w.bias_hh).for_each(|(b, &x)| *b = *b + x);
        Ok(bias)
    }

    /// Runs `work` on the units, some panels at a time, where that is worth it. Nothing depends on how they are cut: into no
    /// more parts than the threads need, as the memory of a row is read faster in one go.
    fn units(&self, width: usize, flops: usize, work: &(dyn Fn(Range<usize>) + Sync)) -> Result<()> {
        if flops < 2 * GRAIN {
            work(0..self.hidden);
            return Ok(());
        }
        let panels = self.hidden.div_ceil(width);
        let parts = if num_threads() == 1 { 1 } else { (flops / GRAIN).min(2 * num_threads()) };
        ranges(panels, panels.div_ceil(parts), &|range| {
            work(range.start * width..(range.end * width).min(self.hidden));
        })
    }

    /// The outputs of all steps, and the last states.
    ///
    /// # Errors
    /// `OutOfMemory`, `Interrupted`.
    pub(crate) fn forward<'a, T: Unit>(
        &self,
        x: &[T],
        w: &Weights<'a, T>,
        start: States<T>,
        to: Outputs<T>,
    ) -> Result<()> {
        let (cell, h, pitch) = (self.cell, self.hidden, self.pitch());
        self.check(x, w, start.h, start.c);
        assert_eq!(to.gates.len(), self.rows() * pitch);
        assert_eq!(to.out.len(), self.rows() * h);
        assert_eq!((to.h.len(), to.c.len()), (start.h.len(), start.c.len()));
        assert!(cell != Cell::Lstm || to.cells.len() == to.out.len());
        // With many sequences a step multiplies its own inputs, while its gates are in the cache. The rows of a few are
        // better multiplied all at once.
        let at_once = self.batches.first().is_none_or(|&b| b < AT_ONCE);
        if at_once {
            for (from, block) in cell.segments() {
                let weight =
                    Mat { ptr: w.ih[from.start * h * self.input..].as_ptr(), row: 1, col: self.input as isize };
                let input = Mat { ptr: x.as_ptr(), row: self.input as isize, col: 1 };
                let dims = [self.rows(), from.len() * h, self.input];
                // SAFETY: sizes were compared above; the gates hold all columns of each row.
                unsafe { gemm(dims, input, weight, to.gates.as_mut_ptr().wrapping_add(block * h), pitch, false)? };
            }
        }
        let steps = |m: &'a [T], k: usize| Panels::new(m, (1, k as isize), k, cell.gates(), h);
        let inputs = if at_once { None } else { Some(steps(w.ih, self.input)?) };
        let mut bias = self.bias(w)?;
        // SAFETY: all of it was written.
        let bias: &[T] = unsafe { bias.slice_mut() };
        let packed = steps(w.hh, h)?;
        to.h.copy_from_slice(start.h);
        to.c.copy_from_slice(start.c);
        let (out, gates, cells) = (Parts::new(to.out), Parts::new(to.gates), Parts::new(to.cells));
        let c = Parts::new(to.c);
        for (t, row) in self.steps()? {
            let b = self.batches[t];
            let state: &[T] = to.h;
            let depth = h + inputs.as_ref().map_or(0, |_| self.input);
            self.units(packed.width(), 2 * b * cell.gates() * h * depth, &|units| {
                let n = units.len();
                // SAFETY: these units of these rows are this task's.
                let gate = unsafe { gates.part(row * pitch..(row + b) * pitch) }.as_mut_ptr();
                if let Some(inputs) = &inputs {
                    for (from, block) in cell.segments() {
                        for (q, block) in from.clone().zip(*block..) {
                            let to = (gate.wrapping_add(block * h + units.start), pitch);
                            let x = (x[row * self.input..].as_ptr(), self.input);
                            // SAFETY: the rows of the step, and the columns just named.
                            unsafe { inputs.multiply(q, x, b, (units.start, n), to, false) };
                        }
                    }
                }
                for q in 0..cell.gates() {
                    let block = cell.first() + q;
                    // A GRU adds its hidden part later.
                    let accumulate = block < 3 || cell != Cell::Gru;
                    let to = (gate.wrapping_add(block * h + units.start), pitch);
                    // SAFETY: the rows of the state, and the columns just named.
                    unsafe { packed.multiply(q, (state.as_ptr(), h), b, (units.start, n), to, accumulate) };
                }
                vectorize(
                    #[inline(always)]
                    |lanes| {
                        for r in 0..b {
                            let at = (row + r) * pitch + units.start;
                            let this = (row + r) * h + units.start;
                            // SAFETY: blocks and rows do not overlap, and these units are this task's.
                            let gate = |block: usize| unsafe { gates.part(at + block * h..at + block * h + n) };
                            // SAFETY: as above.
                            let out = unsafe { out.part(this..this + n) };
                            let bias = |block: usize| &bias[block * h + units.start..][..n];
                            let old = r * h + units.start..r * h + units.end;
                            match cell {
                                Cell::Tanh => {
                                    cells::plain(
                                        #[inline(always)]
                                        |x| lanes.tanh(x),
                                        gate(0),
                                        bias(0),
                                        out,
                                    );
                                }
                                Cell::Relu => cells::plain(cells::relu, gate(0), bias(0), out),
                                Cell::Lstm => {
                                    // SAFETY: as above.
                                    let (c, kept) = unsafe { (c.part(old), cells.part(this..this + n)) };
                                    let gates = [gate(0), gate(1), gate(2), gate(3)];
                                    cells::lstm(lanes, [bias(0), bias(1), bias(2), bias(3)], gates, c, kept, out);
                                }
                                Cell::Gru => {
                                    let gates = [gate(0), gate(1), gate(2), gate(3)];
                                    let biases = [bias(0), bias(1), bias(2), bias(3)];
                                    cells::gru(lanes, biases, gates, &state[old], out);
                                }
                            }
                        }
                    },
                );
            })?;
            // SAFETY: no task runs now.
            to.h[..b * h].copy_from_slice(unsafe { out.part(row * h..(row + b) * h) });
        }
        Ok(())
    }

    fn check<T>(&self, x: &[T], w: &Weights<T>, h0: &[T], c0: &[T]) {
        let (h, rows) = (self.hidden, self.cell.gates() * self.hidden);
        let batch = self.batches.iter().copied().max().unwrap_or(0);
        assert_eq!(x.len(), self.rows() * self.input);
        assert_eq!((w.ih.len(), w.hh.len()), (rows * self.input, rows * h));
        assert!(w.bias_ih.is_empty() && w.bias_hh.is_empty() || w.bias_ih.len() == rows && w.bias_hh.len() == rows);
        assert!(h0.len() >= batch * h && (self.cell != Cell::Lstm || c0.len() == h0.len()));
        assert!(self.batches.is_sorted_by(|a, b| a >= b));
    }
}

#[cfg(test)]
mod tests;
