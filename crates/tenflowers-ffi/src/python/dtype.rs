//! `dtype` and `device`.
use super::convert;
use super::errors::to_py;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyComplex, PyFloat, PyInt, PyString, PyTuple, PyType};
use tenflowers_core::dtype::ResultType;
use tenflowers_core::schema::Operand;
use tenflowers_core::{DType, Device};

/// The type of a tensor's elements.
#[pyclass(name = "dtype", module = "tenflowers._core", frozen)]
pub struct PyDType(pub DType);

static ALL: PyOnceLock<Vec<Py<PyDType>>> = PyOnceLock::new();

/// The one object of a dtype.
pub fn object(py: Python<'_>, dtype: DType) -> Bound<'_, PyDType> {
    let make = || DType::ALL.into_iter().map(|d| Py::new(py, PyDType(d))).collect::<PyResult<Vec<_>>>();
    match ALL.get_or_try_init(py, make) {
        Ok(all) => all[dtype as usize].bind(py).clone(),
        Err(e) => panic!("dtypes are made on import: {e}"),
    }
}

/// What pickle calls, and with what.
type Reduced<'py> = (Bound<'py, PyAny>, (Bound<'py, PyAny>, &'static str));

#[pymethods]
impl PyDType {
    #[getter]
    fn is_floating_point(&self) -> bool {
        self.0.is_float()
    }
    #[getter]
    fn is_complex(&self) -> bool {
        self.0.is_complex()
    }
    #[getter]
    fn is_signed(&self) -> bool {
        self.0.is_signed()
    }
    #[getter]
    fn itemsize(&self) -> usize {
        self.0.size()
    }
    /// The dtype of a complex number's parts.
    fn to_real(&self, py: Python<'_>) -> Py<PyDType> {
        object(py, self.0.to_real()).unbind()
    }
    /// The complex dtype whose parts are of this one.
    fn to_complex(&self, py: Python<'_>) -> Py<PyDType> {
        object(py, self.0.to_complex()).unbind()
    }
    fn __repr__(&self) -> String {
        format!("tenflowers.{}", self.0.name())
    }
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let getattr = py.import("builtins")?.getattr("getattr")?;
        Ok((getattr, (py.import("tenflowers")?.into_any(), self.0.name())))
    }
}

/// Where a tensor's elements lie.
#[pyclass(name = "device", module = "tenflowers._core", frozen, eq, hash)]
#[derive(PartialEq, Eq, Hash)]
pub struct PyDevice(pub Device);

#[pymethods]
impl PyDevice {
    #[new]
    #[pyo3(signature = (r#type, index = None))]
    fn new(r#type: &Bound<'_, PyAny>, index: Option<i64>) -> PyResult<Self> {
        if let Ok(device) = r#type.cast::<PyDevice>() {
            return Ok(PyDevice(device.get().0));
        }
        let mut name = r#type.extract::<String>()?;
        if let Some(index) = index {
            name = format!("{name}:{index}");
        }
        name.parse().map(PyDevice).map_err(to_py)
    }
    #[getter]
    fn r#type(&self) -> &'static str {
        "cpu"
    }
    #[getter]
    fn index(&self) -> Option<i64> {
        None
    }
    fn __repr__(&self) -> String {
        format!("device(type='{}')", self.0)
    }
    fn __str__(&self) -> String {
        self.0.to_string()
    }
    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyType>, (String,)) {
        (py.get_type::<PyDevice>(), (self.0.to_string(),))
    }
}

/// A dtype as arguments give it: one of ours, or Python's `bool`, `int`, `float` or `complex`.
pub fn read_dtype(v: &Bound<'_, PyAny>) -> Option<DType> {
    if let Ok(d) = v.cast::<PyDType>() {
        return Some(d.get().0);
    }
    let class = v.cast::<PyType>().ok()?;
    let py = v.py();
    if class.is(py.get_type::<PyFloat>()) {
        Some(tenflowers_core::default_dtype())
    } else if class.is(py.get_type::<PyBool>()) {
        Some(DType::Bool)
    } else if class.is(py.get_type::<PyInt>()) {
        Some(DType::I64)
    } else if class.is(py.get_type::<PyComplex>()) {
        Some(tenflowers_core::default_dtype().to_complex())
    } else {
        None
    }
}

/// A device as arguments give it: an object or a name.
pub fn read_device(v: &Bound<'_, PyAny>) -> PyResult<Device> {
    if let Ok(d) = v.cast::<PyDevice>() {
        return Ok(d.get().0);
    }
    match v.cast::<PyString>() {
        Ok(name) => name.to_str()?.parse().map_err(to_py),
        Err(_) => Err(PyTypeError::new_err(format!("a device or its name is needed, not {}", v.get_type()))),
    }
}

fn required(v: &Bound<'_, PyAny>) -> PyResult<DType> {
    read_dtype(v).ok_or_else(|| PyTypeError::new_err(format!("a dtype is needed, not {}", v.get_type())))
}

/// The dtype that new tensors of Python floats have.
#[pyfunction]
pub fn get_default_dtype(py: Python<'_>) -> Py<PyDType> {
    object(py, tenflowers_core::default_dtype()).unbind()
}

/// Sets the dtype that new tensors of Python floats have.
#[pyfunction]
pub fn set_default_dtype(d: &Bound<'_, PyAny>) -> PyResult<()> {
    let dtype = required(d)?;
    if !dtype.is_float() {
        return Err(PyTypeError::new_err(format!("set_default_dtype: a float dtype is needed, not {dtype}")));
    }
    tenflowers_core::set_default_dtype(dtype).map_err(to_py)
}

/// The dtype that holds the elements of both.
#[pyfunction]
pub fn promote_types(py: Python<'_>, type1: &Bound<'_, PyAny>, type2: &Bound<'_, PyAny>) -> PyResult<Py<PyDType>> {
    Ok(object(py, required(type1)?.promote(required(type2)?).map_err(to_py)?).unbind())
}

/// Whether a result of one dtype may be written into a tensor of another.
#[pyfunction]
pub fn can_cast(from_: &Bound<'_, PyAny>, to: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(required(from_)?.can_cast(required(to)?))
}

/// The dtype of an arithmetic operation on two tensors or numbers.
#[pyfunction]
pub fn result_type(py: Python<'_>, tensor1: &Bound<'_, PyAny>, tensor2: &Bound<'_, PyAny>) -> PyResult<Py<PyDType>> {
    let mut all = ResultType::default();
    for v in [tensor1, tensor2] {
        let value = convert::operand(v).ok_or_else(|| {
            PyTypeError::new_err(format!("result_type: a tensor or a number is needed, not {}", v.get_type()))
        })?;
        match value.as_operand() {
            Operand::Tensor(t) => all.tensor(t.dtype(), t.rank()).map_err(to_py)?,
            Operand::Scalar(s) => all.number(s).map_err(to_py)?,
        }
    }
    Ok(object(py, all.finish().map_err(to_py)?).unbind())
}

pub fn install(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    let more = [
        (DType::F32, "float"),
        (DType::F64, "double"),
        (DType::F16, "half"),
        (DType::U8, "uint8"),
        (DType::I8, "int8"),
        (DType::I16, "short"),
        (DType::I32, "int"),
        (DType::I64, "long"),
        (DType::C64, "cfloat"),
        (DType::C128, "cdouble"),
    ];
    for dtype in DType::ALL {
        m.setattr(dtype.name(), object(py, dtype))?;
    }
    for (dtype, name) in more {
        m.setattr(name, object(py, dtype))?;
    }
    Ok(())
}

/// A size of Python's class for shapes.
pub fn size<'py>(py: Python<'py>, shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    static NEW: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
    let (new, class) = NEW.get_or_try_init(py, || {
        let class = py.import("tenflowers._size")?.getattr("Size")?;
        PyResult::Ok((py.get_type::<PyTuple>().getattr("__new__")?.unbind(), class.unbind()))
    })?;
    new.bind(py).call1((class, PyTuple::new(py, shape)?))
}
