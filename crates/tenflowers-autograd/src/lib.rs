//! Derivatives: the engine that walks recorded history, and checks of it.
//!
//! ```
//! use tenflowers_autograd::{backward, Options};
//! use tenflowers_core::Tensor;
//! let x = Tensor::<f32>::from_vec(vec![2.0, 3.0], &[2])?;
//! x.erase().require_grad(true)?;
//! let y = x.mul(&x)?.sum(None)?;
//! backward(&[y.erase().clone()], &[None], Options::default(), None)?;
//! assert_eq!(x.erase().grad().unwrap().typed::<f32>()?.to_vec()?, [4.0, 6.0]);
//! # Ok::<(), tenflowers_core::TensorError>(())
//! ```
mod engine;
mod gradcheck;

pub use engine::{Options, backward, grad};
pub use gradcheck::{Tolerance, gradcheck, gradgradcheck};
