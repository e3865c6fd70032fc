//! Tensors of Python's data: numbers, nested sequences, arrays, tensors.
use super::convert::{OrRaise, number};
use super::dtype::{read_device, read_dtype};
use super::numpy;
use super::tensor::{PyTensor, wrap};
use ::numpy::PyUntypedArray;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PySet, PyString, PyTuple};
use tenflowers_core::{Category, DType, Scalar, Tensor, TensorError, default_dtype, ops};

/// Numbers out of nested sequences.
#[derive(Default)]
struct Nested {
    numbers: Vec<Scalar>,
    shape: Vec<usize>,
    /// The highest category of Python numbers, and the dtype of arrays and tensors, seen.
    category: Option<Category>,
    dtype: Option<DType>,
}

/// The most dimensions that anybody nests.
const DEEPEST: usize = 64;

impl Nested {
    fn read(&mut self, v: &Bound<'_, PyAny>, depth: usize, known: bool) -> PyResult<()> {
        if let Some(s) = number(v) {
            self.check(depth, None, known)?;
            self.category = self.category.max(Some(s.category()));
            self.numbers.push(s);
            return Ok(());
        }
        if let Some(t) = as_whole(v)? {
            if known && self.shape[depth..] != *t.shape() || !known && self.shape.len() != depth {
                return Err(ragged(&self.shape[depth.min(self.shape.len())..], t.shape()));
            }
            if !known {
                self.shape.extend_from_slice(t.shape());
            }
            self.dtype = Some(match self.dtype {
                Some(d) => d.promote(t.dtype()).or_raise()?,
                None => t.dtype(),
            });
            self.numbers.extend(t.to_scalars().or_raise()?);
            return Ok(());
        }
        let wrong = || PyTypeError::new_err(format!("tensor(): cannot make a number of {}", v.get_type()));
        let text = v.is_instance_of::<PyString>() || v.is_instance_of::<PyBytes>();
        if text || v.is_instance_of::<PyDict>() || v.is_instance_of::<PySet>() || depth > DEEPEST {
            return Err(wrong());
        }
        let n = v.len().map_err(|_| wrong())?;
        self.check(depth, Some(n), known)?;
        for i in 0..n {
            let item = if let Ok(list) = v.cast::<PyList>() {
                list.get_item(i)?
            } else if let Ok(tuple) = v.cast::<PyTuple>() {
                tuple.get_item(i)?
            } else {
                v.get_item(i)?
            };
            // The first element says what the deeper dimensions are.
            self.read(&item, depth + 1, known || i > 0)?;
        }
        Ok(())
    }
    fn check(&mut self, depth: usize, n: Option<usize>, known: bool) -> PyResult<()> {
        let expected = self.shape.get(depth).copied();
        if known {
            if expected != n {
                let found: Vec<usize> = n.into_iter().collect();
                return Err(ragged(&self.shape[depth.min(self.shape.len())..], &found));
            }
        } else if let Some(n) = n {
            self.shape.push(n);
        }
        Ok(())
    }
    fn natural(&self) -> DType {
        let own = match self.category {
            None | Some(Category::Float) => default_dtype(),
            Some(Category::Bool) => DType::Bool,
            Some(Category::Integer) => DType::I64,
            Some(Category::Complex) => default_dtype().to_complex(),
        };
        match self.dtype {
            Some(dtype) if self.category.is_none() => dtype,
            Some(dtype) => dtype.promote(own).unwrap_or(own),
            None => own,
        }
    }
}

fn ragged(expected: &[usize], found: &[usize]) -> PyErr {
    super::errors::to_py(TensorError::shape(
        "tensor",
        "nested sequences must be of one length at each level",
        expected,
        found,
    ))
}

/// An array or a tensor inside a sequence.
fn as_whole(v: &Bound<'_, PyAny>) -> PyResult<Option<Tensor>> {
    if let Ok(t) = v.cast::<PyTensor>() {
        return Ok(Some(PyTensor::of(t).detach()));
    }
    match v.cast::<PyUntypedArray>() {
        Ok(a) => numpy::from_numpy(a).map(Some),
        Err(_) => Ok(None),
    }
}

/// A new tensor of the data, in its natural dtype unless one is given.
pub fn from_data(v: &Bound<'_, PyAny>, dtype: Option<DType>) -> PyResult<Tensor> {
    if let Some(t) = as_whole(v)? {
        let t = ops::to_dtype(&t, dtype.unwrap_or(t.dtype()))
            .and_then(|new| if new.same(&t) { ops::copy(&t) } else { Ok(new) });
        return t.or_raise();
    }
    let mut nested = Nested::default();
    nested.read(v, 0, false)?;
    let dtype = dtype.unwrap_or_else(|| nested.natural());
    // Whole numbers that an integer dtype has no room for are an error; what floats lose is rounding.
    if dtype.is_integral()
        && let Some(s) = nested.numbers.iter().find(|s| s.category() <= Category::Integer && !s.fits(dtype))
    {
        let what = format!("{} does not fit {dtype}", s.as_int());
        return Err(TensorError::argument("tensor", what)).or_raise();
    }
    if !dtype.is_complex() && nested.category == Some(Category::Complex) {
        return Err(PyTypeError::new_err(format!("tensor(): complex numbers cannot become {dtype}")));
    }
    tenflowers_core::storage_type!(dtype, T => {
        let all = nested.numbers.into_iter().map(<T as tenflowers_core::Element>::of).collect();
        Tensor::<T>::from_vec(all, &nested.shape).map(|t| t.erase().clone())
    })
    .or_raise()
}

fn options(dtype: Option<&Bound<'_, PyAny>>, device: Option<&Bound<'_, PyAny>>) -> PyResult<Option<DType>> {
    device.map(read_device).transpose()?;
    let read = |v: &Bound<'_, PyAny>| {
        read_dtype(v).ok_or_else(|| PyTypeError::new_err(format!("a dtype is needed, not {}", v.get_type())))
    };
    dtype.map(read).transpose()
}

/// A new tensor of numbers, nested sequences, an array or a tensor, always a copy. The dtype is that of the data unless one
/// is given: Python's floats become the default dtype, ints int64, bools bool.
#[pyfunction]
#[pyo3(signature = (data, *, dtype = None, device = None, requires_grad = false))]
pub fn tensor<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    device: Option<&Bound<'py, PyAny>>,
    requires_grad: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let t = from_data(data, options(dtype, device)?)?;
    if requires_grad {
        t.require_grad(true).or_raise()?;
    }
    wrap(py, t)
}

/// The data as a tensor, without a copy where it is a tensor or an array of that dtype already.
#[pyfunction]
#[pyo3(signature = (data, dtype = None, device = None))]
pub fn as_tensor<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    device: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let dtype = options(dtype, device)?;
    let t = if let Ok(t) = data.cast::<PyTensor>() {
        PyTensor::of(t)
    } else if let Ok(array) = data.cast::<PyUntypedArray>() {
        numpy::from_numpy(array)?
    } else {
        return wrap(py, from_data(data, dtype)?);
    };
    wrap(py, ops::to_dtype(&t, dtype.unwrap_or(t.dtype())).or_raise()?)
}

/// A tensor over the memory of a NumPy array: a write to one is seen in the other. A read-only array is copied.
#[pyfunction]
pub fn from_numpy<'py>(py: Python<'py>, ndarray: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match ndarray.cast::<PyUntypedArray>() {
        Ok(array) => wrap(py, numpy::from_numpy(array)?),
        Err(_) => {
            Err(PyTypeError::new_err(format!("from_numpy(): a NumPy array is needed, not {}", ndarray.get_type())))
        }
    }
}

/// What `Tensor(…)` makes: of sizes, an empty tensor; of data, one of the default dtype; of a tensor, another look at it.
pub fn construct(
    data: &Bound<'_, PyTuple>,
    shape: Option<Vec<i64>>,
    dtype: Option<&Bound<'_, PyAny>>,
    device: Option<&Bound<'_, PyAny>>,
) -> PyResult<Tensor> {
    let dtype = options(dtype, device)?;
    let sized = |sizes: &[i64]| {
        ops::zeros(tenflowers_core::schema::Size(sizes), Some(dtype.unwrap_or_else(default_dtype)), None, false)
            .or_raise()
    };
    let t = match data.len() {
        0 => match &shape {
            Some(shape) => return sized(shape),
            None => return sized(&[0]),
        },
        1 => {
            let first = data.get_item(0)?;
            if let Ok(t) = first.cast::<PyTensor>() {
                let t = PyTensor::of(t).detach();
                ops::to_dtype(&t, dtype.unwrap_or(t.dtype())).or_raise()?
            } else if first.extract::<i64>().is_ok() && shape.is_none() {
                return sized(&[first.extract()?]);
            } else if first.get_type().name()? == "Size" {
                return sized(&first.extract::<Vec<i64>>()?);
            } else {
                from_data(&first, Some(dtype.unwrap_or_else(default_dtype)))?
            }
        }
        _ => return sized(&data.iter().map(|v| v.extract()).collect::<PyResult<Vec<i64>>>()?),
    };
    match shape {
        Some(shape) => ops::reshape(&t, tenflowers_core::schema::Size(&shape)).or_raise(),
        None => Ok(t),
    }
}
