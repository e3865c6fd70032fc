//! The front ends: the extension module of the Python package (feature "python") and the C library (feature "c").

mod allocator;
#[cfg(feature = "c")]
pub mod c;
#[cfg(any(feature = "c", feature = "python"))]
mod overload;
#[cfg(feature = "python")]
mod python;
