//! Tensors, operations and their derivatives: everything below the front ends.
//!
//! ```
//! use tenflowers_core::{Tensor, ops};
//! let x = Tensor::<f32>::from_vec(vec![1.0, -2.0, 3.0], &[3])?;
//! let y = ops::relu(x.erase())?.typed::<f32>()?;
//! assert_eq!(y.to_vec()?, [1.0, 0.0, 3.0]);
//! # Ok::<(), tenflowers_core::TensorError>(())
//! ```
pub mod cpu;
pub mod device;
pub mod dtype;
pub mod error;
pub mod grad;
pub mod host;
pub mod io;
pub mod layout;
pub mod op;
pub mod ops;
pub mod rng;
pub mod schema;
pub mod storage;
pub mod tensor;
pub mod typed;

pub use cpu::alloc::{MemoryStats, empty_cache, memory_stats, reset_peak, set_memory_budget};
pub use cpu::pool::{num_threads, set_num_threads};
pub use device::Device;
pub use dtype::{C32, C64, Category, DType, Dyn, Element, Kind, Scalar, default_dtype, set_default_dtype};
pub use error::{Result, TensorError};
pub use layout::Layout;
pub use op::{Keep, Meta, Op, apply, apply_all};
pub use rng::Generator;
pub use tensor::Tensor;
