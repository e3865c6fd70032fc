//! The engine, hooks, and the mode of recording.
use super::convert::OrRaise;
use super::errors::callback;
use super::tensor::{PyTensor, wrap};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::sync::Arc;
use tenflowers_autograd::{Options, Tolerance};
use tenflowers_core::grad::{self, Edge, Hook, HookList};
use tenflowers_core::{Tensor, TensorError};

/// The operation that a tensor came from.
#[pyclass(name = "Node", module = "tenflowers._core", frozen)]
pub struct PyNode(Edge);

impl PyNode {
    pub fn of(t: &Tensor) -> Option<PyNode> {
        t.edge().filter(|e| e.node().is_some()).map(PyNode)
    }
}

#[pymethods]
impl PyNode {
    /// The name of the way back: `AddBackward0`.
    fn name(&self) -> String {
        let Some((node, _)) = self.0.node() else { return "AccumulateGrad".into() };
        let mut name = String::new();
        for part in node.op.name().split('_').filter(|p| !p.is_empty()) {
            let (first, rest) = part.split_at(1);
            name.push_str(&first.to_uppercase());
            name.push_str(rest);
        }
        name + "Backward0"
    }
    /// The operations that its inputs came from.
    #[getter]
    fn next_functions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let edges = self.0.node().map(|(n, _)| n.inputs.clone()).unwrap_or_default();
        let next = edges.into_iter().map(|e| {
            let output = e.as_ref().and_then(Edge::node).map_or(0, |(_, o)| o);
            (e.map(PyNode), output)
        });
        PyTuple::new(py, next.collect::<Vec<_>>())
    }
    fn __repr__(&self) -> String {
        format!("<{}>", self.name())
    }
}

/// What a hook is taken off with.
#[pyclass(name = "RemovableHandle", module = "tenflowers._core", frozen)]
pub struct PyHandle {
    list: HookList,
    id: u64,
}

#[pymethods]
impl PyHandle {
    /// Takes the hook off.
    fn remove(&self) {
        self.list.remove(self.id);
    }
}

pub fn register_hook(t: &Tensor, hook: Bound<'_, PyAny>) -> PyResult<PyHandle> {
    if !hook.is_callable() {
        return Err(PyTypeError::new_err("register_hook: a callable is needed"));
    }
    let hook = hook.unbind();
    let call: Hook = Arc::new(move |g| {
        Python::attach(|py| {
            let result = wrap(py, g.clone()).and_then(|g| hook.bind(py).call1((g,)));
            match result {
                Ok(r) if r.is_none() => Ok(None),
                Ok(r) => match r.cast::<PyTensor>() {
                    Ok(new) => {
                        let new = PyTensor::of(new);
                        if new.shape() == g.shape() {
                            return Ok(Some(new));
                        }
                        let what = "a hook gave a gradient of another shape";
                        Err(TensorError::shape("register_hook", what, g.shape(), new.shape()))
                    }
                    Err(_) => {
                        let text = format!("a hook gives a tensor or None, not {}", r.get_type());
                        Err(callback(PyTypeError::new_err(text)))
                    }
                },
                Err(e) => Err(callback(e)),
            }
        })
    });
    let (id, list) = t.register_hook(call).or_raise()?;
    Ok(PyHandle { list, id })
}

/// Whether operations of this thread are recorded.
#[pyfunction]
pub fn is_grad_enabled() -> bool {
    grad::is_enabled()
}

/// Has operations of this thread recorded, or not.
#[pyfunction]
pub fn _set_grad_enabled(enabled: bool) {
    grad::set_enabled(enabled);
}

fn list(v: Vec<Bound<'_, PyTensor>>) -> Vec<Tensor> {
    v.iter().map(PyTensor::of).collect()
}

fn options(v: Vec<Option<Bound<'_, PyTensor>>>) -> Vec<Option<Tensor>> {
    v.iter().map(|t| t.as_ref().map(PyTensor::of)).collect()
}

/// Adds gradients to the leaves that the tensors came from, or to `inputs` alone.
#[pyfunction]
pub fn _backward(
    tensors: Vec<Bound<'_, PyTensor>>,
    grads: Vec<Option<Bound<'_, PyTensor>>>,
    retain_graph: bool,
    create_graph: bool,
    inputs: Option<Vec<Bound<'_, PyTensor>>>,
) -> PyResult<()> {
    let inputs = inputs.map(list);
    let mode = Options { retain_graph, create_graph };
    tenflowers_autograd::backward(&list(tensors), &options(grads), mode, inputs.as_deref()).or_raise()
}

/// The gradients of the outputs by the inputs.
#[pyfunction]
pub fn _grad<'py>(
    py: Python<'py>,
    outputs: Vec<Bound<'py, PyTensor>>,
    grads: Vec<Option<Bound<'py, PyTensor>>>,
    inputs: Vec<Bound<'py, PyTensor>>,
    retain_graph: bool,
    create_graph: bool,
    allow_unused: bool,
) -> PyResult<Bound<'py, PyList>> {
    let mode = Options { retain_graph, create_graph };
    let found =
        tenflowers_autograd::grad(&list(outputs), &list(inputs), &options(grads), mode, allow_unused).or_raise()?;
    let wrapped = found.into_iter().map(|g| g.map(|g| wrap(py, g)).transpose()).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, wrapped)
}

/// A Python function of tensors, and of other arguments that stay, as the checks call it.
struct Function<'py> {
    f: Bound<'py, PyAny>,
    args: Vec<Bound<'py, PyAny>>,
    /// Which arguments are tensors.
    at: Vec<usize>,
}

impl<'py> Function<'py> {
    fn new(f: Bound<'py, PyAny>, args: Vec<Bound<'py, PyAny>>) -> (Self, Vec<Tensor>) {
        let at: Vec<usize> = (0..args.len()).filter(|&i| args[i].cast::<PyTensor>().is_ok()).collect();
        let inputs = at.iter().filter_map(|&i| args[i].cast::<PyTensor>().ok().map(PyTensor::of)).collect();
        (Function { f, args, at }, inputs)
    }
    fn call(&self, inputs: &[Tensor]) -> PyResult<Vec<Tensor>> {
        let py = self.f.py();
        let mut args = self.args.clone();
        for (&i, t) in self.at.iter().zip(inputs) {
            args[i] = wrap(py, t.clone())?;
        }
        let result = self.f.call1(PyTuple::new(py, args)?)?;
        if let Ok(t) = result.cast::<PyTensor>() {
            return Ok(vec![PyTensor::of(t)]);
        }
        let mut outputs = vec![];
        for item in result.try_iter()? {
            if let Ok(t) = item?.cast::<PyTensor>() {
                outputs.push(PyTensor::of(t));
            }
        }
        Ok(outputs)
    }
}

/// Raises where the first derivatives of a function differ from finite differences.
#[pyfunction]
pub fn _gradcheck(f: Bound<'_, PyAny>, inputs: Vec<Bound<'_, PyAny>>, eps: f64, atol: f64, rtol: f64) -> PyResult<()> {
    let (f, inputs) = Function::new(f, inputs);
    let tolerance = Tolerance { step: eps, absolute: atol, relative: rtol };
    tenflowers_autograd::gradcheck(&mut |x| f.call(x).map_err(callback), &inputs, tolerance).or_raise()
}
