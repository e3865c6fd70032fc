//! What can go wrong, with the facts: one place formats the messages for Rust, Python and C.
use crate::dtype::DType;
use std::fmt;

pub type Result<T> = std::result::Result<T, TensorError>;

/// What went wrong. `op` names the operation as the user called it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    #[error("{op}: {what}: {left}{}{note}", beside(right))]
    Shape { op: &'static str, what: String, left: Dims, right: Option<Dims>, note: String },
    #[error("{op}: {what}: {left} and {right}")]
    DType { op: &'static str, what: &'static str, left: DType, right: DType },
    #[error("{op}: dimension {axis} is out of range for a tensor of {rank} dimensions (expected {})", range(*rank))]
    Axis { op: &'static str, axis: i64, rank: usize },
    #[error("{op}: index {index} is out of range for dimension {dim} of size {size}")]
    Index { op: &'static str, index: i64, dim: usize, size: usize },
    /// An index of the wrong form: too many of them, a mask of another shape.
    #[error("{op}: {what}")]
    Indexing { op: &'static str, what: String },
    /// Arguments that do not go together, missing ones, unknown ones, ones of a wrong type.
    #[error("{op}(): {what}")]
    Call { op: &'static str, what: String },
    /// A value that the operation cannot take.
    #[error("{op}: {what}")]
    Argument { op: &'static str, what: String },
    #[error("{op}: {what}")]
    Grad { op: &'static str, what: String },
    #[error("{op} is not implemented for {what}")]
    Unsupported { op: &'static str, what: String },
    #[error("device '{name}' is not available: {why}")]
    Device { name: String, why: &'static str },
    #[error("out of memory: {bytes} bytes were asked for, {}", crate::cpu::alloc::usage())]
    OutOfMemory { bytes: usize },
    /// What the system says of a file.
    #[error("{path}: {what}")]
    File { path: String, what: String, kind: std::io::ErrorKind },
    /// A file that is not what it should be.
    #[error("{path}: {what}")]
    Format { path: String, what: String },
    /// The user asked for the end of a long computation.
    #[error("interrupted")]
    Interrupted,
    /// A front end's own error, raised in a callback; the front end knows which.
    #[error("{0}")]
    Callback(String),
}

fn beside(right: &Option<Dims>) -> String {
    right.as_ref().map_or(String::new(), |right| format!(" x {right}"))
}

fn range(rank: usize) -> String {
    let rank = rank.max(1) as i64;
    format!("{} to {}", -rank, rank - 1)
}

impl TensorError {
    pub fn shape(op: &'static str, what: impl Into<String>, left: &[usize], right: &[usize]) -> Self {
        TensorError::Shape { op, what: what.into(), left: left.into(), right: Some(right.into()), note: String::new() }
    }
    /// A shape that is wrong by itself.
    pub fn one_shape(op: &'static str, what: impl Into<String>, shape: &[usize]) -> Self {
        TensorError::Shape { op, what: what.into(), left: shape.into(), right: None, note: String::new() }
    }
    /// A shape error with what exactly differs, after both shapes.
    pub fn shape_note(op: &'static str, what: &str, left: &[usize], right: &[usize], note: String) -> Self {
        let note = format!(" ({note})");
        TensorError::Shape { op, what: what.into(), left: left.into(), right: Some(right.into()), note }
    }
    pub fn argument(op: &'static str, what: impl Into<String>) -> Self {
        TensorError::Argument { op, what: what.into() }
    }
    pub fn call(op: &'static str, what: impl Into<String>) -> Self {
        TensorError::Call { op, what: what.into() }
    }
    pub fn grad(op: &'static str, what: impl Into<String>) -> Self {
        TensorError::Grad { op, what: what.into() }
    }
    pub fn unsupported(op: &'static str, what: impl Into<String>) -> Self {
        TensorError::Unsupported { op, what: what.into() }
    }
    pub fn dtype(op: &'static str, dtype: DType) -> Self {
        TensorError::Unsupported { op, what: format!("dtype {dtype}") }
    }
    pub fn no_memory(bytes: usize) -> Self {
        TensorError::OutOfMemory { bytes }
    }
}

/// A shape as it is shown in messages: `[2, 3]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Dims(pub Vec<usize>);

impl From<&[usize]> for Dims {
    fn from(d: &[usize]) -> Self {
        Dims(d.to_vec())
    }
}

impl fmt::Display for Dims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
