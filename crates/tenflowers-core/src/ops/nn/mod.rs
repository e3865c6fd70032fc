//! The operations of layers and losses.
mod conv;
mod cross_entropy;
mod dropout;
mod embedding;
mod linear;
mod loss;
mod norm;
mod pool;
mod softmax;

pub use conv::*;
pub use dropout::*;
pub use embedding::*;
pub use linear::*;
pub use loss::*;
pub use norm::*;
pub use pool::*;
pub use softmax::*;

use crate::error::{Result, TensorError};
use crate::schema::Schema;

pub(super) fn schemas() -> [&'static [&'static [Schema]]; 8] {
    [
        conv::SCHEMAS,
        dropout::SCHEMAS,
        embedding::SCHEMAS,
        linear::SCHEMAS,
        loss::SCHEMAS,
        norm::SCHEMAS,
        pool::SCHEMAS,
        softmax::SCHEMAS,
    ]
}

/// One number for both dimensions of a plane, or one each.
fn pair(op: &'static str, name: &str, values: &[i64], least: i64) -> Result<[usize; 2]> {
    let pair = match values {
        [both] => [*both, *both],
        [a, b] => [*a, *b],
        _ => {
            let what = format!("{name} must be one int or two, not {}", values.len());
            return Err(TensorError::argument(op, what));
        }
    };
    // Beyond this no memory could hold what it asks for, and sums could overflow.
    if pair.iter().any(|&v| v < least || v > 1 << 40) {
        return Err(TensorError::argument(
            op,
            format!("{name} must be at least {least} (and sensible), not {values:?}"),
        ));
    }
    Ok(pair.map(|v| v as usize))
}
