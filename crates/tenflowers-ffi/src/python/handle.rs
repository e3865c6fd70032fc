//! The tensor of a Python object, which `x.data = …` exchanges.
use pyo3::prelude::*;
use tenflowers_core::Tensor;

/// Guarded by the interpreter's lock, which everybody who reads or writes holds, where there is one.
#[cfg(not(Py_GIL_DISABLED))]
pub struct Handle(std::cell::UnsafeCell<Tensor>);

// SAFETY: reached only with the interpreter's lock in hand (a `Python` token), and never by reference beyond a call.
#[cfg(not(Py_GIL_DISABLED))]
unsafe impl Sync for Handle {}

#[cfg(not(Py_GIL_DISABLED))]
impl Handle {
    pub fn new(t: Tensor) -> Self {
        Handle(t.into())
    }
    #[inline]
    pub fn get(&self, _py: Python<'_>) -> Tensor {
        // SAFETY: the lock is held, and `clone` runs no Python code.
        unsafe { (*self.0.get()).clone() }
    }
    /// Runs `f`, which runs no Python code, on the tensor.
    #[inline]
    pub fn look<R>(&self, _py: Python<'_>, f: impl FnOnce(&Tensor) -> R) -> R {
        // SAFETY: as above.
        f(unsafe { &*self.0.get() })
    }
    pub fn set(&self, _py: Python<'_>, t: Tensor) {
        // SAFETY: as above; the old tensor is dropped after the exchange.
        drop(unsafe { std::mem::replace(&mut *self.0.get(), t) });
    }
    pub fn last(&mut self) -> &Tensor {
        self.0.get_mut()
    }
}

/// Guarded by a lock of its own, where the interpreter has none.
#[cfg(Py_GIL_DISABLED)]
pub struct Handle(std::sync::Mutex<Tensor>);

#[cfg(Py_GIL_DISABLED)]
impl Handle {
    pub fn new(t: Tensor) -> Self {
        Handle(t.into())
    }
    pub fn get(&self, _py: Python<'_>) -> Tensor {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
    pub fn look<R>(&self, _py: Python<'_>, f: impl FnOnce(&Tensor) -> R) -> R {
        f(&self.0.lock().unwrap_or_else(|e| e.into_inner()))
    }
    pub fn set(&self, _py: Python<'_>, t: Tensor) {
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = t;
    }
    pub fn last(&mut self) -> &Tensor {
        self.0.get_mut().unwrap_or_else(|e| e.into_inner())
    }
}
