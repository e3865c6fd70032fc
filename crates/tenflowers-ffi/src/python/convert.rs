//! Python values as arguments of operations.
use super::dtype::{read_device, read_dtype};
use super::errors::to_py;
use super::generator::PyGenerator;
use super::tensor::{PyTensor, tensor_in};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyFloat, PyInt, PyList, PyString, PyTuple};
use smallvec::SmallVec;
use tenflowers_core::schema::{Operand, Param, ParamKind, Schema, Value};
use tenflowers_core::{C64, Scalar, Tensor};

/// A tensor or a number.
pub enum Owned {
    Tensor(Tensor),
    Scalar(Scalar),
}

impl Owned {
    pub fn as_operand(&self) -> Operand<'_> {
        match self {
            Owned::Tensor(t) => Operand::Tensor(t),
            Owned::Scalar(s) => Operand::Scalar(*s),
        }
    }
}

pub fn operand(v: &Bound<'_, PyAny>) -> Option<Owned> {
    match tensor_in(v) {
        Some(t) => Some(Owned::Tensor(PyTensor::of(t))),
        None => number(v).map(Owned::Scalar),
    }
}

/// A number of Python's or NumPy's.
pub fn number(v: &Bound<'_, PyAny>) -> Option<Scalar> {
    if let Ok(f) = v.cast::<PyFloat>() {
        return Some(Scalar::Float(f.value()));
    }
    if let Ok(b) = v.cast::<PyBool>() {
        return Some(Scalar::Bool(b.is_true()));
    }
    if v.is_exact_instance_of::<PyInt>()
        && let Some(i) = small_int(v)
    {
        return Some(Scalar::Int(i.into()));
    }
    if v.is_instance_of::<PyInt>() {
        return v.extract::<i128>().ok().map(Scalar::Int);
    }
    if let Ok(c) = v.cast::<PyComplex>() {
        return Some(Scalar::Complex(C64::new(c.real(), c.imag())));
    }
    // NumPy's scalars say by their kind what they are.
    let kind: String = v.getattr("dtype").ok()?.getattr("kind").ok()?.extract().ok()?;
    if v.hasattr("__array_interface__").ok()? && v.getattr("ndim").ok()?.extract::<usize>().ok()? == 0 {
        return match kind.as_str() {
            "b" | "i" | "u" | "f" | "c" => number(&v.call_method0("item").ok()?),
            _ => None,
        };
    }
    None
}

/// The one element of a tensor that stands where a number does.
fn element(v: &Bound<'_, PyAny>) -> Option<Scalar> {
    let t = v.cast::<PyTensor>().ok()?;
    PyTensor::of(t).item().ok()
}

/// An integer of Python's own type, if it fits 64 bits.
#[inline]
fn small_int(v: &Bound<'_, PyAny>) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: an integer, which the call does not keep; it raises nothing for one.
    let i = unsafe { pyo3::ffi::PyLong_AsLongLongAndOverflow(v.as_ptr(), &mut overflow) };
    (overflow == 0).then_some(i)
}

/// Adds integers of Python's own type that fit 64 bits; false as soon as one is anything else.
pub fn plain_ints<'a, 'py: 'a>(all: impl Iterator<Item = Borrowed<'a, 'py, PyAny>>, found: &mut Ints) -> bool {
    for v in all {
        match v.is_exact_instance_of::<PyInt>().then(|| small_int(&v)).flatten() {
            Some(i) => found.push(i),
            None => return false,
        }
    }
    true
}

/// An integer: Python's, NumPy's, or an integer tensor's one element; never a float or a bool.
pub fn int(v: &Bound<'_, PyAny>) -> PyResult<i64> {
    if v.is_exact_instance_of::<PyInt>()
        && let Some(i) = small_int(v)
    {
        return Ok(i);
    }
    if v.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err("an int is needed, not bool"));
    }
    if let Ok(t) = v.cast::<PyTensor>() {
        return match PyTensor::of(t).item() {
            Ok(Scalar::Int(i)) if i64::try_from(i).is_ok() => Ok(i as i64),
            _ => Err(PyTypeError::new_err("an int or an integer tensor of one element is needed")),
        };
    }
    match v.extract::<i64>() {
        Ok(i) => Ok(i),
        Err(_) if v.is_instance_of::<PyInt>() => {
            Err(super::errors::new(v.py(), "ArgumentError", format!("{v} does not fit 64 bits")))
        }
        Err(e) => Err(e),
    }
}

type Ints = SmallVec<[i64; 4]>;

fn ints(v: &Bound<'_, PyAny>) -> PyResult<Ints> {
    if v.is_instance_of::<PyString>() || v.cast::<PyTensor>().is_ok_and(|t| PyTensor::of(t).rank() == 0) {
        return Ok(smallvec::smallvec![int(v)?]);
    }
    v.try_iter()?.map(|i| int(&i?)).collect()
}

/// The tensors of a sequence, or the object that is none.
fn tensors<'py>(v: &Bound<'py, PyAny>) -> Result<Vec<Tensor>, Bound<'py, PyAny>> {
    let items: Vec<Bound<'_, PyAny>> = sequence(v).ok_or_else(|| v.clone())?;
    items.iter().map(|i| i.cast::<PyTensor>().map(PyTensor::of).map_err(|_| i.clone())).collect()
}

fn sequence<'py>(v: &Bound<'py, PyAny>) -> Option<Vec<Bound<'py, PyAny>>> {
    if v.is_instance_of::<PyTuple>() || v.is_instance_of::<PyList>() {
        return v.try_iter().ok()?.collect::<PyResult<_>>().ok();
    }
    if v.cast::<PyTensor>().is_ok() {
        return None;
    }
    v.try_iter().ok()?.collect::<PyResult<_>>().ok()
}

fn type_name(v: &Bound<'_, PyAny>) -> String {
    v.get_type().name().map_or_else(|_| "an object".into(), |n| n.to_string())
}

/// The argument as the parameter takes it.
pub fn convert(schema: &Schema, param: &Param, v: &Bound<'_, PyAny>) -> PyResult<Value> {
    let refuse = |found: &Bound<'_, PyAny>| {
        PyTypeError::new_err(format!(
            "{}(): argument '{}' must be {}, not {}",
            schema.name,
            param.name,
            param.kind.describe(),
            type_name(found)
        ))
    };
    let wrong = || refuse(v);
    if matches!(param.kind, ParamKind::Tensor | ParamKind::Operand)
        && let Some(t) = tensor_in(v)
    {
        return Ok(Value::Tensor(PyTensor::of(t)));
    }
    if v.is_none() {
        return if param.optional { Ok(Value::None) } else { Err(wrong()) };
    }
    // An integer that is too large is what the user has to hear of; another type is a wrong type.
    let or_wrong = |e: PyErr| if e.is_instance_of::<PyTypeError>(v.py()) { wrong() } else { e };
    match param.kind {
        ParamKind::Tensor => Err(wrong()),
        ParamKind::Tensors => tensors(v).map(Value::Tensors).map_err(|found| refuse(&found)),
        ParamKind::TensorOptions => {
            let items = sequence(v).ok_or_else(wrong)?;
            let item = |i: &Bound<'_, PyAny>| match i.cast::<PyTensor>() {
                Ok(t) => Ok(Some(PyTensor::of(t))),
                Err(_) if i.is_none() => Ok(None),
                Err(_) => Err(wrong()),
            };
            items.iter().map(item).collect::<PyResult<_>>().map(Value::TensorOptions)
        }
        ParamKind::Operand => number(v).map(Value::Scalar).ok_or_else(wrong),
        ParamKind::Scalar => number(v).or_else(|| element(v)).map(Value::Scalar).ok_or_else(wrong),
        ParamKind::Int => int(v).map(Value::Int).map_err(or_wrong),
        ParamKind::Ints | ParamKind::Size => {
            if v.is_instance_of::<PyInt>() {
                return int(v).map(Value::Int).map_err(or_wrong);
            }
            match ints(v) {
                Ok(all) => Ok(Value::Ints(all)),
                Err(e) => int(v).map(Value::Int).map_err(|_| or_wrong(e)),
            }
        }
        ParamKind::IntOptions => match sequence(v) {
            None => int(v).map(Value::Int).map_err(or_wrong),
            Some(items) => {
                let item = |i: &Bound<'_, PyAny>| if i.is_none() { Ok(None) } else { int(i).map(Some) };
                items
                    .iter()
                    .map(item)
                    .collect::<PyResult<_>>()
                    .map(|all| Value::IntOptions(Box::new(all)))
                    .map_err(or_wrong)
            }
        },
        ParamKind::Bool => match v.cast::<PyBool>() {
            Ok(b) => Ok(Value::Bool(b.is_true())),
            Err(_) => match element(v).or_else(|| number(v)) {
                Some(Scalar::Bool(b)) => Ok(Value::Bool(b)),
                _ => Err(wrong()),
            },
        },
        ParamKind::Float => match number(v).or_else(|| element(v)) {
            Some(Scalar::Complex(_)) | None => Err(wrong()),
            Some(s) => Ok(Value::Float(s.as_f64())),
        },
        ParamKind::DType => read_dtype(v).map(Value::DType).ok_or_else(wrong),
        ParamKind::Device => read_device(v).map(Value::Device).map_err(or_wrong),
        ParamKind::Str => v.cast::<PyString>().map_err(|_| wrong())?.to_str().map(|s| Value::Str(s.into())),
        ParamKind::Generator => match v.cast::<PyGenerator>() {
            Ok(g) => Ok(Value::Generator(g.get().0.clone())),
            Err(_) => Err(wrong()),
        },
    }
}

/// A number as a Python object.
pub fn scalar_object<'py>(py: Python<'py>, s: Scalar) -> PyResult<Bound<'py, PyAny>> {
    Ok(match s {
        Scalar::Bool(b) => PyBool::new(py, b).to_owned().into_any(),
        Scalar::Int(i) => match i64::try_from(i) {
            Ok(i) => i.into_pyobject(py)?.into_any(),
            Err(_) => i.into_pyobject(py)?.into_any(),
        },
        Scalar::Float(f) => PyFloat::new(py, f).into_any(),
        Scalar::Complex(c) => PyComplex::from_doubles(py, c.re, c.im).into_any(),
    })
}

/// The result of the core as a Python result.
pub trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}
impl<T> OrRaise<T> for tenflowers_core::Result<T> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(to_py)
    }
}
