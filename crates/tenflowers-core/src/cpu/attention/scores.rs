//! A block of scores: masked, and made probabilities.

use super::{Heads, KEYS, Mask, ROWS, Score, WIDE};
use crate::cpu::accumulate::{fold_rows, larger, sum};
use crate::cpu::simd::Lanes;

/// A block of scores with rows `KEYS` apart: rows from number `row` on against `keys` keys from number `key` on.
pub(super) struct Block<'a, T> {
    pub head: usize,
    pub row: usize,
    pub rows: usize,
    pub key: usize,
    pub keys: usize,
    pub causal: bool,
    pub mask: &'a Mask<T>,
}

impl<T: Score> Block<'_, T> {
    /// Elements of a row with its padding.
    #[inline(always)]
    pub fn padded(&self) -> usize {
        self.keys.next_multiple_of(WIDE)
    }

    /// How many keys of the block row `i` sees.
    #[inline(always)]
    fn seen(&self, i: usize) -> usize {
        if self.causal { self.keys.min((self.row + i + 1).saturating_sub(self.key)) } else { self.keys }
    }

    /// Adds the mask to row `i` of the block, and takes out what the row does not see and the padding.
    #[inline(always)]
    pub fn mask(&self, i: usize, scores: &mut [T]) {
        let row = self.row + i;
        let (scores, unseen) = scores.split_at_mut(self.seen(i));
        unseen.fill(T::neg_infinity());
        match self.mask {
            Mask::None => {}
            Mask::Keep(keep) => self.each(keep, row, scores, |s, keep| if keep { s } else { T::neg_infinity() }),
            Mask::Add(add) => self.each(add, row, scores, |s, add| s + add),
        }
    }

    #[inline(always)]
    fn each<M: Copy>(&self, of: &Heads<M>, row: usize, scores: &mut [T], apply: impl Fn(T, M) -> T) {
        let first = of.row(self.head, row).wrapping_offset(self.key as isize * of.col);
        if of.col == 1 {
            // SAFETY: the mask has an element for each row and key.
            let mask = unsafe { std::slice::from_raw_parts(first, scores.len()) };
            for j in 0..scores.len() {
                scores[j] = apply(scores[j], mask[j]);
            }
        } else {
            for (j, s) in scores.iter_mut().enumerate() {
                // SAFETY: as above.
                *s = apply(*s, unsafe { *first.offset(j as isize * of.col) });
            }
        }
    }

    /// Rows of scores to `exp(score - top)`, where `tops` are the largest scores so far, and what is known of the rows from
    /// the keys before moved along: their sums, and their rows of `values`.
    ///
    /// A step at a time for all rows, since what a row waits for is then there when it is asked for.
    #[inline(always)]
    pub fn softmax(
        &self,
        lanes: Lanes,
        scores: &mut [T],
        (tops, sums): (&mut [T], &mut [T]),
        (values, size): (&mut [T], usize),
    ) {
        let n = self.padded();
        for i in 0..self.rows {
            self.mask(i, &mut scores[i * KEYS..][..n]);
        }
        let (mut found, mut shifts) = ([T::ZERO; ROWS], [T::ZERO; ROWS]);
        let (found, shifts) = (&mut found[..self.rows], &mut shifts[..self.rows]);
        // A NaN is passed over, since it comes out of the exponentials anyway.
        fold_rows(|i| &scores[i * KEYS..][..n], n, T::neg_infinity(), larger, larger, found);
        for i in 0..self.rows {
            let top = if self.key > 0 { larger(found[i], tops[i]) } else { found[i] };
            // A row that sees nothing yet: everything is taken from 0, and stays 0.
            shifts[i] = if top == T::neg_infinity() { T::ZERO } else { top };
            if self.key > 0 {
                let moved = lanes.exp_nonpositive(tops[i] - shifts[i]);
                sums[i] = sums[i] * moved;
                if moved != num_traits::one() {
                    values[i * size..][..size].iter_mut().for_each(|v| *v = *v * moved);
                }
            }
            tops[i] = top;
        }
        for i in 0..self.rows {
            let shift = shifts[i];
            for x in scores[i * KEYS..][..n].as_chunks_mut::<WIDE>().0 {
                x.iter_mut().for_each(|x| *x = lanes.exp_nonpositive(*x - shift));
            }
        }
        fold_rows(|i| &scores[i * KEYS..][..n], n, T::ZERO, sum, sum, found);
        for i in 0..self.rows {
            sums[i] = if self.key > 0 { sums[i] + found[i] } else { found[i] };
        }
    }
}

/// The sum of the products of two runs.
#[inline(always)]
pub(super) fn dot<T: Score>(lanes: Lanes, x: &[T], y: &[T]) -> T {
    let mut sums = [T::ZERO; WIDE];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<WIDE>(), y.as_chunks::<WIDE>());
    for c in 0..x.len().min(y.len()) {
        let (x, y) = (&x[c], &y[c]);
        for i in 0..WIDE {
            sums[i] = lanes.fma(x[i], y[i], sums[i]);
        }
    }
    let rest = x_rest.iter().zip(y_rest).fold(T::ZERO, |sum, (&x, &y)| lanes.fma(x, y, sum));
    halves(sums, |a, b| a + b) + rest
}

#[inline(always)]
fn halves<T: Copy>(mut x: [T; WIDE], join: impl Fn(T, T) -> T) -> T {
    let mut n = WIDE;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            x[i] = join(x[i], x[i + n]);
        }
    }
    x[0]
}
