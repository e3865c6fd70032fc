//! The operators of Python.
use super::convert::{OrRaise, operand};
use super::index::{getitem, setitem};
use super::tensor::{PyTensor, wrap};
use pyo3::basic::CompareOp;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tenflowers_core::schema::Operand;
use tenflowers_core::{Result, Scalar, Tensor, TensorError, ops};

type Object<'py> = PyResult<Bound<'py, PyAny>>;

/// `NotImplemented` for what is neither tensor nor number, so that the other side is asked.
fn binary<'py>(
    slf: &Bound<'py, PyTensor>,
    other: &Bound<'py, PyAny>,
    op: impl FnOnce(Operand, Operand) -> Result<Tensor>,
) -> Object<'py> {
    let py = slf.py();
    let Some(b) = operand(other) else { return Ok(py.NotImplemented().into_bound(py)) };
    let a = PyTensor::of(slf);
    wrap(py, op(Operand::Tensor(&a), b.as_operand()).or_raise()?)
}

fn tensor_pair<'py>(
    slf: &Bound<'py, PyTensor>,
    other: &Bound<'py, PyAny>,
    op: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
) -> Object<'py> {
    let py = slf.py();
    match other.cast::<PyTensor>() {
        Ok(b) => wrap(py, op(&PyTensor::of(slf), &PyTensor::of(b)).or_raise()?),
        Err(_) => Ok(py.NotImplemented().into_bound(py)),
    }
}

fn in_place(
    slf: &Bound<'_, PyTensor>,
    other: &Bound<'_, PyAny>,
    name: &str,
    op: impl FnOnce(&Tensor, Operand) -> Result<Tensor>,
) -> PyResult<()> {
    let Some(b) = operand(other) else {
        let text = format!("{name}: a tensor or a number is needed, not {}", other.get_type());
        return Err(PyTypeError::new_err(text));
    };
    op(&PyTensor::of(slf), b.as_operand()).or_raise().map(drop)
}

fn unary<'py>(slf: &Bound<'py, PyTensor>, op: impl FnOnce(&Tensor) -> Result<Tensor>) -> Object<'py> {
    wrap(slf.py(), op(&PyTensor::of(slf)).or_raise()?)
}

const ONE: Scalar = Scalar::ONE;

/// Each binary operator: as it stands, turned round, and in place.
macro_rules! operators {
    ($($forward:ident $backward:ident $assign:ident $symbol:literal
        |$a:ident, $b:ident| $op:expr, |$t:ident, $o:ident| $into:expr;)*) => {
        #[pymethods]
        impl PyTensor {
            $(
                fn $forward<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Object<'py> {
                    binary(slf, other, |$a, $b| $op)
                }
                fn $backward<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Object<'py> {
                    binary(slf, other, |$b, $a| $op)
                }
                fn $assign(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                    in_place(slf, other, $symbol, |$t, $o| $into)
                }
            )*
            fn __pow__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>, modulo: Option<&Bound<'py, PyAny>>) -> Object<'py> {
                no_modulo(modulo)?;
                binary(slf, other, ops::pow)
            }
            fn __rpow__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>, modulo: Option<&Bound<'py, PyAny>>) -> Object<'py> {
                no_modulo(modulo)?;
                binary(slf, other, |b, a| ops::pow(a, b))
            }
            fn __ipow__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>, modulo: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
                no_modulo(modulo)?;
                in_place(slf, other, "**=", |t, o| ops::pow::to(Some(t), t.into(), o))
            }
            fn __matmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Object<'py> {
                tensor_pair(slf, other, ops::matmul)
            }
            fn __rmatmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Object<'py> {
                tensor_pair(slf, other, |b, a| ops::matmul(a, b))
            }
            fn __neg__<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
                unary(slf, ops::neg)
            }
            fn __pos__<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
                Ok(slf.clone().into_any())
            }
            fn __abs__<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
                unary(slf, ops::abs)
            }
            fn __invert__<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
                unary(slf, ops::bitwise_not)
            }
            fn __richcmp__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>, op: CompareOp) -> Object<'py> {
                binary(slf, other, match op {
                    CompareOp::Lt => ops::lt,
                    CompareOp::Le => ops::le,
                    CompareOp::Eq => ops::eq,
                    CompareOp::Ne => ops::ne,
                    CompareOp::Gt => ops::gt,
                    CompareOp::Ge => ops::ge,
                })
            }
            fn __hash__(slf: &Bound<'_, Self>) -> isize {
                (slf.as_ptr() as isize) >> 4
            }
            fn __getitem__<'py>(slf: &Bound<'py, Self>, index: &Bound<'py, PyAny>) -> Object<'py> {
                wrap(slf.py(), getitem(&PyTensor::of(slf), index)?)
            }
            fn __setitem__(slf: &Bound<'_, Self>, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
                setitem(&PyTensor::of(slf), index, value)
            }
            fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
                let t = PyTensor::of(slf);
                t.shape().first().copied().ok_or_else(|| PyTypeError::new_err("len() of a tensor of no dimensions"))
            }
            fn __iter__<'py>(slf: &Bound<'py, Self>) -> Object<'py> {
                let t = PyTensor::of(slf);
                if t.rank() == 0 {
                    return Err(PyTypeError::new_err("iteration over a tensor of no dimensions"));
                }
                let py = slf.py();
                let slices = ops::unbind(&t, 0).or_raise()?.into_iter().map(|s| wrap(py, s)).collect::<PyResult<Vec<_>>>()?;
                Ok(PyTuple::new(py, slices)?.try_iter()?.into_any())
            }
            fn __contains__(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
                let Some(v) = operand(value) else {
                    return Err(PyTypeError::new_err(format!("a tensor or a number is needed, not {}", value.get_type())));
                };
                let t = PyTensor::of(slf).detach();
                let hits = ops::eq((&t).into(), v.as_operand()).and_then(|m| ops::any(&m, None, false));
                Ok(!hits.and_then(|t| t.item()).or_raise()?.is_zero())
            }
            fn __bool__(slf: &Bound<'_, Self>) -> PyResult<bool> {
                let t = PyTensor::of(slf);
                if t.numel() != 1 {
                    let what = format!("the truth of a tensor with {} elements is ambiguous; use any() or all()", t.numel());
                    return Err(TensorError::argument("bool", what)).or_raise();
                }
                Ok(!t.item().or_raise()?.is_zero())
            }
        }
    };
}

fn no_modulo(modulo: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    match modulo {
        Some(m) if !m.is_none() => Err(PyTypeError::new_err("pow() of tensors takes no modulus")),
        _ => Ok(()),
    }
}

operators! {
    __add__ __radd__ __iadd__ "+=" |a, b| ops::add(a, b, ONE), |t, o| ops::add::to(Some(t), t.into(), o, ONE);
    __sub__ __rsub__ __isub__ "-=" |a, b| ops::sub(a, b, ONE), |t, o| ops::sub::to(Some(t), t.into(), o, ONE);
    __mul__ __rmul__ __imul__ "*=" |a, b| ops::mul(a, b), |t, o| ops::mul::to(Some(t), t.into(), o);
    __truediv__ __rtruediv__ __itruediv__ "/=" |a, b| ops::div(a, b, None), |t, o| ops::div::to(Some(t), t.into(), o, None);
    __floordiv__ __rfloordiv__ __ifloordiv__ "//=" |a, b| ops::floor_divide(a, b), |t, o| ops::floor_divide::to(Some(t), t.into(), o);
    __mod__ __rmod__ __imod__ "%=" |a, b| ops::remainder(a, b), |t, o| ops::remainder::to(Some(t), t.into(), o);
    __and__ __rand__ __iand__ "&=" |a, b| ops::bitwise_and(a, b), |t, o| ops::bitwise_and::to(Some(t), t.into(), o);
    __or__ __ror__ __ior__ "|=" |a, b| ops::bitwise_or(a, b), |t, o| ops::bitwise_or::to(Some(t), t.into(), o);
    __xor__ __rxor__ __ixor__ "^=" |a, b| ops::bitwise_xor(a, b), |t, o| ops::bitwise_xor::to(Some(t), t.into(), o);
}
