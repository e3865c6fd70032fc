//! Tensors in files.
use super::convert::OrRaise;
use super::tensor::{PyTensor, wrap};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::HashMap;
use std::path::PathBuf;
use tenflowers_core::{host, io};

/// Writes tensors and texts in the safetensors format: whole, or not at all.
#[pyfunction]
pub fn _save_safetensors(
    path: PathBuf,
    tensors: &Bound<'_, PyDict>,
    metadata: HashMap<String, String>,
) -> PyResult<()> {
    let mut named = vec![];
    for (name, t) in tensors {
        named.push((name.extract::<String>()?, PyTensor::of(t.cast::<PyTensor>()?)));
    }
    host::detached(|| io::save_safetensors(&path, &named, metadata)).or_raise()
}

/// Reads the tensors and the texts of a file in the safetensors format.
#[pyfunction]
pub fn _load_safetensors(py: Python<'_>, path: PathBuf) -> PyResult<(Bound<'_, PyDict>, HashMap<String, String>)> {
    let (tensors, texts) = host::detached(|| io::load_safetensors(&path)).or_raise()?;
    let dict = PyDict::new(py);
    for (name, t) in tensors {
        dict.set_item(name, wrap(py, t)?)?;
    }
    Ok((dict, texts))
}
