//! Makes Python functions and methods of the schema table: one converter for all of them.
use super::convert::{OrRaise, convert, int};
use super::errors::to_py;
use super::tensor::{PyTensor, wrap};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use smallvec::SmallVec;
use std::ffi::{CString, c_int};
use std::sync::OnceLock;
use tenflowers_core::ops;
use tenflowers_core::schema::{Param, ParamKind, Place, Returns, Schema, Value, too_many};

const MOST: usize = 1024;
static TABLE: OnceLock<Vec<Row>> = OnceLock::new();
type Fast = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// What one Python name stands for: the schemas that share it, and the named tuples that they return.
struct Row {
    name: String,
    overloads: Vec<(&'static Schema, Option<Py<PyAny>>)>,
    in_place: bool,
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

/// The arguments of one call, as CPython hands them over.
struct Given<'py> {
    slf: Option<Borrowed<'py, 'py, PyAny>>,
    positional: SmallVec<[Borrowed<'py, 'py, PyAny>; 6]>,
    names: Option<Borrowed<'py, 'py, PyTuple>>,
    named: *const *mut ffi::PyObject,
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
        // SAFETY: the convention: `nargs` arguments, and as many more as there are names.
        let at = |i| unsafe { Borrowed::from_ptr(py, *args.add(i)) };
        // SAFETY: as above.
        let given = unsafe {
            let names = (!kwnames.is_null()).then(|| Borrowed::from_ptr(py, kwnames));
            Given {
                slf: (!slf.is_null()).then(|| Borrowed::from_ptr(py, slf)),
                positional: (0..nargs).map(at).collect(),
                names: names.map(|n| n.cast::<PyTuple>()).transpose()?,
                named: args.wrapping_add(nargs),
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

/// Runs the first overload that takes the arguments.
fn run_row(py: Python<'_>, row: &Row, given: &Given) -> PyResult<*mut ffi::PyObject> {
    let mut failed: Option<PyErr> = None;
    for (schema, tuple) in &row.overloads {
        match bind(schema, given) {
            Ok((values, out)) => {
                let target = out.or_else(|| given.slf.filter(|_| row.in_place));
                return run(py, schema, tuple, &values, target, row.in_place);
            }
            // What is too large, or a device that is not there, is no question of the overload.
            Err(Refused::Value(e)) => return Err(e),
            Err(Refused::Form(e)) if row.overloads.len() == 1 => return Err(e),
            Err(Refused::Form(e)) => failed = failed.or(Some(e)),
        }
    }
    let first = failed.map(|e| e.value(py).to_string()).unwrap_or_default();
    let forms: Vec<String> = row.overloads.iter().map(|(s, _)| signature(s, given.slf.is_some())).collect();
    let text = format!("{first}; these are taken: {}", forms.join(" or "));
    Err(PyTypeError::new_err(text))
}

/// Why an overload did not take the arguments.
enum Refused {
    /// They are of the wrong number, name or type.
    Form(PyErr),
    /// They are right in form, but not in value.
    Value(PyErr),
}

type Values = SmallVec<[Option<Value>; 8]>;

fn refused(py: Python<'_>, e: PyErr) -> Refused {
    if e.is_instance_of::<PyTypeError>(py) && !e.is_instance_of::<PyRuntimeError>(py) {
        Refused::Form(e)
    } else {
        Refused::Value(e)
    }
}

fn bind<'py>(schema: &Schema, given: &Given<'py>) -> Result<(Values, Option<Borrowed<'py, 'py, PyAny>>), Refused> {
    let form = |text: String| Refused::Form(PyTypeError::new_err(format!("{}(): {text}", schema.name)));
    let own = given.slf.map(|_| schema.own());
    let mut values = Values::new();
    if let Some(slf) = given.slf {
        let Some(Some(at)) = own else { return Err(form("is no method".into())) };
        values.resize_with(at + 1, || None);
        values[at] = Some(convert(schema, &schema.params[at], &slf).map_err(Refused::Form)?);
    }
    let count = given.positional.len();
    let mut at = 0;
    for (i, v) in given.positional.iter().enumerate() {
        if own == Some(Some(at)) {
            at += 1;
        }
        let Some(param) = schema.params.get(at).filter(|p| !p.keyword_only) else {
            return Err(Refused::Form(to_py(too_many(schema, count))));
        };
        let py = v.py();
        // Integers one by one take all that is left.
        let rest = param.kind == ParamKind::Size && (i + 1 < count || int(v).is_ok());
        let value = if rest {
            let wrong = |e| match refused(py, e) {
                Refused::Form(_) => form(format!("argument '{}' must be ints", param.name)),
                value => value,
            };
            Value::Ints(given.positional[i..].iter().map(|v| int(v)).collect::<PyResult<_>>().map_err(wrong)?)
        } else {
            convert(schema, param, v).map_err(|e| refused(py, e))?
        };
        if values.len() <= at {
            values.resize_with(at + 1, || None);
        }
        values[at] = Some(value);
        at += 1;
        if rest {
            break;
        }
    }
    let mut out = None;
    if let Some(names) = given.names {
        values.resize_with(schema.params.len(), || None);
        for (k, name) in names.iter_borrowed().enumerate() {
            let name = name.cast::<PyString>().map_err(|e| Refused::Form(e.into()))?;
            let name = name.to_str().map_err(Refused::Form)?;
            // SAFETY: the convention: a value for each name.
            let v = unsafe { Borrowed::from_ptr(names.py(), *given.named.add(k)) };
            match schema.param(name) {
                Some(at) if values[at].is_none() => {
                    values[at] = Some(convert(schema, &schema.params[at], &v).map_err(|e| refused(v.py(), e))?);
                }
                Some(_) => return Err(form(format!("got two values for the argument '{name}'"))),
                None if name == "out" && schema.takes_out() => {
                    out = if v.is_none() { None } else { Some(v) };
                }
                None => return Err(form(format!("got an unexpected keyword argument '{name}'"))),
            }
        }
    }
    let missing = |(i, p): &(usize, &Param)| p.default.is_none() && values.get(*i).is_none_or(Option::is_none);
    if let Some((_, p)) = schema.params.iter().enumerate().find(missing) {
        return Err(form(format!("missing the argument '{}'", p.name)));
    }
    Ok((values, out))
}

fn run(
    py: Python<'_>,
    schema: &Schema,
    tuple: &Option<Py<PyAny>>,
    values: &Values,
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
        if own.numel() == 0 && !in_place {
            if let Value::Tensor(result) = schema.run_apart(values, &own).or_raise()? {
                return t.get().take(&t, result, schema.name).map(|()| target.to_owned().into_ptr());
            }
        }
        schema.run(values, Some(&own)).or_raise()?;
        return Ok(target.to_owned().into_ptr());
    }
    Ok(match schema.run(values, None).or_raise()? {
        Value::Tensor(t) => wrap(py, t)?.into_ptr(),
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

/// Python's text for a default.
pub fn literal(v: &Value) -> String {
    use tenflowers_core::Scalar;
    match v {
        Value::Bool(b) | Value::Scalar(Scalar::Bool(b)) => if *b { "True" } else { "False" }.into(),
        Value::Int(i) => i.to_string(),
        Value::Scalar(Scalar::Int(i)) => i.to_string(),
        Value::Float(f) | Value::Scalar(Scalar::Float(f)) => format!("{f:?}"),
        Value::Ints(v) if v.len() == 1 => v[0].to_string(),
        Value::Ints(v) => format!("({})", v.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")),
        Value::Str(s) => format!("'{s}'"),
        _ => "None".into(),
    }
}

/// `name(input, dim=None, *, dtype=None)`
fn signature(s: &Schema, method: bool) -> String {
    let (mut text, mut star) = (format!("{}(", s.name), false);
    let mut parts: Vec<String> = if method { vec!["$self".into()] } else { vec![] };
    for p in s.params.iter().filter(|p| !(method && p.name == "input")) {
        if p.keyword_only && !star {
            parts.push("*".into());
            star = true;
        }
        parts.push(match p.default {
            Some(d) => format!("{}={}", p.name, literal(&d())),
            None => p.name.to_string(),
        });
    }
    if !method && s.takes_out() {
        if !star {
            parts.push("*".into());
        }
        parts.push("out=None".into());
    }
    text.push_str(&parts.join(", "));
    text + ")"
}

/// The text that `help()` and `inspect.signature` read.
fn doc(row: &Row, method: bool) -> String {
    let mut text = String::new();
    for (i, (s, _)) in row.overloads.iter().enumerate() {
        let body = s.doc.lines().map(str::trim).collect::<Vec<_>>().join("\n");
        let signature = signature(s, method).replacen(s.name, &row.name, 1);
        if i == 0 {
            let more = if row.overloads.len() > 1 { "" } else { "\n--" };
            text.push_str(&format!("{signature}{more}\n\n"));
        } else {
            text.push_str(&format!("\n{}\n\n", signature.replace("$self, ", "").replace("$self", "")));
        }
        if row.in_place {
            text.push_str("In place: ");
        }
        text.push_str(body.trim());
        text.push('\n');
    }
    if row.overloads.len() > 1 { text.replace("$self, ", "").replace("$self", "") } else { text }
}

/// The rows by their Python names: overloads together, and `name_` for what can write into a tensor.
fn table(py: Python<'_>) -> PyResult<Vec<Row>> {
    let mut rows: Vec<Row> = vec![];
    for schema in ops::schemas() {
        let tuple = match schema.returns {
            Returns::Named(fields) => {
                let make = py.import("collections")?.getattr("namedtuple")?;
                Some(make.call1((schema.name, fields))?.unbind())
            }
            _ => None,
        };
        let names = [(schema.name.to_string(), false), (format!("{}_", schema.name), true)];
        let count = if schema.into && schema.in_place(Place::Method) { 2 } else { 1 };
        for (name, in_place) in names.into_iter().take(count) {
            let overload = (schema, tuple.as_ref().map(|t| t.clone_ref(py)));
            match rows.iter_mut().find(|r| r.name == name && r.in_place == in_place) {
                Some(row) => row.overloads.push(overload),
                None => rows.push(Row { name, overloads: vec![overload], in_place }),
            }
        }
    }
    Ok(rows)
}

pub fn install(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    let rows = table(py)?;
    let table = TABLE.get_or_init(|| rows);
    assert!(table.len() <= MOST, "more rows than entries");
    let class = py.get_type::<PyTensor>();
    let module_name = PyString::new(py, "tenflowers._core");
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
        let has = |place: Place| row.overloads.iter().any(|(s, _)| s.in_place(place));
        if !row.in_place && (has(Place::Tf) || has(Place::Nn) || has(Place::Private)) {
            // SAFETY: the definition lives for ever; the call returns a new reference or an error.
            let function = unsafe {
                let f = ffi::PyCFunction_NewEx(def(FUNCTIONS[i], false)?, std::ptr::null_mut(), module_name.as_ptr());
                Bound::from_owned_ptr_or_err(py, f)?
            };
            m.setattr(row.name.as_str(), function)?;
            if has(Place::Tf) {
                all.append(&row.name)?;
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
        all.append(name)?;
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
