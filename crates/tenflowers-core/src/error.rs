//! What can go wrong, with the facts: one place formats the messages for Rust, Python and C.
use crate::dtype::DType;
use std::fmt;

pub type Result<T> = std::result::Result<T, TensorError>;

/// What went wrong. `op` names the operation as the user called it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    #[error("{op}: {what}: {shapes}")]
    Shape { op: &'static str, what: String, shapes: Box<Shapes> },
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
    File { path: Box<str>, what: String, kind: std::io::ErrorKind },
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

fn range(rank: usize) -> String {
    let rank = rank.max(1) as i64;
    format!("{} to {}", -rank, rank - 1)
}

impl TensorError {
    pub fn shape(op: &'static str, what: impl Into<String>, left: &[usize], right: &[usize]) -> Self {
        let shapes = Shapes { left: left.to_vec(), right: Some(right.to_vec()), note: String::new() };
        TensorError::Shape { op, what: what.into(), shapes: Box::new(shapes) }
    }
    /// A shape that is wrong by itself.
    pub fn one_shape(op: &'static str, what: impl Into<String>, shape: &[usize]) -> Self {
        let shapes = Shapes { left: shape.to_vec(), right: None, note: String::new() };
        TensorError::Shape { op, what: what.into(), shapes: Box::new(shapes) }
    }
    /// A shape error with what exactly differs, after both shapes.
    pub fn shape_note(op: &'static str, what: &str, left: &[usize], right: &[usize], note: String) -> Self {
        let shapes = Shapes { left: left.to_vec(), right: Some(right.to_vec()), note };
        TensorError::Shape { op, what: what.into(), shapes: Box::new(shapes) }
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

/// The shapes of an error. In a box, which keeps results small where nothing is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Shapes {
    pub left: Vec<usize>,
    pub right: Option<Vec<usize>>,
    /// What exactly differs.
    pub note: String,
}

impl fmt::Display for Shapes {
    /// `[2, 3] x [4] (what differs)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.left)?;
        if let Some(right) = &self.right {
            write!(f, " x {right:?}")?;
        }
        if self.note.is_empty() { Ok(()) } else { write!(f, " ({})", self.note) }
    }
}
