//! The extension module `tenflowers._core`.
mod autograd;
mod construct;
mod convert;
mod dtype;
mod errors;
mod files;
mod generator;
mod handle;
mod host;
mod index;
mod numpy;
// What PyO3 makes of methods that a macro wrote counts as written here.
#[allow(unsafe_op_in_unsafe_fn)]
mod operators;
mod registry;
mod schema;
#[allow(unsafe_op_in_unsafe_fn)]
mod tensor;

use pyo3::prelude::*;

/// Tensors, their operations, and what the package is built on.
#[pymodule(gil_used = false, name = "_core")]
mod core_module {
    use super::*;

    #[pymodule_export]
    use super::autograd::{_backward, _grad, _gradcheck, _set_grad_enabled, is_grad_enabled};
    #[pymodule_export]
    use super::autograd::{PyHandle, PyNode};
    #[pymodule_export]
    use super::construct::{as_tensor, from_numpy, tensor};
    #[pymodule_export]
    use super::dtype::{PyDType, PyDevice, can_cast, get_default_dtype, promote_types, result_type, set_default_dtype};
    #[pymodule_export]
    use super::files::{_load_safetensors, _save_safetensors};
    #[pymodule_export]
    use super::generator::{PyGenerator, initial_seed, manual_seed};
    #[pymodule_export]
    use super::host::{
        _set_winograd, _winograd, empty_cache, get_num_threads, memory_stats, reset_peak_memory_stats,
        set_memory_budget, set_num_threads,
    };
    #[pymodule_export]
    use super::schema::_schemas;
    #[pymodule_export]
    use super::tensor::PyTensor;

    #[pymodule_init]
    fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
        host::install()?;
        dtype::install(m)?;
        generator::install(m)?;
        super::tensor::install(m);
        registry::install(m)
    }
}
