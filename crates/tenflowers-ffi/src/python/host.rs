//! The interpreter's lock and signals, threads and memory.
use super::errors;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tenflowers_core::host::Hooks;

/// Moves work to where the lock is not held. It runs on this thread, so nothing is sent anywhere.
struct Here<T>(T);
// SAFETY: `detach` asks for `Send` because the closure runs without the lock, not on another thread; the work is the core's
// and touches no Python object.
unsafe impl<T> Send for Here<T> {}

fn detached(work: &mut dyn FnMut()) {
    // SAFETY: asks about this thread only.
    if unsafe { pyo3::ffi::PyGILState_Check() } == 0 {
        return work();
    }
    let mut work = Here(work);
    Python::attach(|py| {
        py.detach(move || {
            let here = &mut work;
            (here.0)();
        })
    });
}

fn interrupted() -> bool {
    Python::attach(|py| match py.check_signals() {
        Ok(()) => false,
        Err(e) => {
            errors::keep(e);
            true
        }
    })
}

pub fn install() -> PyResult<()> {
    tenflowers_core::cpu::simd::forced().map_err(PyValueError::new_err)?;
    tenflowers_core::cpu::pool::requested().map_err(PyValueError::new_err)?;
    tenflowers_core::host::install(Hooks { detached, interrupted });
    Ok(())
}

/// The number of threads that operations use.
#[pyfunction]
pub fn get_num_threads() -> usize {
    tenflowers_core::num_threads()
}

/// Sets the number of threads that operations use; results do not depend on it.
#[pyfunction]
pub fn set_num_threads(threads: i64) -> PyResult<()> {
    let n = usize::try_from(threads).ok().filter(|&n| n > 0);
    let Some(n) = n else {
        return Err(PyRuntimeError::new_err(format!("set_num_threads: a positive number is needed, not {threads}")));
    };
    tenflowers_core::set_num_threads(n).map_err(errors::to_py)
}

/// Whether convolutions of float32 may go through Winograd's transforms.
#[pyfunction]
pub fn _winograd() -> bool {
    tenflowers_core::cpu::conv::winograd()
}

/// Allows Winograd's transforms, or forbids them.
#[pyfunction]
pub fn _set_winograd(on: bool) {
    tenflowers_core::cpu::conv::set_winograd(on);
}

/// The bytes of tensors: in use now (`live`), at most so far (`peak`), allowed (`budget`), and kept for later tensors
/// (`cached`).
#[pyfunction]
pub fn memory_stats(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let stats = tenflowers_core::memory_stats();
    let dict = PyDict::new(py);
    let sizes = [("live", stats.live), ("peak", stats.peak), ("budget", stats.budget), ("cached", stats.cached)];
    for (name, bytes) in sizes {
        dict.set_item(name, bytes)?;
    }
    Ok(dict)
}

/// Gives the memory that is kept for later tensors back to the system.
#[pyfunction]
pub fn empty_cache() {
    tenflowers_core::empty_cache();
}

/// Sets the most bytes that tensors may take together; more is an `OutOfMemoryError`.
#[pyfunction]
pub fn set_memory_budget(bytes: usize) {
    tenflowers_core::set_memory_budget(bytes);
}

/// Begins to count the peak of `memory_stats` anew.
#[pyfunction]
pub fn reset_peak_memory_stats() {
    tenflowers_core::reset_peak();
}
