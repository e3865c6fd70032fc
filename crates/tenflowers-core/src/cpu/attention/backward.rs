//! From the gradient of the result to those of queries, keys and values; probabilities are computed again, by tiles.

use super::scores::{Block, dot};
use super::{Attention, GRAIN, GROUP, Heads, HeadsMut, KEYS, Machine, Mask, ROWS, Room, Score, WIDE, operand};
use crate::cpu::gemm::{Mat, Outcome, Scratch};
use crate::cpu::pool;
use crate::cpu::simd::vectorize;
use crate::error::Result;
use std::ops::Range;

/// The way back from [`super::Forward`]. With P the probabilities, D the sums over rows of `grad * out` and
/// `S = scale P (grad value^T - D)`: the gradients are `S key`, `S^T query` and `P^T grad`.
pub(crate) struct Backward<'a, T> {
    pub sizes: &'a Attention,
    pub query: Heads<T>,
    pub key: Heads<T>,
    pub value: Heads<T>,
    pub mask: Mask<T>,
    pub out: Heads<T>,
    pub log_sums: *const T,
    pub grad: Heads<T>,
    pub query_grad: HeadsMut<T>,
    pub key_grad: HeadsMut<T>,
    pub value_grad: HeadsMut<T>,
    /// Which of the three are asked for; the others are left alone.
    pub wanted: Wanted,
}

// SAFETY: threads read the inputs and write different rows.
unsafe impl<T: Send + Sync> Sync for Backward<'_, T> {}

/// Whose gradients are computed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub query: bool,
    pub key: bool,
    pub value: bool,
}

impl<T: Score> Backward<'_, T> {
    /// Computes the three gradients.
    ///
    /// # Errors
    /// `OutOfMemory`, `Interrupted`.
    ///
    /// # Safety
    /// As `Forward::run`.
    pub unsafe fn run(&self) -> Result<()> {
        let s = self.sizes;
        let all = s.heads * s.rows;
        let mut along = Scratch::<T>::new(all)?;
        // SAFETY: the caller's word; the scratch has an element for each row.
        let along = unsafe {
            self.along(along.ptr())?;
            &*along.slice_mut()
        };
        // One task a head computes five products. Where there are too few heads for the threads, queries and keys are done
        // apart, in seven: a sum meets its terms in the same order either way.
        let (threads, blocks, groups) = (pool::num_threads(), s.keys.div_ceil(KEYS), s.rows.div_ceil(GROUP));
        let (query, others) = (self.wanted.query, self.wanted.key || self.wanted.value);
        let balanced = 5 * s.heads.div_ceil(threads) <= (7 * s.heads).div_ceil(threads);
        if query && others && balanced || blocks * groups <= 1 {
            return self.tasks(along, 1, 5 * s.work() / 2, |_| (0..s.keys, 0..s.rows, self.wanted));
        }
        if others {
            let wanted = Wanted { query: false, ..self.wanted };
            self.tasks(along, blocks, 2 * s.work() / blocks, |b| {
                (b * KEYS..s.keys.min((b + 1) * KEYS), 0..s.rows, wanted)
            })?;
        }
        if query {
            let wanted = Wanted { key: false, value: false, ..self.wanted };
            self.tasks(along, groups, 3 * s.work() / 2 / groups, |g| {
                (0..s.keys, g * GROUP..s.rows.min((g + 1) * GROUP), wanted)
            })?;
        }
        Ok(())
    }

    /// For each row the sum of `grad * out`.
    unsafe fn along(&self, to: *mut T) -> Result<()> {
        let (s, shared) = (self.sizes, to as usize);
        pool::ranges(s.heads * s.rows, ((1 << 15) / s.value_size.max(1)).max(1), &|range| {
            vectorize(
                #[inline(always)]
                |lanes| {
                    for r in range {
                        let (head, row) = (r / s.rows, r % s.rows);
                        let (x, y) = (self.grad.from(head, row), self.out.from(head, row));
                        // SAFETY: rows within the operands; each element is written once.
                        unsafe {
                            let sum = if x.col == 1 && y.col == 1 {
                                let run = |p| std::slice::from_raw_parts(p, s.value_size);
                                dot(lanes, run(x.ptr), run(y.ptr))
                            } else {
                                (0..s.value_size as isize).fold(T::ZERO, |sum, c| {
                                    lanes.fma(*x.ptr.offset(c * x.col), *y.ptr.offset(c * y.col), sum)
                                })
                            };
                            (shared as *mut T).add(r).write(sum);
                        }
                    }
                },
            );
        })
    }

    /// Runs `each` tasks a head, of `work` floating point operations.
    fn tasks(
        &self,
        along: &[T],
        each: usize,
        work: usize,
        task: impl Fn(usize) -> (Range<usize>, Range<usize>, Wanted) + Sync,
    ) -> Result<()> {
        let (machine, s) = (Machine::new::<T>(), self.sizes);
        let (m, n) = (ROWS.min(s.rows), KEYS.min(s.keys));
        let copied = |of: &Heads<T>, n: usize| if of.is_handy() { 0 } else { n };
        let parts = [
            machine.packed(n, s.size),
            machine.packed(n, s.value_size),
            copied(&self.key, n * s.size),
            copied(&self.query, m * s.size),
            copied(&self.grad, m * s.value_size),
            m * KEYS,
            m * KEYS,
        ];
        let len = parts.iter().map(|&n| Room::<T>::of(n)).sum();
        let outcome = Outcome::default();
        pool::ranges(s.heads * each, GRAIN.div_ceil(work.max(1)), &|range| {
            outcome.with(len, |scratch: &mut Scratch<T>| {
                for t in range {
                    let mut room = Room { next: scratch.ptr(), left: len };
                    let parts = parts.map(|n| room.take(n));
                    let (keys, rows, wanted) = task(t % each);
                    // SAFETY: the caller's word; tasks have different heads, or different keys or rows of one. What becomes
                    // slices is initialised.
                    unsafe {
                        let [.., shares, slopes] = parts;
                        shares.write_bytes(0, m * KEYS);
                        slopes.write_bytes(0, m * KEYS);
                        self.task(machine, t / each, (keys, rows, wanted), along, parts);
                    }
                }
            });
        })?;
        outcome.result()
    }

    unsafe fn task(
        &self,
        machine: Machine,
        head: usize,
        (keys, rows, wanted): (Range<usize>, Range<usize>, Wanted),
        along: &[T],
        [key_packed, value_packed, key_rows, query_rows, grad_rows, shares, slopes]: [*mut T; 7],
    ) {
        let s = self.sizes;
        let handy = |of: &Heads<T>, m: Mat<T>, n: usize, k: usize, to: *mut T| {
            // SAFETY: the caller's word, and the room that `tasks` gave.
            if of.is_handy() { m } else { unsafe { machine.gather(m, n, k, to) } }
        };
        // SAFETY: the caller's word, and the room that `tasks` gave; sums begin as zeros or are written by their first term.
        unsafe {
            if wanted.query && keys.is_empty() {
                rows.clone().for_each(|i| zero(self.query_grad.row(head, i), s.size));
            }
            for j in keys.clone().step_by(KEYS) {
                let n = KEYS.min(keys.end - j);
                if wanted.key {
                    (j..j + n).for_each(|j| zero(self.key_grad.row(head, j), s.size));
                }
                if wanted.value {
                    (j..j + n).for_each(|j| zero(self.value_grad.row(head, j), s.value_size));
                }
                if s.seen(rows.end, j, n) == 0 {
                    continue;
                }
                let key = self.key.from(head, j);
                let value_columns = machine.pack_transposed(self.value.from(head, j), n, s.value_size, value_packed);
                let key_columns = machine.pack_transposed(key, n, s.size, key_packed);
                // As in the forward pass, bit for bit, so that the sums of exponentials fit.
                machine.scale(key_packed, (n, s.size), T::narrow(s.scale));
                let key = handy(&self.key, key, n, s.size, key_rows);
                for i in rows.clone().step_by(ROWS) {
                    let m = ROWS.min(rows.end - i);
                    let n = s.seen(i + m, j, n);
                    if n == 0 {
                        continue;
                    }
                    let query = handy(&self.query, self.query.from(head, i), m, s.size, query_rows);
                    let grad = handy(&self.grad, self.grad.from(head, i), m, s.value_size, grad_rows);
                    machine.product([m, n, s.size], query, key_columns, (shares, KEYS), false);
                    machine.product([m, n, s.value_size], grad, value_columns, (slopes, KEYS), false);
                    let block = Block { head, row: i, rows: m, key: j, keys: n, causal: s.causal, mask: &self.mask };
                    self.slopes(&block, along, (shares, slopes));
                    let mat = |ptr: *mut T, row, col| Mat { ptr: ptr.cast_const(), row, col };
                    let wide = KEYS as isize;
                    if wanted.value {
                        let to = (self.value_grad.row(head, j), self.value_grad.row);
                        machine.product([n, s.value_size, m], mat(shares, 1, wide), operand(grad), to, true);
                    }
                    if wanted.key {
                        let to = (self.key_grad.row(head, j), self.key_grad.row);
                        machine.product([n, s.size, m], mat(slopes, 1, wide), operand(query), to, true);
                    }
                    if wanted.query {
                        let to = (self.query_grad.row(head, i), self.query_grad.row);
                        machine.product([m, s.size, n], mat(slopes, wide, 1), operand(key), to, j > 0);
                    }
                }
            }
        }
    }

    /// Scores to probabilities, and what came through the values to the slopes of the scores.
    unsafe fn slopes(&self, block: &Block<T>, along: &[T], (shares, slopes): (*mut T, *mut T)) {
        let (s, n) = (self.sizes, block.padded());
        let scale = T::narrow(s.scale);
        vectorize(
            #[inline(always)]
            |lanes| {
                for i in 0..block.rows {
                    let at = block.head * s.rows + block.row + i;
                    // SAFETY: the blocks have `rows` rows of `KEYS` elements, and the sums one for each row.
                    let (shares, slopes, log) = unsafe {
                        let row = |p: *mut T| std::slice::from_raw_parts_mut(p.add(i * KEYS), n);
                        (row(shares), row(slopes), *self.log_sums.add(at))
                    };
                    slopes[block.keys..].fill(T::ZERO);
                    block.mask(i, shares);
                    let along = along[at];
                    // Through arrays: LLVM cannot tell that two runs of memory do not overlap.
                    for (shares, slopes) in
                        shares.as_chunks_mut::<WIDE>().0.iter_mut().zip(slopes.as_chunks_mut::<WIDE>().0)
                    {
                        let (mut share, mut slope) = (*shares, *slopes);
                        for j in 0..WIDE {
                            share[j] = lanes.exp_nonpositive(share[j] - log);
                            slope[j] = share[j] * (slope[j] - along) * scale;
                        }
                        (*shares, *slopes) = (share, slope);
                    }
                }
            },
        );
    }
}

unsafe fn zero<T: Score>(to: *mut T, n: usize) {
    // SAFETY: the caller's word.
    (0..n).for_each(|c| unsafe { to.add(c).write(T::ZERO) });
}
