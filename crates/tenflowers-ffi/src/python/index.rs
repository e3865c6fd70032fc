//! Index expressions.
use super::construct::from_data;
use super::convert::{OrRaise, Owned, int, operand};
use super::tensor::PyTensor;
use ::numpy::PyUntypedArray;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyInt, PyList, PySequence, PySlice, PyString, PyTuple};
use tenflowers_core::ops::{Index, get, set};
use tenflowers_core::{DType, Tensor};

fn part(v: &Bound<'_, PyAny>) -> PyResult<Index> {
    if v.is_instance_of::<PyBool>() {
        return Ok(Index::Tensor(from_data(v, Some(DType::Bool))?));
    }
    if v.is_instance_of::<PyInt>() {
        return int(v).map(Index::Int);
    }
    if let Ok(slice) = v.cast::<PySlice>() {
        let bound = |name: &str| -> PyResult<Option<i64>> {
            let b = slice.getattr(name)?;
            if b.is_none() { Ok(None) } else { bound_of(&b).map(Some) }
        };
        let step = bound("step")?.unwrap_or(1);
        return Ok(Index::Slice { start: bound("start")?, stop: bound("stop")?, step });
    }
    if v.is_none() {
        return Ok(Index::NewAxis);
    }
    if v.is_instance_of::<PyEllipsis>() {
        return Ok(Index::Ellipsis);
    }
    if let Ok(t) = v.cast::<PyTensor>() {
        let t = PyTensor::of(t);
        if t.rank() == 0 && t.dtype().is_integral() && t.dtype() != DType::Bool && t.dtype() != DType::U8 {
            return Ok(Index::Int(t.item().or_raise()?.as_int() as i64));
        }
        return Ok(Index::Tensor(t));
    }
    let sequence = v.is_instance_of::<PyList>() || v.is_instance_of::<PyTuple>() || v.cast::<PyUntypedArray>().is_ok();
    if sequence || v.cast::<PySequence>().is_ok() && !v.is_instance_of::<PyString>() {
        let t = from_data(v, None)?;
        // An empty list picks nothing.
        let t = if t.numel() == 0 && t.dtype().is_float() {
            tenflowers_core::ops::to_dtype(&t, DType::I64).or_raise()?
        } else {
            t
        };
        return Ok(Index::Tensor(t));
    }
    if let Ok(i) = int(v) {
        return Ok(Index::Int(i));
    }
    let text = format!(
        "an index is an int, a slice, None, '...', a bool or integer tensor, or a tuple of such, not {}",
        v.get_type()
    );
    Err(super::errors::new(v.py(), "AxisError", text))
}

/// A bound of a slice: beyond 64 bits is beyond every tensor.
fn bound_of(v: &Bound<'_, PyAny>) -> PyResult<i64> {
    if v.is_instance_of::<PyInt>() {
        return Ok(v.extract::<i64>().unwrap_or(if v.lt(0)? { i64::MIN } else { i64::MAX }));
    }
    int(v).map_err(|_| PyTypeError::new_err(format!("the bounds of a slice are ints or None, not {}", v.get_type())))
}

fn parts(index: &Bound<'_, PyAny>) -> PyResult<Vec<Index>> {
    match index.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter_borrowed().map(|v| part(&v)).collect(),
        Err(_) => Ok(vec![part(index)?]),
    }
}

pub fn getitem(t: &Tensor, index: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    if index.is_exact_instance_of::<PyInt>() {
        return get(t, &[Index::Int(int(index)?)]).or_raise();
    }
    get(t, &parts(index)?).or_raise()
}

pub fn setitem(t: &Tensor, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let value = match operand(value) {
        Some(v) => v,
        None => Owned::Tensor(from_data(value, None)?),
    };
    set(t, &parts(index)?, value.as_operand()).or_raise()
}
