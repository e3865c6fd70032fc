//! Files.
mod safetensors;

pub use self::safetensors::{Named, load_safetensors, save_safetensors};
