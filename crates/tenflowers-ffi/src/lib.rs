//! The front ends: the extension module of the Python package (feature "python") and the C library (feature "c").

/// Small blocks in a few instructions, and big ones that stay for the next tensor of their size.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "c")]
pub mod c;
#[cfg(any(feature = "c", feature = "python"))]
mod overload;
#[cfg(feature = "python")]
mod python;
