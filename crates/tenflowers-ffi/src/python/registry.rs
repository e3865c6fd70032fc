//! Makes Python functions and methods of the schema table: one converter for all of them.
use super::convert::{OrRaise, convert, int, plain_ints};
use super::tensor::{PyTensor, tensor_in, wrap};
use crate::overload::{self, Argument, Arguments, Refused, RefusedBy, Values, signature};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use smallvec::SmallVec;
use std::ffi::{CString, c_int};
use std::sync::OnceLock;
use tenflowers_core::schema::{Param, ParamKind, Place, Returns, Schema, Value};

const MOST: usize = 1024;
static TABLE: OnceLock<Vec<Row>> = OnceLock::new();
type Fast = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// What one Python name stands for.
struct Row {
    name: String,
    shared: overload::Row,
    /// The only overload, if its first argument is a tensor, the one of a method, and nothing else is needed.
    alone: Option<&'static Schema>,
    /// The first overload, if it takes a tensor and sizes, which may stand one by one, and needs nothing else.
    sized: Option<&'static Schema>,
    /// The named tuples that the overloads return.
    tuples: Vec<Option<Py<PyAny>>>,
}

/// The C entry of row `N`, as a method (`slf` stands for the parameter `input`) or as a function.
unsafe extern "C" fn entry<const N: usize, const METHOD: bool>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached, with the fastcall convention.
    unsafe { call(N, if METHOD { slf } else { std::ptr::null_mut() }, args, nargs as usize, kwnames) }
}

seq_macro::seq!(N in 0..1024 {
    static METHODS: [Fast; MOST] = [#(entry::<N, true>,)*];
    static FUNCTIONS: [Fast; MOST] = [#(entry::<N, false>,)*];
});

/// The arguments of one call, as CPython hands them over: those by position, then one for each name.
struct Given<'py> {
    py: Python<'py>,
    slf: Option<Borrowed<'py, 'py, PyAny>>,
    args: *const *mut ffi::PyObject,
    positional: usize,
    names: Option<Borrowed<'py, 'py, PyTuple>>,
}

impl<'py> Given<'py> {
    #[inline]
    fn at(&self, i: usize) -> Borrowed<'py, 'py, PyAny> {
        // SAFETY: the convention: as many values as are counted.
        unsafe { Borrowed::from_ptr(self.py, *self.args.add(i)) }
    }
}

impl<'py> Arguments for Given<'py> {
    type One = Borrowed<'py, 'py, PyAny>;

    #[inline]
    fn own(&self) -> Option<Self::One> {
        self.slf
    }
    #[inline]
    fn positional(&self) -> impl ExactSizeIterator<Item = Self::One> + Clone {
        (0..self.positional).map(|i| self.at(i))
    }
    #[inline]
    fn named(
        &self,
        mut take: impl FnMut(&str, Self::One) -> Result<(), RefusedBy<Self>>,
    ) -> Result<(), RefusedBy<Self>> {
        let Some(names) = self.names else { return Ok(()) };
        for (i, name) in names.iter_borrowed().enumerate() {
            let name = name.cast::<PyString>().map_err(|e| Refused::Form(e.into()))?;
            take(name.to_str().map_err(Refused::Form)?, self.at(self.positional + i))?;
        }
        Ok(())
    }
}

impl Argument for Borrowed<'_, '_, PyAny> {
    type Error = PyErr;
    const NAMED: &'static str = "keyword argument";
    const SHOWS_OUT: bool = true;

    #[inline]
    fn convert(&self, schema: &Schema, param: &Param) -> Result<Value, Refused<PyErr>> {
        convert(schema, param, self)
            .map_err(|e| if is_of_form(self.py(), &e) { Refused::Form(e) } else { Refused::Value(e) })
    }
    fn int(&self) -> PyResult<Option<i64>> {
        // What most calls have; the error that tells them from integers would cost more than the rest of the call.
        if self.is_instance_of::<PyTuple>() || self.is_instance_of::<PyList>() {
            return Ok(None);
        }
        match int(self) {
            Ok(i) => Ok(Some(i)),
            Err(e) if is_of_form(self.py(), &e) => Ok(None),
            Err(e) => Err(e),
        }
    }
    #[inline]
    fn is_none(&self) -> bool {
        PyAnyMethods::is_none(&**self)
    }
    fn error(text: String) -> PyErr {
        PyTypeError::new_err(text)
    }
    fn text(error: &PyErr) -> String {
        Python::attach(|py| error.value(py).to_string())
    }
}

/// Whether an error says that an argument is of the wrong type, so that another overload may take it.
#[cold]
fn is_of_form(py: Python<'_>, e: &PyErr) -> bool {
    e.is_instance_of::<PyTypeError>(py) && !e.is_instance_of::<PyRuntimeError>(py)
}

/// # Safety
/// As CPython's fastcall convention with keywords has it.
unsafe fn call(
    row: usize,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: usize,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls.
    let py = unsafe { Python::assume_attached() };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let Some(row) = TABLE.get().and_then(|t| t.get(row)) else {
            return Err(PyRuntimeError::new_err("the table of operations is not there yet"));
        };
        // One tensor and nothing else, `x.exp()` or `exp(x)`, goes straight on.
        if nargs == usize::from(slf.is_null())
            && kwnames.is_null()
            && let Some(schema) = row.alone
        {
            // SAFETY: a method is called on an object, a function on the argument that was counted.
            let only = unsafe { Borrowed::from_ptr(py, if slf.is_null() { *args } else { slf }) };
            if let Some(t) = tensor_in(&only) {
                let values = [Some(Value::Tensor(PyTensor::of(t)))];
                return run_first(py, row, schema, only, &values);
            }
        }
        // Sizes one by one, `x.view(2, 3)`.
        if !slf.is_null()
            && nargs > 0
            && kwnames.is_null()
            && let Some(schema) = row.sized
        {
            // SAFETY: a method is called on an object, with as many arguments as are counted.
            let (own, at) = unsafe { (Borrowed::from_ptr(py, slf), |i| Borrowed::<PyAny>::from_ptr(py, *args.add(i))) };
            if let Some(t) = tensor_in(&own) {
                let mut values = [Some(Value::Tensor(PyTensor::of(t))), Some(Value::Ints(SmallVec::new()))];
                if let Some(Value::Ints(sizes)) = &mut values[1]
                    && plain_ints((0..nargs).map(at), sizes)
                {
                    return run_first(py, row, schema, own, &values);
                }
            }
        }
        // SAFETY: the convention: an object, or nothing.
        let given = unsafe {
            let names = (!kwnames.is_null()).then(|| Borrowed::from_ptr(py, kwnames));
            Given {
                py,
                slf: (!slf.is_null()).then(|| Borrowed::from_ptr(py, slf)),
                args,
                positional: nargs,
                names: names.map(|n| n.cast::<PyTuple>()).transpose()?,
            }
        };
        run_row(py, row, &given)
    }));
    match result {
        Ok(Ok(p)) => p,
        Ok(Err(e)) => {
            e.restore(py);
            std::ptr::null_mut()
        }
        Err(_) => {
            PyRuntimeError::new_err("an internal error: please report what was called").restore(py);
            std::ptr::null_mut()
        }
    }
}

/// Runs the first overload, of which `own` is the tensor.
#[inline]
fn run_first(
    py: Python<'_>,
    row: &Row,
    schema: &Schema,
    own: Borrowed<'_, '_, PyAny>,
    values: &[Option<Value>],
) -> PyResult<*mut ffi::PyObject> {
    let in_place = row.shared.in_place;
    run(py, schema, &row.tuples[0], values, in_place.then_some(own), in_place)
}

/// Runs the first overload that takes the arguments.
fn run_row(py: Python<'_>, row: &Row, given: &Given) -> PyResult<*mut ffi::PyObject> {
    let mut values = Values::new();
    let (at, out) = row.shared.resolve(given, &mut values)?;
    let in_place = row.shared.in_place;
    let target = out.or_else(|| given.slf.filter(|_| in_place));
    run(py, row.shared.overloads[at], &row.tuples[at], &values, target, in_place)
}

fn run(
    py: Python<'_>,
    schema: &Schema,
    tuple: &Option<Py<PyAny>>,
    values: &[Option<Value>],
    target: Option<Borrowed<'_, '_, PyAny>>,
    in_place: bool,
) -> PyResult<*mut ffi::PyObject> {
    if let Some(target) = target {
        let Ok(t) = target.cast::<PyTensor>() else {
            return Err(PyTypeError::new_err(format!(
                "{}(): out must be a tensor, not {}",
                schema.name,
                target.get_type()
            )));
        };
        let own = PyTensor::of(&t);
        // A target without elements takes the shape of the result, as PyTorch's do.
        if own.numel() == 0
            && !in_place
            && let Value::Tensor(result) = schema.run_apart(values, &own).or_raise()?
        {
            return t.get().take(&t, result, schema.name).map(|()| target.to_owned().into_ptr());
        }
        schema.run(values, Some(&own)).or_raise()?;
        return Ok(target.to_owned().into_ptr());
    }
    let value = match schema.run(values, None) {
        // Taken out where it lies: most results are this.
        Ok(Value::Tensor(t)) => return wrap(py, t).map(Bound::into_ptr),
        other => other.or_raise()?,
    };
    Ok(match value {
        Value::Tensors(ts) => {
            let items = PyTuple::new(py, ts.into_iter().map(|t| wrap(py, t)).collect::<PyResult<Vec<_>>>()?)?;
            match tuple {
                Some(class) => class.bind(py).call1(items)?.into_ptr(),
                None => items.into_ptr(),
            }
        }
        Value::Int(i) => i.into_pyobject(py)?.into_any().into_ptr(),
        Value::Bool(b) => b.into_pyobject(py)?.to_owned().into_any().into_ptr(),
        _ => py.None().into_ptr(),
    })
}

/// The doc of a row, without the space that stands before each line of a comment.
pub fn doc_lines(s: &Schema) -> impl Iterator<Item = &'static str> {
    s.doc.lines().map(|l| l.strip_prefix(' ').unwrap_or(l).trim_end())
}

/// The text that `help()` and `inspect.signature` read.
fn doc(row: &Row, method: bool) -> String {
    let Row { name, shared: overload::Row { overloads, in_place }, .. } = row;
    let form = |s: &Schema, method| signature(s, method, true).replacen(s.name, name, 1);
    let body = |s: &Schema| {
        let lines = doc_lines(s).filter(|l| !l.starts_with("```"));
        let text = lines.collect::<Vec<_>>().join("\n").trim().to_string();
        if *in_place { format!("In place: {text}") } else { text }
    };
    match &overloads[..] {
        [one] => format!("{}\n--\n\n{}\n", form(one, method), body(one)),
        // One signature cannot say what several forms take; they follow.
        several => {
            let head = if method { "$self, *args, **kwargs" } else { "*args, **kwargs" };
            let forms = several.iter().map(|s| {
                let form = form(s, method).replace("$self, ", "").replace("$self", "");
                format!("{form}\n\n{}\n", body(s))
            });
            format!("{name}({head})\n--\n\n{}", forms.collect::<Vec<_>>().join("\n"))
        }
    }
}

/// Whether a tensor is all that a call needs.
fn takes_one_tensor(schema: &Schema) -> bool {
    let [first, rest @ ..] = schema.params else { return false };
    matches!(first.kind, ParamKind::Tensor | ParamKind::Operand) && rest.iter().all(|p| p.default.is_some())
}

/// Whether a call needs a tensor and sizes.
fn takes_sizes(schema: &Schema) -> bool {
    let [_, sizes, rest @ ..] = schema.params else { return false };
    sizes.kind == ParamKind::Size && !sizes.keyword_only && rest.iter().all(|p| p.default.is_some())
}

/// The rows with the classes of what they return.
fn table(py: Python<'_>) -> PyResult<Vec<Row>> {
    let make = py.import("collections")?.getattr("namedtuple")?;
    let tuple = |schema: &&Schema| match schema.returns {
        Returns::Named(fields) => make.call1((schema.name, fields)).map(|class| Some(class.unbind())),
        _ => Ok(None),
    };
    let row = |(name, shared): (String, overload::Row)| {
        let tuples = shared.overloads.iter().map(tuple).collect::<PyResult<_>>()?;
        let alone = match shared.overloads[..] {
            [schema] if schema.own() == Some(0) && takes_one_tensor(schema) => Some(schema),
            _ => None,
        };
        let sized = shared.overloads.first().copied().filter(|s| s.own() == Some(0) && takes_sizes(s));
        Ok(Row { name, shared, alone, sized, tuples })
    };
    overload::rows().into_iter().map(row).collect()
}

pub fn install(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    let rows = table(py)?;
    let table = TABLE.get_or_init(|| rows);
    assert!(table.len() <= MOST, "more rows than entries");
    let class = py.get_type::<PyTensor>();
    let module_name = PyString::new(py, "tenflowers._core");
    // Interned, as the keys of the dictionaries that they come to by `import *`: lookups then compare addresses.
    let all = PyList::empty(py);
    for (i, row) in table.iter().enumerate() {
        let def = |f: Fast, method: bool| -> PyResult<*mut ffi::PyMethodDef> {
            // CPython keeps definitions for ever, so they are never freed.
            Ok(Box::leak(Box::new(ffi::PyMethodDef {
                ml_name: CString::new(row.name.as_str())?.into_raw(),
                ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: f },
                ml_flags: (ffi::METH_FASTCALL | ffi::METH_KEYWORDS) as c_int,
                ml_doc: CString::new(doc(row, method))?.into_raw(),
            })))
        };
        let has = |place: Place| row.shared.overloads.iter().any(|s| s.in_place(place));
        if !row.shared.in_place && (has(Place::Tf) || has(Place::Nn) || has(Place::Private)) {
            // SAFETY: the definition lives for ever; the call returns a new reference or an error.
            let function = unsafe {
                let f = ffi::PyCFunction_NewEx(def(FUNCTIONS[i], false)?, std::ptr::null_mut(), module_name.as_ptr());
                Bound::from_owned_ptr_or_err(py, f)?
            };
            m.setattr(row.name.as_str(), function)?;
            if has(Place::Tf) {
                all.append(PyString::intern(py, &row.name))?;
            }
        }
        if has(Place::Method) && !class.hasattr(row.name.as_str())? {
            // SAFETY: as above.
            let method = unsafe {
                let f = ffi::PyDescr_NewMethod(class.as_type_ptr(), def(METHODS[i], true)?);
                Bound::from_owned_ptr_or_err(py, f)?
            };
            class.setattr(row.name.as_str(), method)?;
        }
    }
    for name in PUBLIC {
        all.append(PyString::intern(py, name))?;
    }
    all.sort()?;
    m.setattr("__all__", all)
}

/// What the module has beside the table that users see as the package's.
const PUBLIC: &[&str] = &[
    "Generator",
    "Tensor",
    "as_tensor",
    "bfloat16",
    "bool",
    "can_cast",
    "cdouble",
    "cfloat",
    "complex128",
    "complex64",
    "default_generator",
    "device",
    "double",
    "dtype",
    "empty_cache",
    "float",
    "float16",
    "float32",
    "float64",
    "from_numpy",
    "get_default_dtype",
    "get_num_threads",
    "half",
    "initial_seed",
    "int",
    "int16",
    "int32",
    "int64",
    "int8",
    "is_grad_enabled",
    "long",
    "manual_seed",
    "memory_stats",
    "promote_types",
    "reset_peak_memory_stats",
    "result_type",
    "set_default_dtype",
    "set_memory_budget",
    "set_num_threads",
    "short",
    "tensor",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
];
