//! The front ends: the extension module of the Python package (feature "python") and the C library (feature "c").
#[cfg(feature = "c")]
pub mod c;
#[cfg(feature = "python")]
mod python;
