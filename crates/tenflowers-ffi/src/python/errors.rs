//! Errors of the core as exceptions of the package.
use pyo3::exceptions::{
    PyFileNotFoundError, PyIsADirectoryError, PyKeyboardInterrupt, PyOSError, PyPermissionError, PyRuntimeError,
    PyTypeError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use std::cell::RefCell;
use std::io::ErrorKind;
use tenflowers_core::TensorError;

thread_local!(static KEPT: RefCell<Option<PyErr>> = const { RefCell::new(None) });

/// Keeps an exception while the core passes `Interrupted` or `Callback` on.
pub fn keep(e: PyErr) {
    KEPT.with_borrow_mut(|slot| *slot = Some(e));
}

/// The error that stands in the core for an exception raised in a callback.
pub fn callback(e: PyErr) -> TensorError {
    let text = e.to_string();
    keep(e);
    TensorError::Callback(text)
}

fn taken() -> Option<PyErr> {
    KEPT.with_borrow_mut(Option::take)
}

fn class_of(e: &TensorError) -> &'static str {
    match e {
        TensorError::Shape { .. } => "ShapeError",
        TensorError::DType { .. } => "DtypeMismatch",
        TensorError::Axis { .. } | TensorError::Index { .. } | TensorError::Indexing { .. } => "AxisError",
        TensorError::Argument { .. } => "ArgumentError",
        TensorError::Grad { op: "gradcheck", .. } => "GradcheckError",
        TensorError::Grad { .. } => "GradientError",
        TensorError::Unsupported { .. } => "UnsupportedError",
        TensorError::Device { .. } => "DeviceError",
        TensorError::OutOfMemory { .. } => "OutOfMemoryError",
        TensorError::Format { .. } => "DeserializationError",
        _ => "TensorError",
    }
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    static MODULE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || py.import("tenflowers.errors").map(|m| m.into_any().unbind()))?;
    Ok(module.bind(py).getattr(name)?.cast_into::<PyType>()?)
}

pub fn to_py(e: TensorError) -> PyErr {
    match &e {
        TensorError::Interrupted => return taken().unwrap_or_else(|| PyKeyboardInterrupt::new_err(())),
        TensorError::Callback(text) => return taken().unwrap_or_else(|| PyRuntimeError::new_err(text.clone())),
        TensorError::Call { .. } => return PyTypeError::new_err(e.to_string()),
        TensorError::File { kind, .. } => {
            return match kind {
                ErrorKind::NotFound => PyFileNotFoundError::new_err(e.to_string()),
                ErrorKind::PermissionDenied => PyPermissionError::new_err(e.to_string()),
                ErrorKind::IsADirectory => PyIsADirectoryError::new_err(e.to_string()),
                _ => PyOSError::new_err(e.to_string()),
            };
        }
        _ => {}
    }
    Python::attach(|py| match class(py, class_of(&e)) {
        Ok(class) => PyErr::from_type(class, (e.to_string(),)),
        Err(missing) => missing,
    })
}

/// An exception of a class of the package.
pub fn new(py: Python<'_>, name: &str, text: String) -> PyErr {
    match class(py, name) {
        Ok(class) => PyErr::from_type(class, (text,)),
        Err(missing) => missing,
    }
}
