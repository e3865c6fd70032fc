//! Python's index expressions: integers, slices, `None`, `...`, masks and index tensors, mixed.
use super::{index_by, index_write};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::ops::view::{select_to, slice_to};
use crate::ops::{assign, fill, to_dtype, unsqueeze};
use crate::schema::Operand;
use crate::tensor::Tensor;

/// One part of an index expression.
#[derive(Debug, Clone)]
pub enum Index {
    Int(i64),
    Slice { start: Option<i64>, stop: Option<i64>, step: i64 },
    NewAxis,
    Ellipsis,
    Tensor(Tensor),
}

fn is_mask(t: &Tensor) -> bool {
    matches!(t.dtype(), DType::Bool | DType::U8)
}

/// The view that the simple parts make, and the index tensors that are left, for its dimensions.
fn views(x: &Tensor, parts: &[Index]) -> Result<(Tensor, Vec<Option<Tensor>>)> {
    let error = |what: String| Err(TensorError::Indexing { op: "index", what });
    let covers = |p: &Index| match p {
        Index::Int(_) | Index::Slice { .. } => 1,
        Index::Tensor(t) if is_mask(t) => t.rank(),
        Index::Tensor(_) => 1,
        Index::NewAxis | Index::Ellipsis => 0,
    };
    let named: usize = parts.iter().map(covers).sum();
    if named > x.rank() {
        return error(format!("too many indices ({named}) for a tensor of {} dimensions", x.rank()));
    }
    if parts.iter().filter(|p| matches!(p, Index::Ellipsis)).count() > 1 {
        return error("an index can have one ellipsis ('...') only".into());
    }
    let (mut view, mut d, mut tensors) = (x.clone(), 0, vec![]);
    let set = |tensors: &mut Vec<Option<Tensor>>, d: usize, t: Tensor| {
        tensors.resize(d, None);
        tensors.push(Some(t));
    };
    for part in parts {
        match part {
            Index::Int(i) => view = selected(&view, d, *i)?,
            Index::Slice { start, stop, step } => {
                view = sliced(&view, d, *start, *stop, *step)?;
                d += 1;
            }
            Index::NewAxis => {
                view = unsqueeze(&view, d as i64)?;
                d += 1;
            }
            Index::Ellipsis => d += x.rank() - named,
            // A mask of no dimensions makes a dimension that it picks, or not.
            Index::Tensor(t) if is_mask(t) && t.rank() == 0 => {
                view = unsqueeze(&view, d as i64)?;
                let picked = if t.item()?.is_zero() { vec![] } else { vec![0i64] };
                let n = picked.len();
                set(&mut tensors, d, Tensor::<i64>::from_vec(picked, &[n])?.erase().clone());
                d += 1;
            }
            Index::Tensor(t) => {
                set(&mut tensors, d, t.clone());
                d += covers(part);
                // The further dimensions of a mask are the mask's: `index_by` counts them.
            }
        }
    }
    Ok((view, spread(tensors)))
}

/// One entry a dimension becomes one an index: a mask stands once for all its dimensions.
fn spread(tensors: Vec<Option<Tensor>>) -> Vec<Option<Tensor>> {
    let (mut all, mut skip) = (vec![], 0usize);
    for t in tensors {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        skip = t.as_ref().filter(|t| is_mask(t)).map_or(0, |t| t.rank().saturating_sub(1));
        all.push(t);
    }
    all
}

fn selected(x: &Tensor, d: usize, i: i64) -> Result<Tensor> {
    let size = x.shape()[d];
    let at = if i < 0 { i.wrapping_add(size as i64) } else { i };
    if !(0..size as i64).contains(&at) {
        return Err(TensorError::Index { op: "index", index: i, dim: d, size });
    }
    select_to(x, d, at as usize)
}

fn sliced(x: &Tensor, d: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> Result<Tensor> {
    if step <= 0 {
        return Err(TensorError::argument("index", format!("the step of a slice must be positive, not {step}")));
    }
    let size = x.shape()[d] as i64;
    let place = |i: i64| (if i < 0 { i.saturating_add(size) } else { i }).clamp(0, size);
    let (start, stop) = (start.map_or(0, place), stop.map_or(size, place));
    let length = if stop > start { (stop - start - 1) / step + 1 } else { 0 };
    if length == size && step == 1 {
        return if x.view_of().is_some() { Ok(x.clone()) } else { slice_to(x, d, 0, size as usize, 1) };
    }
    slice_to(x, d, start as usize, length as usize, step as isize)
}

/// `x[parts]`: a view where no part is a tensor, else a copy.
pub fn get(x: &Tensor, parts: &[Index]) -> Result<Tensor> {
    // What loops over a tensor do.
    if let [Index::Int(i)] = parts
        && x.rank() > 0
    {
        return selected(x, 0, *i);
    }
    let (view, tensors) = views(x, parts)?;
    if tensors.iter().all(Option::is_none) {
        // Also `x[...]` is a tensor of its own.
        return if view.same(x) { crate::ops::view::alias(x) } else { Ok(view) };
    }
    index_by(&view, &tensors)
}

/// `x[parts] = value`, broadcast and converted.
pub fn set(x: &Tensor, parts: &[Index], value: Operand) -> Result<()> {
    let (view, tensors) = views(x, parts)?;
    if tensors.iter().all(Option::is_none) {
        return match value {
            Operand::Scalar(s) => fill(&view, s).map(drop),
            Operand::Tensor(t) => assign::to(Some(&view), &view, &without_ones(t, view.rank())?).map(drop),
        };
    }
    let values = match value {
        Operand::Scalar(s) => Tensor::scalar(s, x.dtype())?,
        Operand::Tensor(t) => to_dtype(t, x.dtype())?,
    };
    index_write(&view, &tensors, &values, false)
}

/// Leading dimensions of size 1 beyond the target's do no harm.
fn without_ones(t: &Tensor, rank: usize) -> Result<Tensor> {
    let extra = t.rank().saturating_sub(rank);
    if extra > 0 && t.shape()[..extra].iter().all(|&n| n == 1) {
        return crate::ops::reshape_to(t, &t.shape()[extra..]);
    }
    Ok(t.clone())
}
