//! `Tensor`, as Python has it.
use super::autograd::{PyHandle, PyNode, register_hook};
use super::construct::construct;
use super::convert::{OrRaise, int, scalar_object};
use super::dtype::{PyDType, PyDevice, object, size};
use super::errors;
use super::handle::Handle;
use super::numpy::numpy_of;
use pyo3::exceptions::{PyTypeError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyDict, PyList, PyTuple, PyType};
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, Weak};
use tenflowers_autograd::Options;
use tenflowers_core::grad::GradMeta;
use tenflowers_core::layout::axis;
use tenflowers_core::{DType, Scalar, Tensor, TensorError, ops};

/// Numbers of one dtype in any number of dimensions, which can be differentiated.
#[pyclass(name = "Tensor", module = "tenflowers", frozen, subclass, dict, weakref)]
pub struct PyTensor {
    /// Exchanged by `x.data = …`.
    tensor: Handle,
    /// This object, once the tensor knows it.
    own: AtomicPtr<c_void>,
    /// The tensor that this is the gradient of, where somebody saw it as such.
    grad_of: Mutex<Option<Weak<GradMeta>>>,
}

/// The class itself: most tensors are of no subclass, and one comparison tells.
static CLASS: AtomicPtr<pyo3::ffi::PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());

/// Notes the class, so that [`tensor_in`] is quick.
pub fn install(m: &Bound<'_, PyModule>) {
    CLASS.store(m.py().get_type::<PyTensor>().as_type_ptr(), Ordering::Release);
}

/// The tensor that an object is, if it is one.
#[inline]
pub fn tensor_in<'a, 'py>(v: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, PyTensor>> {
    if v.get_type_ptr() == CLASS.load(Ordering::Relaxed) {
        // SAFETY: an object of the class itself.
        return Some(unsafe { v.cast_unchecked::<PyTensor>() });
    }
    v.cast::<PyTensor>().ok()
}

impl PyTensor {
    /// The tensor behind an object, which from now on knows the object.
    #[inline]
    pub fn of(slf: &Bound<'_, PyTensor>) -> Tensor {
        let this = slf.get();
        let t = this.tensor.get(slf.py());
        if t.object().is_null() {
            let own = slf.as_ptr().cast::<c_void>();
            t.set_object(own);
            this.own.store(own, Ordering::Release);
        }
        t
    }
    fn new_of(t: Tensor) -> Self {
        let own = AtomicPtr::new(std::ptr::null_mut());
        PyTensor { tensor: Handle::new(t), own, grad_of: Mutex::new(None) }
    }
    /// Takes the elements of a result, whatever its shape: what `out=` does for a target without elements.
    pub fn take(&self, slf: &Bound<'_, PyTensor>, result: Tensor, op: &'static str) -> PyResult<()> {
        let old = PyTensor::of(slf);
        if old.shape() == result.shape() {
            return ops::write_out(op, &old, &result).or_raise().map(drop);
        }
        let new = Tensor::like_target(op, &result, &old).or_raise()?;
        self.exchange(slf.py(), old.with_data(&new));
        old.clear_object(slf.as_ptr().cast());
        Ok(())
    }
    fn belongs_to(&self, t: &Tensor) {
        *self.grad_of.lock().unwrap_or_else(|e| e.into_inner()) = Some(Arc::downgrade(t.shared_grad_meta()));
    }
    fn exchange(&self, py: Python<'_>, t: Tensor) {
        self.tensor.set(py, t);
    }
}

impl Drop for PyTensor {
    fn drop(&mut self) {
        let own = self.own.load(Ordering::Acquire);
        if !own.is_null() {
            self.tensor.last().clear_object(own);
        }
    }
}

/// CPython 3.11 and 3.12 give every new object of a class with attributes a dictionary, some 20 of the 350 ns of a small
/// operation; others make it when it is first asked for. So does this: while the offset of the dictionary reads 0,
/// none is made. The interpreter's lock is held throughout, and nothing that is run in between looks at the offset.
#[cfg(all(Py_3_11, not(Py_3_13)))]
fn without_dict<R>(_py: Python<'_>, make: impl FnOnce() -> R) -> R {
    struct Restore(*mut pyo3::ffi::PyTypeObject, pyo3::ffi::Py_ssize_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the class lives for ever, and the lock is held.
            unsafe { (*self.0).tp_dictoffset = self.1 }
        }
    }
    let class = CLASS.load(Ordering::Relaxed);
    if class.is_null() {
        return make();
    }
    // SAFETY: as above.
    let offset = unsafe { std::mem::replace(&mut (*class).tp_dictoffset, 0) };
    let _restore = Restore(class, offset);
    make()
}

#[cfg(not(all(Py_3_11, not(Py_3_13))))]
fn without_dict<R>(_py: Python<'_>, make: impl FnOnce() -> R) -> R {
    make()
}

/// The object of a tensor: the one that it has, or a new one.
pub fn wrap(py: Python<'_>, t: Tensor) -> PyResult<Bound<'_, PyAny>> {
    let known = t.object().cast::<pyo3::ffi::PyObject>();
    // An object on its way out has no references left, and cannot come back.
    // SAFETY: the object clears this pointer as it goes, under the interpreter's lock, which is held here.
    if !known.is_null() && unsafe { pyo3::ffi::Py_REFCNT(known) } > 0 {
        // SAFETY: as above.
        return Ok(unsafe { Bound::from_borrowed_ptr(py, known) });
    }
    let new = without_dict(py, || Bound::new(py, PyTensor::new_of(t)))?;
    let (this, own) = (new.get(), new.as_ptr().cast::<c_void>());
    this.tensor.look(py, |t| t.set_object(own));
    this.own.store(own, Ordering::Release);
    Ok(new.into_any())
}

type Object<'py> = PyResult<Bound<'py, PyAny>>;

macro_rules! conversions {
    ($($(#[doc = $doc:literal])+ $name:ident $dtype:ident;)*) => {
        #[pymethods]
        impl PyTensor {$(
            $(#[doc = $doc])+
            fn $name<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
                wrap(slf.py(), ops::to_dtype(&PyTensor::of(slf), DType::$dtype).or_raise()?)
            }
        )*}
    };
}
conversions! {
    /// The tensor in bool.
    bool Bool;
    /// The tensor in uint8.
    byte U8;
    /// The tensor in int8.
    char I8;
    /// The tensor in int16.
    short I16;
    /// The tensor in int32.
    int I32;
    /// The tensor in int64.
    long I64;
    /// The tensor in float16.
    half F16;
    /// The tensor in bfloat16.
    bfloat16 BF16;
    /// The tensor in float32.
    float F32;
    /// The tensor in float64.
    double F64;
    /// The tensor in complex64.
    cfloat C64;
    /// The tensor in complex128.
    cdouble C128;
}

#[pymethods]
impl PyTensor {
    #[new]
    #[pyo3(signature = (*data, shape = None, dtype = None, device = None, requires_grad = false))]
    fn new(
        data: &Bound<'_, PyTuple>,
        shape: Option<Vec<i64>>,
        dtype: Option<&Bound<'_, PyAny>>,
        device: Option<&Bound<'_, PyAny>>,
        requires_grad: bool,
    ) -> PyResult<Self> {
        let t = construct(data, shape, dtype, device)?;
        if requires_grad {
            t.require_grad(true).or_raise()?;
        }
        // `Tensor(…)` makes a new object: another tensor over the same elements where there was one.
        let t = if t.object().is_null() { t } else { t.detach() };
        Ok(PyTensor::new_of(t))
    }

    /// The sizes of the dimensions.
    #[getter]
    fn shape<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        size(slf.py(), PyTensor::of(slf).shape())
    }
    #[getter]
    fn dtype(slf: &Bound<'_, Self>) -> Py<PyDType> {
        object(slf.py(), PyTensor::of(slf).dtype()).unbind()
    }
    #[getter]
    fn device(slf: &Bound<'_, Self>) -> PyDevice {
        PyDevice(PyTensor::of(slf).device())
    }
    /// The number of dimensions.
    #[getter]
    fn ndim(slf: &Bound<'_, Self>) -> usize {
        PyTensor::of(slf).rank()
    }
    /// The number of bytes of one element.
    #[getter]
    fn itemsize(slf: &Bound<'_, Self>) -> usize {
        PyTensor::of(slf).dtype().size()
    }
    /// The number of bytes of all elements.
    #[getter]
    fn nbytes(slf: &Bound<'_, Self>) -> usize {
        let t = PyTensor::of(slf);
        t.numel() * t.dtype().size()
    }
    /// Whether no recorded operation made the tensor.
    #[getter]
    fn is_leaf(slf: &Bound<'_, Self>) -> bool {
        PyTensor::of(slf).is_leaf()
    }
    /// The operation that the tensor came from.
    #[getter]
    fn grad_fn(slf: &Bound<'_, Self>) -> Option<PyNode> {
        PyNode::of(&PyTensor::of(slf))
    }
    /// The tensor with its dimensions in reverse.
    #[getter(T)]
    fn reversed<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        let t = PyTensor::of(slf);
        let dims: Vec<i64> = (0..t.rank() as i64).rev().collect();
        wrap(slf.py(), ops::permute(&t, tenflowers_core::schema::Size(&dims)).or_raise()?)
    }
    /// The tensor with its last two dimensions swapped.
    #[getter(mT)]
    fn matrices_transposed<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        let t = PyTensor::of(slf);
        if t.rank() < 2 {
            let what = format!("at least 2 dimensions are needed, not {}", t.rank());
            return Err(TensorError::argument("mT", what)).or_raise();
        }
        wrap(slf.py(), ops::transpose(&t, -2, -1).or_raise()?)
    }
    /// The real part of each element; a real tensor as it is.
    #[getter]
    fn real<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        wrap(slf.py(), ops::real(&PyTensor::of(slf)).or_raise()?)
    }
    /// The imaginary part of each element of a complex tensor.
    #[getter]
    fn imag<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        wrap(slf.py(), ops::imag(&PyTensor::of(slf)).or_raise()?)
    }
    /// The tensor that this is a view of.
    #[getter]
    fn _base<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let t = PyTensor::of(slf);
        t.view_of().map(|v| wrap(slf.py(), v.base().clone())).transpose()
    }
    /// How many times the elements were written in place.
    #[getter]
    fn _version(slf: &Bound<'_, Self>) -> u32 {
        PyTensor::of(slf).version()
    }
    /// The elements without history. Assigning exchanges them, whatever their shape and dtype.
    #[getter]
    fn data<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        wrap(slf.py(), PyTensor::of(slf).quiet())
    }
    #[setter]
    fn set_data(slf: &Bound<'_, Self>, value: &Bound<'_, PyTensor>) -> PyResult<()> {
        let (t, value) = (PyTensor::of(slf), PyTensor::of(value));
        if t.requires_grad() && !value.dtype().is_differentiable() {
            let what = format!("a tensor that requires grad cannot become {}", value.dtype());
            return Err(TensorError::grad("data", what)).or_raise();
        }
        let new = t.with_data(&value);
        slf.get().exchange(slf.py(), new.clone());
        t.clear_object(slf.as_ptr().cast());
        // A gradient stays the gradient of its tensor.
        let owner = slf.get().grad_of.lock().unwrap_or_else(|e| e.into_inner()).as_ref().and_then(Weak::upgrade);
        if let Some(owner) = owner {
            let mut slot = owner.grad();
            if slot.as_ref().is_some_and(|g| g.same(&t)) {
                *slot = Some(new);
            }
        }
        Ok(())
    }
    /// The gradient that `backward` added up here.
    #[getter]
    fn grad<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let t = PyTensor::of(slf);
        let Some(g) = t.grad() else {
            if t.requires_grad() && !t.is_leaf() && !t.retains_grad() {
                let text = c"grad of a tensor that is no leaf: backward() keeps it only after retain_grad()";
                PyErr::warn(slf.py(), &slf.py().get_type::<PyUserWarning>(), text, 1)?;
            }
            return Ok(None);
        };
        let object = wrap(slf.py(), g)?;
        object.cast::<PyTensor>()?.get().belongs_to(&t);
        Ok(Some(object))
    }
    #[setter]
    fn set_grad(slf: &Bound<'_, Self>, value: Option<&Bound<'_, PyTensor>>) -> PyResult<()> {
        let t = PyTensor::of(slf);
        t.set_grad(value.map(PyTensor::of)).or_raise()?;
        if let Some(value) = value {
            value.get().belongs_to(&t);
        }
        Ok(())
    }
    #[deleter]
    fn delete_grad(slf: &Bound<'_, Self>) -> PyResult<()> {
        PyTensor::of(slf).set_grad(None).or_raise()
    }
    #[getter]
    fn requires_grad(slf: &Bound<'_, Self>) -> bool {
        PyTensor::of(slf).requires_grad()
    }
    #[setter]
    fn set_requires_grad(slf: &Bound<'_, Self>, value: bool) -> PyResult<()> {
        PyTensor::of(slf).require_grad(value).or_raise()
    }
    /// Whether `grad` is kept for this tensor, which is no leaf.
    #[getter]
    fn retains_grad(slf: &Bound<'_, Self>) -> bool {
        PyTensor::of(slf).retains_grad()
    }

    /// The number of elements.
    fn numel(slf: &Bound<'_, Self>) -> usize {
        PyTensor::of(slf).numel()
    }
    /// The number of dimensions.
    fn dim(slf: &Bound<'_, Self>) -> usize {
        PyTensor::of(slf).rank()
    }
    /// The sizes of the dimensions, or of one of them.
    #[pyo3(signature = (dim = None))]
    fn size<'py>(slf: &Bound<'py, Self>, dim: Option<&Bound<'py, PyAny>>) -> Object<'py> {
        let t = PyTensor::of(slf);
        match one_of("size", &t, dim)? {
            Some(d) => Ok(t.shape()[d].into_pyobject(slf.py())?.into_any()),
            None => size(slf.py(), t.shape()),
        }
    }
    /// The steps in memory along the dimensions, or one of them, in elements.
    #[pyo3(signature = (dim = None))]
    fn stride<'py>(slf: &Bound<'py, Self>, dim: Option<&Bound<'py, PyAny>>) -> Object<'py> {
        let t = PyTensor::of(slf);
        match one_of("stride", &t, dim)? {
            Some(d) => Ok(t.layout().strides[d].into_pyobject(slf.py())?.into_any()),
            None => Ok(PyTuple::new(slf.py(), &t.layout().strides[..])?.into_any()),
        }
    }
    /// The number of elements before the first one in the storage.
    fn storage_offset(slf: &Bound<'_, Self>) -> usize {
        PyTensor::of(slf).layout().offset
    }
    /// The number of bytes of one element.
    fn element_size(slf: &Bound<'_, Self>) -> usize {
        PyTensor::of(slf).dtype().size()
    }
    /// The address of the first element.
    fn data_ptr(slf: &Bound<'_, Self>) -> usize {
        let t = PyTensor::of(slf);
        t.storage().as_ptr() as usize + t.layout().offset * t.dtype().size()
    }
    /// Whether the elements lie in one run of memory, in order.
    fn is_contiguous(slf: &Bound<'_, Self>) -> bool {
        PyTensor::of(slf).layout().is_contiguous()
    }
    fn is_floating_point(slf: &Bound<'_, Self>) -> bool {
        PyTensor::of(slf).dtype().is_float()
    }
    fn is_complex(slf: &Bound<'_, Self>) -> bool {
        PyTensor::of(slf).dtype().is_complex()
    }
    /// The one element as a Python number.
    fn item<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        scalar_object(slf.py(), PyTensor::of(slf).item().or_raise()?)
    }
    /// The elements as nested lists of Python numbers.
    fn tolist<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        let t = PyTensor::of(slf);
        let all = t.to_scalars().or_raise()?;
        nested(slf.py(), t.shape(), &mut all.into_iter())
    }
    /// The elements as a NumPy array over the same memory. A tensor that requires grad is refused unless `force`.
    #[pyo3(signature = (*, force = false))]
    fn numpy<'py>(slf: &Bound<'py, Self>, force: bool) -> Object<'py> {
        numpy_of(slf, force)
    }
    #[pyo3(signature = (dtype = None, copy = None))]
    fn __array__<'py>(slf: &Bound<'py, Self>, dtype: Option<&Bound<'py, PyAny>>, copy: Option<bool>) -> Object<'py> {
        let array = numpy_of(slf, false)?;
        let array = match dtype {
            Some(dtype) if !dtype.is_none() => {
                let converted =
                    array.call_method("astype", (dtype,), Some(&[("copy", false)].into_py_dict(slf.py())?))?;
                if copy == Some(false) && !converted.is(&array) {
                    return Err(PyValueError::new_err("a copy is needed for that dtype"));
                }
                converted
            }
            _ => array,
        };
        if copy == Some(true) { array.call_method0("copy") } else { Ok(array) }
    }
    /// Asks for the gradient of this tensor, or no longer.
    #[pyo3(signature = (requires_grad = true))]
    fn requires_grad_<'py>(slf: Bound<'py, Self>, requires_grad: bool) -> PyResult<Bound<'py, Self>> {
        PyTensor::of(&slf).require_grad(requires_grad).or_raise()?;
        Ok(slf)
    }
    /// Forgets the operation that made this tensor.
    fn detach_<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        PyTensor::of(&slf).detach_in_place().or_raise()?;
        Ok(slf)
    }
    /// Keeps the gradient of this tensor, which is no leaf, in `grad`.
    fn retain_grad(slf: &Bound<'_, Self>) -> PyResult<()> {
        PyTensor::of(slf).retain_grad().or_raise()
    }
    /// Has `hook` see the gradient of this tensor in every way back; a tensor that it gives takes its place.
    fn register_hook(slf: &Bound<'_, Self>, hook: Bound<'_, PyAny>) -> PyResult<PyHandle> {
        register_hook(&PyTensor::of(slf), hook)
    }
    /// Adds the gradient of this tensor, weighed by `gradient`, to `grad` of every leaf that it came from, or of `inputs`.
    #[pyo3(signature = (gradient = None, retain_graph = None, create_graph = false, inputs = None))]
    fn backward(
        slf: &Bound<'_, Self>,
        gradient: Option<&Bound<'_, PyTensor>>,
        retain_graph: Option<bool>,
        create_graph: bool,
        inputs: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let inputs = match inputs {
            None => None,
            Some(v) => Some(match v.cast::<PyTensor>() {
                Ok(t) => vec![PyTensor::of(t)],
                Err(_) => {
                    v.try_iter()?.map(|t| Ok(PyTensor::of(t?.cast::<PyTensor>()?))).collect::<PyResult<Vec<_>>>()?
                }
            }),
        };
        let options = Options { retain_graph: retain_graph.unwrap_or(create_graph), create_graph };
        let seeds = [gradient.map(PyTensor::of)];
        tenflowers_autograd::backward(&[PyTensor::of(slf)], &seeds, options, inputs.as_deref()).or_raise()
    }

    fn __repr__<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        static REPR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let make = || slf.py().import("tenflowers._printing")?.getattr("tensor_repr").map(Bound::unbind);
        REPR.get_or_try_init(slf.py(), make)?.bind(slf.py()).call1((slf,))
    }
    fn __format__<'py>(slf: &Bound<'py, Self>, format_spec: &Bound<'py, PyAny>) -> Object<'py> {
        let t = PyTensor::of(slf);
        if t.rank() == 0 {
            return scalar_object(slf.py(), t.item().or_raise()?)?.call_method1("__format__", (format_spec,));
        }
        slf.repr()?.into_any().call_method1("__format__", (format_spec,))
    }
    fn __int__<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        let s = scalar_object(slf.py(), PyTensor::of(slf).item().or_raise()?)?;
        slf.py().import("builtins")?.getattr("int")?.call1((s,))
    }
    fn __index__<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        let t = PyTensor::of(slf);
        match t.item() {
            Ok(s @ (Scalar::Int(_) | Scalar::Bool(_))) => Ok(s.as_int().into_pyobject(slf.py())?.into_any()),
            _ => Err(PyTypeError::new_err("only integer tensors of one element can be converted to an index")),
        }
    }
    fn __float__(slf: &Bound<'_, Self>) -> PyResult<f64> {
        match PyTensor::of(slf).item().or_raise()? {
            Scalar::Complex(c) if c.im != 0.0 => Err(PyTypeError::new_err("a complex number cannot become a float")),
            s => Ok(s.as_f64()),
        }
    }
    fn __complex__<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        scalar_object(slf.py(), Scalar::Complex(PyTensor::of(slf).item().or_raise()?.as_complex()))
    }
    fn __copy__<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
        let t = PyTensor::of(slf);
        remade(slf, t.detach(), &t)
    }
    fn __deepcopy__<'py>(slf: &Bound<'py, Self>, memo: &Bound<'py, PyDict>) -> Object<'py> {
        let key = (slf.as_ptr() as usize).into_pyobject(slf.py())?;
        if let Some(known) = memo.get_item(&key)? {
            return Ok(known);
        }
        let t = PyTensor::of(slf);
        if !t.is_leaf() {
            let what = "only leaf tensors support deepcopy: a computed one would lose its history; detach() it first";
            return Err(errors::new(slf.py(), "GradientError", format!("deepcopy: {what}")));
        }
        let new = remade(slf, ops::copy(&t.detach()).or_raise()?, &t)?;
        memo.set_item(key, &new)?;
        if let (Some(g), Ok(new)) = (t.grad(), new.cast::<PyTensor>()) {
            PyTensor::of(new).set_grad(Some(ops::copy(&g.detach()).or_raise()?)).or_raise()?;
        }
        let attributes = slf.getattr("__dict__")?;
        if attributes.len()? > 0 {
            let copied = slf.py().import("copy")?.call_method1("deepcopy", (attributes, memo))?;
            new.getattr("__dict__")?.call_method1("update", (copied,))?;
        }
        Ok(new)
    }
    fn __reduce_ex__<'py>(
        slf: &Bound<'py, Self>,
        _protocol: i32,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let t = PyTensor::of(slf);
        if !t.is_leaf() {
            let what = "only leaf tensors can be pickled: a computed one would lose its history; detach() it first";
            return Err(errors::new(py, "GradientError", format!("pickle: {what}")));
        }
        // bfloat16, which NumPy lacks, goes by the bits.
        let plain = t.detach();
        let array = if t.dtype() == DType::BF16 {
            super::numpy::to_numpy(py, &ops::to_dtype(&plain, DType::F32).or_raise()?)?
        } else {
            super::numpy::to_numpy(py, &plain)?
        };
        let rebuild = slf.get_type().getattr("_rebuild")?;
        let attributes = slf.getattr("__dict__")?;
        let args = (slf.get_type(), array.call_method0("copy")?, t.dtype().name(), t.requires_grad(), attributes);
        Ok((rebuild, args.into_pyobject(py)?))
    }
    /// Makes what `pickle` wrote.
    #[staticmethod]
    fn _rebuild<'py>(
        cls: &Bound<'py, PyType>,
        array: &Bound<'py, PyAny>,
        dtype: &str,
        requires_grad: bool,
        attributes: &Bound<'py, PyDict>,
    ) -> Object<'py> {
        let t = super::construct::from_data(array, Some(dtype.parse().or_raise()?))?;
        let new = as_class(cls, t, requires_grad)?;
        if !attributes.is_empty() {
            new.getattr("__dict__")?.call_method1("update", (attributes,))?;
        }
        Ok(new)
    }
    /// The tensor on the CPU, where it is already.
    fn cpu(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }
}

fn one_of(op: &'static str, t: &Tensor, dim: Option<&Bound<'_, PyAny>>) -> PyResult<Option<usize>> {
    match dim {
        Some(d) if !d.is_none() => {
            let dim = int(d)?;
            if t.rank() == 0 {
                return Err(TensorError::Axis { op, axis: dim, rank: 0 }).or_raise();
            }
            axis(op, dim, t.rank()).or_raise().map(Some)
        }
        _ => Ok(None),
    }
}

fn nested<'py>(py: Python<'py>, shape: &[usize], rest: &mut std::vec::IntoIter<Scalar>) -> Object<'py> {
    let Some((&n, inner)) = shape.split_first() else {
        return scalar_object(py, rest.next().unwrap_or(Scalar::ZERO));
    };
    // Empty tensors may have any number of rows, more than lists fit memory.
    tenflowers_core::cpu::vec_for::<[usize; 8]>(n).or_raise()?;
    let items = (0..n).map(|_| nested(py, inner, rest)).collect::<PyResult<Vec<_>>>()?;
    Ok(PyList::new(py, items)?.into_any())
}

/// A tensor as an object of a class, which a subclass makes of a plain tensor.
fn as_class<'py>(class: &Bound<'py, PyType>, t: Tensor, requires_grad: bool) -> Object<'py> {
    let py = class.py();
    let plain = wrap(py, t)?;
    let object = if class.is(py.get_type::<PyTensor>()) { plain } else { class.call1((plain,))? };
    PyTensor::of(object.cast::<PyTensor>()?).require_grad(requires_grad).or_raise()?;
    Ok(object)
}

fn remade<'py>(like: &Bound<'py, PyTensor>, t: Tensor, old: &Tensor) -> Object<'py> {
    as_class(&like.get_type(), t, old.requires_grad() && old.is_leaf())
}
