//! Runs over strided operands: the longest inner run, and an odometer over the rest. Compiled once, for all dtypes.
use crate::layout::{Shape, Strides};
use smallvec::SmallVec;
use std::ops::Range;

/// Receives, for a run of elements, where it starts in each operand, how far its elements are apart, and their number.
pub type Row<'a> = dyn FnMut(&[isize], &[isize], usize) + 'a;

/// How several operands of one shape are walked together, in row-major order. Strides and offsets count elements.
pub struct Walk {
    shape: Shape,
    /// By dimension, then by operand.
    strides: SmallVec<[isize; 16]>,
    operands: usize,
}

impl Walk {
    /// Drops dimensions of size 1, and joins those that every operand walks as one.
    pub fn new(shape: &[usize], strides: &[&[isize]]) -> Walk {
        let operands = strides.len();
        let mut to = Walk { shape: Shape::new(), strides: SmallVec::new(), operands };
        for d in (0..shape.len()).filter(|&d| shape[d] != 1) {
            let here = strides.iter().map(|s| s[d]);
            let joins = to.shape.last().is_some() && {
                let last = &to.strides[to.strides.len() - operands..];
                last.iter().zip(here.clone()).all(|(&outer, s)| outer == s.wrapping_mul(shape[d] as isize))
            };
            if joins {
                let keep = to.strides.len() - operands;
                to.strides.truncate(keep);
                *to.shape.last_mut().expect("joined to it") *= shape[d];
            } else {
                to.shape.push(shape[d]);
            }
            to.strides.extend(here);
        }
        if to.shape.is_empty() {
            to.shape.push(1);
            to.strides.extend(std::iter::repeat_n(1, operands));
        }
        to
    }
    /// The same, but with the dimensions in the order of the first operand's memory, which may differ from row-major.
    pub fn along_first(shape: &[usize], strides: &[&[isize]]) -> Walk {
        let mut order: SmallVec<[usize; 8]> = (0..shape.len()).filter(|&d| shape[d] != 1).collect();
        order.sort_by_key(|&d| std::cmp::Reverse(strides[0][d].unsigned_abs()));
        if order.is_sorted() {
            return Walk::new(shape, strides);
        }
        let sorted: Shape = order.iter().map(|&d| shape[d]).collect();
        let moved: SmallVec<[Strides; 4]> = strides.iter().map(|s| order.iter().map(|&d| s[d]).collect()).collect();
        Walk::new(&sorted, &moved.iter().map(|s| &s[..]).collect::<SmallVec<[&[isize]; 4]>>())
    }
    /// Without some dimensions: the start of each of what is left in them.
    pub fn without(&self, dims: &[usize]) -> Walk {
        let mut to = Walk { shape: Shape::new(), strides: SmallVec::new(), operands: self.operands };
        for d in (0..self.shape.len()).filter(|d| !dims.contains(d)) {
            to.shape.push(self.shape[d]);
            to.strides.extend_from_slice(&self.strides[d * self.operands..][..self.operands]);
        }
        if to.shape.is_empty() {
            to.shape.push(1);
            to.strides.extend(std::iter::repeat_n(1, self.operands));
        }
        to
    }
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
    /// The step of an operand along a dimension.
    pub fn step(&self, dim: usize, operand: usize) -> isize {
        self.strides[dim * self.operands + operand]
    }
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }
    /// Whether all elements are an equal step apart in every operand.
    pub fn is_one_run(&self) -> bool {
        self.shape.len() == 1
    }
    /// The steps of the inner run, by operand.
    pub fn inner(&self) -> &[isize] {
        &self.strides[self.strides.len() - self.operands..]
    }
    /// The elements of the inner run.
    pub fn inner_run(&self) -> usize {
        self.shape[self.shape.len() - 1]
    }
    /// Whether everything is one inner run.
    pub fn is_run(&self) -> bool {
        self.shape.len() == 1
    }
    pub fn all(&self, row: &mut Row) {
        self.run(0..self.numel(), row);
    }
    /// The elements of `range` in row-major order, in runs.
    pub fn run(&self, range: Range<usize>, row: &mut Row) {
        if range.is_empty() {
            return;
        }
        let rank = self.shape.len();
        let inner = self.shape[rank - 1];
        let mut index: Strides = smallvec::smallvec![0; rank];
        let mut at: SmallVec<[isize; 4]> = smallvec::smallvec![0; self.operands];
        let mut rest = range.start;
        for d in (0..rank).rev() {
            index[d] = (rest % self.shape[d]) as isize;
            rest /= self.shape[d];
            for (k, a) in at.iter_mut().enumerate() {
                *a += index[d] * self.strides[d * self.operands + k];
            }
        }
        let mut left = range.len();
        loop {
            let n = left.min(inner - index[rank - 1] as usize);
            row(&at, self.inner(), n);
            left -= n;
            if left == 0 {
                return;
            }
            // To the start of the next run.
            let mut d = rank - 1;
            loop {
                for (k, a) in at.iter_mut().enumerate() {
                    *a -= index[d] * self.strides[d * self.operands + k];
                }
                index[d] = 0;
                d -= 1;
                if index[d] + 1 < self.shape[d] as isize {
                    break;
                }
            }
            index[d] += 1;
            for (k, a) in at.iter_mut().enumerate() {
                *a += self.strides[d * self.operands + k];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visited(shape: &[usize], strides: &[isize], range: Option<Range<usize>>) -> (usize, Vec<isize>) {
        let (mut rows, mut seen) = (0, vec![]);
        let walk = Walk::new(shape, &[strides]);
        let range = range.unwrap_or(0..walk.numel());
        walk.run(range, &mut |at, step, n| {
            rows += 1;
            seen.extend((0..n as isize).map(|i| at[0] + i * step[0]));
        });
        (rows, seen)
    }

    #[test]
    fn a_contiguous_tensor_is_one_run() {
        assert_eq!(visited(&[2, 1, 3], &[3, 3, 1], None), (1, (0..6).collect()));
    }

    #[test]
    fn a_transposed_one_is_a_run_a_row() {
        assert_eq!(visited(&[2, 3], &[1, 2], None), (2, vec![0, 2, 4, 1, 3, 5]));
    }

    #[test]
    fn no_elements_no_runs_and_a_scalar_is_one() {
        assert_eq!(visited(&[2, 0], &[1, 1], None), (0, vec![]));
        assert_eq!(visited(&[], &[], None), (1, vec![0]));
    }

    #[test]
    fn a_part_is_that_part_of_the_whole() {
        let (shape, strides) = (&[3, 4, 5], &[1, 17, -3]);
        let whole = visited(shape, strides, None).1;
        for start in 0..60 {
            for end in start..60 {
                assert_eq!(visited(shape, strides, Some(start..end)).1, whole[start..end]);
            }
        }
    }
}
