//! Where tensors live.
use crate::error::{Result, TensorError};
use std::fmt;
use std::str::FromStr;

/// A place for tensors. There is the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Device {
    #[default]
    Cpu,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cpu")
    }
}

impl FromStr for Device {
    type Err = TensorError;
    /// # Errors
    /// For every name but `cpu` and `cpu:0`.
    fn from_str(name: &str) -> Result<Self> {
        match name {
            "cpu" | "cpu:0" => Ok(Device::Cpu),
            _ => Err(TensorError::Device { name: name.into(), why: "this build computes on 'cpu' only" }),
        }
    }
}
