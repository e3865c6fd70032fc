//! The operations of layers and losses.
mod adaptive_pool;
mod attention;
mod conv;
mod cross_entropy;
mod dropout;
mod embedding;
mod linear;
mod loss;
mod norm;
mod pool;
mod rnn;
mod softmax;

pub use adaptive_pool::*;
pub use attention::*;
pub use conv::*;
pub use dropout::*;
pub use embedding::*;
pub use linear::*;
pub use loss::*;
pub use norm::*;
pub use pool::*;
pub use rnn::*;
pub use softmax::*;

use crate::error::{Result, TensorError};
use crate::schema::Schema;

pub(super) fn schemas() -> Vec<&'static [&'static [Schema]]> {
    vec![
        adaptive_pool::SCHEMAS,
        attention::SCHEMAS,
        conv::SCHEMAS,
        dropout::SCHEMAS,
        embedding::SCHEMAS,
        linear::SCHEMAS,
        loss::SCHEMAS,
        norm::SCHEMAS,
        pool::SCHEMAS,
        rnn::SCHEMAS,
        softmax::SCHEMAS,
    ]
}

/// One number for all dimensions of a plane or volume, or one each.
fn sizes<const N: usize>(op: &'static str, name: &str, values: &[i64], least: i64) -> Result<[usize; N]> {
    let mut sizes = [0; N];
    match values {
        [all] => sizes.fill(*all),
        each if each.len() == N => sizes.copy_from_slice(each),
        _ => {
            let or = ["", " or two", " or three"].get(N.wrapping_sub(1)).unwrap_or(&"");
            let what = format!("{name} must be one int{or}, not {}", values.len());
            return Err(TensorError::argument(op, what));
        }
    }
    // Beyond this no memory could hold what it asks for, and sums could overflow.
    if sizes.iter().any(|&v| v < least || v > 1 << 40) {
        return Err(TensorError::argument(
            op,
            format!("{name} must be at least {least} (and sensible), not {values:?}"),
        ));
    }
    Ok(sizes.map(|v| v as usize))
}

/// [`sizes`] of a plane.
fn pair(op: &'static str, name: &str, values: &[i64], least: i64) -> Result<[usize; 2]> {
    sizes(op, name, values, least)
}
