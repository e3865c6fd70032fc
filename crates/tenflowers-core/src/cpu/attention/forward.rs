//! From queries, keys and values to their averages.

use super::scores::Block;
use super::{Attention, GRAIN, GROUP, Heads, HeadsMut, KEYS, Machine, Mask, ROWS, Room, Score, operand};
use crate::cpu::gemm::{Mat, Outcome, Scratch};
use crate::cpu::pool;
use crate::cpu::simd::{Lanes, vectorize};
use crate::error::Result;
use std::ops::Range;
use std::slice::from_raw_parts;

/// `softmax(scale * query key^T + mask) value`, and the logarithm of each row's sum of exponentials.
pub(crate) struct Forward<'a, T> {
    pub sizes: &'a Attention,
    pub query: Heads<T>,
    pub key: Heads<T>,
    pub value: Heads<T>,
    pub mask: Mask<T>,
    /// `[heads, rows, value_size]`; a row that sees no key is zeros.
    pub out: HeadsMut<T>,
    /// `[heads, rows]`, infinite where a row sees no key: so that its probabilities come out as 0 on the way back.
    pub log_sums: *mut T,
}

// SAFETY: threads read the inputs and write different rows.
unsafe impl<T: Send + Sync> Sync for Forward<'_, T> {}

impl<T: Score> Forward<'_, T> {
    /// Computes both outputs.
    ///
    /// # Errors
    /// `OutOfMemory`, `Interrupted`.
    ///
    /// # Safety
    /// The inputs can be read and the outputs written as `sizes` says, and no output overlaps anything else.
    pub unsafe fn run(&self) -> Result<()> {
        let (machine, s) = (Machine::new::<T>(), self.sizes);
        let group = GROUP.min(s.rows).max(1);
        let groups = s.rows.div_ceil(group);
        let keys = KEYS.min(s.keys);
        let parts = [
            machine.packed(keys, s.size),
            if self.value.is_handy() { 0 } else { keys * s.value_size },
            if self.query.is_handy() { 0 } else { group * s.size },
            ROWS.min(s.rows) * KEYS,
            group * s.value_size,
            group,
            group,
        ];
        let len = parts.iter().map(|&n| Room::<T>::of(n)).sum();
        let outcome = Outcome::default();
        let each = s.work() / groups.max(1);
        pool::ranges(s.heads * groups, GRAIN.div_ceil(each.max(1)), &|range| {
            outcome.with(len, |scratch: &mut Scratch<T>| {
                for task in range {
                    let mut room = Room { next: scratch.ptr(), left: len };
                    let parts = parts.map(|n| room.take(n));
                    let first = task % groups * group;
                    let rows = first..s.rows.min(first + group);
                    // SAFETY: the caller's word; tasks have different rows. What becomes slices is initialised.
                    unsafe {
                        let [.., scores, _, tops, sums] = parts;
                        scores.write_bytes(0, ROWS.min(s.rows) * KEYS);
                        tops.write_bytes(0, group);
                        sums.write_bytes(0, group);
                        self.group(machine, task / groups, rows, parts);
                    }
                }
            });
        })?;
        outcome.result()
    }

    unsafe fn group(
        &self,
        machine: Machine,
        head: usize,
        rows: Range<usize>,
        [packed, value_rows, query_rows, scores, values, tops, sums]: [*mut T; 7],
    ) {
        let s = self.sizes;
        // SAFETY: the caller's word; each part has the room that `run` gave it, and all that is read has been written:
        // every row sees the first block of keys, if there is one.
        unsafe {
            let mut query = self.query.from(head, rows.start);
            if !self.query.is_handy() {
                query = machine.gather(query, rows.len(), s.size, query_rows);
            }
            let seen = s.seen(rows.end, 0, s.keys);
            for j in (0..seen).step_by(KEYS) {
                let n = KEYS.min(s.keys - j);
                let key = machine.pack_transposed(self.key.from(head, j), n, s.size, packed);
                machine.scale(packed, (n, s.size), T::narrow(s.scale));
                let mut value = self.value.from(head, j);
                if !self.value.is_handy() {
                    value = machine.gather(value, n, s.value_size, value_rows);
                }
                for i in rows.clone().step_by(ROWS) {
                    let m = ROWS.min(rows.end - i);
                    let n = s.seen(i + m, j, n);
                    if n == 0 {
                        continue;
                    }
                    let at = i - rows.start;
                    let mut query = query;
                    query.ptr = query.ptr.wrapping_offset(at as isize * query.row);
                    machine.product([m, n, s.size], query, key, (scores, KEYS), false);
                    let block = Block { head, row: i, rows: m, key: j, keys: n, causal: s.causal, mask: &self.mask };
                    let values = values.add(at * s.value_size);
                    let part = |p: *mut T, n| std::slice::from_raw_parts_mut(p, n);
                    let (tops, sums) = (part(tops.add(at), m), part(sums.add(at), m));
                    // Before the first keys nothing is there to be moved.
                    let old = part(values, if j > 0 { m * s.value_size } else { 0 });
                    let scores_of = part(scores, m * KEYS);
                    vectorize(
                        #[inline(always)]
                        |lanes| block.softmax(lanes, scores_of, (tops, sums), (old, s.value_size)),
                    );
                    let shares = Mat { ptr: scores.cast_const(), row: KEYS as isize, col: 1 };
                    machine.product([m, s.value_size, n], shares, operand(value), (values, s.value_size), j > 0);
                }
            }
            vectorize(
                #[inline(always)]
                |lanes| self.finish(lanes, (head, rows), values, (tops, sums)),
            );
        }
    }

    /// Averages out of weighted sums.
    #[inline(always)]
    unsafe fn finish(
        &self,
        lanes: Lanes,
        (head, rows): (usize, Range<usize>),
        values: *const T,
        (tops, sums): (*const T, *const T),
    ) {
        let s = self.sizes;
        // SAFETY: the caller's word; where there are no keys, the sums are zeros and the values not read.
        unsafe {
            let (tops, sums) = (from_raw_parts(tops, rows.len()), from_raw_parts(sums, rows.len()));
            let logs = self.log_sums.add(head * s.rows + rows.start);
            for at in 0..rows.len() {
                let log = tops[at] + lanes.ln(sums[at]);
                logs.add(at).write(if sums[at] == T::ZERO { T::infinity() } else { log });
            }
            for (at, i) in rows.enumerate() {
                let (to, from) = (self.out.row(head, i), values.add(at * s.value_size));
                if sums[at] == T::ZERO {
                    (0..s.value_size).for_each(|c| to.add(c).write(T::ZERO));
                    continue;
                }
                let share = T::one() / sums[at];
                (0..s.value_size).for_each(|c| to.add(c).write(*from.add(c) * share));
            }
        }
    }
}
