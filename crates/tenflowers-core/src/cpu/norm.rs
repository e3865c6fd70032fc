//! Normalisation: elements less their mean, over their standard deviation, times a weight plus a bias; and the way back.
//!
//! Sums over rows for weights are made over blocks of rows that depend on the shape only, and added in order.
mod channels;
mod rows;

pub use channels::Channels;
pub use rows::Rows;

use super::accumulate::{Summed, fold};

/// Elements a task.
const GRAIN: usize = 1 << 14;

/// The gradients that a way back fills: those of weight and bias where they are asked for.
pub struct Gradients<'a, T> {
    pub input: &'a mut [T],
    pub weight: Option<&'a mut [T]>,
    pub bias: Option<&'a mut [T]>,
}

/// The sum of what `of` makes of each pair.
#[inline(always)]
fn sum_pairs<T: Summed>(a: &[T], b: &[T], of: impl Fn(T, T) -> T) -> f64 {
    const PART: usize = 1024;
    let mut products = [T::zero(); PART];
    let mut total = 0.0;
    for (a, b) in a.chunks(PART).zip(b.chunks(PART)) {
        for ((p, &a), &b) in products.iter_mut().zip(a).zip(b) {
            *p = of(a, b);
        }
        total += fold(&products[..a.len()], T::zero(), |a, x| a + x, |a, b| a + b).into();
    }
    total
}
