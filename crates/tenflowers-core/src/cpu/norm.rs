//! Normalisation: elements less their mean, over their standard deviation, times a weight plus a bias; and the way back.
//!
//! Sums over rows for weights are made over blocks of rows that depend on the shape only, and added in order.
mod back;
mod channels;
mod rows;

pub use channels::Channels;
pub use rows::Rows;

/// Elements a task.
const GRAIN: usize = 1 << 14;

/// The gradients that a way back fills: those of weight and bias where they are asked for.
pub struct Gradients<'a, T> {
    pub input: &'a mut [T],
    pub weight: Option<&'a mut [T]>,
    pub bias: Option<&'a mut [T]>,
}
