//! The table of operations as Python data: for stubs, documentation and tests.
use super::registry::doc_lines;
use crate::overload::literal;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tenflowers_core::ops;
use tenflowers_core::schema::{Place, Returns};

/// The rows of the table of operations, a dict each.
#[pyfunction]
pub fn _schemas(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for s in ops::schemas() {
        let row = PyDict::new(py);
        row.set_item("name", s.name)?;
        row.set_item("doc", doc_lines(s).collect::<Vec<_>>().join("\n"))?;
        let places = s.places.iter().map(|p| match p {
            Place::Tf => "tf",
            Place::Method => "method",
            Place::Nn => "nn",
            Place::Private => "private",
        });
        row.set_item("places", places.collect::<Vec<_>>())?;
        let params = PyList::empty(py);
        for p in s.params {
            let param = PyDict::new(py);
            param.set_item("name", p.name)?;
            param.set_item("kind", format!("{:?}", p.kind))?;
            param.set_item("optional", p.optional)?;
            param.set_item("default", p.default.map(|d| literal(&d())))?;
            param.set_item("keyword_only", p.keyword_only)?;
            params.append(param)?;
        }
        row.set_item("params", params)?;
        match s.returns {
            Returns::Named(fields) => row.set_item("returns", fields)?,
            other => row.set_item("returns", format!("{other:?}"))?,
        }
        row.set_item("into", s.into)?;
        row.set_item("no_grad", s.no_grad)?;
        list.append(row)?;
    }
    Ok(list)
}
