//! The way back through time: one product a step for the hidden state, then one for each weight over all steps.

use super::panels::Panels;
use super::{Cell, Layer, States, Unit, Weights, cells};
use crate::cpu::accumulate::prefetch;
use crate::cpu::gemm::{Mat, Scratch, gemm};
use crate::cpu::pool::Parts;
use crate::cpu::simd::vectorize;
use crate::error::Result;
use std::ops::Range;

/// What the forward pass left, and the gradients of what it gave out; one that is missing is empty.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a, T> {
    pub out: &'a [T],
    pub gates: &'a [T],
    pub cells: &'a [T],
    pub grad_out: &'a [T],
    pub grad_last: States<'a, T>,
}

/// Where the gradients go: empty where nobody asks, but for those of the states.
pub(crate) struct Gradients<'a, T> {
    pub x: &'a mut [T],
    pub ih: &'a mut [T],
    pub hh: &'a mut [T],
    pub bias_ih: &'a mut [T],
    pub bias_hh: &'a mut [T],
    pub h: &'a mut [T],
    pub c: &'a mut [T],
}

/// The gradient of a last state, or zeros.
fn start<T: Unit>(to: &mut [T], grad: &[T]) {
    if grad.is_empty() { to.fill(T::zero()) } else { to.copy_from_slice(grad) }
}

impl Layer<'_> {
    /// The gradients of the input, the weights, the biases and the first states.
    ///
    /// # Errors
    /// `OutOfMemory`, `Interrupted`.
    pub(crate) fn backward<T: Unit>(
        &self,
        x: &[T],
        w: &Weights<T>,
        first: States<T>,
        kept: Kept<T>,
        to: Gradients<T>,
    ) -> Result<()> {
        self.check(x, w, first.h, first.c);
        let (cell, h, pitch, rows) = (self.cell, self.hidden, self.pitch(), self.rows());
        let hidden = cell.first() * h;
        assert_eq!((kept.out.len(), kept.gates.len()), (rows * h, rows * pitch));
        assert!(kept.grad_out.is_empty() || kept.grad_out.len() == kept.out.len());
        assert_eq!((to.h.len(), to.c.len()), (first.h.len(), first.c.len()));
        let Gradients { x: to_x, ih, hh, bias_ih, bias_hh, h: dh, c: dc } = to;
        start(dh, kept.grad_last.h);
        start(dc, kept.grad_last.c);
        let packed = Panels::new(w.hh, (h as isize, 1), cell.gates() * h, 1, h)?;
        let d = Scratch::<T>::new(rows * pitch)?;
        let mut sums = Scratch::filled(cell.blocks() * h, T::zero())?;
        {
            // SAFETY: `filled` wrote all of it.
            let sums = Parts::new(unsafe { sums.slice_mut() });
            let places = Places { d: d.ptr(), dh: dh.as_mut_ptr(), dc: Parts::new(dc), sums };
            let mut after: Option<(usize, usize)> = None;
            let through = |after: Option<(usize, usize)>, units: &Range<usize>| {
                let Some((t, row)) = after else { return };
                let from = places.d().wrapping_add(row * pitch + hidden);
                let to = places.dh().wrapping_add(units.start);
                // SAFETY: that step's rows of `d` are complete, and these units of `dh` are this task's.
                unsafe {
                    let columns = (units.start, units.len());
                    packed.multiply(0, (from, pitch), self.batches[t], columns, (to, h), cell == Cell::Gru);
                }
            };
            for (t, row) in self.steps()?.into_iter().rev() {
                let flops = 2 * self.batches[t] * cell.gates() * h * h;
                self.units(packed.width(), flops, &|units| {
                    through(after, &units);
                    self.cell_back(&places, &kept, first, (t, row), units);
                })?;
                after = Some((t, row));
            }
            let last = after.map_or(0, |(t, _)| self.batches[t]);
            let flops = 2 * last * cell.gates() * h * h;
            self.units(packed.width(), flops, &|units| through(after, &units))?;
        }
        let d: *const T = d.ptr();
        let column = |block: usize| Mat { ptr: d.wrapping_add(block * h), row: 1, col: pitch as isize };
        for (index, (blocks, block)) in cell.segments().iter().enumerate() {
            let (weight, n) = (blocks.start * h * self.input, blocks.len() * h);
            // SAFETY: `d` holds `n` columns from that block on in each row; the rest was compared above.
            unsafe {
                if !to_x.is_empty() {
                    let from = Mat { ptr: d.wrapping_add(block * h), row: pitch as isize, col: 1 };
                    let weight = Mat { ptr: w.ih[weight..].as_ptr(), row: self.input as isize, col: 1 };
                    gemm([rows, self.input, n], from, weight, to_x.as_mut_ptr(), self.input, index > 0)?;
                }
                if !ih.is_empty() {
                    let input = Mat { ptr: x.as_ptr(), row: self.input as isize, col: 1 };
                    let to = ih[weight..].as_mut_ptr();
                    gemm([n, self.input, rows], column(*block), input, to, self.input, false)?;
                }
            }
        }
        if !hh.is_empty() {
            self.hidden_weights(column(cell.first()), kept.out, first.h, hh)?;
        }
        // SAFETY: `filled` wrote all of it.
        let sums = unsafe { sums.slice_mut() };
        if !bias_ih.is_empty() {
            for (blocks, block) in cell.segments() {
                bias_ih[blocks.start * h..blocks.end * h].copy_from_slice(&sums[block * h..][..blocks.len() * h]);
            }
        }
        if !bias_hh.is_empty() {
            bias_hh.copy_from_slice(&sums[hidden..]);
        }
        Ok(())
    }

    /// One step of the cell for some units of all its rows.
    fn cell_back<T: Unit>(
        &self,
        to: &Places<T>,
        kept: &Kept<T>,
        first: States<T>,
        (t, row): (usize, usize),
        units: Range<usize>,
    ) {
        let (cell, h, pitch, n) = (self.cell, self.hidden, self.pitch(), units.len());
        let blocks = cell.blocks();
        vectorize(
            #[inline(always)]
            |lanes| {
                for r in 0..self.batches[t] {
                    self.ahead(kept, row + r + 1, &units);
                    let at = (row + r) * pitch + units.start;
                    let this = (row + r) * h + units.start..(row + r) * h + units.end;
                    let state = r * h + units.start..r * h + units.end;
                    let gate = |block: usize| &kept.gates[at + block * h..][..n];
                    // SAFETY: these units of these rows are this task's, and blocks do not overlap.
                    let d = |block: usize| unsafe {
                        std::slice::from_raw_parts_mut(to.d().wrapping_add(at + block * h), n)
                    };
                    // SAFETY: as above.
                    let dh = unsafe { std::slice::from_raw_parts_mut(to.dh().wrapping_add(state.start), n) };
                    if !kept.grad_out.is_empty() {
                        cells::add(&kept.grad_out[this.clone()], dh);
                    }
                    let before = |all, start| &self.before(all, start, (t, row), r)[units.clone()];
                    match cell {
                        Cell::Tanh => cells::plain_back(|h: T| T::one() - h * h, gate(0), dh, d(0)),
                        Cell::Relu => {
                            let slope = |h: T| if h > T::zero() { T::one() } else { T::zero() };
                            cells::plain_back(slope, gate(0), dh, d(0));
                        }
                        Cell::Lstm => {
                            let states = [&kept.cells[this], before(kept.cells, first.c), dh];
                            // SAFETY: as above.
                            let dc = unsafe { to.dc.part(state) };
                            let gates = [gate(0), gate(1), gate(2), gate(3)];
                            cells::lstm_back(lanes, gates, states, dc, [d(0), d(1), d(2), d(3)]);
                        }
                        Cell::Gru => {
                            let before = before(kept.out, first.h);
                            let gates = [gate(0), gate(1), gate(2), gate(3)];
                            cells::gru_back(gates, before, dh, [d(0), d(1), d(2), d(3)]);
                        }
                    }
                }
                for block in 0..blocks {
                    let at = block * h + units.start;
                    // SAFETY: these units are this task's.
                    let sums = unsafe { to.sums.part(at..at + n) };
                    add_rows(to.d().wrapping_add(row * pitch + at), pitch, self.batches[t], sums);
                }
            },
        );
    }

    /// Asks for what the next row will read: its rows are too short, and too many, for the machine to see it coming.
    #[inline(always)]
    fn ahead<T>(&self, kept: &Kept<T>, row: usize, units: &Range<usize>) {
        let n = units.len();
        for block in 0..self.cell.blocks() {
            prefetch(kept.gates, row * self.pitch() + block * self.hidden + units.start, n);
        }
        let at = row * self.hidden + units.start;
        prefetch(kept.grad_out, at, n);
        prefetch(if self.cell == Cell::Lstm { kept.cells } else { kept.out }, at, n);
    }

    /// The row of a state before step `t` that belongs to row `r` of it.
    #[inline(always)]
    fn before<'a, T>(&self, all: &'a [T], start: &'a [T], (t, row): (usize, usize), r: usize) -> &'a [T] {
        let h = self.hidden;
        let next = row + self.batches[t];
        match self.reverse {
            false if t > 0 => &all[(row - self.batches[t - 1] + r) * h..][..h],
            true if t + 1 < self.batches.len() && r < self.batches[t + 1] => &all[(next + r) * h..][..h],
            _ => &start[r * h..][..h],
        }
    }

    /// `d` transposed, times the hidden states before each step.
    fn hidden_weights<T: Unit>(&self, d: Mat<T>, out: &[T], h0: &[T], to: &mut [T]) -> Result<()> {
        let (h, rows) = (self.hidden, self.rows());
        let n = self.cell.gates() * h;
        let product = |first: usize, count: usize, states: &[T], to: &mut [T], add: bool| {
            assert!(states.len() >= count * h);
            let d = Mat { ptr: d.ptr.wrapping_offset(first as isize * d.col), ..d };
            // SAFETY: `count` rows of each from the first on.
            unsafe {
                gemm([n, h, count], d, Mat { ptr: states.as_ptr(), row: h as isize, col: 1 }, to.as_mut_ptr(), h, add)
            }
        };
        let batch = self.batches.first().copied().unwrap_or(0);
        if self.batches.last() == Some(&batch) {
            // Sequences of one length: the states before are those given out, a step on.
            let rest = rows - batch;
            let (rest_first, begin) = if self.reverse { (0, rest) } else { (batch, 0) };
            let states = if self.reverse { &out[batch * h..] } else { out };
            product(begin, batch, h0, to, false)?;
            return if rest > 0 { product(rest_first, rest, states, to, true) } else { Ok(()) };
        }
        let mut states = crate::cpu::vec_for(rows * h)?;
        let mut row = 0;
        for (t, &b) in self.batches.iter().enumerate() {
            for r in 0..b {
                states.extend_from_slice(self.before(out, h0, (t, row), r));
            }
            row += b;
        }
        product(0, rows, &states, to, false)
    }
}

/// What the tasks of a step write, each its own units.
struct Places<'a, T> {
    d: *mut T,
    dh: *mut T,
    dc: Parts<'a, T>,
    sums: Parts<'a, T>,
}

// SAFETY: tasks write different units, and read what earlier steps wrote.
unsafe impl<T: Send + Sync> Sync for Places<'_, T> {}

impl<T> Places<'_, T> {
    fn d(&self) -> *mut T {
        self.d
    }
    fn dh(&self) -> *mut T {
        self.dh
    }
}

/// Adds the sum of some rows, which is made apart first.
#[inline(always)]
fn add_rows<T: Unit>(d: *const T, pitch: usize, rows: usize, sums: &mut [T]) {
    const WIDTH: usize = 16;
    let mut at = 0;
    while at + WIDTH <= sums.len() {
        let mut total = [T::zero(); WIDTH];
        for r in 0..rows {
            // SAFETY: inside the row, and written by this task.
            let row = unsafe { d.wrapping_add(r * pitch + at).cast::<[T; WIDTH]>().read_unaligned() };
            for u in 0..WIDTH {
                total[u] = total[u] + row[u];
            }
        }
        let sums: &mut [T; WIDTH] = sums[at..].first_chunk_mut().expect("a whole block");
        for u in 0..WIDTH {
            sums[u] = sums[u] + total[u];
        }
        at += WIDTH;
    }
    for (u, sum) in sums.iter_mut().enumerate().skip(at) {
        let mut total = T::zero();
        for r in 0..rows {
            // SAFETY: as above.
            total = total + unsafe { d.wrapping_add(r * pitch + u).read() };
        }
        *sum = *sum + total;
    }
}
