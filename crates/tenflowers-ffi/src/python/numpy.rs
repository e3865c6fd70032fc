//! NumPy both ways, without a copy where layouts allow.
use super::convert::OrRaise;
use super::errors::new as error;
use super::tensor::PyTensor;
use ::numpy::npyffi::{self, NPY_ARRAY_WRITEABLE, PY_ARRAY_API};
use ::numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use tenflowers_core::layout::{Shape, Strides};
use tenflowers_core::{C32, C64, DType, Layout, Tensor};

/// Keeps the memory of a tensor for arrays that look at it.
#[pyclass(frozen, module = "tenflowers._core")]
struct Memory {
    _tensor: Tensor,
}

fn descr(py: Python<'_>, dtype: DType) -> PyResult<Bound<'_, PyArrayDescr>> {
    Ok(match dtype {
        DType::Bool => ::numpy::dtype::<bool>(py),
        DType::U8 => ::numpy::dtype::<u8>(py),
        DType::U16 => ::numpy::dtype::<u16>(py),
        DType::U32 => ::numpy::dtype::<u32>(py),
        DType::U64 => ::numpy::dtype::<u64>(py),
        DType::I8 => ::numpy::dtype::<i8>(py),
        DType::I16 => ::numpy::dtype::<i16>(py),
        DType::I32 => ::numpy::dtype::<i32>(py),
        DType::I64 => ::numpy::dtype::<i64>(py),
        DType::F16 => PyArrayDescr::new(py, "float16")?,
        DType::F32 => ::numpy::dtype::<f32>(py),
        DType::F64 => ::numpy::dtype::<f64>(py),
        DType::C64 => ::numpy::dtype::<C32>(py),
        DType::C128 => ::numpy::dtype::<C64>(py),
        DType::BF16 => {
            return Err(PyTypeError::new_err("NumPy has no bfloat16; convert with .float() first"));
        }
    })
}

/// An array over the memory of the tensor.
pub fn to_numpy<'py>(py: Python<'py>, t: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let descr = descr(py, t.dtype())?;
    let size = t.dtype().size() as isize;
    let mut shape: Vec<npyffi::npy_intp> = t.shape().iter().map(|&n| n as npyffi::npy_intp).collect();
    let mut strides: Vec<npyffi::npy_intp> =
        t.layout().strides.iter().map(|&s| (s * size) as npyffi::npy_intp).collect();
    let start = t.storage().as_ptr().wrapping_add(t.layout().offset * size as usize);
    let owner = Bound::new(py, Memory { _tensor: t.detach() })?;
    // SAFETY: the shape and the strides lie within the storage, which the base object keeps; NumPy takes the references
    // of the descriptor and of the base.
    unsafe {
        let array = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            npyffi::get_type_object(py, npyffi::NpyTypes::PyArray_Type),
            descr.into_dtype_ptr(),
            shape.len() as _,
            shape.as_mut_ptr(),
            strides.as_mut_ptr(),
            start.cast(),
            NPY_ARRAY_WRITEABLE,
            std::ptr::null_mut(),
        );
        let array = Bound::from_owned_ptr_or_err(py, array)?;
        if PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), owner.into_ptr()) < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(array)
    }
}

/// The dtype of an array, as its kind and size say.
fn dtype_of(array: &Bound<'_, PyUntypedArray>) -> Option<DType> {
    let descr = array.dtype();
    if !matches!(descr.byteorder(), b'=' | b'|') && descr.byteorder() != NATIVE {
        return None;
    }
    Some(match (descr.kind(), descr.itemsize()) {
        (b'b', 1) => DType::Bool,
        (b'u', 1) => DType::U8,
        (b'u', 2) => DType::U16,
        (b'u', 4) => DType::U32,
        (b'u', 8) => DType::U64,
        (b'i', 1) => DType::I8,
        (b'i', 2) => DType::I16,
        (b'i', 4) => DType::I32,
        (b'i', 8) => DType::I64,
        (b'f', 2) => DType::F16,
        (b'f', 4) => DType::F32,
        (b'f', 8) => DType::F64,
        (b'c', 8) => DType::C64,
        (b'c', 16) => DType::C128,
        _ => return None,
    })
}

const NATIVE: u8 = if cfg!(target_endian = "little") { b'<' } else { b'>' };

/// A tensor over the memory of an array; of a copy where the array is read-only, or lies in a way that tensors cannot.
pub fn from_numpy(array: &Bound<'_, PyUntypedArray>) -> PyResult<Tensor> {
    let py = array.py();
    let Some(dtype) = dtype_of(array) else {
        let text = format!("arrays of dtype {} cannot become tensors", array.dtype());
        return Err(PyTypeError::new_err(text));
    };
    let size = dtype.size() as isize;
    // SAFETY: an array object, looked at under the interpreter's lock.
    let flags = unsafe { (*array.as_array_ptr()).fields.flags };
    let aligned = flags & npyffi::NPY_ARRAY_ALIGNED != 0;
    let fits = array.strides().iter().all(|s| s % size == 0);
    if flags & NPY_ARRAY_WRITEABLE == 0 || !aligned || !fits {
        let copy = py.import("numpy")?.getattr("array")?.call1((array,))?;
        return from_numpy(copy.cast::<PyUntypedArray>()?);
    }
    let shape: Shape = array.shape().iter().copied().collect();
    let strides: Strides = array.strides().iter().map(|s| s / size).collect();
    // SAFETY: as above.
    let start = unsafe { (*array.as_array_ptr()).fields.data.cast::<u8>() };
    let mut layout = Layout { shape, strides, offset: 0 };
    // Steps may go backwards: the storage begins at the lowest element.
    let (low, high) = layout.reach().unwrap_or((0, -1));
    layout.offset = low.unsigned_abs();
    let bytes = (high - low + 1).unsigned_abs() * dtype.size();
    let owner: Py<PyAny> = array.clone().into_any().unbind();
    // SAFETY: the array holds this memory as long as it lives; whoever writes to it through NumPy keeps the order.
    unsafe { Tensor::foreign(start.wrapping_offset(low * size), bytes, layout, dtype, Box::new(owner)) }.or_raise()
}

/// The array of a tensor that users ask for.
pub fn numpy_of<'py>(slf: &Bound<'py, PyTensor>, force: bool) -> PyResult<Bound<'py, PyAny>> {
    let t = PyTensor::of(slf);
    if t.requires_grad() && !force {
        let text = "numpy: the tensor requires grad, which an array cannot carry; use tensor.detach().numpy()";
        return Err(error(slf.py(), "GradientError", text.into()));
    }
    to_numpy(slf.py(), &t)
}
